"""HubSpot's way in (HUB-3)."""

from pydantic import BaseModel, ConfigDict, Field

from revops.platform.http import Api
from revops.sync.webhook import Delivery, ReceiveDelivery

MAX_BODY = 5_000_000


class BatchReceipt(BaseModel):
    """The events are stored; what follows from them happens behind."""

    model_config = ConfigDict(defer_build=True)

    received: bool = Field(default=True, examples=[True])


def add_hubspot_webhook_route(api: Api, receive: ReceiveDelivery) -> None:
    """Registers the route."""

    @api.post(
        "/webhooks/hubspot",
        "HubSpot's events, proven by signature v3; each is stored once and acknowledged every time",
        tag="webhooks",
        model=BatchReceipt,
        errors=(413,),
        security=[],
        plain=True,
    )
    def post_hubspot_events() -> BatchReceipt:
        request = api.event
        query = request.get("rawQueryString", "")
        context = request.get("requestContext", {})
        delivery = Delivery(
            method=context.get("http", {}).get("method", ""),
            uri=f"https://{context.get('domainName', '')}{request.get('rawPath', '')}{'?' if query else ''}{query}",
            body=api.raw_body,
            timestamp=api.header("x-hubspot-request-timestamp"),
            signature=api.header("x-hubspot-signature-v3"),
        )
        receive(delivery, api.public_call("hubspot"))
        return BatchReceipt()

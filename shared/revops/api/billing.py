"""Stripe's way in (STR-1)."""

from pydantic import BaseModel, ConfigDict, Field

from revops.billing import ReceiveStripeEvent
from revops.platform.http import Api


class EventReceipt(BaseModel):
    """The event is stored; what follows from it happens behind."""

    model_config = ConfigDict(defer_build=True)

    received: bool = Field(default=True, examples=[True])


def add_stripe_webhook_route(api: Api, receive: ReceiveStripeEvent) -> None:
    """Registers the route."""

    @api.post(
        "/webhooks/stripe",
        "Stripe's events, proven by their signature; each is stored once and acknowledged every time",
        tag="webhooks",
        model=EventReceipt,
        errors=(413,),
        security=[],
        plain=True,
    )
    def post_stripe_event() -> EventReceipt:
        receive(api.raw_body, api.header("stripe-signature"), api.public_call("stripe"))
        return EventReceipt()

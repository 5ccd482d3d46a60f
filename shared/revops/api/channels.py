"""WhatsApp's and Twilio's way in (CAP-2, CAP-3)."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from revops.channels.calls import ReceiveTwilio
from revops.channels.messages import ReceiveWhatsapp
from revops.platform.http import Api, Raw

MAX_BODY = 3_500_000
"""Meta sends at most three megabytes at once."""
FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain"
XML = "text/xml"


class MessagesReceipt(BaseModel):
    """The messages are stored; what follows from them happens behind."""

    model_config = ConfigDict(defer_build=True)

    received: bool = Field(default=True, examples=[True])


@dataclass(frozen=True, slots=True)
class ChannelWebhooks:
    """What the routes call. `handshake` answers mode, token and challenge; `public_url` is the address of this API as
    the vendors know it, without a slash at the end, empty when requests tell it."""

    whatsapp: ReceiveWhatsapp
    handshake: Callable[[str, str, str], str]
    call: ReceiveTwilio
    call_status: ReceiveTwilio
    public_url: str


def add_channel_webhook_routes(api: Api, use: ChannelWebhooks) -> None:
    """Registers the routes."""

    @api.get(
        "/webhooks/whatsapp",
        "Meta's handshake: the challenge, for who knows the verify token",
        tag="webhooks",
        errors=(403,),
        security=[],
        plain=True,
        gives=TEXT,
        minds_query=False,
    )
    def get_whatsapp_handshake() -> Raw:
        asked = api.event.get("queryStringParameters") or {}
        mode, token, challenge = (asked.get(f"hub.{name}", "") for name in ("mode", "verify_token", "challenge"))
        return Raw(200, TEXT, use.handshake(mode, token, challenge))

    @api.post(
        "/webhooks/whatsapp",
        "WhatsApp's messages and statuses, proven by their signature; each is stored once and acknowledged every time",
        tag="webhooks",
        model=MessagesReceipt,
        errors=(413,),
        security=[],
        plain=True,
    )
    def post_whatsapp_events() -> MessagesReceipt:
        use.whatsapp(api.raw_body, api.header("x-hub-signature-256"), api.public_call("whatsapp"))
        return MessagesReceipt()

    @api.post(
        "/webhooks/twilio/voice",
        "A call that comes in at Twilio, proven by its signature: stored once, and answered with what the caller hears",
        tag="webhooks",
        errors=(413,),
        security=[],
        plain=True,
        takes=(FORM,),
        gives=XML,
        minds_query=False,
    )
    def post_twilio_call() -> Raw:
        return _answered(use.call)

    @api.post(
        "/webhooks/twilio/status",
        "What became of a call at Twilio, proven by its signature; each report is stored once",
        tag="webhooks",
        errors=(413,),
        security=[],
        plain=True,
        takes=(FORM,),
        gives=XML,
        minds_query=False,
    )
    def post_twilio_call_status() -> Raw:
        return _answered(use.call_status)

    def _answered(receive: ReceiveTwilio) -> Raw:
        signature = api.header("x-twilio-signature")
        return Raw(200, XML, receive(_address(), api.raw_body, signature, api.public_call("twilio")))

    def _address() -> str:
        """The exact public address of the request."""
        request = api.event
        host = use.public_url or f"https://{request.get('requestContext', {}).get('domainName', '')}"
        query = request.get("rawQueryString", "")
        return f"{host}{request.get('rawPath', '')}{'?' if query else ''}{query}"

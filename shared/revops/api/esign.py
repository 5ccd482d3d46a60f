"""The doors of the e-sign providers (ORD-3): each proves the sender, stores once, answers. Nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from revops.platform.http import Api, Raw
from revops.platform.problems import JSON
from revops.signing.receive import ReceiveEnvelopeEvent

MAX_BODY = 5_000_000
"""Connect may be set to send the documents along; they are not looked at."""


class EnvelopeEventReceipt(BaseModel):
    """The event is stored; what follows from it happens behind."""

    model_config = ConfigDict(defer_build=True)

    received: bool = Field(default=True, examples=[True])


@dataclass(frozen=True, slots=True)
class EsignWebhooks:
    """What the routes call. `client` answers our client id to a caller that sends it in the headers, which are by name
    in lower case."""

    docusign: ReceiveEnvelopeEvent
    adobe_sign: ReceiveEnvelopeEvent
    client: Callable[[Mapping[str, str]], str]


def add_esign_webhook_routes(api: Api, use: EsignWebhooks) -> None:
    """Registers the routes."""

    @api.post(
        "/webhooks/docusign",
        "DocuSign Connect's messages, proven by their HMAC; each is stored once and acknowledged every time",
        tag="webhooks",
        model=EnvelopeEventReceipt,
        errors=(413,),
        security=[],
        plain=True,
    )
    def post_docusign_event() -> EnvelopeEventReceipt:
        use.docusign(api.raw_body, _headers(), api.public_call("docusign"))
        return EnvelopeEventReceipt()

    @api.get(
        "/webhooks/adobe-sign",
        "Adobe Sign's verification of intent: our client id, for who sends it",
        tag="webhooks",
        example={"xAdobeSignClientId": "CBJCHBCAABAA2kQ7"},
        errors=(403,),
        security=[],
        plain=True,
        minds_query=False,
    )
    def get_adobe_sign_intent() -> Raw:
        return _echoed(use.client(_headers()))

    @api.post(
        "/webhooks/adobe-sign",
        "Adobe Sign's notifications, answered with our client id; each is stored once, and only what it is about is "
        "taken from it",
        tag="webhooks",
        example={"xAdobeSignClientId": "CBJCHBCAABAA2kQ7"},
        errors=(403, 413),
        security=[],
        plain=True,
    )
    def post_adobe_sign_notification() -> Raw:
        headers = _headers()
        client = use.client(headers)
        use.adobe_sign(api.raw_body, headers, api.public_call("adobe_sign"))
        return _echoed(client)

    def _headers() -> Mapping[str, str]:
        found: Mapping[str, str] = api.event.get("headers") or {}
        return {name.lower(): value for name, value in found.items()}


def _echoed(client: str) -> Raw:
    """Our client id comes from the secret, never from the request, and is made of letters and digits."""
    return Raw(200, JSON, f'{{"xAdobeSignClientId":"{client}"}}', {"X-AdobeSign-ClientId": client})

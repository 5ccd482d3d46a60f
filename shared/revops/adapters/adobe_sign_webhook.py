"""Adobe Sign's notifications: answered with our client id, and believed in nothing but which agreement to look at.

Adobe signs nothing. Its "verification of intent" asks, when a webhook is registered and with every notification, that
the client id it sends is given back. Who knows our client id can therefore have us look at an agreement, and no more:
what an agreement is, the worker asks Adobe itself, and one that is no order form's is not even asked about.

Source: https://developer.adobe.com/document-services/docs/sign/ (webhooks, verification of intent)
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from revops.inbox import Signal
from revops.kernel import Forbidden, Invalid, JsonError, Unavailable, canonical_json, parse_json, several

PROVIDER: Final = "adobe_sign"
CLIENT_HEADER: Final = "x-adobesign-clientid"
_AGREEMENT = re.compile(r"[A-Za-z0-9_*.-]{8,256}")
_EVENT = re.compile(r"[A-Z][A-Z_]{1,60}")


def known_client(headers: Mapping[str, str], secret: Mapping[str, Any]) -> str:
    """Our client id, for a caller that sends it. Raises Forbidden for anybody else, and Unavailable when there is none
    to compare with (R28). Until a rotation is over, `earlier_client_ids` count too."""
    known = several(secret, "client_id") + several(secret, "earlier_client_ids")
    if not known:
        raise Unavailable("the client id cannot be checked right now")
    presented = headers.get(CLIENT_HEADER, "").encode("utf-8", "replace")
    found = ""
    for each in known:  # every one is compared, so the time taken says nothing about which one fits
        found = each if hmac.compare_digest(each.encode(), presented) else found
    if not found:
        raise Forbidden("this webhook is not of our application")
    return found


def verify_adobe_sign(
    raw: bytes,  # noqa: ARG001 - the port's signature
    headers: Mapping[str, str],
    secret: Mapping[str, Any],
) -> None:
    """Returns for a caller that knows our client id; there is nothing in the body to check."""
    known_client(headers, secret)


def adobe_sign_signal(raw: bytes, secret: Mapping[str, Any]) -> Signal:  # noqa: ARG001 - the port's signature
    """Which agreement to look at. Raises Invalid for a body that names none."""
    try:
        message = parse_json(raw)
    except JsonError as error:
        raise Invalid(str(error)) from error
    agreement = message.get("agreement") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(agreement, dict):
        raise Invalid.field("agreement", "missing", "which agreement it is about", "a notification of Adobe Sign")
    agreement_id, event = str(agreement.get("id", "")), str(message.get("event", ""))
    if not _AGREEMENT.fullmatch(agreement_id):
        raise Invalid.field("agreement.id", "missing", "which agreement it is about", "an agreement's id")
    if not _EVENT.fullmatch(event):
        raise Invalid.field("event", "missing", "what happened", "such as AGREEMENT_WORKFLOW_COMPLETED")
    told = {
        "event": event,
        "agreement_id": agreement_id,
        "notification_id": str(message.get("webhookNotificationId", ""))[:100],
        "date": str(message.get("eventDate", ""))[:60],
    }
    body = canonical_json(told)  # the same for every try of one notification
    return Signal(PROVIDER, hashlib.sha256(body.encode()).hexdigest(), event, agreement_id, body)

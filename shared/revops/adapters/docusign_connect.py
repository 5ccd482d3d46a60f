"""DocuSign Connect's messages: proven by HMAC over the raw body, and read no further than to what they are about.

Each active key of the account signs: `X-DocuSign-Signature-1`, `-2` and so on, so a key can be changed without a
message being refused. The scheme has no time in it; what was stored once is not stored again (S6).

Source: https://developers.docusign.com/platform/webhooks/connect/hmac/
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from revops.inbox import Signal
from revops.kernel import Invalid, JsonError, Unavailable, canonical_json, parse_json, several

PROVIDER: Final = "docusign"
_HEADER = re.compile(r"x-docusign-signature-[0-9]{1,3}")
_ENVELOPE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EVENT = re.compile(r"[a-z][a-z-]{1,60}")


def docusign_signature(key: str, raw: bytes) -> str:
    """What one key makes of a body."""
    return base64.b64encode(hmac.new(key.encode(), raw, hashlib.sha256).digest()).decode()


def verify_docusign(raw: bytes, headers: Mapping[str, str], secret: Mapping[str, Any]) -> None:
    """Returns if one of the headers was made with one of our keys over exactly these bytes (S7, S8). Raises Invalid
    otherwise, always with the same words, and Unavailable when there is no key to check with (R28)."""
    keys = several(secret, "hmac_keys")
    if not keys:
        raise Unavailable("the signature cannot be checked right now")
    presented = [value.encode("utf-8", "replace") for name, value in headers.items() if _HEADER.fullmatch(name.lower())]
    good = False
    for key in keys:  # every key is tried on every header, so the time taken says nothing about which one fits
        made = docusign_signature(key, raw).encode()
        for each in presented:
            good |= hmac.compare_digest(made, each)
    if not good:
        raise Invalid("the signature is missing or wrong")


def docusign_signal(raw: bytes, secret: Mapping[str, Any]) -> Signal:
    """What a proven message is about. Raises Invalid for one of another account (S9), or that names no envelope.

    Only names are kept: who signed and how it stands is asked of DocuSign.
    """
    try:
        message = parse_json(raw)
    except JsonError as error:
        raise Invalid(str(error)) from error
    data = message.get("data") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(data, dict):
        raise Invalid.field("data", "missing", "which envelope it is about", "a Connect message in JSON (SIM)")
    if str(data.get("accountId", "")).lower() != str(secret["account_id"]).lower():
        raise Invalid.field("data.accountId", "foreign", "an account that is not ours")
    envelope_id, event = str(data.get("envelopeId", "")).lower(), str(message.get("event", ""))
    if not _ENVELOPE.fullmatch(envelope_id):
        raise Invalid.field("data.envelopeId", "missing", "which envelope it is about", "a GUID")
    if not _EVENT.fullmatch(event):
        raise Invalid.field("event", "missing", "what happened", "such as envelope-completed")
    told = {
        "event": event,
        "envelope_id": envelope_id,
        "recipient_id": str(data.get("recipientId", ""))[:60],
        "generated": str(message.get("generatedDateTime", ""))[:60],
    }
    body = canonical_json(told)  # the same for every try of one message
    return Signal(PROVIDER, hashlib.sha256(body.encode()).hexdigest(), event, envelope_id, body)

"""HubSpot's request signature, version 3 (developers.hubspot.com, "Validating requests").

`base64(HMAC-SHA256(client secret, method + URI + body + timestamp))`, timestamp in milliseconds. In the URI the
encodings of twelve characters are decoded before signing and nothing else is.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from revops.kernel import Invalid, Unavailable

TOLERANCE = timedelta(seconds=300)
_DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
_ENCODED = re.compile("|".join(_DECODED), re.IGNORECASE)


def signed_uri(uri: str) -> str:
    """The URI as HubSpot signs it. One pass: what decoding brings to light is not decoded again."""
    return _ENCODED.sub(lambda found: _DECODED[found.group().upper()], uri)


def hubspot_signature(secret: str, method: str, uri: str, body: bytes, timestamp: str) -> str:
    """The signature of a request."""
    source = method.upper().encode() + signed_uri(uri).encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), source, hashlib.sha256).digest()).decode()


def verify_hubspot_signature(
    method: str, uri: str, body: bytes, timestamp: str, signature: str, secrets: Sequence[str], now: datetime
) -> None:
    """Returns if one of the secrets made the signature within 300 s of now, in either direction (S6, S8).

    `body` is the raw body, `uri` the public URL with its query. Raises Invalid otherwise, always with the same words,
    and Unavailable when there is no secret to check with (R28).
    """
    secrets = [secret for secret in secrets if secret]
    if not secrets:
        raise Unavailable("the signature cannot be checked right now")
    fresh = re.fullmatch(r"[0-9]{10,16}", timestamp) is not None and _within(int(timestamp), now)
    presented = signature.encode("utf-8", "replace")
    good = False
    for secret in secrets:  # every secret is tried, so the time taken says nothing about which one fits
        expected = hubspot_signature(secret, method, uri, body, timestamp).encode()
        good |= hmac.compare_digest(expected, presented)
    if not (fresh and good):
        raise Invalid("the signature is missing, wrong or out of time")


def _within(milliseconds: int, now: datetime) -> bool:
    return abs(now.timestamp() - milliseconds / 1000) <= TOLERANCE.total_seconds()

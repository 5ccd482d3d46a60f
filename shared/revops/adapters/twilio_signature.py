"""Twilio's webhook proof: an HMAC over the exact public address and the sorted parameters of the form.

It carries no time, so a request that is sent again later still proves; what was stored once under its call and status
is not stored again (S6).
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from revops.kernel import Invalid, Unavailable

Parameters = Sequence[tuple[str, str]]
"""The fields of a form in their order; a name may stand more than once."""


def twilio_signature(token: str, url: str, parameters: Parameters) -> str:
    """The signature of a request. Twilio signs each distinct pair once, by name and then by value."""
    source = url + "".join(name + value for name, value in sorted(set(parameters)))
    return base64.b64encode(hmac.new(token.encode(), source.encode(), hashlib.sha1).digest()).decode()


def verify_twilio_signature(url: str, parameters: Parameters, signature: str, tokens: Sequence[str]) -> None:
    """Returns if one of the auth tokens made the signature (S7, S8). `url` is the address as Twilio knows it, query
    included. Raises Invalid otherwise, always with the same words, and Unavailable when there is no token to check
    with (R28)."""
    tokens = [token for token in tokens if token]
    if not tokens:
        raise Unavailable("the signature cannot be checked right now")
    presented = signature.encode("utf-8", "replace")
    good = False
    for token in tokens:  # every token is tried, so the time taken says nothing about which one fits
        good |= hmac.compare_digest(twilio_signature(token, url, parameters).encode(), presented)
    if not good:
        raise Invalid("the signature is missing or wrong")

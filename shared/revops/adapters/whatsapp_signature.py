"""Meta's webhook proofs: the signature of a body, and the handshake that subscribes an address.

`X-Hub-Signature-256` is the HMAC of the raw body with an app secret. It carries no time, so a body that is sent again
later still proves; what was stored once under its message id is not stored again (S6).
"""

import hashlib
import hmac
import re
from collections.abc import Sequence

from revops.kernel import Forbidden, Invalid, Unavailable

_SCHEME = "sha256="


def whatsapp_signature(secret: str, body: bytes) -> str:
    """The header that Meta sends with a body."""
    return _SCHEME + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify_whatsapp_signature(raw: bytes, signature: str, secrets: Sequence[str]) -> None:
    """Returns if one of the app secrets made the signature over these bytes (S7, S8). Raises Invalid otherwise, always
    with the same words, and Unavailable when there is no secret to check with (R28)."""
    secrets = [secret for secret in secrets if secret]
    if not secrets:
        raise Unavailable("the signature cannot be checked right now")
    presented = signature.encode("utf-8", "replace")
    good = False
    for secret in secrets:  # every secret is tried, so the time taken says nothing about which one fits
        good |= hmac.compare_digest(whatsapp_signature(secret, raw).encode(), presented)
    if not good:
        raise Invalid("the signature is missing or wrong")


def answer_handshake(mode: str, token: str, challenge: str, tokens: Sequence[str]) -> str:
    """The challenge, for somebody who knows one of our verify tokens. Raises Forbidden for anybody else, Invalid for a
    challenge that is no plain word, and Unavailable when there is no token to compare with."""
    tokens = [each for each in tokens if each]
    if not tokens:
        raise Unavailable("the token cannot be checked right now")
    presented = token.encode("utf-8", "replace")
    good = False
    for each in tokens:
        good |= hmac.compare_digest(each.encode(), presented)
    if not good or mode != "subscribe":
        raise Forbidden("this is not who may subscribe")
    if not re.fullmatch(r"[\w-]{1,200}", challenge, re.ASCII):
        raise Invalid.field("hub.challenge", "handshake", "not a plain word", "letters, digits, - and _")
    return challenge

"""Links in messages to people: the open pixel, the click on a link, and unsubscribing (LEAD-5, CAP-9).

A link carries one signed token: what it is for, when it was made, ids and, for a click, where it leads. Nothing in it
names a person, and nothing of it can be made or altered outside: a click goes where the message said and nowhere else.

The token is base64url of `MAC ‖ JSON [purpose, made at (epoch seconds), subject, message, more]`, the MAC 16 bytes of
HMAC-SHA256 under a key derived from the deployment's signing key for links alone, so that a token can be nothing else
(such as a pagination cursor). Messages lie in mailboxes for years: after a rotation the earlier keys still read.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

from revops.kernel import Clock, Invalid, SystemClock, canonical_json

_MAC = 16
_DERIVED_FOR = b"revops/links/1"
_LONGEST_TARGET = 2_000
_LONGEST_TOKEN = 4_000
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")


class Purpose(StrEnum):
    """What a link is for."""

    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """What a link says. A pixel and a click name the lead, unsubscribing the person and the channel; `made_at` is when
    the message was made, which is right before it was sent."""

    purpose: Purpose
    message_id: str
    made_at: datetime
    lead_id: str = ""
    person_id: str = ""
    channel: str = ""
    target: str = ""


class Links:
    """Makes the links of messages and reads them back. `base_url` is where the function `tracking` answers; `key`
    signs, `earlier` keys are read too (S8)."""

    def __init__(self, base_url: str, key: bytes, *, earlier: Sequence[bytes] = (), clock: Clock | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._keys = [hmac.digest(each, _DERIVED_FOR, hashlib.sha256) for each in (key, *earlier)]
        self._clock = clock or SystemClock()

    def pixel(self, lead_id: str, message_id: str) -> str:
        """Where the image is that tells that a message was opened."""
        return self._link(Purpose.OPEN, lead_id, message_id)

    def click(self, lead_id: str, message_id: str, target: str) -> str:
        """A link that leads to `target` by way of here. Raises Invalid for a target that is not absolute http(s)."""
        return self._link(Purpose.CLICK, lead_id, message_id, safe_target(target))

    def unsubscribe(self, person_id: str, channel: str, message_id: str) -> str:
        """Where a person withdraws from a channel: the page, and the one click of RFC 8058."""
        return self._link(Purpose.UNSUBSCRIBE, person_id, message_id, channel)

    def read(self, token: str, purpose: Purpose | None = None) -> LinkClaim:
        """What a token says. Raises Invalid, always with the same words, for one that was not made here, was altered,
        or is for something else than the purpose asked for."""
        claim = self._claim(token) if len(token) <= _LONGEST_TOKEN else None
        if claim is None or purpose not in (None, claim.purpose):
            raise Invalid("this link is not one of ours")
        return claim

    def _link(self, purpose: Purpose, subject: str, message_id: str, more: str = "") -> str:
        made = int(self._clock.now().timestamp())
        said = canonical_json([purpose, made, subject, message_id, more]).encode()
        return f"{self._base_url}/t/{purpose}/{_text(_mac(self._keys[0], said) + said)}"

    def _claim(self, token: str) -> LinkClaim | None:
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except ValueError:  # not base64, or not even ASCII
            return None
        mac, said = raw[:_MAC], raw[_MAC:]
        ours = False
        for key in self._keys:  # every key is tried, so the time taken says nothing about which one fits
            ours |= hmac.compare_digest(mac, _mac(key, said))
        if not ours or _text(raw) != token:
            return None
        purpose, made, subject, message_id, more = json.loads(said)
        of_person = purpose == Purpose.UNSUBSCRIBE
        return LinkClaim(
            purpose=Purpose(purpose),
            message_id=message_id,
            made_at=datetime.fromtimestamp(made, UTC),
            lead_id="" if of_person else subject,
            person_id=subject if of_person else "",
            channel=more if of_person else "",
            target=more if purpose == Purpose.CLICK else "",
        )


def safe_target(target: str) -> str:
    """The target, if a click may lead there: absolute http or https with a host and nothing else before it, without
    blanks, control characters (S15) or backslashes (which browsers read as slashes). Raises Invalid."""
    try:
        parts = urlsplit(target)
        fits = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        fits = fits and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits or _UNFIT.search(target) or not target.isascii() or len(target) > _LONGEST_TARGET:
        accepted = f"absolute, http or https, percent-encoded, at most {_LONGEST_TARGET} characters"
        raise Invalid.field("target", "LEAD-5 target", "not a link that a message may lead to", accepted)
    return target


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, hashlib.sha256)[:_MAC]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

"""Positions in a query, and the signed cursors that carry them to a caller and back (S18)."""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from typing import Any

from revops.kernel import Invalid, canonical_json


def encode_position(last_key: Mapping[str, Any]) -> str:
    """DynamoDB's LastEvaluatedKey as one text. Internal: a caller only ever sees it inside a signed cursor."""
    return json.dumps({name: value["S"] for name, value in last_key.items()}, separators=(",", ":"))


def decode_position(position: str) -> dict[str, Any]:
    """The inverse of `encode_position`: the key a query or scan goes on after."""
    return {name: {"S": value} for name, value in json.loads(position).items()}


class CursorSigner:
    """Makes cursors that only their caller can use, and only for the list they were made for.

    `binding` is the principal's id and the list's name and filters: a cursor bound to another list, another caller
    or altered in any bit is refused with 400.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, positions: Mapping[str, str], binding: Mapping[str, str]) -> str:
        """A cursor for a list that is merged from several partitions: partition → position."""
        payload = zlib.compress(canonical_json(dict(positions)).encode(), 9)  # it travels in a URL
        mac = self._mac(payload, binding)
        return _text(mac + payload)

    def open(self, cursor: str, binding: Mapping[str, str]) -> dict[str, str]:
        """The positions inside a cursor. Raises Invalid."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            mac, payload = raw[:16], raw[16:]
            if _text(raw) != cursor or not hmac.compare_digest(mac, self._mac(payload, binding)):
                raise ValueError
            positions: dict[str, str] = json.loads(zlib.decompress(payload))
        except (ValueError, UnicodeEncodeError) as error:
            raise Invalid.field(
                "cursor", "signed-cursor", "not a cursor of this list", "the `next` of the previous page"
            ) from error
        return positions

    def _mac(self, payload: bytes, binding: Mapping[str, str]) -> bytes:
        return hmac.digest(self._key, payload + b"\0" + canonical_json(dict(binding)).encode(), hashlib.sha256)[:16]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

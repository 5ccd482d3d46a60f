"""JSON at the border: only what RFC 8259 allows, nothing ambiguous, nothing bottomless.

The standard parser takes NaN and Infinity, keeps the last of two equal keys and recurses as deep as it is asked
to. Each of these is a way to have two readers disagree about one request (faults S13).
"""

import json
from typing import Any, NoReturn

from pydantic import PlainSerializer

MAX_DEPTH = 32
IN_ORDER = PlainSerializer(sorted, return_type=list[str], when_used="json")
"""Beside the type of a set of texts: it is always written the same way. Each process orders sets differently, and what
nobody changed must not look changed in a plan or in the audit."""


class JsonError(ValueError):
    """The text is not acceptable JSON; the message says why in words fit for the sender."""


def _constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not a JSON number")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError("a number is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > 20:
        raise JsonError("a number is too large")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonError(f"the key {name[:60]!r} stands twice in one object")
            seen.add(name)
    return fields


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_integer
)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises JsonError for bad UTF-8, trailing text, NaN or Infinity, numbers out of range, duplicate keys, lone
    surrogates and nesting deeper than 32.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise JsonError("the body is not UTF-8") from error
    _refuse_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(f"not valid JSON: {error.msg} at character {error.pos}") from error
    if "\\u" in text:  # only an escape can smuggle in half a surrogate pair, which no store can encode
        _refuse_surrogates(value)
    return value


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth, quoted, escaped = 0, False, False
    for char in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == "\\", char != '"'
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise JsonError(f"nested deeper than {MAX_DEPTH} levels")
        elif char in "]}":
            depth -= 1


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise JsonError("a string holds half a surrogate pair") from error


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, no NaN. Hashes and signatures are taken over this."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

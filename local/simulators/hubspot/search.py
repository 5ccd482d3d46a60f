"""Search: filter groups (any of them), filters within a group (all of them), sorts, paging.

The index trails the records by the configured lag: a search sees every record as it stood that long ago, so a
record made or changed since is missing or old in the answer.
"""

import re
from decimal import Decimal
from typing import Any

from local.simulators.common import Json
from local.simulators.hubspot.catalogue import ObjectType
from local.simulators.hubspot.errors import bad_request
from local.simulators.hubspot.portal import Portal
from local.simulators.hubspot.values import Definitions, comparable

_GROUPS, _FILTERS_EACH, _FILTERS, _LIMIT, _REACH, _QUERY = 5, 6, 18, 200, 10_000, 3_000
_LISTS = ("IN", "NOT_IN")
_NO_VALUE = ("HAS_PROPERTY", "NOT_HAS_PROPERTY")
OPERATORS = frozenset(
    {
        "EQ",
        "NEQ",
        "LT",
        "LTE",
        "GT",
        "GTE",
        "BETWEEN",
        *_LISTS,
        *_NO_VALUE,
        "CONTAINS_TOKEN",
        "NOT_CONTAINS_TOKEN",
    }
)

type Row = dict[str, str | None]


def search(
    portal: Portal,
    kind: ObjectType,
    request: Json,
    lag_seconds: float,
) -> tuple[int, list[Json], str | None]:
    """(total, records of the page, cursor of the next page); HubspotError 400 if it will not be run."""
    known = portal.definitions(kind)
    groups, after, limit = _bounds(request)
    _validate(known, groups)
    as_of = portal.now() - round(lag_seconds * 1000)
    found: list[tuple[Json, Row]] = []
    for held in portal.records(kind):
        record = _seen(held, as_of)
        row: Row = record["properties"] if record is not None else {}
        if record is not None and _matches(known, groups, row) and _mentions(kind, request.get("query"), row):
            found.append((record, row))
    for name, descending in reversed(_sorts(kind, known, request["sorts"])):
        found.sort(key=lambda pair: _order(known, name, pair[1]), reverse=descending)
    page = [record for record, _ in found[after : after + limit]]
    following = after + limit
    return len(found), page, str(following) if following < len(found) else None


def _bounds(request: Json) -> tuple[list[Json], int, int]:
    groups: list[Json] = request["filterGroups"]
    filters = [one for group in groups for one in group["filters"]]
    crowded = any(len(group["filters"]) > _FILTERS_EACH for group in groups)
    if crowded or len(groups) > _GROUPS or len(filters) > _FILTERS:
        raise bad_request(
            f"at most {_GROUPS} filterGroups, {_FILTERS_EACH} filters in each and {_FILTERS} in all",
        )
    if not 1 <= request["limit"] <= _LIMIT:
        raise bad_request(f"limit must be between 1 and {_LIMIT}")
    if not re.fullmatch(r"\d*", request["after"]):
        raise bad_request("after must be a cursor of an earlier page, or '0'")
    if len(request.get("query", "")) > _QUERY:
        raise bad_request(f"query is longer than {_QUERY} characters")
    after = int(request["after"] or 0)
    if after + request["limit"] > _REACH:
        raise bad_request(f"paging reaches the first {_REACH} results only")
    return groups, after, request["limit"]


def _validate(known: Definitions, groups: list[Json]) -> None:
    for group in groups:
        for one in group["filters"]:
            name, operator = one["propertyName"], one["operator"]
            if name not in known:
                raise bad_request(f"There was a problem with the request: property {name} does not exist")
            if operator not in OPERATORS:
                raise bad_request(f"operator {operator} is not one of {sorted(OPERATORS)}")
            if operator in _LISTS and not one.get("values"):
                raise bad_request(f"operator {operator} requires values")
            if operator not in (*_LISTS, *_NO_VALUE) and "value" not in one:
                raise bad_request(f"operator {operator} requires a value")
            if operator == "BETWEEN" and "highValue" not in one:
                raise bad_request("operator BETWEEN requires a highValue")


def _seen(record: Json, as_of: int) -> Json | None:
    """A record as it stood at a moment; None if it was not there or was archived by then."""
    if record["created"] > as_of or (record["archived"] is not None and record["archived"] <= as_of):
        return None
    if record["updated"] <= as_of:
        return record
    row: Row = {}
    updated = record["created"]
    for name, entries in record["history"].items():
        earlier = [entry for entry in entries if entry["at"] <= as_of]
        if earlier:
            row[name] = earlier[-1]["value"]
            updated = max(updated, earlier[-1]["at"])
    return {**record, "properties": row, "updated": updated, "archived": None}


def _matches(known: Definitions, groups: list[Json], row: Row) -> bool:
    return not groups or any(all(_holds(known, one, row) for one in group["filters"]) for group in groups)


def _holds(known: Definitions, one: Json, row: Row) -> bool:
    definition = known[one["propertyName"]]
    raw = row.get(one["propertyName"]) or None
    held = comparable(definition, raw)
    operator = one["operator"]
    if operator == "HAS_PROPERTY":
        return held is not None
    if operator == "NOT_HAS_PROPERTY":
        return held is None
    if operator in _LISTS:
        return (held in [comparable(definition, value) for value in one["values"]]) is (operator == "IN")
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        return _has_token(raw, one["value"]) is (operator == "CONTAINS_TOKEN")
    wanted = comparable(definition, one["value"])
    if operator == "NEQ":
        return held != wanted
    if held is None or wanted is None or type(held) is not type(wanted):
        return False
    if operator == "EQ":
        return held == wanted
    if operator == "BETWEEN":
        high = comparable(definition, one["highValue"])
        return type(high) is type(held) and _compare(held, wanted) >= 0 and _compare(held, high) <= 0
    order = _compare(held, wanted)
    return {"LT": order < 0, "LTE": order <= 0, "GT": order > 0, "GTE": order >= 0}[operator]


def _compare(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _has_token(raw: str | None, wanted: str) -> bool:
    tokens = re.findall(r"[^\s,;@/]+", (raw or "").casefold())
    parts = re.split(r"(\*)", wanted.casefold())
    pattern = re.compile("".join(".*" if part == "*" else re.escape(part) for part in parts))
    return any(pattern.fullmatch(token) for token in [*tokens, (raw or "").casefold()])


def _mentions(kind: ObjectType, query: str | None, row: Row) -> bool:
    if not query:
        return True
    text = " ".join(row.get(name) or "" for name in kind.searched).casefold()
    return all(word in text for word in query.casefold().split())


def _sorts(kind: ObjectType, known: Definitions, asked: list[str]) -> list[tuple[str, bool]]:
    if len(asked) > 1:
        raise bad_request("only one sort is supported")
    sorts = []
    for entry in asked:
        name, descending = entry.removeprefix("-"), entry.startswith("-")
        if name not in known:
            raise bad_request(f"sort property {name} does not exist")
        sorts.append((name, descending))
    return sorts or [(kind.created, False)]


def _order(known: Definitions, name: str, row: Row) -> tuple[int, Decimal, str]:
    value = comparable(known[name], row.get(name) or None)
    if isinstance(value, Decimal):
        return 1, value, ""
    return (0, Decimal(0), "") if value is None else (1, Decimal(0), value)

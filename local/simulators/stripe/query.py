"""Reading: list filters and pages, search with its lag, and `expand[]`."""

import copy
import re
from collections.abc import Callable
from typing import Any

from local.simulators.stripe.context import TEST_CLOCK, Context, Object, public
from local.simulators.stripe.errors import StripeError, invalid
from local.simulators.stripe.forms import Params, integer

_KIND_BY_PREFIX = {
    "cus": "customer", "prod": "product", "price": "price", "pm": "payment_method", "pi": "payment_intent",
    "ch": "charge", "sub_sched": "subscription_schedule", "sub": "subscription", "in": "invoice", "evt": "event",
    "ii": "invoiceitem", "inpay": "invoice_payment", "seti": "setup_intent", "re": "refund", "card": "card",
    "credgr": "billing.credit_grant", "du": "dispute", "cn": "credit_note",
    "clock": TEST_CLOCK,
}  # fmt: skip
_KIND_BY_FIELD = {"product": "product"}
_PARENTS = ("customer", "subscription", "invoice", "test_clock")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
_CLAUSE = re.compile(
    r"""\s*(?P<no>-?)(?P<field>[a-z_.]+)(?:\[(?P<q>['"])(?P<key>.*?)(?P=q)\])?"""
    r"""\s*(?P<op>:|~|>=|<=|>|<)\s*(?:(?P<q2>['"])(?P<text>.*?)(?P=q2)|(?P<bare>[^\s]+))\s*"""
)


def in_range(value: int | None, asked: Any) -> bool:
    """Whether a time fits a filter: a number, or bounds gt, gte, lt, lte."""
    if asked is None:
        return True
    if value is None:
        return False
    if not isinstance(asked, dict):
        return value == int(asked)
    return all(_COMPARE[name](value, int(bound)) for name, bound in asked.items())


def page(params: Params, found: list[Object], url: str) -> Object:
    """A page of objects, newest first, from `found`, oldest first.

    What lives by a test clock is left out unless the clock or another parent is named, as Stripe's lists do.
    """
    limit = integer(params.get("limit"), 10) or 0
    if not 1 <= limit <= 100:
        raise invalid("Invalid integer: limit must be between 1 and 100.", "limit", "parameter_invalid_integer")
    if "test_clock" in params or not params.keys() & set(_PARENTS):
        found = [object_ for object_ in found if object_.get("test_clock") == params.get("test_clock")]
    newest = found[::-1]
    ids = [object_["id"] for object_ in newest]
    if after := params.get("starting_after"):
        if after not in ids:
            raise StripeError(
                400,
                "invalid_request_error",
                f"No such object: '{after}'",
                code="resource_missing",
                param="starting_after",
            )
        newest = newest[ids.index(after) + 1 :]
    elif before := params.get("ending_before"):
        if before not in ids:
            raise StripeError(
                400,
                "invalid_request_error",
                f"No such object: '{before}'",
                code="resource_missing",
                param="ending_before",
            )
        earlier = newest[: ids.index(before)]
        return {"object": "list", "url": url, "has_more": len(earlier) > limit, "data": earlier[-limit:]}
    return {"object": "list", "url": url, "has_more": len(newest) > limit, "data": newest[:limit]}


def search(ctx: Context, kind: str, params: Params, url: str, lag: float) -> Object:
    """Objects that fit a search query, as the index knew them `lag` seconds ago."""
    text = str(params.get("query", ""))
    if not text:
        raise invalid("Missing required param: query.", "query", "parameter_missing")
    fits = _query(text)
    found: list[Object] = []
    for object_ in reversed(ctx.all(kind)):
        versions = (ctx.store.get("_search", object_["id"]) or {"versions": []})["versions"]
        seen = [body for at, body in versions if at <= ctx.now - lag]
        if seen and fits(seen[-1]):
            found.append(seen[-1])
    limit = integer(params.get("limit"), 10) or 10
    start = int(params["page"]) if params.get("page") else 0
    more = len(found) > start + limit
    return {
        "object": "search_result",
        "url": url,
        "has_more": more,
        "next_page": str(start + limit) if more else None,
        "data": found[start : start + limit],
    }


def _query(text: str) -> Callable[[Object], bool]:
    words = re.split(r"\s+(AND|OR)\s+", text.strip(), flags=re.IGNORECASE)
    joins = {word.upper() for word in words[1::2]}
    clauses = [_CLAUSE.fullmatch(word) for word in words[::2]]
    if len(joins) > 1 or any(clause is None for clause in clauses):
        raise invalid("We were unable to parse your search query.", "query", "search_query_invalid")
    tests = [_clause(clause) for clause in clauses if clause is not None]
    joined = any if joins == {"OR"} else all
    return lambda object_: joined(test(object_) for test in tests)


def _clause(clause: re.Match[str]) -> Callable[[Object], bool]:
    wanted = clause["bare"] if clause["text"] is None else clause["text"]

    def fits(object_: Object) -> bool:
        value: Any = object_
        for step in [*clause["field"].split("."), *([clause["key"]] if clause["key"] is not None else [])]:
            value = value.get(step) if isinstance(value, dict) else None
        if wanted == "null" and clause["text"] is None:
            return value is None
        if value is None:
            return False
        if clause["op"] == ":":
            return str(value).lower() == wanted.lower()
        if clause["op"] == "~":
            return wanted.lower() in str(value).lower()
        return _COMPARE[{">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}[clause["op"]]](float(value), float(wanted))

    return lambda object_: fits(object_) != bool(clause["no"])


def rendered(ctx: Context, result: Any, expand: list[str]) -> Any:
    """The public answer with what `expand[]` asks for filled in."""
    answer = public(copy.deepcopy(result))
    for path in expand:
        if sum(step != "data" for step in path.split(".")) > 4:
            raise invalid("You cannot expand more than 4 levels of a property.", "expand", "property_expand_depth")
        _expand(ctx, answer, path.split("."), path)
    return answer


def _expand(ctx: Context, here: Any, steps: list[str], path: str) -> None:
    if isinstance(here, list):
        for item in here:
            _expand(ctx, item, steps, path)
        return
    if not steps or not isinstance(here, dict):
        return
    name, rest = steps[0], steps[1:]
    included = _INCLUDABLE.get((here.get("object", ""), name))
    if included is not None:
        here[name] = included(ctx, here)
    elif name not in here:
        raise invalid(f"This property cannot be expanded ({path}).", "expand", "property_cannot_be_expanded")
    value = here[name]
    if isinstance(value, str):
        here[name] = _by_reference(ctx, name, value)
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        here[name] = [_by_reference(ctx, name, item) for item in value]
    _expand(ctx, here[name], rest, path)


def _by_reference(ctx: Context, field: str, id_: str) -> Any:
    kind = _KIND_BY_FIELD.get(field)
    found = ctx.find(kind, id_) if kind else by_id(ctx, id_)
    return id_ if found is None else public(found)


def by_id(ctx: Context, id_: str) -> Object | None:
    """The object whose id says of what kind it is; None for an unknown one."""
    kind = next((kind for prefix, kind in _KIND_BY_PREFIX.items() if id_.startswith(prefix + "_")), None)
    return ctx.find(kind, id_) if kind else None


def _listing(ctx: Context, kind: str, fits: Callable[[Object], bool], url: str) -> Object:
    data = [public(object_) for object_ in reversed(ctx.all(kind)) if fits(object_)]
    return {"object": "list", "url": url, "has_more": False, "data": data}


def _payments(ctx: Context, invoice: Object) -> Object:
    return _listing(ctx, "invoice_payment", lambda p: p["invoice"] == invoice["id"], "/v1/invoice_payments")


def _confirmation_secret(ctx: Context, invoice: Object) -> Object | None:
    for payment in ctx.all("invoice_payment"):
        if payment["invoice"] == invoice["id"] and payment["status"] == "open":
            intent = ctx.get("payment_intent", payment["payment"]["payment_intent"])
            return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


def _subscriptions(ctx: Context, customer: Object) -> Object:
    url = f"/v1/customers/{customer['id']}/subscriptions"
    return _listing(ctx, "subscription", lambda s: s["customer"] == customer["id"] and s["status"] != "canceled", url)


_INCLUDABLE: dict[tuple[str, str], Callable[[Context, Object], Any]] = {
    ("invoice", "payments"): _payments,
    ("invoice", "confirmation_secret"): _confirmation_secret,
    ("price", "tiers"): lambda ctx, price: ctx.get("price", price["id"]).get("_tiers"),
    ("customer", "subscriptions"): _subscriptions,
    ("customer", "sources"): lambda ctx, customer: _listing(
        ctx, "card", lambda c: c["customer"] == customer["id"], f"/v1/customers/{customer['id']}/sources"
    ),
    ("charge", "refunds"): lambda ctx, charge: _listing(
        ctx, "refund", lambda r: r["charge"] == charge["id"], f"/v1/charges/{charge['id']}/refunds"
    ),
}

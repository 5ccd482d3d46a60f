"""Test clocks: customers who live in a time of their own, which moves only when their clock is advanced.

An advance does at once what falls due up to its target; until it is `ready` the clock's customers cannot be changed, as
with Stripe, where advancing takes a while. Limits: docs.stripe.com/billing/testing/test-clocks/api-advanced-usage.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from local.simulators.stripe import lifecycle
from local.simulators.stripe.context import TEST_CLOCK, Context, Object, required, routes
from local.simulators.stripe.customers import delete_customer, live_customer
from local.simulators.stripe.dates import add_interval
from local.simulators.stripe.entitled import tell_changes
from local.simulators.stripe.errors import StripeError, invalid
from local.simulators.stripe.forms import Params
from local.simulators.stripe.query import by_id, page
from local.simulators.stripe.schedules import LIVE, cancel_schedule
from local.simulators.stripe.subscriptions import ENDED

ADVANCING = "test_helpers.test_clock.advancing"
"""The event that one of the end follows."""

_KEPT_SECONDS = 30 * 86_400
_CUSTOMERS = 3
_SUBSCRIPTIONS = 3
_OF_A_CUSTOMER = ("subscription", "subscription_schedule", "invoice", "invoiceitem", "billing.credit_grant")


# The time of a request


def enter(ctx: Context, path: str, places: dict[str, str], params: Params) -> None:
    """Give a call that changes something the time of the customer it is about, by what its path and parameters name.
    Raises 429 while that customer's clock advances and 400 where the clock has no room for one more."""
    if params.get("test_clock"):
        clock: Object | None = ctx.get(TEST_CLOCK, params["test_clock"], "test_clock")
    else:
        named = (clock_id for id_ in _ids([*places.values(), params]) if (clock_id := _clock_of(ctx, id_)))
        clock = ctx.find(TEST_CLOCK, next(named, None))
    if clock is None:
        return
    _at_rest(clock)
    if path == "/v1/customers":
        _room_for_customer(ctx, clock)
    elif path in ("/v1/subscriptions", "/v1/subscription_schedules") and "from_subscription" not in params:
        _room_for_subscription(ctx, params.get("customer"))
    ctx.live_by(clock)


def _ids(sent: Any) -> Iterator[str]:
    """Every text that may be an id; metadata is the caller's own."""
    if isinstance(sent, dict):
        sent = [value for name, value in sent.items() if name != "metadata"]
    if isinstance(sent, list):
        for value in sent:
            yield from _ids(value)
    else:
        yield str(sent)


def _clock_of(ctx: Context, id_: str) -> str | None:
    if id_.startswith("si_"):
        held = (each for each in ctx.all("subscription") if any(item["id"] == id_ for item in each["items"]["data"]))
        found = next(held, None)
    else:
        found = by_id(ctx, id_)
    return ctx.clock_of(found) if found else None


def _at_rest(clock: Object) -> None:
    if clock["status"] != "ready":
        message = f"Test clock advancement underway - cannot perform modifications: {clock['id']}"
        raise StripeError(429, "invalid_request_error", message)


def _customers(ctx: Context, clock: Object) -> list[Object]:
    return [held for held in ctx.all("customer") if not held.get("deleted") and held["test_clock"] == clock["id"]]


def _room_for_customer(ctx: Context, clock: Object) -> None:
    if len(_customers(ctx, clock)) >= _CUSTOMERS:
        raise invalid(f"A test clock can have at most {_CUSTOMERS} customers.", "test_clock")


def _room_for_subscription(ctx: Context, customer: str | None) -> None:
    running = [held for held in ctx.all("subscription") if held["status"] not in ENDED]
    planned = [held for held in ctx.all("subscription_schedule") if held["status"] == "not_started"]
    if sum(held["customer"] == customer for held in [*running, *planned]) >= _SUBSCRIPTIONS:
        message = f"A customer of a test clock can have at most {_SUBSCRIPTIONS} subscriptions and schedules."
        raise invalid(message, "customer")


# The clocks


@routes("POST", "/v1/test_helpers/test_clocks")
def create_clock(ctx: Context, params: Params) -> Object:
    """Create a clock, with a customer that has none yet where one is named."""
    clock: Object = {
        "id": ctx.new_id("clock_"),
        "object": TEST_CLOCK,
        "created": ctx.vendor_now,
        "deletes_after": ctx.vendor_now + _KEPT_SECONDS,
        "frozen_time": int(required(params, "frozen_time")),
        "livemode": False,
        "name": params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    if params.get("customer"):
        _attach(ctx, live_customer(ctx, params["customer"]), clock)
    ctx.emit("test_helpers.test_clock.created", ctx.save(clock))
    return clock


def _attach(ctx: Context, customer: Object, clock: Object) -> None:
    """A customer joins a new clock with everything it has."""
    if customer["test_clock"] is not None:
        raise invalid("This customer already has a test clock.", "customer")
    joining = [
        customer,
        *(each for kind in _OF_A_CUSTOMER for each in ctx.all(kind) if each["customer"] == customer["id"]),
    ]
    granted = {held["id"] for held in joining if held["object"] == "billing.credit_grant"}
    joining += [held for held in ctx.all("billing.credit_balance_transaction") if held["credit_grant"] in granted]
    for held in joining:
        held["test_clock"] = clock["id"]
        ctx.save(held)


@routes("POST", "/v1/test_helpers/test_clocks/{test_clock}/advance")
def advance_clock(ctx: Context, params: Params, test_clock: str) -> Object:
    """Carry out what falls due for the clock's customers up to a time; the clock is there when it is `ready` again."""
    clock = ctx.get(TEST_CLOCK, test_clock, "test_clock")
    _at_rest(clock)
    target = int(required(params, "frozen_time"))
    if target <= clock["frozen_time"]:
        message = f"The test clock can only move forward from its frozen time, {_written(clock['frozen_time'])}."
        raise invalid(message, "frozen_time")
    if target > (furthest := _furthest(ctx, clock)):
        message = (
            f"The frozen time of this clock is {_written(clock['frozen_time'])}. You can only advance it up to "
            f"{_written(furthest)}: up to two intervals at a time, based on the shortest subscription interval in the "
            "test clock, or up to 2 years where it has no subscriptions or subscription schedules."
        )
        raise invalid(message, "frozen_time")
    clock |= {"status": "advancing", "status_details": {"advancing": {"target_frozen_time": target}}}
    clock["_since"] = time.time()
    ctx.emit(ADVANCING, ctx.save(clock))
    with ctx.by(clock):
        lifecycle.run_until(ctx, target)
        tell_changes(ctx)
    return clock


def _written(moment: int) -> str:
    return f"{moment} ({datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC)"


def _furthest(ctx: Context, clock: Object) -> int:
    running = [
        item["price"]
        for held in ctx.all("subscription")
        if held["test_clock"] == clock["id"] and held["status"] not in ENDED
        for item in held["items"]["data"]
    ]
    planned = [
        ctx.get("price", item["price"])
        for held in ctx.all("subscription_schedule")
        if held["test_clock"] == clock["id"] and held["status"] in LIVE
        for phase in held["phases"]
        for item in phase["items"]
    ]
    now = clock["frozen_time"]
    lengths = {(each["recurring"]["interval"], each["recurring"]["interval_count"]) for each in [*running, *planned]}
    ends = [add_interval(now, interval, 2 * count, now) for interval, count in lengths]
    return min(ends, default=add_interval(now, "year", 2, now))


def seconds(ctx: Context) -> float:
    """How long an advance takes, in real seconds."""
    return float(ctx.config.get("test_clock_seconds", 1))


def settle(ctx: Context) -> None:
    """Clocks that have advanced long enough are ready, at the time they were sent to."""
    for clock in ctx.all(TEST_CLOCK):
        if clock["status"] == "advancing" and time.time() >= clock["_since"] + seconds(ctx):
            target = clock["status_details"]["advancing"]["target_frozen_time"]
            clock |= {"status": "ready", "frozen_time": target, "status_details": {}}
            ctx.emit("test_helpers.test_clock.ready", ctx.save(clock))


@routes("DELETE", "/v1/test_helpers/test_clocks/{test_clock}")
def delete_clock(ctx: Context, params: Params, test_clock: str) -> Object:
    """Delete a clock with its customers; their subscriptions and schedules are cancelled."""
    clock = ctx.get(TEST_CLOCK, test_clock, "test_clock")
    _at_rest(clock)
    _delete(clock, ctx)
    return {"id": test_clock, "object": TEST_CLOCK, "deleted": True}


def _delete(clock: Object, ctx: Context) -> None:
    with ctx.by(clock):
        for schedule in ctx.all("subscription_schedule"):
            if schedule["test_clock"] == clock["id"] and schedule["status"] in LIVE:
                cancel_schedule(ctx, {}, schedule["id"])
        for customer in _customers(ctx, clock):
            delete_customer(ctx, {}, customer["id"])
        tell_changes(ctx)
    ctx.store.delete(TEST_CLOCK, clock["id"])
    ctx.emit("test_helpers.test_clock.deleted", clock | {"deleted": True})


def _due(ctx: Context) -> Iterator[lifecycle.Due]:
    """A clock is kept for 30 days of the vendor's own time."""
    if ctx.clock_id is None:
        for clock in ctx.all(TEST_CLOCK):
            yield clock["deletes_after"], partial(_delete, clock)


lifecycle.more_due.append(_due)


@routes("GET", "/v1/test_helpers/test_clocks/{test_clock}")
def retrieve_clock(ctx: Context, params: Params, test_clock: str) -> Object:
    """One clock."""
    return ctx.get(TEST_CLOCK, test_clock, "test_clock")


@routes("GET", "/v1/test_helpers/test_clocks")
def list_clocks(ctx: Context, params: Params) -> Object:
    """All clocks."""
    return page(params, ctx.all(TEST_CLOCK), "/v1/test_helpers/test_clocks")

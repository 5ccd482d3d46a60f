"""Subscription schedules: phases of items that follow each other, then release or cancel."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from local.simulators.stripe import lifecycle, subscriptions
from local.simulators.stripe.billing import DAY
from local.simulators.stripe.changes import change_items
from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.dates import add_interval
from local.simulators.stripe.errors import invalid, parameter_missing
from local.simulators.stripe.forms import Params, integer
from local.simulators.stripe.items import price_for
from local.simulators.stripe.query import in_range, page
from local.simulators.stripe.subscriptions import ENDED, cancel_now, create_subscription

LIVE = ("not_started", "active")
_NOTICE = 7 * DAY


@routes("POST", "/v1/subscription_schedules")
def create_schedule(ctx: Context, params: Params) -> Object:
    """Create from a subscription, or from phases that start now or later."""
    if params.get("from_subscription"):
        return _from_subscription(ctx, params)
    customer = ctx.get("customer", required(params, "customer"), "customer")
    if not params.get("phases"):
        raise parameter_missing("phases")
    begin = params.get("start_date", "now")
    start = ctx.now if begin == "now" else int(begin)
    schedule = _blank(ctx, customer["id"], params)
    schedule["phases"] = _phases(ctx, params["phases"], start)
    ctx.emit("subscription_schedule.created", ctx.save(schedule))
    if start <= ctx.now:
        _start(schedule, ctx)
    return schedule


def _from_subscription(ctx: Context, params: Params) -> Object:
    subscription = ctx.get("subscription", params["from_subscription"], "from_subscription")
    if subscription["schedule"]:
        raise invalid("The subscription is already attached to a schedule.", "from_subscription")
    schedule = _blank(ctx, subscription["customer"], params)
    first = subscription["items"]["data"][0]
    start, end = first["current_period_start"], first["current_period_end"]
    items = [_phase_item(item["price"]["id"], item.get("quantity"), {}) for item in subscription["items"]["data"]]
    schedule |= {
        "phases": [_phase(items, subscription["currency"], start, end, {})],
        "subscription": subscription["id"],
        "status": "active",
        "current_phase": {"start_date": start, "end_date": end},
    }
    subscription["schedule"] = schedule["id"]
    ctx.save(subscription)
    ctx.emit("subscription_schedule.created", ctx.save(schedule))
    return schedule


def _blank(ctx: Context, customer: str, params: Params) -> Object:
    settings = params.get("default_settings") or {}
    return {
        "id": ctx.new_id("sub_sched_"),
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": {"flexible": None, "type": (params.get("billing_mode") or {}).get("type", "flexible")},
        "canceled_at": None,
        "completed_at": None,
        "created": ctx.now,
        "current_phase": None,
        "customer": customer,
        "default_settings": {
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": settings.get("billing_cycle_anchor", "automatic"),
            "billing_thresholds": None,
            "collection_method": settings.get("collection_method", "charge_automatically"),
            "default_payment_method": settings.get("default_payment_method"),
            "description": settings.get("description"),
            "invoice_settings": {
                "account_tax_ids": None,
                "days_until_due": integer((settings.get("invoice_settings") or {}).get("days_until_due")),
                "issuer": {"type": "self"},
            },
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": params.get("end_behavior", "release"),
        "livemode": False,
        "metadata": merge_metadata({}, params.get("metadata")),
        "pause_schedules": [],
        "phases": [],
        "released_at": None,
        "released_subscription": None,
        "status": "not_started",
        "subscription": None,
        "test_clock": ctx.clock_id,
    }


def _phase_item(price: str, quantity: int | None, metadata: dict[str, str]) -> Object:
    item: Object = {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": metadata,
        "plan": price,
        "price": price,
        "tax_rates": [],
    }
    return item if quantity is None else item | {"quantity": quantity}


def _phase(items: list[Object], currency: str, start: int, end: int, sent: Params) -> Object:
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "billing_cycle_anchor": sent.get("billing_cycle_anchor"),
        "billing_thresholds": None,
        "collection_method": sent.get("collection_method"),
        "currency": currency,
        "default_payment_method": sent.get("default_payment_method"),
        "default_tax_rates": [],
        "description": sent.get("description") or None,
        "discounts": [],
        "end_date": end,
        "invoice_settings": _invoice_settings(sent.get("invoice_settings")),
        "items": items,
        "metadata": sent.get("metadata", {}),
        "on_behalf_of": None,
        "proration_behavior": sent.get("proration_behavior", "create_prorations"),
        "start_date": start,
        "transfer_data": None,
        "trial_end": integer(sent.get("trial_end")),
    }


def _invoice_settings(sent: Params | None) -> Object | None:
    if not sent:
        return None
    return {"account_tax_ids": None, "days_until_due": integer(sent.get("days_until_due")), "issuer": None}


def _phases(ctx: Context, sent: list[Params], start: int) -> list[Object]:
    phases: list[Object] = []
    for index, phase in enumerate(sent):
        begin = phase.get("start_date")
        if begin is not None:
            start = ctx.now if begin == "now" else int(begin)
        items, price = [], None
        for number, item in enumerate(phase.get("items", [])):
            price = price_for(ctx, item, f"phases[{index}][items][{number}]")
            licensed = price["recurring"]["usage_type"] == "licensed"
            quantity = integer(item.get("quantity"), 1) if licensed else None
            items.append(_phase_item(price["id"], quantity, item.get("metadata", {})))
        if price is None:
            raise parameter_missing(f"phases[{index}][items]")
        end = phase.get("end_date")
        if end is not None:
            stop = ctx.now if end == "now" else int(end)
        else:
            recurring = price["recurring"]
            length = phase.get("duration") or recurring
            stop = add_interval(start, length["interval"], integer(length.get("interval_count"), 1) or 1, start)
        if stop <= start:
            raise invalid("The phase ends before it starts.", f"phases[{index}][end_date]")
        phases.append(_phase(items, price["currency"], start, stop, phase))
        start = stop
    return phases


def _start(schedule: Object, ctx: Context) -> None:
    """Begin the first phase with a new subscription; without a payment method it begins incomplete."""
    customer = ctx.get("customer", schedule["customer"])
    if customer.get("deleted"):
        _cancel(ctx, schedule)
        return
    phase, settings = schedule["phases"][0], schedule["default_settings"]
    wanted: dict[str, Any] = {
        "customer": schedule["customer"],
        "items": [{name: item[name] for name in ("price", "quantity") if name in item} for item in phase["items"]],
        "metadata": {**schedule["metadata"], **phase["metadata"]},
        "collection_method": phase["collection_method"] or settings["collection_method"],
        "days_until_due": settings["invoice_settings"]["days_until_due"],
        "default_payment_method": phase["default_payment_method"] or settings["default_payment_method"],
    }
    pays = customer["invoice_settings"]["default_payment_method"] or customer["default_source"]
    if not (pays or wanted["default_payment_method"]):
        wanted["payment_behavior"] = "default_incomplete"
    subscription = create_subscription(ctx, {name: value for name, value in wanted.items() if value is not None})
    subscription["schedule"] = schedule["id"]
    ctx.save(subscription)
    schedule |= {
        "status": "active",
        "subscription": subscription["id"],
        "current_phase": {"start_date": phase["start_date"], "end_date": phase["end_date"]},
    }
    ctx.emit("subscription_schedule.updated", ctx.save(schedule))


def _move_on(schedule: Object, ctx: Context) -> None:
    """The current phase is over: begin the next, or end as the schedule says."""
    current = schedule["current_phase"]
    later = [phase for phase in schedule["phases"] if phase["start_date"] >= current["end_date"]]
    subscription = ctx.get("subscription", schedule["subscription"])
    if subscription["status"] in ENDED:
        _cancel(ctx, schedule)
        return
    if not later:
        if schedule["end_behavior"] == "cancel":
            schedule |= {"status": "completed", "completed_at": ctx.now, "current_phase": None}
            ctx.emit("subscription_schedule.completed", ctx.save(schedule))
            cancel_now(ctx, subscription, "cancellation_requested")
        else:
            _release(ctx, schedule)
        return
    phase = later[0]
    schedule["current_phase"] = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    ctx.emit("subscription_schedule.updated", ctx.save(schedule))
    before = snapshot(subscription)
    change_items(
        ctx,
        subscription,
        {"items": _as_changes(subscription, phase), "proration_behavior": phase["proration_behavior"]},
    )
    subscription["metadata"] = merge_metadata(subscription["metadata"], phase["metadata"])
    if phase["collection_method"]:
        days = (phase["invoice_settings"] or {}).get("days_until_due")
        subscription |= {"collection_method": phase["collection_method"], "days_until_due": days}
    ctx.emit("customer.subscription.updated", ctx.save(subscription), changed(before, snapshot(subscription)))


def _as_changes(subscription: Object, phase: Object) -> list[Params]:
    held = {item["price"]["id"]: item["id"] for item in subscription["items"]["data"]}
    changes: list[Params] = []
    for item in phase["items"]:
        quantity = {"quantity": item["quantity"]} if "quantity" in item else {}
        known = held.pop(item["price"], None)
        changes.append({"id": known, **quantity} if known else {"price": item["price"], **quantity})
    return [*changes, *({"id": id_, "deleted": "true"} for id_ in held.values())]


def _release(ctx: Context, schedule: Object) -> None:
    subscription = ctx.find("subscription", schedule["subscription"])
    if subscription is not None:
        subscription["schedule"] = None
        ctx.save(subscription)
    schedule |= {
        "status": "released",
        "released_at": ctx.now,
        "released_subscription": schedule["subscription"],
        "subscription": None,
        "current_phase": None,
    }
    ctx.emit("subscription_schedule.released", ctx.save(schedule))


def _cancel(ctx: Context, schedule: Object, verb: str = "canceled") -> None:
    schedule |= {"status": "canceled", "canceled_at": ctx.now, "current_phase": None}
    ctx.emit(f"subscription_schedule.{verb}", ctx.save(schedule))


def _follow(ctx: Context, subscription: Object, reason: str) -> None:
    """A schedule ends with its subscription; it is aborted where that was cancelled for unpaid invoices."""
    schedule = ctx.find("subscription_schedule", subscription["schedule"])
    if schedule is not None and schedule["status"] in LIVE:
        _cancel(ctx, schedule, "aborted" if reason == "payment_failed" else "canceled")


subscriptions.on_cancel.append(_follow)


def _expiring(schedule: Object, ctx: Context) -> None:
    """Say once that the last phase ends soon."""
    schedule["_expiring"] = schedule["phases"][-1]["end_date"]
    ctx.emit("subscription_schedule.expiring", ctx.save(schedule))


def _due(ctx: Context) -> Iterator[lifecycle.Due]:
    for schedule in ctx.all("subscription_schedule"):
        if schedule["test_clock"] != ctx.clock_id:
            continue
        if schedule["status"] == "not_started":
            yield schedule["phases"][0]["start_date"], partial(_start, schedule)
        elif schedule["status"] == "active":
            yield schedule["current_phase"]["end_date"], partial(_move_on, schedule)
            end = schedule["phases"][-1]["end_date"]
            began = max(schedule["created"], schedule["phases"][0]["start_date"])
            if schedule.get("_expiring") != end and end - _NOTICE > began:
                yield end - _NOTICE, partial(_expiring, schedule)


lifecycle.more_due.append(_due)


def _live(ctx: Context, id_: str, verb: str) -> Object:
    schedule = ctx.get("subscription_schedule", id_, "schedule")
    if schedule["status"] not in LIVE:
        raise invalid(f"You cannot {verb} a subscription schedule with a status of {schedule['status']}.")
    return schedule


@routes("POST", "/v1/subscription_schedules/{schedule}")
def update_schedule(ctx: Context, params: Params, schedule: str) -> Object:
    """Replace phases, end behaviour or metadata."""
    held = _live(ctx, schedule, "update")
    before = snapshot(held)
    held["end_behavior"] = params.get("end_behavior", held["end_behavior"])
    held["metadata"] = merge_metadata(held["metadata"], params.get("metadata"))
    if params.get("phases"):
        held["phases"] = _phases(ctx, params["phases"], held["phases"][0]["start_date"])
        running = [phase for phase in held["phases"] if phase["start_date"] <= ctx.now < phase["end_date"]]
        if held["status"] == "active":
            if not running:
                raise invalid("The current phase must be among the phases.", "phases")
            held["current_phase"] = {name: running[0][name] for name in ("start_date", "end_date")}
    ctx.emit("subscription_schedule.updated", ctx.save(held), changed(before, held))
    return held


@routes("POST", "/v1/subscription_schedules/{schedule}/release")
def release_schedule(ctx: Context, params: Params, schedule: str) -> Object:
    """Let the subscription go on without the schedule."""
    held = _live(ctx, schedule, "release")
    _release(ctx, held)
    return held


@routes("POST", "/v1/subscription_schedules/{schedule}/cancel")
def cancel_schedule(ctx: Context, params: Params, schedule: str) -> Object:
    """Cancel the schedule and its subscription."""
    held = _live(ctx, schedule, "cancel")
    subscription = ctx.find("subscription", held["subscription"])
    if subscription is not None and subscription["status"] not in ENDED:
        cancel_now(ctx, subscription, "cancellation_requested")
    if held["status"] in LIVE:
        _cancel(ctx, held)
    return held


@routes("GET", "/v1/subscription_schedules/{schedule}")
def retrieve_schedule(ctx: Context, params: Params, schedule: str) -> Object:
    """One schedule."""
    return ctx.get("subscription_schedule", schedule, "schedule")


@routes("GET", "/v1/subscription_schedules")
def list_schedules(ctx: Context, params: Params) -> Object:
    """Schedules by customer and time."""
    found = [
        held
        for held in ctx.all("subscription_schedule")
        if params.get("customer") in (None, held["customer"]) and in_range(held["created"], params.get("created"))
    ]
    return page(params, found, "/v1/subscription_schedules")

"""Billing meters and their events: usage by customer, summed, counted or last value."""

import hashlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from local.simulators.stripe.catalogue import plain
from local.simulators.stripe.context import Context, Object, required, routes
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params, integer
from local.simulators.stripe.query import page

on_usage: list[Callable[[Context, Object], None]] = []
"""What follows when usage was recorded."""

_DAY = 86_400
_PAST_DAYS, _FUTURE_SECONDS = 35, 300


@routes("POST", "/v1/billing/meters")
def create_meter(ctx: Context, params: Params) -> Object:
    """Create a meter; its event name is exclusive among active meters."""
    name = required(params, "event_name")
    if _active(ctx, name):
        raise invalid(f"An active meter already exists with event_name {name}.", "event_name")
    mapping = params.get("customer_mapping", {})
    meter: Object = {
        "id": ctx.new_id("mtr_"),
        "object": "billing.meter",
        "created": ctx.now,
        "customer_mapping": {
            "event_payload_key": mapping.get("event_payload_key", "stripe_customer_id"),
            "type": mapping.get("type", "by_id"),
        },
        "default_aggregation": {"formula": required(params, "default_aggregation")["formula"]},
        "display_name": required(params, "display_name"),
        "event_name": name,
        "event_time_window": params.get("event_time_window"),
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": ctx.now,
        "value_settings": {"event_payload_key": params.get("value_settings", {}).get("event_payload_key", "value")},
    }
    ctx.emit("billing.meter.created", ctx.save(meter))
    return meter


def _active(ctx: Context, event_name: str) -> Object | None:
    return next(
        (m for m in ctx.all("billing.meter") if m["event_name"] == event_name and m["status"] == "active"), None
    )


@routes("POST", "/v1/billing/meters/{id}")
def update_meter(ctx: Context, params: Params, id: str) -> Object:
    """Rename a meter."""
    meter = ctx.get("billing.meter", id)
    meter["display_name"] = params.get("display_name", meter["display_name"])
    meter["updated"] = ctx.now
    ctx.emit("billing.meter.updated", ctx.save(meter))
    return meter


@routes("POST", "/v1/billing/meters/{id}/deactivate")
def deactivate_meter(ctx: Context, params: Params, id: str) -> Object:
    """Stop accepting events."""
    meter = ctx.get("billing.meter", id)
    meter |= {"status": "inactive", "status_transitions": {"deactivated_at": ctx.now}, "updated": ctx.now}
    ctx.emit("billing.meter.deactivated", ctx.save(meter))
    return meter


@routes("POST", "/v1/billing/meters/{id}/reactivate")
def reactivate_meter(ctx: Context, params: Params, id: str) -> Object:
    """Accept events again."""
    meter = ctx.get("billing.meter", id)
    meter |= {"status": "active", "status_transitions": {"deactivated_at": None}, "updated": ctx.now}
    ctx.emit("billing.meter.reactivated", ctx.save(meter))
    return meter


@routes("GET", "/v1/billing/meters/{id}")
def retrieve_meter(ctx: Context, params: Params, id: str) -> Object:
    """One meter."""
    return ctx.get("billing.meter", id)


@routes("GET", "/v1/billing/meters")
def list_meters(ctx: Context, params: Params) -> Object:
    """Meters by status."""
    found = [m for m in ctx.all("billing.meter") if params.get("status") in (None, m["status"])]
    return page(params, found, "/v1/billing/meters")


@routes("POST", "/v1/billing/meter_events")
def create_meter_event(ctx: Context, params: Params) -> Object:
    """Record usage. An identifier counts once in 24 hours; events may be 35 days old and 5 minutes ahead."""
    name = required(params, "event_name")
    payload = required(params, "payload")
    meter = _active(ctx, name)
    if meter is None:
        raise invalid(f"No active meter found for event name {name}.", "event_name", "no_meter")
    customer_key = meter["customer_mapping"]["event_payload_key"]
    value_key = meter["value_settings"]["event_payload_key"]
    if customer_key not in payload:
        message = f"The payload lacks the customer mapping key {customer_key}."
        raise invalid(message, "payload", "meter_event_no_customer_defined")
    counting = meter["default_aggregation"]["formula"] == "count"
    if not counting and value_key not in payload:
        raise invalid(f"The payload lacks the value key {value_key}.", "payload", "meter_event_value_not_found")
    value = _value(payload.get(value_key, "1"))
    at = integer(params.get("timestamp"), ctx.now) or ctx.now
    if at < ctx.now - _PAST_DAYS * _DAY:
        message = "Timestamps must be within the past 35 calendar days."
        raise invalid(message, "timestamp", "timestamp_too_far_in_past")
    if at > ctx.now + _FUTURE_SECONDS:
        message = "Timestamps must be at most 5 minutes in the future."
        raise invalid(message, "timestamp", "timestamp_in_future")
    identifier = params.get("identifier") or ctx.new_id("")
    key = hashlib.sha256(f"{name}\n{identifier}".encode()).hexdigest()
    held = ctx.store.get("_meter_identifier", key)
    if held is not None and ctx.now - held["at"] < _DAY:
        message = f"A meter event already exists with identifier {identifier}."
        raise invalid(message, "identifier", "duplicate_meter_event")
    ctx.store.put("_meter_identifier", key, {"at": ctx.now})
    event: Object = {
        "object": "billing.meter_event",
        "created": ctx.now,
        "event_name": name,
        "identifier": identifier,
        "livemode": False,
        "payload": payload,
        "timestamp": at,
    }
    usage = {**event, "meter": meter["id"], "customer": payload[customer_key], "value": plain(value)}
    ctx.store.put("meter_usage", f"{ctx.store.position():012d}", usage)
    for follow in on_usage:
        follow(ctx, usage)
    return event


def _value(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise invalid("The value must be a number, zero or more.", "payload", "meter_event_invalid_value")
    return value


def usage_between(ctx: Context, meter_id: str, customer: str, start: int, end: int) -> Decimal:
    """A customer's aggregated usage in `[start, end)`."""
    formula = ctx.get("billing.meter", meter_id)["default_aggregation"]["formula"]
    values = [
        (usage["timestamp"], Decimal(usage["value"]))
        for usage in ctx.all("meter_usage")
        if usage["meter"] == meter_id and usage["customer"] == customer and start <= usage["timestamp"] < end
    ]
    if formula == "count":
        return Decimal(len(values))
    if formula == "last":
        return max(values, key=lambda pair: pair[0])[1] if values else Decimal(0)
    return sum((value for _, value in values), Decimal(0))


@routes("GET", "/v1/billing/meters/{id}/event_summaries")
def list_event_summaries(ctx: Context, params: Params, id: str) -> Object:
    """Usage of one customer over a span, whole or by hour or day."""
    ctx.get("billing.meter", id)
    start, end = int(required(params, "start_time")), int(required(params, "end_time"))
    if start % 60 or end % 60:
        raise invalid("start_time and end_time must align with minute boundaries.", "start_time")
    width = {"hour": 3600, "day": _DAY}.get(params.get("value_grouping_window", ""), end - start)
    found: list[Object] = []
    for begin in range(start, end, width or 1):
        total = usage_between(ctx, id, required(params, "customer"), begin, begin + width)
        if total or "value_grouping_window" not in params:
            found.append(
                {
                    "id": f"mtrusg_{id[4:]}_{begin}",
                    "object": "billing.meter_event_summary",
                    "aggregated_value": float(total) if total % 1 else int(total),
                    "end_time": begin + width,
                    "livemode": False,
                    "meter": id,
                    "start_time": begin,
                }
            )
    return page(params, found, f"/v1/billing/meters/{id}/event_summaries")

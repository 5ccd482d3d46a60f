"""Thin events (v2): delivered as a notification without data; the data is fetched by the event's id."""

from datetime import UTC, datetime
from typing import Any

from local.simulators.stripe import metering
from local.simulators.stripe.context import Context, Emission, Object, public, routes
from local.simulators.stripe.forms import Params

_WINDOW_SECONDS = 10


def written(moment: int) -> str:
    """A time as v2 writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of(ctx: Context, emission: Emission) -> Object:
    """The event of an emission whose object is `{"related_object": …, "data": …}`."""
    event: Object = {
        "id": ctx.new_id("evt_test_"),
        "object": "v2.core.event",
        "context": None,
        "created": written(emission.at),
        "data": emission.object["data"],
        "livemode": False,
        "reason": None,
        "type": emission.type,
    }
    if emission.object.get("related_object"):
        event["related_object"] = emission.object["related_object"]
    return event


def notification(event: Object) -> Object:
    """What is delivered of an event."""
    return {name: value for name, value in public(event).items() if name != "data"}


def report_errors(ctx: Context, meter_id: str | None, code: str, count: int, identifiers: list[str]) -> None:
    """Usage that was taken and then not counted, of a meter or of none."""
    samples = [{"error_message": code, "request": {"identifier": each}} for each in identifiers]
    data: Any = {
        "developer_message_summary": f"There were {count} invalid event(s)",
        "reason": {
            "error_count": count,
            "error_types": [{"code": code, "error_count": count, "sample_errors": samples}],
        },
        "validation_end": written(ctx.now),
        "validation_start": written(ctx.now - _WINDOW_SECONDS),
    }
    related = {"id": meter_id, "type": "billing.meter", "url": f"/v1/billing/meters/{meter_id}"} if meter_id else None
    kind = "error_report_triggered" if meter_id else "no_meter_found"
    ctx.emit(f"v1.billing.meter.{kind}", {"related_object": related, "data": data})


def _nobodys(ctx: Context, usage: Object) -> None:
    """Stripe takes usage of a customer it does not know, and says afterwards that it did not count it."""
    if ctx.find("customer", usage["customer"]) is None:
        report_errors(ctx, usage["meter"], "meter_event_customer_not_found", 1, [usage["identifier"]])


metering.on_usage.append(_nobodys)


@routes("GET", "/v2/core/events/{id}")
def retrieve_thin_event(ctx: Context, params: Params, id: str) -> Object:
    """One event with its data."""
    return ctx.get("v2.core.event", id)

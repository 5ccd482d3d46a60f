"""Billing alerts: told once per customer whose usage of a meter passes a threshold."""

from decimal import Decimal

from local.simulators.stripe import metering
from local.simulators.stripe.context import Context, Object, required, routes
from local.simulators.stripe.forms import Params
from local.simulators.stripe.query import page

_EVER = 2**40


@routes("POST", "/v1/billing/alerts")
def create_alert(ctx: Context, params: Params) -> Object:
    """Watch a meter, for everybody or for one customer."""
    threshold = required(params, "usage_threshold")
    meter = ctx.get("billing.meter", required(threshold, "meter"), "usage_threshold[meter]")
    filters = [{"customer": each.get("customer"), "type": "customer"} for each in threshold.get("filters", [])]
    alert: Object = {
        "id": ctx.new_id("alrt_"),
        "object": "billing.alert",
        "alert_type": required(params, "alert_type"),
        "livemode": False,
        "status": "active",
        "title": required(params, "title"),
        "usage_threshold": {
            "filters": filters or None,
            "gte": int(required(threshold, "gte")),
            "meter": meter["id"],
            "recurrence": "one_time",
        },
        "_since": ctx.now,
    }
    return ctx.save(alert)


def _passed(ctx: Context, usage: Object) -> None:
    for alert in ctx.all("billing.alert"):
        threshold, customer = alert["usage_threshold"], usage["customer"]
        watched = [each["customer"] for each in threshold["filters"] or ()]
        if alert["status"] != "active" or threshold["meter"] != usage["meter"] or watched not in ([], [customer]):
            continue
        key = f"{alert['id']}/{customer}"
        total = metering.usage_between(ctx, usage["meter"], customer, alert["_since"], _EVER)
        if total < Decimal(threshold["gte"]) or ctx.store.get("_alerted", key) is not None:
            continue
        ctx.store.put("_alerted", key, {"at": ctx.now})
        told: Object = {
            "object": "billing.alert_triggered",
            "alert": alert,
            "created": ctx.now,
            "customer": customer,
            "livemode": False,
            "value": int(total),
        }
        ctx.emit("billing.alert.triggered", told)


metering.on_usage.append(_passed)


@routes("GET", "/v1/billing/alerts/{id}")
def retrieve_alert(ctx: Context, params: Params, id: str) -> Object:
    """One alert."""
    return ctx.get("billing.alert", id)


@routes("GET", "/v1/billing/alerts")
def list_alerts(ctx: Context, params: Params) -> Object:
    """Alerts by meter."""
    found = [
        held for held in ctx.all("billing.alert") if params.get("meter") in (None, held["usage_threshold"]["meter"])
    ]
    return page(params, found, "/v1/billing/alerts")


def _set(ctx: Context, id_: str, status: str) -> Object:
    alert = ctx.get("billing.alert", id_)
    alert["status"] = status
    return ctx.save(alert)


@routes("POST", "/v1/billing/alerts/{id}/activate")
def activate_alert(ctx: Context, params: Params, id: str) -> Object:
    """Watch again."""
    return _set(ctx, id, "active")


@routes("POST", "/v1/billing/alerts/{id}/deactivate")
def deactivate_alert(ctx: Context, params: Params, id: str) -> Object:
    """Watch no more for now."""
    return _set(ctx, id, "inactive")


@routes("POST", "/v1/billing/alerts/{id}/archive")
def archive_alert(ctx: Context, params: Params, id: str) -> Object:
    """Watch no more."""
    return _set(ctx, id, "archived")

"""Pausing and resuming a subscription as a whole."""

from local.simulators.stripe.context import Context, Object, routes
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params
from local.simulators.stripe.lifecycle import start_period
from local.simulators.stripe.subscriptions import live


@routes("POST", "/v1/subscriptions/{subscription}/pause")
def pause_subscription(ctx: Context, params: Params, subscription: str) -> Object:
    """Pause: no invoices until resumed."""
    held = live(ctx, subscription)
    if held["status"] not in ("active", "trialing", "past_due"):
        raise invalid(f"This subscription cannot be paused from status {held['status']}.")
    before = held["status"]
    held["status"] = "paused"
    held["status_details"] = {
        "paused": {"subscription": {"type": "pause_requested"}, "transitioned_at": ctx.now, "type": "subscription"}
    }
    ctx.emit("customer.subscription.paused", ctx.save(held), {"status": before})
    return held


@routes("POST", "/v1/subscriptions/{subscription}/resume")
def resume_subscription(ctx: Context, params: Params, subscription: str) -> Object:
    """Resume; unless the anchor stays, a new period starts now and is billed."""
    held = live(ctx, subscription)
    if held["status"] != "paused":
        raise invalid("This subscription is not paused and cannot be resumed.")
    held.pop("status_details", None)
    held["status"] = "active"
    anchor = (params.get("billing_cycle_anchor") or {}).get("type", "now")
    if anchor == "now":
        ctx.save(held)
        start_period(ctx, held, ctx.now, "subscription_update", at_once=True)
    ctx.emit("customer.subscription.resumed", ctx.save(held), {"status": "paused"})
    return held

"""Changing subscriptions: items, quantities, trials, endings, with prorations; and the item endpoints."""

from local.simulators.stripe import billing
from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.discounts import discounts_for
from local.simulators.stripe.errors import invalid, missing
from local.simulators.stripe.forms import Params, integer
from local.simulators.stripe.invoice_items import keep_prorations
from local.simulators.stripe.items import restarts, revised_items
from local.simulators.stripe.lifecycle import end_trial, start_period
from local.simulators.stripe.lines import item_line, pending_items, prorations
from local.simulators.stripe.query import page
from local.simulators.stripe.subscriptions import ENDED, automatic_tax, live, set_ending, subscription_invoice


@routes("POST", "/v1/subscriptions/{subscription}")
def update_subscription(ctx: Context, params: Params, subscription: str) -> Object:
    """Change a subscription; one event tells all that changed."""
    held = ctx.get("subscription", subscription)
    if held["status"] in ENDED and set(params) - {"metadata", "cancellation_details"}:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    before = snapshot(held)
    _simple_fields(ctx, held, params)
    set_ending(held, params)
    if held["cancel_at"] != before["cancel_at"]:
        asked = held["cancel_at"] is not None
        held["canceled_at"] = ctx.now if asked else None
        held["cancellation_details"]["reason"] = "cancellation_requested" if asked else None
    ctx.save(held)
    if params.get("items"):
        change_items(ctx, held, params)
    elif (params.get("billing_cycle_anchor") or {}).get("type") == "now":
        lines = prorations(ctx, held, held["items"]["data"], held["items"]["data"], ctx.now, charge=False)
        start_period(ctx, held, ctx.now, "subscription_update", extra=_wanted(params, lines), at_once=True)
    _change_trial(ctx, held, params)
    difference = changed(before, snapshot(held))
    if held["status"] != "paused":
        ctx.emit("customer.subscription.updated", ctx.save(held), difference)
    return held


def _simple_fields(ctx: Context, held: Object, params: Params) -> None:
    held["metadata"] = merge_metadata(held["metadata"], params.get("metadata"))
    for name in ("description", "collection_method"):
        if name in params:
            held[name] = params[name] or None
    if "days_until_due" in params:
        held["days_until_due"] = integer(params["days_until_due"])
    if held["collection_method"] == "send_invoice" and held["days_until_due"] is None:
        message = "If you set `collection_method` to `send_invoice`, you must also pass `days_until_due`."
        raise invalid(message, "days_until_due")
    if method := params.get("default_payment_method"):
        if ctx.get("payment_method", method, "default_payment_method")["customer"] != held["customer"]:
            message = f"The customer does not have a payment method with the ID {method}."
            raise invalid(message, "default_payment_method", "resource_missing")
        held["default_payment_method"] = method
    if "pause_collection" in params:
        sent = params["pause_collection"] or None
        held["pause_collection"] = sent and {
            "behavior": sent["behavior"],
            "resumes_at": integer(sent.get("resumes_at")),
        }
    if "automatic_tax" in params:
        held["automatic_tax"] = automatic_tax(params)
    if "discounts" in params:
        held["discounts"] = discounts_for(ctx, params["discounts"], held["customer"], held["id"])
    if "trial_settings" in params:
        held["trial_settings"] = params["trial_settings"]
    held["payment_settings"] |= params.get("payment_settings", {})
    held["cancellation_details"] |= params.get("cancellation_details", {})


def _change_trial(ctx: Context, held: Object, params: Params) -> None:
    end = params.get("trial_end")
    if end == "now" and held["status"] == "trialing":
        end_trial(ctx, held, quiet=True)
    elif end not in (None, "now"):
        if int(end) <= ctx.now:
            raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
        held |= {"status": "trialing", "trial_end": int(end), "billing_cycle_anchor": int(end)}
        held["trial_start"] = held["trial_start"] or ctx.now
        for item in held["items"]["data"]:
            item["current_period_end"] = int(end)
        ctx.save(held)


def _wanted(params: Params, lines: list[Object]) -> list[Object]:
    return [] if params.get("proration_behavior") == "none" else lines


def proration_time(ctx: Context, held: Object, params: Params) -> int:
    """The moment prorations are worked out for: now, or a `proration_date` within the current period."""
    items = held["items"]["data"]
    start, end = min(i["current_period_start"] for i in items), max(i["current_period_end"] for i in items)
    sent = integer(params.get("proration_date"))
    at = min(max(ctx.now, start), end) if sent is None else sent
    if not start <= at <= end:
        raise invalid("Cannot specify proration date outside of current subscription period.", "proration_date")
    return at


def change_items(ctx: Context, held: Object, params: Params) -> None:
    """Give a subscription other items. A changed interval starts a new period; otherwise the rest is prorated."""
    present = held["items"]["data"]
    revised = revised_items(ctx, held, params["items"])
    at = proration_time(ctx, held, params)
    restart = restarts(present, revised)
    restart = restart or (params.get("billing_cycle_anchor") or {}).get("type") == "now"
    lines = _wanted(params, prorations(ctx, held, present, revised, at, charge=not restart))
    held["items"] |= {"data": revised, "total_count": len(revised)}
    ctx.save(held)
    error = None
    if restart and held["status"] != "trialing":
        error = start_period(ctx, held, ctx.now, "subscription_update", extra=lines, at_once=True)
    elif params.get("proration_behavior") == "always_invoice" and lines:
        pending = pending_items(ctx, held["customer"], held["id"])
        drafted = [*lines, *(item_line(ctx, item) for item in pending)]
        invoice = subscription_invoice(ctx, held, drafted, "subscription_update")
        billing.keep_draft(ctx, invoice, pending)
        held["latest_invoice"] = invoice["id"]
        ctx.save(held)
        billing.finalize(ctx, invoice)
        if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
            error = billing.collect(ctx, invoice)
    else:
        keep_prorations(ctx, held, lines)
    if error is not None and params.get("payment_behavior") == "error_if_incomplete":
        raise error.undone()


def _owner(ctx: Context, item_id: str) -> tuple[Object, Object]:
    for subscription in ctx.all("subscription"):
        for item in subscription["items"]["data"]:
            if item["id"] == item_id:
                return subscription, item
    raise missing("subscription_item", item_id)


def _change_one(ctx: Context, subscription: Object, change: Params, params: Params) -> Object:
    held = live(ctx, subscription["id"])
    before = snapshot(held)
    change_items(ctx, held, {**params, "items": [change]})
    ctx.emit("customer.subscription.updated", ctx.save(held), changed(before, snapshot(held)))
    return held


@routes("POST", "/v1/subscription_items")
def create_subscription_item(ctx: Context, params: Params) -> Object:
    """Add an item."""
    subscription = live(ctx, required(params, "subscription"))
    change: Params = {name: params[name] for name in ("price", "price_data", "quantity", "metadata") if name in params}
    found: Object = _change_one(ctx, subscription, change, params)["items"]["data"][-1]
    return found


@routes("POST", "/v1/subscription_items/{item}")
def update_subscription_item(ctx: Context, params: Params, item: str) -> Object:
    """Change an item's price, quantity or metadata."""
    subscription, _ = _owner(ctx, item)
    change: Params = {name: params[name] for name in ("price", "price_data", "quantity", "metadata") if name in params}
    _change_one(ctx, subscription, {"id": item, **change}, params)
    return _owner(ctx, item)[1]


@routes("DELETE", "/v1/subscription_items/{item}")
def delete_subscription_item(ctx: Context, params: Params, item: str) -> Object:
    """Remove an item."""
    subscription, _ = _owner(ctx, item)
    _change_one(ctx, subscription, {"id": item, "deleted": "true"}, params)
    return {"id": item, "object": "subscription_item", "deleted": True}


@routes("GET", "/v1/subscription_items/{item}")
def retrieve_subscription_item(ctx: Context, params: Params, item: str) -> Object:
    """One item."""
    return _owner(ctx, item)[1]


@routes("GET", "/v1/subscription_items")
def list_subscription_items(ctx: Context, params: Params) -> Object:
    """A subscription's items."""
    subscription = ctx.get("subscription", required(params, "subscription"), "subscription")
    return page(params, subscription["items"]["data"][::-1], "/v1/subscription_items")

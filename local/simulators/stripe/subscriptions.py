"""Subscriptions: creation, reading, cancelling. Updates are in `changes.py`, renewals in `lifecycle.py`."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from local.simulators.stripe import billing
from local.simulators.stripe.context import Context, Object, merge_metadata, required, routes, snapshot
from local.simulators.stripe.dates import previous_period_start
from local.simulators.stripe.discounts import discounts_for
from local.simulators.stripe.errors import invalid, missing, parameter_missing
from local.simulators.stripe.forms import Params, boolean, integer
from local.simulators.stripe.invoice_items import keep_prorations
from local.simulators.stripe.items import interval_of, new_item, period_end, set_period
from local.simulators.stripe.lines import (
    advance_lines,
    is_metered,
    item_line,
    pending_items,
    prorations,
    trial_lines,
    usage_lines,
)
from local.simulators.stripe.query import in_range, page

TRIAL_NOTICE = 3 * billing.DAY
ENDED = ("canceled", "incomplete_expired")

on_cancel: list[Callable[[Context, Object, str], None]] = []
"""What follows when a subscription was cancelled for a reason."""


def subscription_invoice(ctx: Context, subscription: Object, lines: list[Object], reason: str, **more: Any) -> Object:
    """A draft for a subscription, not kept yet."""
    customer = ctx.party(subscription["customer"])
    first = subscription["items"]["data"][0]
    period = more.pop("period", (first["current_period_start"], first["current_period_end"]))
    return billing.new_invoice(
        ctx,
        customer,
        subscription["currency"],
        lines,
        period,
        billing_reason=reason,
        collection_method=subscription["collection_method"],
        default_payment_method=None,
        discounts=list(subscription["discounts"]),
        payment_settings=_payment_settings(subscription),
        parent={
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(subscription["metadata"]),
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        _days_until_due=subscription["days_until_due"] or 30,
        **more,
    )


def _payment_settings(subscription: Object) -> Object:
    """Those of its invoices, which have no options for cards in common with it."""
    settings = subscription["payment_settings"]
    options = {name: held for name, held in (settings["payment_method_options"] or {}).items() if name != "card"}
    return billing.payment_settings(settings | {"payment_method_options": options})


@routes("POST", "/v1/subscriptions")
def create_subscription(ctx: Context, params: Params) -> Object:
    """Create a subscription with its first invoice, collected where the method is to charge automatically."""
    customer = ctx.get("customer", required(params, "customer"), "customer")
    if not params.get("items"):
        raise parameter_missing("items")
    method = params.get("collection_method", "charge_automatically")
    days = integer(params.get("days_until_due"))
    if method == "send_invoice" and days is None:
        message = "If you set `collection_method` to `send_invoice`, you must also pass `days_until_due`."
        raise invalid(message, "days_until_due")
    subscription = _blank(ctx, customer, params, method, days)
    items = [new_item(ctx, item, f"items[{i}]", subscription["id"]) for i, item in enumerate(params["items"])]
    if subscription["billing_mode"]["type"] == "classic" and len({interval_of(item) for item in items}) > 1:
        raise invalid("Prices of different intervals need `billing_mode[type]=flexible`.", "items")
    currencies = {item["price"]["currency"] for item in items}
    if len(currencies) > 1:
        raise invalid("All prices on a subscription must have the same currency.", "items")
    subscription["items"] |= {"data": items, "total_count": len(items)}
    subscription["currency"] = currencies.pop()
    subscription["discounts"] = discounts_for(ctx, params.get("discounts"), customer["id"], subscription["id"])
    trial_end = _trial_end(ctx, params)
    lines = _first_lines(ctx, subscription, params, trial_end)
    set_ending(subscription, params)
    ctx.save(subscription)
    _first_invoice(ctx, subscription, lines, params)
    subscription.pop("_creating")
    ctx.emit("customer.subscription.created", ctx.save(subscription), first=True)
    if trial_end is not None and trial_end - ctx.now <= TRIAL_NOTICE:
        notice_trial_end(ctx, subscription)
    return subscription


def notice_trial_end(ctx: Context, subscription: Object) -> None:
    """Say once that a trial ends soon."""
    subscription["_noticed"] = True
    ctx.emit("customer.subscription.trial_will_end", ctx.save(subscription))


def _blank(ctx: Context, customer: Object, params: Params, method: str, days: int | None) -> Object:
    id_ = ctx.new_id("sub_")
    settings = params.get("payment_settings") or {}
    default = params.get("default_payment_method")
    if default and ctx.get("payment_method", default, "default_payment_method")["customer"] != customer["id"]:
        message = f"The customer does not have a payment method with the ID {default}."
        raise invalid(message, "default_payment_method", "resource_missing")
    return {
        "id": id_,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": automatic_tax(params),
        "billing_cycle_anchor": ctx.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": None, "type": (params.get("billing_mode") or {}).get("type", "flexible")},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": method,
        "created": ctx.now,
        "currency": "",
        "customer": customer["id"],
        "days_until_due": days,
        "default_payment_method": default or None,
        "default_source": None,
        "default_tax_rates": [],
        "description": params.get("description"),
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": [],
            "has_more": False,
            "total_count": 0,
            "url": f"/v1/subscription_items?subscription={id_}",
        },
        "latest_invoice": None,
        "livemode": False,
        "metadata": merge_metadata({}, params.get("metadata")),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": settings.get("payment_method_options"),
            "payment_method_types": settings.get("payment_method_types"),
            "save_default_payment_method": settings.get("save_default_payment_method", "off"),
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": integer(params.get("backdate_start_date"), ctx.now),
        "status": "incomplete",
        "test_clock": ctx.clock_id,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": params.get("trial_settings")
        or {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
        "_creating": True,
    }


def automatic_tax(params: Params) -> Object:
    """Whether tax is worked out; here it is always nothing."""
    enabled = boolean((params.get("automatic_tax") or {}).get("enabled"), False)
    return {"disabled_reason": None, "enabled": enabled, "liability": {"type": "self"} if enabled else None}


def _trial_end(ctx: Context, params: Params) -> int | None:
    if params.get("trial_period_days"):
        return ctx.now + int(params["trial_period_days"]) * billing.DAY
    end = params.get("trial_end")
    if end in (None, "now"):
        return None
    if int(end) <= ctx.now:
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
    return int(end)


def _first_lines(ctx: Context, subscription: Object, params: Params, trial_end: int | None) -> list[Object]:
    """Set the first period and say what it costs."""
    items = subscription["items"]["data"]
    if trial_end is not None:
        subscription |= {
            "status": "trialing",
            "trial_start": ctx.now,
            "trial_end": trial_end,
            "billing_cycle_anchor": trial_end,
        }
        for item in items:
            set_period(item, ctx.now, trial_end)
        return trial_lines(ctx, subscription, (ctx.now, trial_end))
    anchor = integer(params.get("billing_cycle_anchor"), ctx.now) or ctx.now
    subscription["billing_cycle_anchor"] = anchor
    lines: list[Object] = []
    for item in items:
        whole_end = period_end(item, ctx.now, ctx.now)
        if anchor > whole_end:
            raise invalid(
                "billing_cycle_anchor cannot be later than next natural billing date.", "billing_cycle_anchor"
            )
        end = anchor if anchor > ctx.now else whole_end
        set_period(item, ctx.now, end)
        share = Fraction(1)
        if anchor > ctx.now:
            start = previous_period_start(end, *interval_of(item))
            prorated = params.get("proration_behavior") != "none"
            share = Fraction(end - ctx.now, end - start) if prorated else Fraction(0)
        lines += advance_lines(ctx, subscription, [item], (ctx.now, end), share)
    return [line for line in lines if line["amount"] or anchor <= ctx.now]


def _first_invoice(ctx: Context, subscription: Object, lines: list[Object], params: Params) -> None:
    behaviour = params.get("payment_behavior", "allow_incomplete")
    pending = pending_items(ctx, subscription["customer"], subscription["id"])
    lines = [*lines, *(item_line(ctx, item) for item in pending)]
    invoice = subscription_invoice(ctx, subscription, lines, "subscription_create")
    method = billing.method_for(ctx, {**invoice, "parent": None}) or subscription["default_payment_method"]
    automatic = subscription["collection_method"] == "charge_automatically"
    if automatic and invoice["amount_due"] and not method and behaviour != "default_incomplete":
        message = (
            "This customer has no attached payment source or default payment method. Please consider adding a "
            "default payment method."
        )
        raise invalid(message, code="resource_missing")
    billing.keep_draft(ctx, invoice, pending)
    subscription["latest_invoice"] = invoice["id"]
    ctx.save(subscription)
    if not automatic:
        subscription["status"] = subscription["status"] if subscription["status"] == "trialing" else "active"
        if invoice["amount_due"] == 0:
            billing.finalize(ctx, invoice)
        return
    billing.finalize(ctx, invoice)
    if invoice["status"] == "paid":
        subscription["status"] = subscription["status"] if subscription["status"] == "trialing" else "active"
        return
    if behaviour == "default_incomplete":
        return
    error = billing.collect(ctx, invoice, off_session=boolean(params.get("off_session")))
    if error is not None and behaviour == "error_if_incomplete":
        raise error.undone()
    intent = ctx.get("payment_intent", invoice["_intent"])
    if intent["status"] == "processing":
        subscription["status"] = "active"


def set_ending(subscription: Object, params: Params) -> None:
    """Write cancel_at and cancel_at_period_end as sent: the end of the period is that of the item whose ends first."""
    if subscription["schedule"] and params.keys() & {"cancel_at", "cancel_at_period_end"}:
        message = (
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )
        raise invalid(message)
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    if "cancel_at_period_end" in params:
        ending = boolean(params["cancel_at_period_end"])
        subscription |= {"cancel_at_period_end": ending, "cancel_at": min(ends) if ending else None}
    elif "cancel_at" in params:
        named = {"min_period_end": min(ends), "max_period_end": max(ends)}
        at = named.get(params["cancel_at"]) or integer(params["cancel_at"])
        subscription |= {"cancel_at": at, "cancel_at_period_end": False}


def live(ctx: Context, id_: str) -> Object:
    """A subscription that can still be changed."""
    subscription = ctx.get("subscription", id_)
    if subscription["status"] in ENDED:
        raise missing("subscription", id_)
    return subscription


def cancel_now(ctx: Context, subscription: Object, reason: str) -> None:
    """End a subscription at once: unpaid invoices stop being collected."""
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or ctx.now,
        "ended_at": ctx.now,
    }
    subscription["cancellation_details"]["reason"] = reason
    for invoice in billing.unpaid_invoices(ctx, subscription["id"]):
        invoice |= {"auto_advance": False, "next_payment_attempt": None}
        ctx.save(invoice)
    for item in pending_items(ctx, subscription["customer"], subscription["id"], any_subscription=True):
        if item["_subscription"] == subscription["id"]:
            ctx.store.delete("invoiceitem", item["id"])
    ctx.emit("customer.subscription.deleted", ctx.save(subscription))
    for follow in on_cancel:
        follow(ctx, subscription, reason)


@routes("DELETE", "/v1/subscriptions/{subscription}")
def cancel_subscription(ctx: Context, params: Params, subscription: str) -> Object:
    """Cancel now; `prorate` credits unused time and `invoice_now` bills usage and pending items."""
    held = live(ctx, subscription)
    held["cancellation_details"] |= params.get("cancellation_details", {})
    lines: list[Object] = []
    if boolean(params.get("prorate")):
        lines = prorations(ctx, held, held["items"]["data"], [], ctx.now)
    if boolean(params.get("invoice_now")):
        final_invoice(ctx, held, lines)
    elif lines:
        keep_prorations(ctx, held, lines, survive=True)
    cancel_now(ctx, held, "cancellation_requested")
    return held


def final_invoice(ctx: Context, subscription: Object, lines: list[Object]) -> None:
    """Bill usage so far, pending items and the given lines, and try to collect them."""
    for item in subscription["items"]["data"]:
        if is_metered(item):
            lines = [*lines, *usage_lines(ctx, subscription, item, (item["current_period_start"], ctx.now))]
    pending = pending_items(ctx, subscription["customer"], subscription["id"])
    lines = [*lines, *(item_line(ctx, item) for item in pending)]
    if not any(line["amount"] for line in lines):
        return
    invoice = subscription_invoice(ctx, subscription, lines, "subscription_update")
    billing.keep_draft(ctx, invoice, pending)
    subscription["latest_invoice"] = invoice["id"]
    billing.finalize(ctx, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        billing.collect(ctx, invoice)


@routes("GET", "/v1/subscriptions/{subscription}")
def retrieve_subscription(ctx: Context, params: Params, subscription: str) -> Object:
    """One subscription."""
    return ctx.get("subscription", subscription)


@routes("GET", "/v1/subscriptions")
def list_subscriptions(ctx: Context, params: Params) -> Object:
    """Subscriptions by customer, price, status and time; ended ones only when asked for."""
    status = params.get("status")
    found = [held for held in ctx.all("subscription") if _listed(held, params, status)]
    return page(params, found, "/v1/subscriptions")


def _listed(held: Object, params: Params, status: str | None) -> bool:
    prices = {item["price"]["id"] for item in held["items"]["data"]}
    if status is None:
        fits = held["status"] not in ENDED
    elif status == "ended":
        fits = held["status"] in ENDED
    else:
        fits = status in ("all", held["status"])
    first = snapshot(held["items"]["data"][0])
    return (
        fits
        and params.get("customer") in (None, held["customer"])
        and params.get("collection_method") in (None, held["collection_method"])
        and ("price" not in params or params["price"] in prices)
        and in_range(held["created"], params.get("created"))
        and in_range(first["current_period_end"], params.get("current_period_end"))
        and in_range(first["current_period_start"], params.get("current_period_start"))
    )

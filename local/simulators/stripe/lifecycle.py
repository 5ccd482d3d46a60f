"""What time brings: trials end, periods renew, drafts finalise, failed payments are tried again, schedules move.

`run_until` carries out everything due in the order of its time, each at its own moment: for those who live by a test
clock when that clock is advanced, for the others when the vendor's time passes.
"""

from collections.abc import Callable, Iterator
from functools import partial

from local.simulators.stripe import billing, payments
from local.simulators.stripe.context import Context, Object, changed, snapshot
from local.simulators.stripe.discounts import still_running
from local.simulators.stripe.errors import StripeError
from local.simulators.stripe.items import period_end, set_period
from local.simulators.stripe.lines import advance_lines, is_metered, item_line, pending_items, usage_lines
from local.simulators.stripe.payment_methods import resolve_method
from local.simulators.stripe.subscriptions import (
    TRIAL_NOTICE,
    cancel_now,
    final_invoice,
    notice_trial_end,
    subscription_invoice,
)

type Due = tuple[int, Callable[[Context], None]]

_INCOMPLETE_SECONDS = 23 * 3_600
_STEPS = 100_000

more_due: list[Callable[[Context], Iterator[Due]]] = []
"""Further sources of due work (schedules)."""


def run_until(ctx: Context, target: int) -> None:
    """Carry out everything due up to a time, from the context's present on."""
    for _ in range(_STEPS):
        due = min(_agenda(ctx), key=lambda entry: entry[0], default=None)
        if due is None or due[0] > target:
            break
        ctx.now = max(due[0], ctx.now)
        due[1](ctx)
    ctx.now = target


def _agenda(ctx: Context) -> Iterator[Due]:
    for source in more_due:
        yield from source(ctx)
    for subscription in ctx.all("subscription"):
        if subscription["test_clock"] == ctx.clock_id:
            yield from _subscription_due(subscription)
    for invoice in ctx.all("invoice"):
        if invoice["test_clock"] == ctx.clock_id:
            yield from _invoice_due(invoice)
    for intent in ctx.all("payment_intent"):
        if "_settles_at" in intent and ctx.clock_of(intent) == ctx.clock_id:
            yield intent["_settles_at"], partial(_settle, intent)


def _settle(intent: Object, ctx: Context) -> None:
    payments.succeed(ctx, intent, resolve_method(ctx, intent["payment_method"]))


def _subscription_due(subscription: Object) -> Iterator[Due]:
    status = subscription["status"]
    if status in ("canceled", "incomplete_expired", "paused"):
        return
    if status == "incomplete":
        yield subscription["created"] + _INCOMPLETE_SECONDS, lambda ctx: _expire(ctx, subscription)
        return
    if subscription["cancel_at"] is not None:
        yield subscription["cancel_at"], lambda ctx: _end(ctx, subscription)
    if status == "trialing":
        if not subscription.get("_noticed"):
            yield subscription["trial_end"] - TRIAL_NOTICE, lambda ctx: notice_trial_end(ctx, subscription)
        yield subscription["trial_end"], lambda ctx: end_trial(ctx, subscription)
    else:
        end = min(item["current_period_end"] for item in subscription["items"]["data"])
        yield end, lambda ctx: _renew(ctx, subscription)
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"]:
        yield pause["resumes_at"], lambda ctx: _unpause(ctx, subscription)


def _invoice_due(invoice: Object) -> Iterator[Due]:
    if invoice["status"] == "draft" and invoice["auto_advance"] and invoice["automatically_finalizes_at"]:
        yield invoice["automatically_finalizes_at"], lambda ctx: _advance(ctx, invoice)
    if invoice["status"] != "open":
        return
    if invoice["next_payment_attempt"]:
        yield invoice["next_payment_attempt"], lambda ctx: _retry(ctx, invoice)
    if invoice["due_date"] and not invoice.get("_overdue"):
        yield invoice["due_date"], lambda ctx: _overdue(ctx, invoice)


def _expire(ctx: Context, subscription: Object) -> None:
    for invoice in billing.unpaid_invoices(ctx, subscription["id"]):
        billing.void(ctx, invoice)
    subscription["ended_at"] = ctx.now
    billing.set_status(ctx, subscription, "incomplete_expired")


def _end(ctx: Context, subscription: Object) -> None:
    final_invoice(ctx, subscription, [])
    cancel_now(ctx, subscription, subscription["cancellation_details"]["reason"] or "cancellation_requested")


def _unpause(ctx: Context, subscription: Object) -> None:
    before = snapshot(subscription)
    subscription["pause_collection"] = None
    ctx.emit("customer.subscription.updated", ctx.save(subscription), changed(before, subscription))


def end_trial(ctx: Context, subscription: Object, *, quiet: bool = False) -> None:
    """A trial ends: without a payment method the trial settings decide, otherwise the first period starts."""
    missing = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    probe = subscription_invoice(ctx, subscription, [], "subscription_cycle")
    automatic = subscription["collection_method"] == "charge_automatically"
    subscription["trial_end"] = ctx.now
    if automatic and missing != "create_invoice" and billing.method_for(ctx, probe) is None:
        if missing == "cancel":
            cancel_now(ctx, subscription, "cancellation_requested")
            return
        subscription["status"] = "paused"
        ctx.emit("customer.subscription.paused", ctx.save(subscription), {"status": "trialing"})
        return
    subscription["status"] = "active"
    start_period(ctx, subscription, ctx.now, "subscription_cycle", at_once=quiet)
    if not quiet:
        ctx.emit("customer.subscription.updated", ctx.save(subscription), {"status": "trialing"})


def start_period(
    ctx: Context,
    subscription: Object,
    at: int,
    reason: str,
    *,
    extra: list[Object] | None = None,
    at_once: bool = False,
) -> StripeError | None:
    """Every item begins a new period at a moment, anchored there, and is billed. Returns why collecting failed."""
    subscription["billing_cycle_anchor"] = at
    usage: list[tuple[str, int, int]] = []
    for item in subscription["items"]["data"]:
        if is_metered(item) and item["current_period_start"] < at:
            usage.append((item["id"], item["current_period_start"], at))
        set_period(item, at, period_end(item, at, at))
    return _bill(ctx, subscription, subscription["items"]["data"], usage, reason, extra or [], at_once)


def _renew(ctx: Context, subscription: Object) -> None:
    before = snapshot(subscription)
    due = [item for item in subscription["items"]["data"] if item["current_period_end"] <= ctx.now]
    usage: list[tuple[str, int, int]] = []
    for item in due:
        if is_metered(item):
            usage.append((item["id"], item["current_period_start"], item["current_period_end"]))
        start = item["current_period_end"]
        set_period(item, start, period_end(item, start, subscription["billing_cycle_anchor"]))
    subscription["discounts"] = still_running(ctx, subscription)
    _bill(ctx, subscription, due, usage, "subscription_cycle", [], at_once=False)
    ctx.emit("customer.subscription.updated", ctx.save(subscription), changed(before, snapshot(subscription)))


def _bill(
    ctx: Context,
    subscription: Object,
    items: list[Object],
    usage: list[tuple[str, int, int]],
    reason: str,
    extra: list[Object],
    at_once: bool,
) -> StripeError | None:
    by_id = {item["id"]: item for item in subscription["items"]["data"]}
    lines = list(extra)
    for item in items:
        period = (item["current_period_start"], item["current_period_end"])
        lines += advance_lines(ctx, subscription, [item], period)
    for item_id, start, end in usage:
        lines += usage_lines(ctx, subscription, by_id[item_id], (start, end))
    pending = pending_items(ctx, subscription["customer"], subscription["id"])
    lines += [item_line(ctx, item) for item in pending]
    invoice = subscription_invoice(ctx, subscription, lines, reason, _usage=[list(entry) for entry in usage])
    billing.keep_draft(ctx, invoice, pending)
    subscription["latest_invoice"] = invoice["id"]
    ctx.save(subscription)
    pause = subscription["pause_collection"]
    if pause is not None:
        _hold_back(ctx, invoice, pause["behavior"])
        return None
    if at_once and subscription["collection_method"] == "charge_automatically":
        billing.finalize(ctx, invoice)
        if invoice["status"] == "open":
            return billing.collect(ctx, invoice)
    return None


def _hold_back(ctx: Context, invoice: Object, behaviour: str) -> None:
    """What paused collection does with a new invoice."""
    invoice["auto_advance"] = False
    ctx.save(invoice)
    if behaviour == "void":
        billing.finalize(ctx, invoice)
        if invoice["status"] == "open":
            billing.void(ctx, invoice)
    elif behaviour == "mark_uncollectible":
        billing.finalize(ctx, invoice)
        if invoice["status"] == "open":
            billing.mark_uncollectible(ctx, invoice)


def _advance(ctx: Context, invoice: Object) -> None:
    billing.finalize(ctx, invoice)
    if invoice["status"] != "open":
        return
    if invoice["collection_method"] == "charge_automatically":
        _collect(ctx, invoice)
    else:
        ctx.emit("invoice.sent", invoice)


def _retry(ctx: Context, invoice: Object) -> None:
    invoice["next_payment_attempt"] = None
    _collect(ctx, invoice)


def _collect(ctx: Context, invoice: Object) -> None:
    """Collect; when the last try failed, the configured end of dunning follows: cancel, unpaid or past_due."""
    error = billing.collect(ctx, invoice)
    subscription = billing.subscription_of(ctx, invoice)
    if error is None or invoice["next_payment_attempt"] or subscription is None:
        return
    if subscription["status"] not in ("past_due", "active"):
        return
    ending = ctx.config.get("dunning_end", "cancel")
    if ending == "cancel":
        cancel_now(ctx, subscription, "payment_failed")
    elif ending == "unpaid":
        billing.set_status(ctx, subscription, "unpaid")


def _overdue(ctx: Context, invoice: Object) -> None:
    invoice["_overdue"] = True
    ctx.emit("invoice.overdue", ctx.save(invoice))
    subscription = billing.subscription_of(ctx, invoice)
    if subscription is not None and subscription["status"] == "active":
        billing.set_status(ctx, subscription, "past_due")

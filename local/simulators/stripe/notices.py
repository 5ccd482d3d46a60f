"""What is told ahead of time: `invoice.upcoming` before a renewal, `invoice.will_be_due` before a sent invoice is due.

`upcoming_days` and `will_be_due_days` of the configuration say how long before (7 days each; 0 for never). What lies no
further ahead than that when its period begins, or when the invoice is finalised, is not told of.
Source: https://docs.stripe.com/api/events/types#event_types-invoice.upcoming.
"""

import copy
from collections.abc import Iterator
from functools import partial

from local.simulators.stripe import billing, lifecycle
from local.simulators.stripe.context import Context, Object
from local.simulators.stripe.discounts import still_running
from local.simulators.stripe.items import period_end, set_period
from local.simulators.stripe.lines import advance_lines, is_metered, item_line, pending_items, usage_lines
from local.simulators.stripe.subscriptions import subscription_invoice

_RENEWING = ("active", "past_due", "trialing", "unpaid")
_DAYS = 7


def _due(ctx: Context) -> Iterator[lifecycle.Due]:
    if ahead := _ahead(ctx, "upcoming_days"):
        for subscription in ctx.all("subscription"):
            if subscription["test_clock"] == ctx.clock_id:
                yield from _renewal(subscription, ahead)
    if ahead := _ahead(ctx, "will_be_due_days"):
        for invoice in ctx.all("invoice"):
            mine = invoice["test_clock"] == ctx.clock_id
            if mine and invoice["status"] == "open" and invoice["due_date"] and not invoice.get("_due_soon"):
                at = invoice["due_date"] - ahead
                if at > invoice["status_transitions"]["finalized_at"]:
                    yield at, partial(_will_be_due, invoice)


lifecycle.more_due.append(_due)


def _ahead(ctx: Context, name: str) -> int:
    return int(ctx.config.get(name, _DAYS) * billing.DAY)


def _renewal(subscription: Object, ahead: int) -> Iterator[lifecycle.Due]:
    """The next renewal, unless the subscription ends before it or its collection is paused."""
    if subscription["status"] not in _RENEWING or subscription["pause_collection"]:
        return
    first = min(subscription["items"]["data"], key=lambda item: item["current_period_end"])
    start, end = first["current_period_start"], first["current_period_end"]
    ends = subscription["cancel_at"] is not None and subscription["cancel_at"] <= end
    if not ends and subscription.get("_foretold") != end and end - ahead > start:
        yield end - ahead, partial(_upcoming, subscription, start, end)


def _upcoming(subscription: Object, start: int, end: int, ctx: Context) -> None:
    """The invoice that the renewal makes as things stand, without an id. Its own period is the one that ends."""
    subscription["_foretold"] = end
    ctx.save(subscription)
    planned = copy.deepcopy(subscription) | {"discounts": still_running(ctx, subscription, end)}
    advance: list[Object] = []
    usage: list[Object] = []
    for item in planned["items"]["data"]:
        since, until = item["current_period_start"], item["current_period_end"]
        if until > end:
            continue
        if is_metered(item):
            usage += usage_lines(ctx, planned, item, (since, until))
        set_period(item, until, period_end(item, until, planned["billing_cycle_anchor"]))
        advance += advance_lines(ctx, planned, [item], (until, item["current_period_end"]))
    pending = [item_line(ctx, item) for item in pending_items(ctx, planned["customer"], planned["id"])]
    invoice = subscription_invoice(ctx, planned, advance + usage + pending, "upcoming", period=(start, end))
    automatic = invoice["collection_method"] == "charge_automatically"
    invoice |= {
        "automatically_finalizes_at": None,
        "created": end,
        "next_payment_attempt": end + billing.DRAFT_SECONDS if automatic else None,
    }
    invoice["lines"]["url"] = f"/v1/invoices/upcoming/lines?subscription={planned['id']}"
    for line in invoice["lines"]["data"]:
        line["invoice"] = None
    del invoice["id"]
    ctx.emit("invoice.upcoming", invoice)


def _will_be_due(invoice: Object, ctx: Context) -> None:
    invoice["_due_soon"] = True
    ctx.emit("invoice.will_be_due", ctx.save(invoice))

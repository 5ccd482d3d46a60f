"""The life of an invoice: built as a draft, finalised, collected, paid or failed, and what that does to its
subscription and customer."""

from collections.abc import Callable
from typing import Any

from local.simulators.stripe import payments
from local.simulators.stripe.context import Context, Object, changed, snapshot
from local.simulators.stripe.drawdown import draw_credit, give_back
from local.simulators.stripe.errors import StripeError, invalid
from local.simulators.stripe.lines import Period, apply_discounts, usage_lines
from local.simulators.stripe.payment_methods import resolve_method

DAY = 86_400
DRAFT_SECONDS = 3_600
_RETRY_DAYS = (3, 5, 7)

on_open: list[Callable[[Context, Object], None]] = []
"""What follows when a finalised invoice waits to be paid."""


def new_invoice(
    ctx: Context, customer: Object, currency: str, lines: list[Object], period: Period, **more: Any
) -> Object:
    """A draft invoice with its totals; not kept yet, so that previews can use it too."""
    invoice: Object = {
        "id": ctx.new_id("in_"),
        "object": "invoice",
        "account_country": "GB",
        "account_name": "Simulated account",
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": ctx.now + DRAFT_SECONDS,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": ctx.now,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {"object": "list", "data": [], "has_more": False, "total_count": 0, "url": ""},
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": payment_settings({}),
        "period_end": period[1],
        "period_start": period[0],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": ctx.clock_id,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    } | more
    invoice["lines"]["url"] = f"/v1/invoices/{invoice['id']}/lines"
    set_lines(ctx, invoice, lines)
    return invoice


def payment_settings(sent: Object) -> Object:
    """How an invoice may be paid."""
    names = ("default_mandate", "payment_method_options", "payment_method_types")
    return {name: sent.get(name) or None for name in names}


def keep_customer(ctx: Context, customer: Object) -> Object:
    """Keep a customer's changed balance or numbering; a deleted one stays as it is."""
    return customer if ctx.get("customer", customer["id"]).get("deleted") else ctx.save(customer)


def set_lines(ctx: Context, invoice: Object, lines: list[Object]) -> None:
    """Replace the lines and work out every total again."""
    for line in lines:
        line |= {"invoice": invoice["id"], "discount_amounts": []}
    invoice["lines"] |= {"data": lines, "total_count": len(lines)}
    apply_discounts(ctx, invoice, invoice["discounts"])
    for line in lines:
        line["pretax_credit_amounts"] = [entry | {"type": "discount"} for entry in line["discount_amounts"]]
    _work_out(invoice)


def _work_out(invoice: Object) -> None:
    """Every total, from the lines and what was taken off them: by discounts, by credit."""
    lines = invoice["lines"]["data"]
    off: dict[str, Object] = {}
    for entry in (entry for line in lines for entry in line["pretax_credit_amounts"]):
        held = off.setdefault(entry[entry["type"]], entry | {"amount": 0})
        held["amount"] += entry["amount"]
    subtotal = sum(line["amount"] for line in lines)
    total = subtotal - sum(entry["amount"] for entry in off.values())
    due = max(total + invoice["starting_balance"], 0)
    invoice |= {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": total,
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": list(off.values()),
        "amount_due": due,
        "amount_remaining": due,
    }


def keep_draft(ctx: Context, invoice: Object, items: list[Object]) -> Object:
    """Keep a new draft and the invoice items it took in."""
    for item in items:
        item["invoice"] = invoice["id"]
        ctx.save(item)
    ctx.emit("invoice.created", ctx.save(invoice))
    return invoice


def finalize(ctx: Context, invoice: Object) -> None:
    """Number the invoice and open it; nothing due means paid at once."""
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    subscription = subscription_of(ctx, invoice)
    if invoice.get("_usage") and subscription is not None:
        _refresh_usage(ctx, invoice, subscription)
    customer = ctx.party(invoice["customer"])
    invoice["starting_balance"] = customer["balance"]
    set_lines(ctx, invoice, invoice["lines"]["data"])
    draw_credit(ctx, invoice)
    _work_out(invoice)
    customer["balance"] = min(customer["balance"] + invoice["total"], 0)
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    customer["currency"] = customer["currency"] or invoice["currency"]
    keep_customer(ctx, customer)
    invoice |= {
        "status": "open",
        "number": number,
        "effective_at": ctx.now,
        "ending_balance": customer["balance"],
        "automatically_finalizes_at": None,
        "hosted_invoice_url": f"https://invoice.example/{invoice['id']}",
        "invoice_pdf": f"https://invoice.example/{invoice['id']}/pdf",
    }
    invoice["status_transitions"]["finalized_at"] = ctx.now
    if invoice["collection_method"] == "send_invoice":
        invoice["due_date"] = invoice["due_date"] or ctx.now + invoice.get("_days_until_due", 30) * DAY
    ctx.emit("invoice.finalized", ctx.save(invoice))
    if invoice["amount_due"] == 0:
        mark_paid(ctx, invoice)
        return
    _request_payment(ctx, invoice)
    for follow in on_open:
        follow(ctx, invoice)


def _refresh_usage(ctx: Context, invoice: Object, subscription: Object) -> None:
    items = {item["id"]: item for item in subscription["items"]["data"]}
    lines = [line for line in invoice["lines"]["data"] if not line.get("_usage")]
    for item_id, start, end in invoice["_usage"]:
        if item_id in items:
            lines += usage_lines(ctx, subscription, items[item_id], (start, end))
    set_lines(ctx, invoice, lines)


def _request_payment(ctx: Context, invoice: Object) -> None:
    intent = payments.new_intent(
        ctx,
        invoice["amount_due"],
        invoice["currency"],
        invoice["customer"],
        payment_method_types=list(invoice["payment_settings"]["payment_method_types"] or ["card"]),
        _invoice=invoice["id"],
    )
    payment: Object = {
        "id": ctx.new_id("inpay_"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": ctx.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    ctx.save(payment)
    invoice["_intent"] = intent["id"]
    ctx.save(invoice)


def payment_of(ctx: Context, invoice: Object) -> Object | None:
    """The invoice's own payment, if it has asked for one."""
    return next((held for held in ctx.all("invoice_payment") if held["invoice"] == invoice["id"]), None)


def subscription_of(ctx: Context, invoice: Object) -> Object | None:
    """The subscription an invoice belongs to."""
    details = (invoice["parent"] or {}).get("subscription_details")
    return ctx.find("subscription", details["subscription"]) if details else None


def method_for(ctx: Context, invoice: Object) -> Object | None:
    """What an invoice would be charged to: its own, its subscription's or its customer's default."""
    subscription = subscription_of(ctx, invoice)
    customer = ctx.party(invoice["customer"])
    candidates = (
        invoice["default_payment_method"],
        subscription["default_payment_method"] if subscription else None,
        customer["invoice_settings"]["default_payment_method"],
        customer["default_source"],
    )
    chosen = next((id_ for id_ in candidates if id_), None)
    return resolve_method(ctx, chosen) if chosen else None


def collect(
    ctx: Context, invoice: Object, method: Object | None = None, *, off_session: bool = True
) -> StripeError | None:
    """Try to charge an open invoice. Returns why it failed; the effects of failing stay."""
    method = method or method_for(ctx, invoice)
    intent = ctx.get("payment_intent", invoice["_intent"])
    invoice |= {"attempted": True, "auto_advance": True, "attempt_count": invoice["attempt_count"] + 1}
    ctx.save(invoice)
    if method is None:
        message = "There is no `default_payment_method` set on this Customer or Invoice."
        _failed(ctx, intent)
        return invalid(message)
    error = payments.confirm_intent(ctx, intent, method, off_session=off_session)
    if error is None and intent["status"] == "requires_action":
        ctx.emit("invoice.payment_action_required", invoice)
        _failed(ctx, intent)
    return error


def mark_paid(ctx: Context, invoice: Object, *, outside: bool = False) -> None:
    """The invoice is settled: its payment, subscription and customer follow."""
    before = snapshot(invoice)
    due = invoice["amount_due"]
    invoice |= {"status": "paid", "amount_paid": due, "amount_remaining": 0, "next_payment_attempt": None}
    invoice |= {"attempted": True, "auto_advance": False, "amount_paid_off_stripe": due if outside else 0}
    invoice["status_transitions"]["paid_at"] = ctx.now
    ctx.save(invoice)
    payment = payment_of(ctx, invoice)
    if payment is not None:
        if outside:
            payment["status"] = "canceled"
            payments.cancel_intent(ctx, ctx.get("payment_intent", invoice["_intent"]), None)
        else:
            payment |= {"status": "paid", "amount_paid": due}
            payment["status_transitions"]["paid_at"] = ctx.now
            ctx.emit("invoice_payment.paid", payment)
        ctx.save(payment)
    ctx.emit("invoice.updated", invoice, changed(before, invoice))
    ctx.emit("invoice.paid", invoice)
    ctx.emit("invoice.payment_succeeded", invoice)
    customer = ctx.party(invoice["customer"])
    if customer.get("delinquent"):
        customer["delinquent"] = False
        ctx.emit("customer.updated", keep_customer(ctx, customer), {"delinquent": True})
    subscription = subscription_of(ctx, invoice)
    if subscription is not None and subscription["status"] in ("incomplete", "past_due", "unpaid"):
        others = [held for held in unpaid_invoices(ctx, subscription["id"]) if held["id"] != invoice["id"]]
        if subscription["latest_invoice"] == invoice["id"] or not others:
            set_status(ctx, subscription, "active")


def unpaid_invoices(ctx: Context, subscription_id: str) -> list[Object]:
    """Open invoices of a subscription."""
    return [
        held
        for held in ctx.all("invoice")
        if held["status"] == "open"
        and ((held["parent"] or {}).get("subscription_details") or {}).get("subscription") == subscription_id
    ]


def set_status(ctx: Context, subscription: Object, status: str) -> None:
    """Move a subscription to another status; says so unless it is still being created."""
    before = subscription["status"]
    if before == status:
        return
    subscription["status"] = status
    ctx.save(subscription)
    if not subscription.get("_creating"):
        ctx.emit("customer.subscription.updated", subscription, {"status": before})


def _paid(ctx: Context, intent: Object) -> None:
    invoice = ctx.find("invoice", intent.get("_invoice"))
    if invoice is not None and invoice["status"] in ("open", "uncollectible"):
        mark_paid(ctx, invoice)


def _failed(ctx: Context, intent: Object) -> None:
    invoice = ctx.find("invoice", intent.get("_invoice"))
    if invoice is None:
        return
    delays = ctx.config.get("dunning_days", list(_RETRY_DAYS))
    tried = invoice["attempt_count"]
    automatic = invoice["collection_method"] == "charge_automatically"
    again = automatic and invoice["auto_advance"] and tried <= len(delays) and subscription_of(ctx, invoice)
    invoice["next_payment_attempt"] = ctx.now + int(delays[max(tried, 1) - 1] * DAY) if again else None
    ctx.emit("invoice.payment_failed", ctx.save(invoice))
    customer = ctx.party(invoice["customer"])
    subscription = subscription_of(ctx, invoice)
    if not customer["delinquent"] and subscription is not None:
        customer["delinquent"] = True
        ctx.emit("customer.updated", keep_customer(ctx, customer), {"delinquent": False})
    if subscription is not None and subscription["status"] in ("active", "trialing"):
        set_status(ctx, subscription, "past_due")


payments.on_success.append(_paid)
payments.on_failure.append(_failed)


def void(ctx: Context, invoice: Object) -> None:
    """Void an invoice and cancel its payment."""
    invoice |= {"status": "void", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = ctx.now
    _withdraw(ctx, invoice, "void_invoice")
    give_back(ctx, invoice)
    ctx.emit("invoice.voided", ctx.save(invoice))
    subscription = subscription_of(ctx, invoice)
    behind = subscription is not None and subscription["status"] in ("past_due", "unpaid")
    if subscription is not None and behind and not unpaid_invoices(ctx, subscription["id"]):
        set_status(ctx, subscription, "active")


def mark_uncollectible(ctx: Context, invoice: Object) -> None:
    """Write an invoice off; it can still be paid later."""
    invoice |= {"status": "uncollectible", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["marked_uncollectible_at"] = ctx.now
    ctx.emit("invoice.marked_uncollectible", ctx.save(invoice))


def _withdraw(ctx: Context, invoice: Object, reason: str) -> None:
    intent = ctx.find("payment_intent", invoice.get("_intent"))
    if intent is not None and intent["status"] not in ("succeeded", "canceled"):
        payments.cancel_intent(ctx, intent, reason)
    payment = payment_of(ctx, invoice)
    if payment is not None and payment["status"] == "open":
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = ctx.now
        ctx.save(payment)

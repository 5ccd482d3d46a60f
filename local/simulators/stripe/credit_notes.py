"""Credit notes: less to pay on an open invoice; on a paid one money back, credit for later, or a note that it was paid
back elsewhere. Simulated by amount, without lines of the invoice and without tax."""

from local.simulators.stripe import billing
from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params, integer
from local.simulators.stripe.payments import create_refund
from local.simulators.stripe.query import in_range, page

_SETTLED = ("refund_amount", "credit_amount", "out_of_band_amount")


@routes("POST", "/v1/credit_notes")
def create_credit_note(ctx: Context, params: Params) -> Object:
    """Issue a credit note."""
    invoice = ctx.get("invoice", required(params, "invoice"), "invoice")
    amount = integer(required(params, "amount")) or 0
    if invoice["status"] not in ("open", "paid", "uncollectible"):
        raise invalid("You can only create a credit note for a finalized invoice that is not void.", "invoice")
    if amount <= 0:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    before = snapshot(invoice)
    note = _note(ctx, invoice, amount, params)
    if invoice["status"] == "paid":
        _after_payment(ctx, invoice, note, params)
    else:
        _before_payment(ctx, invoice, note)
    ctx.emit("credit_note.created", ctx.save(note))
    ctx.emit("invoice.updated", ctx.save(invoice), changed(before, invoice))
    if invoice["status"] == "open" and invoice["amount_remaining"] == 0:
        billing.mark_paid(ctx, invoice)
    return note


def _note(ctx: Context, invoice: Object, amount: int, params: Params) -> Object:
    number = 1 + sum(held["invoice"] == invoice["id"] for held in ctx.all("credit_note"))
    id_ = ctx.new_id("cn_")
    line: Object = {
        "id": ctx.new_id("cnli_"),
        "object": "credit_note_line_item",
        "amount": amount,
        "description": params.get("memo"),
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "pretax_credit_amounts": [],
        "quantity": 1,
        "tax_rates": [],
        "taxes": [],
        "type": "custom_line_item",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    return {
        "id": id_,
        "object": "credit_note",
        "amount": amount,
        "amount_shipping": 0,
        "created": ctx.now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": integer(params.get("effective_at"), ctx.now),
        "invoice": invoice["id"],
        "lines": {"object": "list", "data": [line], "has_more": False, "url": f"/v1/credit_notes/{id_}/lines"},
        "livemode": False,
        "memo": params.get("memo"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "number": f"{invoice['number']}-CN-{number:02d}",
        "out_of_band_amount": None,
        "pdf": f"https://invoice.example/{id_}/pdf",
        "post_payment_amount": 0,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "reason": params.get("reason"),
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": "post_payment",
        "voided_at": None,
    }


def _before_payment(ctx: Context, invoice: Object, note: Object) -> None:
    """Less to pay."""
    amount = note["amount"]
    if amount > invoice["amount_remaining"]:
        raise invalid("The credit note amount exceeds the amount remaining on the invoice.", "amount")
    note |= {"type": "pre_payment", "pre_payment_amount": amount}
    _owe(ctx, invoice, -amount)


def _owe(ctx: Context, invoice: Object, change: int) -> None:
    """Changes what an open invoice and its payment ask for."""
    invoice["amount_due"] += change
    invoice["amount_remaining"] += change
    invoice["pre_payment_credit_notes_amount"] -= change
    intent = ctx.find("payment_intent", invoice.get("_intent"))
    if intent is not None and invoice["amount_due"] > 0:
        ctx.save(intent | {"amount": invoice["amount_due"]})


def _after_payment(ctx: Context, invoice: Object, note: Object, params: Params) -> None:
    """Each part of the amount goes somewhere."""
    amount = note["amount"]
    parts = {name: integer(params.get(name), 0) or 0 for name in _SETTLED}
    if sum(parts.values()) != amount:
        message = "The sum of refund_amount, credit_amount and out_of_band_amount must equal the credit note amount."
        raise invalid(message, "amount")
    if amount > invoice["total"] - invoice["post_payment_credit_notes_amount"]:
        raise invalid("The credit note amount exceeds the amount paid on the invoice.", "amount")
    note["post_payment_amount"] = amount
    invoice["post_payment_credit_notes_amount"] += amount
    if parts["refund_amount"]:
        paid = {"payment_intent": invoice.get("_intent"), "amount": parts["refund_amount"]}
        refund = create_refund(ctx, paid)
        note["refunds"] = [{"amount_refunded": refund["amount"], "refund": refund["id"], "type": "refund"}]
    if parts["credit_amount"]:
        customer = ctx.party(invoice["customer"])
        before = snapshot(customer)
        customer["balance"] -= parts["credit_amount"]
        ctx.emit("customer.updated", billing.keep_customer(ctx, customer), changed(before, customer))
        note["customer_balance_transaction"] = ctx.new_id("cbtxn_")
    note["out_of_band_amount"] = parts["out_of_band_amount"] or None


@routes("POST", "/v1/credit_notes/{id}/void")
def void_credit_note(ctx: Context, params: Params, id: str) -> Object:
    """Take a credit note of an open invoice back."""
    note = ctx.get("credit_note", id)
    invoice = ctx.get("invoice", note["invoice"])
    if note["status"] == "void" or note["type"] != "pre_payment" or invoice["status"] != "open":
        raise invalid("You can only void a credit note of an open invoice.")
    before = snapshot(invoice)
    note |= {"status": "void", "voided_at": ctx.now}
    _owe(ctx, invoice, note["amount"])
    ctx.emit("credit_note.voided", ctx.save(note))
    ctx.emit("invoice.updated", ctx.save(invoice), changed(before, invoice))
    return note


@routes("GET", "/v1/credit_notes/{id}")
def retrieve_credit_note(ctx: Context, params: Params, id: str) -> Object:
    """One credit note."""
    return ctx.get("credit_note", id)


@routes("GET", "/v1/credit_notes")
def list_credit_notes(ctx: Context, params: Params) -> Object:
    """Credit notes by customer, invoice and time."""
    found = [
        held
        for held in ctx.all("credit_note")
        if all(params.get(name) in (None, held[name]) for name in ("customer", "invoice"))
        and in_range(held["created"], params.get("created"))
    ]
    return page(params, found, "/v1/credit_notes")

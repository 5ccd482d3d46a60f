"""Invoice endpoints: create, finalise, pay, void, send, read, preview."""

from local.simulators.stripe import billing
from local.simulators.stripe.changes import proration_time
from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import StripeError, invalid
from local.simulators.stripe.forms import Params, boolean, integer
from local.simulators.stripe.items import new_item, period_end, restarts, revised_items, set_period
from local.simulators.stripe.lines import (
    Period,
    advance_lines,
    is_metered,
    item_line,
    new_line,
    pending_items,
    prorations,
    usage_lines,
)
from local.simulators.stripe.payment_methods import resolve_method
from local.simulators.stripe.query import in_range, page
from local.simulators.stripe.subscriptions import subscription_invoice


@routes("POST", "/v1/invoices")
def create_invoice(ctx: Context, params: Params) -> Object:
    """Draft an invoice, with the customer's pending items where asked to include them."""
    customer = ctx.get("customer", required(params, "customer"), "customer")
    subscription = ctx.get("subscription", params["subscription"]) if params.get("subscription") else None
    include = params.get("pending_invoice_items_behavior", "include" if subscription else "exclude") == "include"
    pending = pending_items(ctx, customer["id"], subscription["id"] if subscription else None)
    pending = [item for item in pending if subscription is None or item["_subscription"] == subscription["id"]]
    pending = pending if include else []
    if subscription and not pending:
        raise invalid("Nothing to invoice for subscription", code="invoice_no_subscription_line_items")
    lines = [item_line(ctx, item) for item in pending]
    currency = params.get("currency") or (lines[0]["currency"] if lines else customer["currency"]) or "usd"
    method = params.get("collection_method", "charge_automatically")
    if method == "send_invoice" and not (params.get("days_until_due") or params.get("due_date")):
        raise invalid("You must pass `days_until_due` or `due_date` with `send_invoice`.", "days_until_due")
    advance = boolean(params.get("auto_advance"), False)
    fields: Object = {
        "auto_advance": advance,
        "automatically_finalizes_at": ctx.now + billing.DRAFT_SECONDS if advance else None,
        "collection_method": method,
        "description": params.get("description"),
        "footer": params.get("footer"),
        "default_payment_method": params.get("default_payment_method"),
        "due_date": integer(params.get("due_date")),
        "metadata": merge_metadata({}, params.get("metadata")),
        "_days_until_due": integer(params.get("days_until_due"), 30),
    }
    if sent := params.get("payment_settings"):
        fields["payment_settings"] = billing.payment_settings(sent)
    if subscription is None:
        invoice = billing.new_invoice(ctx, customer, currency, lines, (ctx.now, ctx.now), **fields)
    else:
        invoice = subscription_invoice(ctx, subscription, lines, "manual") | fields
    return billing.keep_draft(ctx, invoice, pending)


@routes("POST", "/v1/invoices/{invoice}")
def update_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """Change an invoice: anything that is not frozen by finalising."""
    held = ctx.get("invoice", invoice)
    before = snapshot(held)
    for name in ("description", "footer", "default_payment_method"):
        if name in params:
            held[name] = params[name] or None
    if params.get("payment_settings"):
        held["payment_settings"] = billing.payment_settings({**held["payment_settings"], **params["payment_settings"]})
    if "auto_advance" in params:
        held["auto_advance"] = boolean(params["auto_advance"])
        if held["status"] == "draft":
            held["automatically_finalizes_at"] = ctx.now + billing.DRAFT_SECONDS if held["auto_advance"] else None
    if "due_date" in params:
        held["due_date"] = integer(params["due_date"])
    held["metadata"] = merge_metadata(held["metadata"], params.get("metadata"))
    ctx.emit("invoice.updated", ctx.save(held), changed(before, held))
    return held


@routes("DELETE", "/v1/invoices/{invoice}")
def delete_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """Delete a draft that belongs to no subscription."""
    held = ctx.get("invoice", invoice)
    if held["status"] != "draft" or held["parent"]:
        raise invalid("You can only delete one-off draft invoices.")
    ctx.store.delete("invoice", invoice)
    ctx.emit("invoice.deleted", held)
    return {"id": invoice, "object": "invoice", "deleted": True}


@routes("POST", "/v1/invoices/{invoice}/finalize")
def finalize_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """Finalise a draft."""
    held = ctx.get("invoice", invoice)
    if "auto_advance" in params:
        held["auto_advance"] = boolean(params["auto_advance"])
    billing.finalize(ctx, held)
    return held


@routes("POST", "/v1/invoices/{invoice}/pay")
def pay_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """Pay now, finalising first where needed; a refused card is a 402 whose effects stay."""
    held = ctx.get("invoice", invoice)
    if held["status"] == "draft":
        billing.finalize(ctx, held)
        if held["status"] == "paid":
            return held
    if held["status"] == "paid":
        raise invalid("Invoice is already paid")
    if held["status"] == "void":
        raise invalid("Invoice is void and cannot be paid.")
    if boolean(params.get("paid_out_of_band")):
        billing.mark_paid(ctx, held, outside=True)
        return held
    method = resolve_method(ctx, params["payment_method"]) if params.get("payment_method") else None
    if method is not None and method["customer"] not in (None, held["customer"]):
        raise invalid("The payment method is attached to another customer.", "payment_method")
    error = billing.collect(ctx, held, method, off_session=boolean(params.get("off_session")))
    if error is not None:
        raise error
    intent = ctx.get("payment_intent", held["_intent"])
    if intent["status"] == "requires_action":
        message = "This payment requires additional user action before it can be completed successfully."
        raise StripeError(
            402, "card_error", message, code="invoice_payment_intent_requires_action", payment_intent=snapshot(intent)
        )
    return held


@routes("POST", "/v1/invoices/{invoice}/void")
def void_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """Void an open invoice."""
    held = ctx.get("invoice", invoice)
    if held["status"] not in ("open", "uncollectible"):
        raise invalid(f"You can only void open or uncollectible invoices; this one is {held['status']}.")
    billing.void(ctx, held)
    return held


@routes("POST", "/v1/invoices/{invoice}/mark_uncollectible")
def give_up_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """Write an open invoice off."""
    held = ctx.get("invoice", invoice)
    if held["status"] != "open":
        raise invalid(f"You can only mark open invoices uncollectible; this one is {held['status']}.")
    billing.mark_uncollectible(ctx, held)
    return held


@routes("POST", "/v1/invoices/{invoice}/send")
def send_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """Finalise if needed and mail the customer (here: only say so)."""
    held = ctx.get("invoice", invoice)
    if held["status"] == "draft":
        billing.finalize(ctx, held)
    ctx.emit("invoice.sent", held)
    return held


@routes("GET", "/v1/invoices/{invoice}")
def retrieve_invoice(ctx: Context, params: Params, invoice: str) -> Object:
    """One invoice; its payments on request."""
    return ctx.get("invoice", invoice)


@routes("GET", "/v1/invoices/{invoice}/lines")
def list_lines(ctx: Context, params: Params, invoice: str) -> Object:
    """An invoice's lines."""
    held = ctx.get("invoice", invoice)
    return page(params, held["lines"]["data"][::-1], f"/v1/invoices/{invoice}/lines")


@routes("GET", "/v1/invoices")
def list_invoices(ctx: Context, params: Params) -> Object:
    """Invoices by customer, subscription, status, method and time."""
    found = [
        held
        for held in ctx.all("invoice")
        if all(params.get(name) in (None, held[name]) for name in ("customer", "status", "collection_method"))
        and ("subscription" not in params or _subscription_id(held) == params["subscription"])
        and in_range(held["created"], params.get("created"))
        and in_range(held["due_date"], params.get("due_date"))
    ]
    return page(params, found, "/v1/invoices")


def _subscription_id(invoice: Object) -> str | None:
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


@routes("GET", "/v1/invoice_payments/{payment}")
def retrieve_invoice_payment(ctx: Context, params: Params, payment: str) -> Object:
    """One payment of an invoice."""
    return ctx.get("invoice_payment", payment)


@routes("GET", "/v1/invoice_payments")
def list_invoice_payments(ctx: Context, params: Params) -> Object:
    """Payments by invoice, status and payment intent."""
    wanted = params.get("payment") or {}
    found = [
        held
        for held in ctx.all("invoice_payment")
        if all(params.get(name) in (None, held[name]) for name in ("invoice", "status"))
        and wanted.get("payment_intent") in (None, held["payment"]["payment_intent"])
    ]
    return page(params, found, "/v1/invoice_payments")


@routes("POST", "/v1/invoices/create_preview")
def create_preview(ctx: Context, params: Params) -> Object:
    """What the next invoice would be, with or without a change. Nothing is kept."""
    ctx.dry = True
    details = params.get("subscription_details") or {}
    if params.get("subscription"):
        return _preview_change(ctx, ctx.get("subscription", params["subscription"], "subscription"), details)
    if not details.get("items"):
        raise invalid("You must pass `subscription` or `subscription_details[items]`.", "subscription")
    customer = ctx.get("customer", params["customer"], "customer") if params.get("customer") else _nobody()
    items = [new_item(ctx, item, f"items[{i}]", "sub_preview") for i, item in enumerate(details["items"])]
    start = integer(details.get("start_date"), ctx.now) or ctx.now
    for item in items:
        set_period(item, start, period_end(item, start, start))
    planned: Object = {"id": "sub_preview", "customer": customer["id"], "metadata": {}, "items": {"data": items}}
    lines = [line | {"subscription": None, "parent": None} for line in _next_lines(ctx, planned, items)]
    lines += [_extra_line(ctx, item) for item in params.get("invoice_items", [])]
    period = (start, items[0]["current_period_end"])
    return _as_preview(billing.new_invoice(ctx, customer, items[0]["price"]["currency"], lines, period))


def _nobody() -> Object:
    blank = dict.fromkeys(("address", "email", "name", "phone", "shipping", "currency"))
    return {"id": None, "tax_exempt": "none", "balance": 0, **blank}


def _extra_line(ctx: Context, sent: Params) -> Object:
    amount = integer(sent.get("amount", sent.get("unit_amount")), 0) or 0
    count = integer(sent.get("quantity"), 1) or 1
    total = amount if "amount" in sent else amount * count
    return new_line(ctx, total, sent.get("currency", "usd"), sent.get("description"), (ctx.now, ctx.now))


def _next_lines(ctx: Context, subscription: Object, items: list[Object]) -> list[Object]:
    lines: list[Object] = []
    for item in items:
        period: Period = (item["current_period_start"], item["current_period_end"])
        lines += advance_lines(ctx, subscription, [item], period)
    return lines


def _preview_change(ctx: Context, held: Object, details: Params) -> Object:
    present = held["items"]["data"]
    revised = revised_items(ctx, held, details.get("items", [])) if details.get("items") else present
    at = proration_time(ctx, held, details)
    behaviour = details.get("proration_behavior", "create_prorations")
    ending = boolean(details.get("cancel_at_period_end"), held["cancel_at_period_end"])
    if boolean(details.get("cancel_now")):
        revised, ending = [], True
    restart = bool(revised) and restarts(present, revised)
    lines: list[Object] = []
    if revised != present and behaviour != "none":
        lines = prorations(ctx, held, present, revised, at, charge=not restart)
    pending = pending_items(ctx, held["customer"], held["id"])
    lines += [item_line(ctx, item) for item in pending]
    if behaviour != "always_invoice" or restart or not details.get("items"):
        for item in revised:
            if is_metered(item):
                lines += usage_lines(ctx, held, item, (item["current_period_start"], item["current_period_end"]))
            start = ctx.now if restart else item["current_period_end"]
            set_period(item, start, period_end(item, start, start if restart else held["billing_cycle_anchor"]))
        lines += [] if ending else _next_lines(ctx, held, revised)
    return _as_preview(subscription_invoice(ctx, held, lines, "upcoming"))


def _as_preview(invoice: Object) -> Object:
    invoice |= {"id": f"upcoming_{invoice['id']}", "billing_reason": "upcoming", "auto_advance": False}
    return invoice

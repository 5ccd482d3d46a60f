"""Invoice items: amounts that wait for a customer's next invoice, prorations among them."""

from decimal import Decimal

from local.simulators.stripe import billing
from local.simulators.stripe.context import Context, Object, merge_metadata, required, routes
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params, boolean, integer
from local.simulators.stripe.lines import item_line, pricing_of, rounded
from local.simulators.stripe.query import in_range, page


def _item(ctx: Context, customer: str, amount: int, currency: str) -> Object:
    return {
        "id": ctx.new_id("ii_"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer,
        "date": ctx.now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": {"start": ctx.now, "end": ctx.now},
        "pricing": None,
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": ctx.clock_id,
        "_subscription": None,
    }


def _parent(subscription: str, item: str | None = None) -> Object:
    details = {"subscription": subscription, "subscription_item": item}
    return {"subscription_details": details, "type": "subscription_details"}


def keep_prorations(ctx: Context, subscription: Object, lines: list[Object], *, survive: bool = False) -> None:
    """Keep proration lines for the subscription's next invoice; `survive`: for the customer's next one."""
    for line in lines:
        item = _item(ctx, subscription["customer"], line["amount"], line["currency"])
        owner = line["parent"]["subscription_item_details"]["subscription_item"]
        item |= {
            "description": line["description"],
            "period": dict(line["period"]),
            "pricing": line["pricing"],
            "proration": True,
            "quantity": line["quantity"],
            "quantity_decimal": str(line["quantity"]),
            "parent": _parent(subscription["id"], owner),
            "_subscription": None if survive else subscription["id"],
        }
        ctx.emit("invoiceitem.created", ctx.save(item))


@routes("POST", "/v1/invoiceitems")
def create_invoice_item(ctx: Context, params: Params) -> Object:
    """Add an amount, or a quantity of a one-time price, to a draft or the next invoice."""
    customer = ctx.get("customer", required(params, "customer"), "customer")
    quantity = integer(params.get("quantity"), 1) or 1
    price_id = (params.get("pricing") or {}).get("price")
    price = ctx.get("price", price_id, "pricing[price]") if price_id else None
    if price is not None:
        unit, currency = Decimal(price["unit_amount_decimal"]), price["currency"]
    elif data := params.get("price_data"):
        unit = Decimal(data.get("unit_amount_decimal", data.get("unit_amount", "0")))
        currency = data["currency"]
    else:
        sent = params.get("amount", params.get("unit_amount_decimal"))
        if sent is None:
            raise invalid("Must provide one of `amount`, `pricing` or `price_data`.", "amount", "parameter_missing")
        unit, currency = Decimal(sent), params.get("currency") or customer["currency"] or "usd"
    item = _item(ctx, customer["id"], rounded(unit * quantity), str(currency).lower())
    item |= {
        "description": params.get("description"),
        "discountable": boolean(params.get("discountable"), True),
        "metadata": merge_metadata({}, params.get("metadata")),
        "pricing": pricing_of(price) if price else None,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
    }
    if period := params.get("period"):
        item["period"] = {"start": int(period["start"]), "end": int(period["end"])}
    if params.get("subscription"):
        subscription = ctx.get("subscription", params["subscription"], "subscription")
        item |= {"_subscription": subscription["id"], "parent": _parent(subscription["id"])}
    ctx.emit("invoiceitem.created", ctx.save(item))
    if params.get("invoice"):
        _put_on(ctx, item, params["invoice"])
    return item


def _put_on(ctx: Context, item: Object, invoice_id: str) -> None:
    invoice = ctx.get("invoice", invoice_id, "invoice")
    if invoice["status"] != "draft" or invoice["customer"] != item["customer"]:
        raise invalid("Invoice items can only be added to a draft invoice of the same customer.", "invoice")
    item["invoice"] = invoice_id
    ctx.save(item)
    billing.set_lines(ctx, invoice, [*invoice["lines"]["data"], item_line(ctx, item)])
    ctx.save(invoice)


@routes("DELETE", "/v1/invoiceitems/{invoiceitem}")
def delete_invoice_item(ctx: Context, params: Params, invoiceitem: str) -> Object:
    """Delete an item that no finalised invoice holds."""
    item = ctx.get("invoiceitem", invoiceitem)
    invoice = ctx.find("invoice", item["invoice"])
    if invoice is not None:
        if invoice["status"] != "draft":
            raise invalid("This invoice item is attached to a finalized invoice and cannot be deleted.")
        kept = [
            line
            for line in invoice["lines"]["data"]
            if ((line["parent"] or {}).get("invoice_item_details") or {}).get("invoice_item") != invoiceitem
        ]
        billing.set_lines(ctx, invoice, kept)
        ctx.save(invoice)
    ctx.store.delete("invoiceitem", invoiceitem)
    ctx.emit("invoiceitem.deleted", item)
    return {"id": invoiceitem, "object": "invoiceitem", "deleted": True}


@routes("GET", "/v1/invoiceitems/{invoiceitem}")
def retrieve_invoice_item(ctx: Context, params: Params, invoiceitem: str) -> Object:
    """One item."""
    return ctx.get("invoiceitem", invoiceitem)


@routes("GET", "/v1/invoiceitems")
def list_invoice_items(ctx: Context, params: Params) -> Object:
    """Items by customer, invoice and whether they still wait."""
    found = [
        item
        for item in ctx.all("invoiceitem")
        if params.get("customer") in (None, item["customer"])
        and params.get("invoice") in (None, item["invoice"])
        and ("pending" not in params or boolean(params["pending"]) == (item["invoice"] is None))
        and in_range(item["date"], params.get("created"))
    ]
    return page(params, found, "/v1/invoiceitems")

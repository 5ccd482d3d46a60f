"""Customers and their card sources."""

import zlib

from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import invalid, missing
from local.simulators.stripe.forms import Params, integer
from local.simulators.stripe.payment_methods import attach, new_card, resolve_method
from local.simulators.stripe.query import in_range, page
from local.simulators.stripe.subscriptions import cancel_now
from local.simulators.stripe.wires import choose_mode

_TEXTS = ("description", "email", "name", "phone", "business_name", "individual_name")


def live_customer(ctx: Context, id_: str, param: str = "customer") -> Object:
    """A customer that exists and is not deleted."""
    customer = ctx.get("customer", id_, param)
    if customer.get("deleted"):
        raise missing("customer", id_, param)
    return customer


@routes("POST", "/v1/customers")
def create_customer(ctx: Context, params: Params) -> Object:
    """Create a customer, with a payment method or card if one is named."""
    id_ = ctx.new_id("cus_")[:18]
    customer: Object = {
        "id": id_,
        "object": "customer",
        "address": None,
        "balance": integer(params.get("balance"), 0),
        "created": ctx.now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": params.get("invoice_prefix") or f"{zlib.crc32(id_.encode()):08X}",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": integer(params.get("next_invoice_sequence"), 1),
        "phone": None,
        "preferred_locales": params.get("preferred_locales", []),
        "shipping": None,
        "tax_exempt": params.get("tax_exempt") or "none",
        "test_clock": ctx.clock_id,
    }
    _apply(ctx, customer, params)
    ctx.emit("customer.created", ctx.save(customer), first=True)
    return customer


def _apply(ctx: Context, customer: Object, params: Params) -> None:
    """Write the parameters that creation and update share."""
    for name in _TEXTS:
        if name in params:
            customer[name] = params[name] or None
    for name in ("address", "shipping"):
        if name in params:
            customer[name] = _completed(name, params[name])
    customer["metadata"] = merge_metadata(customer["metadata"], params.get("metadata"))
    if mode := ((params.get("cash_balance") or {}).get("settings") or {}).get("reconciliation_mode"):
        choose_mode(ctx, customer["id"], mode)
    sent = params.get("payment_method")
    method = attach(ctx, resolve_method(ctx, sent), customer["id"]) if sent else None
    if params.get("source"):
        customer["default_source"] = new_card(ctx, params["source"], customer["id"])["id"]
    default = params.get("invoice_settings", {}).get("default_payment_method")
    if default == "":
        customer["invoice_settings"]["default_payment_method"] = None
    elif default:
        named = method if method is not None and default == sent else resolve_method(ctx, default)
        if named["customer"] != customer["id"]:
            message = f"The customer does not have a payment method with the ID {default}."
            raise invalid(message, "invoice_settings[default_payment_method]", "resource_missing")
        customer["invoice_settings"]["default_payment_method"] = named["id"]


def _completed(name: str, sent: Params | str) -> Object | None:
    if not isinstance(sent, dict):
        return None
    address = sent if name == "address" else sent.get("address", {})
    parts = {part: address.get(part) for part in ("city", "country", "line1", "line2", "postal_code", "state")}
    return parts if name == "address" else {"address": parts, "name": sent.get("name"), "phone": sent.get("phone")}


@routes("POST", "/v1/customers/{customer}")
def update_customer(ctx: Context, params: Params, customer: str) -> Object:
    """Change a customer."""
    held = live_customer(ctx, customer, "id")
    before = snapshot(held)
    _apply(ctx, held, params)
    ctx.emit("customer.updated", ctx.save(held), changed(before, held))
    return held


@routes("DELETE", "/v1/customers/{customer}")
def delete_customer(ctx: Context, params: Params, customer: str) -> Object:
    """Delete a customer: live subscriptions end, the id stays readable as deleted."""
    held = live_customer(ctx, customer, "id")
    for subscription in ctx.all("subscription"):
        if subscription["customer"] == customer and subscription["status"] not in ("canceled", "incomplete_expired"):
            cancel_now(ctx, subscription, "cancellation_requested")
    for invoice in ctx.all("invoice"):
        if invoice["customer"] == customer and invoice["status"] in ("draft", "open"):
            invoice |= {"auto_advance": False, "automatically_finalizes_at": None, "next_payment_attempt": None}
            ctx.save(invoice)
    for method in ctx.all("payment_method"):
        if method["customer"] == customer:
            method["customer"] = None
            ctx.save(method)
    ctx.emit("customer.deleted", held)
    return ctx.save({"id": customer, "object": "customer", "deleted": True, "_was": held})


@routes("GET", "/v1/customers/{customer}")
def retrieve_customer(ctx: Context, params: Params, customer: str) -> Object:
    """One customer; a deleted one says so."""
    return ctx.get("customer", customer)


@routes("GET", "/v1/customers")
def list_customers(ctx: Context, params: Params) -> Object:
    """Customers by exact e-mail (case matters, as in Stripe) and time."""
    found = [
        customer
        for customer in ctx.all("customer")
        if not customer.get("deleted")
        and ("email" not in params or customer["email"] == params["email"])
        and in_range(customer["created"], params.get("created"))
    ]
    return page(params, found, "/v1/customers")


@routes("POST", "/v1/customers/{customer}/sources")
def create_source(ctx: Context, params: Params, customer: str) -> Object:
    """Add a card from a test token; the first one becomes the default."""
    held = live_customer(ctx, customer)
    card = new_card(ctx, required(params, "source"), customer)
    if held["default_source"] is None:
        held["default_source"] = card["id"]
        ctx.save(held)
    return card


@routes("GET", "/v1/customers/{customer}/sources")
def list_sources(ctx: Context, params: Params, customer: str) -> Object:
    """A customer's cards."""
    live_customer(ctx, customer)
    found = [card for card in ctx.all("card") if card["customer"] == customer]
    return page(params, found, f"/v1/customers/{customer}/sources")

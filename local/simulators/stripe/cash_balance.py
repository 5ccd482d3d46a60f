"""Cash balances: money that a customer wired, what it paid, and what waits. Which invoices it pays is in `wires.py`."""

from local.simulators.stripe.context import Context, Object, required, routes
from local.simulators.stripe.customers import live_customer
from local.simulators.stripe.errors import invalid, missing
from local.simulators.stripe.forms import Params
from local.simulators.stripe.query import page
from local.simulators.stripe.wires import (
    available,
    awaits_money,
    cash_of,
    choose_mode,
    is_manual,
    move_cash,
    pay_from_balance,
    reconcile,
)

_TRANSFERS = {
    "eur": "eu_bank_transfer",
    "gbp": "gb_bank_transfer",
    "jpy": "jp_bank_transfer",
    "usd": "us_bank_transfer",
}


def _balance(ctx: Context, customer: str) -> Object:
    held = cash_of(ctx, customer)
    return {
        "object": "cash_balance",
        "available": {currency: amount for currency, amount in held["available"].items() if amount} or None,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
        "settings": {
            "reconciliation_mode": held["mode"] or "automatic",
            "using_merchant_default": held["mode"] is None,
        },
    }


@routes("POST", "/v1/test_helpers/customers/{customer}/fund_cash_balance")
def fund_cash_balance(ctx: Context, params: Params, customer: str) -> Object:
    """A bank transfer arrives, as if the customer had made one, and pays what waits for it."""
    live_customer(ctx, customer)
    amount, currency = int(required(params, "amount")), str(required(params, "currency")).lower()
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    kind = _TRANSFERS.get(currency)
    if kind is None:
        raise invalid(f"Bank transfers in {currency} are not supported.", "currency")
    reference = params.get("reference")
    transfer: Object = {"reference": reference, "type": kind, kind: {}}
    moved = move_cash(ctx, customer, currency, amount, "funded", funded={"bank_transfer": transfer})
    reconcile(ctx, customer, currency, amount, reference or "")
    if is_manual(ctx, customer) or available(ctx, customer, currency) > 0:
        ctx.emit("cash_balance.funds_available", _balance(ctx, customer))
    return moved


@routes("POST", "/v1/payment_intents/{intent}/apply_customer_balance")
def apply_customer_balance(ctx: Context, params: Params, intent: str) -> Object:
    """Pay an invoice from the balance on demand: all of it, whatever `amount` says."""
    held = ctx.get("payment_intent", intent, "intent")
    invoice = ctx.find("invoice", held.get("_invoice"))
    if invoice is None or not awaits_money(ctx, invoice):
        message = "This PaymentIntent does not await funds from the customer balance."
        raise invalid(message, code="payment_intent_unexpected_state")
    if params.get("currency", invoice["currency"]) != invoice["currency"]:
        raise invalid("The currency does not match the currency of the PaymentIntent.", "currency")
    if available(ctx, invoice["customer"], invoice["currency"]) < invoice["amount_remaining"]:
        raise invalid("The customer does not have enough funds in their cash balance.", "amount")
    pay_from_balance(ctx, invoice)
    return held


@routes("GET", "/v1/customers/{customer}/cash_balance")
def retrieve_cash_balance(ctx: Context, params: Params, customer: str) -> Object:
    """What is available, by currency."""
    live_customer(ctx, customer)
    return _balance(ctx, customer)


@routes("POST", "/v1/customers/{customer}/cash_balance")
def update_cash_balance(ctx: Context, params: Params, customer: str) -> Object:
    """Say how money of the customer is applied."""
    live_customer(ctx, customer)
    if mode := (params.get("settings") or {}).get("reconciliation_mode"):
        choose_mode(ctx, customer, mode)
    return _balance(ctx, customer)


@routes("GET", "/v1/customers/{customer}/cash_balance_transactions")
def list_cash_balance_transactions(ctx: Context, params: Params, customer: str) -> Object:
    """Every movement of a balance."""
    live_customer(ctx, customer)
    found = [moved for moved in ctx.all("customer_cash_balance_transaction") if moved["customer"] == customer]
    return page(params, found, f"/v1/customers/{customer}/cash_balance_transactions")


@routes("GET", "/v1/customers/{customer}/cash_balance_transactions/{transaction}")
def retrieve_cash_balance_transaction(ctx: Context, params: Params, customer: str, transaction: str) -> Object:
    """One movement."""
    moved = ctx.get("customer_cash_balance_transaction", transaction, "transaction")
    if moved["customer"] != customer:
        raise missing("customer_cash_balance_transaction", transaction, "transaction")
    return moved

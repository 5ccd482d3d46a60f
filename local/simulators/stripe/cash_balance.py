"""Cash balances: money that a customer wired and that waits to be applied."""

from local.simulators.stripe.context import Context, Object, required, routes
from local.simulators.stripe.customers import live_customer
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params
from local.simulators.stripe.query import page

_TRANSFERS = {
    "eur": "eu_bank_transfer",
    "gbp": "gb_bank_transfer",
    "jpy": "jp_bank_transfer",
    "usd": "us_bank_transfer",
}


def _balance(ctx: Context, customer: str) -> Object:
    held = ctx.find("_cash", customer) or {"available": {}}
    return {
        "object": "cash_balance",
        "available": {currency: amount for currency, amount in held["available"].items() if amount} or None,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
        "settings": {"reconciliation_mode": "manual", "using_merchant_default": True},
    }


def move_cash(ctx: Context, customer: str, currency: str, amount: int, kind: str, **details: Object) -> Object:
    """Changes a balance by an amount, and says so."""
    held = ctx.find("_cash", customer) or {"available": {}}
    after = held["available"].get(currency, 0) + amount
    ctx.store.put("_cash", customer, {"available": {**held["available"], currency: after}})
    moved: Object = {
        "id": ctx.new_id("ccsbtxn_"),
        "object": "customer_cash_balance_transaction",
        "created": ctx.now,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "ending_balance": after,
        "livemode": False,
        "net_amount": amount,
        "type": kind,
        **details,
    }
    ctx.emit("customer_cash_balance_transaction.created", ctx.save(moved))
    return moved


@routes("POST", "/v1/test_helpers/customers/{customer}/fund_cash_balance")
def fund_cash_balance(ctx: Context, params: Params, customer: str) -> Object:
    """A bank transfer arrives, as if the customer had made one."""
    live_customer(ctx, customer)
    amount, currency = int(required(params, "amount")), str(required(params, "currency")).lower()
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    kind = _TRANSFERS.get(currency)
    if kind is None:
        raise invalid(f"Bank transfers in {currency} are not supported.", "currency")
    transfer: Object = {"reference": params.get("reference"), "type": kind, kind: {}}
    moved = move_cash(ctx, customer, currency, amount, "funded", funded={"bank_transfer": transfer})
    ctx.emit("cash_balance.funds_available", _balance(ctx, customer))
    return moved


@routes("GET", "/v1/customers/{customer}/cash_balance")
def retrieve_cash_balance(ctx: Context, params: Params, customer: str) -> Object:
    """What is available, by currency."""
    live_customer(ctx, customer)
    return _balance(ctx, customer)


@routes("GET", "/v1/customers/{customer}/cash_balance_transactions")
def list_cash_balance_transactions(ctx: Context, params: Params, customer: str) -> Object:
    """Every movement of a balance."""
    live_customer(ctx, customer)
    found = [moved for moved in ctx.all("customer_cash_balance_transaction") if moved["customer"] == customer]
    return page(params, found, f"/v1/customers/{customer}/cash_balance_transactions")

"""Billing credit: grants and the movements of the balance they make. Applying credit to invoices is not simulated."""

from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params, integer
from local.simulators.stripe.query import page


@routes("POST", "/v1/billing/credit_grants")
def create_credit_grant(ctx: Context, params: Params) -> Object:
    """Grant credit to a customer."""
    customer = ctx.get("customer", required(params, "customer"), "customer")
    amount = required(params, "amount")
    if amount.get("type") != "monetary":
        raise invalid("Only monetary amounts are supported.", "amount[type]")
    scope = (params.get("applicability_config") or {}).get("scope") or {}
    grant: Object = {
        "id": ctx.new_id("credgr_"),
        "object": "billing.credit_grant",
        "amount": {
            "monetary": {"currency": amount["monetary"]["currency"], "value": int(amount["monetary"]["value"])},
            "type": "monetary",
        },
        "applicability_config": {"scope": {"price_type": scope.get("price_type", "metered")}},
        "category": params.get("category", "promotional"),
        "created": ctx.now,
        "customer": customer["id"],
        "customer_account": None,
        "effective_at": integer(params.get("effective_at"), ctx.now),
        "expires_at": integer(params.get("expires_at")),
        "livemode": False,
        "metadata": merge_metadata({}, params.get("metadata")),
        "name": params.get("name"),
        "priority": integer(params.get("priority"), 50),
        "test_clock": ctx.clock_id,
        "updated": ctx.now,
        "voided_at": None,
    }
    ctx.emit("billing.credit_grant.created", ctx.save(grant))
    _move(ctx, grant, "credit", "credits_granted")
    return grant


def _move(ctx: Context, grant: Object, side: str, kind: str) -> None:
    moved: Object = {
        "id": ctx.new_id("cbtxn_"),
        "object": "billing.credit_balance_transaction",
        "created": ctx.now,
        "credit": None,
        "credit_grant": grant["id"],
        "debit": None,
        "effective_at": ctx.now,
        "livemode": False,
        "test_clock": ctx.clock_id,
        "type": side,
        side: {"amount": grant["amount"], "type": kind},
    }
    ctx.emit("billing.credit_balance_transaction.created", ctx.save(moved))


def _change(ctx: Context, id_: str, **changes: object) -> Object:
    grant = ctx.get("billing.credit_grant", id_)
    if grant["voided_at"] is not None:
        raise invalid("This credit grant is already voided.")
    before = snapshot(grant)
    grant |= {**changes, "updated": ctx.now}
    ctx.emit("billing.credit_grant.updated", ctx.save(grant), changed(before, grant))
    return grant


@routes("POST", "/v1/billing/credit_grants/{id}")
def update_credit_grant(ctx: Context, params: Params, id: str) -> Object:
    """Change expiry or metadata."""
    grant = ctx.get("billing.credit_grant", id)
    metadata = merge_metadata(grant["metadata"], params.get("metadata"))
    return _change(ctx, id, metadata=metadata, expires_at=integer(params.get("expires_at"), grant["expires_at"]))


@routes("POST", "/v1/billing/credit_grants/{id}/void")
def void_credit_grant(ctx: Context, params: Params, id: str) -> Object:
    """Take a grant back."""
    grant = _change(ctx, id, voided_at=ctx.now)
    _move(ctx, grant, "debit", "credits_voided")
    return grant


@routes("POST", "/v1/billing/credit_grants/{id}/expire")
def expire_credit_grant(ctx: Context, params: Params, id: str) -> Object:
    """End a grant now."""
    grant = _change(ctx, id, expires_at=ctx.now)
    _move(ctx, grant, "debit", "credits_expired")
    return grant


@routes("GET", "/v1/billing/credit_grants/{id}")
def retrieve_credit_grant(ctx: Context, params: Params, id: str) -> Object:
    """One grant."""
    return ctx.get("billing.credit_grant", id)


@routes("GET", "/v1/billing/credit_grants")
def list_credit_grants(ctx: Context, params: Params) -> Object:
    """Grants by customer."""
    found = [held for held in ctx.all("billing.credit_grant") if params.get("customer") in (None, held["customer"])]
    return page(params, found, "/v1/billing/credit_grants")


@routes("GET", "/v1/billing/credit_balance_transactions/{id}")
def retrieve_credit_balance_transaction(ctx: Context, params: Params, id: str) -> Object:
    """One movement."""
    return ctx.get("billing.credit_balance_transaction", id)


@routes("GET", "/v1/billing/credit_balance_transactions")
def list_credit_balance_transactions(ctx: Context, params: Params) -> Object:
    """Movements of a customer's balance."""
    customer = required(params, "customer")
    granted = {held["id"] for held in ctx.all("billing.credit_grant") if held["customer"] == customer}
    found = [held for held in ctx.all("billing.credit_balance_transaction") if held["credit_grant"] in granted]
    return page(params, found, "/v1/billing/credit_balance_transactions")

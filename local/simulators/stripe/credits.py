"""Billing credit: grants and the movements of the balance they make. How invoices take it is in `drawdown.py`."""

from collections.abc import Iterator
from functools import partial

from local.simulators.stripe import lifecycle
from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.drawdown import left_of, move_credit
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
    prices = [{"id": ctx.get("price", price["id"])["id"]} for price in scope.get("prices", [])]
    grant: Object = {
        "id": ctx.new_id("credgr_"),
        "object": "billing.credit_grant",
        "amount": {
            "monetary": {"currency": amount["monetary"]["currency"], "value": int(amount["monetary"]["value"])},
            "type": "monetary",
        },
        "applicability_config": {"scope": {"prices": prices} if prices else {"price_type": "metered"}},
        "category": params.get("category", "paid"),
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
    move_credit(ctx, grant, "credit", "credits_granted", grant["amount"]["monetary"]["value"])
    return grant


def _end(ctx: Context, grant: Object, kind: str) -> None:
    """What is left of a grant goes."""
    if (left := left_of(ctx, grant)) > 0:
        move_credit(ctx, grant, "debit", kind, left)


def _expired(grant: Object, ctx: Context) -> None:
    grant["_ended"] = True
    _end(ctx, ctx.save(grant), "credits_expired")


def _due(ctx: Context) -> Iterator[lifecycle.Due]:
    for grant in ctx.all("billing.credit_grant"):
        ends = grant["expires_at"] is not None and grant["voided_at"] is None and not grant.get("_ended")
        if ends and ctx.clock_of(grant) == ctx.clock_id:
            yield grant["expires_at"], partial(_expired, grant)


lifecycle.more_due.append(_due)


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
    _end(ctx, grant, "credits_voided")
    return grant


@routes("POST", "/v1/billing/credit_grants/{id}/expire")
def expire_credit_grant(ctx: Context, params: Params, id: str) -> Object:
    """End a grant now."""
    grant = _change(ctx, id, expires_at=ctx.now)
    _expired(grant, ctx)
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
    granted = {
        held["id"]
        for held in ctx.all("billing.credit_grant")
        if held["customer"] == customer and params.get("credit_grant") in (None, held["id"])
    }
    found = [held for held in ctx.all("billing.credit_balance_transaction") if held["credit_grant"] in granted]
    return page(params, found, "/v1/billing/credit_balance_transactions")

"""Payment intents: what confirming one does, with its charges, refunds and events."""

from collections.abc import Callable
from typing import Any

from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import StripeError, declined, invalid
from local.simulators.stripe.forms import Params, boolean, integer
from local.simulators.stripe.payment_methods import Behaviour, attach, behaviour_of, resolve_method
from local.simulators.stripe.query import in_range, page

_SETTLING_SECONDS = 4 * 86_400

on_success: list[Callable[[Context, Object], None]] = []
"""What follows when an intent's money moved."""
on_failure: list[Callable[[Context, Object], None]] = []
"""What follows when charging an intent was refused."""

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
"""States in which an intent waits for something to pay it."""


def new_intent(ctx: Context, amount: int, currency: str, customer: str | None, **more: Any) -> Object:
    """A payment intent that waits for a payment method."""
    id_ = ctx.new_id("pi_")
    intent: Object = {
        "id": id_,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{id_}_secret_{ctx.new_id('')}",
        "confirmation_method": "automatic",
        "created": ctx.now,
        "currency": currency,
        "customer": customer,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **more,
    }
    ctx.emit("payment_intent.created", ctx.save(intent))
    return intent


def confirm_intent(ctx: Context, intent: Object, method: Object, *, off_session: bool = False) -> StripeError | None:
    """Charge an intent with a payment method. Returns the decline, whose effects stay; None otherwise."""
    behaviour = behaviour_of(method)
    intent["payment_method"] = method["id"]
    if behaviour.type not in intent["payment_method_types"]:
        intent["payment_method_types"] = [*intent["payment_method_types"], behaviour.type]
    if behaviour.needs_action:
        return _needs_action(ctx, intent, method, off_session)
    if behaviour.decline:
        return _decline(ctx, intent, method, behaviour.decline)
    if behaviour.settles_later:
        intent |= {"status": "processing", "_settles_at": ctx.now + _SETTLING_SECONDS}
        ctx.emit("payment_intent.processing", ctx.save(intent))
        return None
    succeed(ctx, intent, method)
    return None


def succeed(ctx: Context, intent: Object, method: Object) -> None:
    """The money moved (or is held, for manual capture)."""
    manual = intent["capture_method"] == "manual"
    charge = _charge(ctx, intent, method, behaviour_of(method), None)
    charge |= {"captured": not manual, "amount_captured": 0 if manual else intent["amount"]}
    intent |= {"latest_charge": charge["id"], "last_payment_error": None, "next_action": None}
    intent.pop("_settles_at", None)
    if manual:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
    else:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    ctx.emit("charge.succeeded", ctx.save(charge))
    ctx.emit("payment_intent.amount_capturable_updated" if manual else "payment_intent.succeeded", ctx.save(intent))
    for follow in () if manual else on_success:
        follow(ctx, intent)


def _needs_action(ctx: Context, intent: Object, method: Object, off_session: bool) -> StripeError | None:
    if off_session:
        text = "Your card was declined. This transaction requires authentication."
        return _decline(ctx, intent, method, ("authentication_required", "authentication_required", text))
    intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {}}}
    ctx.emit("payment_intent.requires_action", ctx.save(intent))
    return None


def _decline(ctx: Context, intent: Object, method: Object, reason: tuple[str, str | None, str]) -> StripeError:
    code, decline_code, message = reason
    charge = _charge(ctx, intent, method, behaviour_of(method), reason)
    intent |= {"status": "requires_payment_method", "payment_method": None, "latest_charge": charge["id"]}
    error = declined(code, decline_code, message, charge=charge["id"])
    shown = {key: value for key, value in method.items() if not key.startswith("_")}
    kind = "payment_method" if method["object"] == "payment_method" else "source"
    intent["last_payment_error"] = {**error.error, kind: shown}
    ctx.emit("charge.failed", ctx.save(charge))
    ctx.emit("payment_intent.payment_failed", ctx.save(intent))
    error.error |= {kind: shown, "payment_intent": snapshot(intent)}
    for follow in on_failure:
        follow(ctx, intent)
    return error


def _charge(
    ctx: Context, intent: Object, method: Object, behaviour: Behaviour, reason: tuple[str, str | None, str] | None
) -> Object:
    details: Object = {"type": behaviour.type}
    if behaviour.type == "card":
        details["card"] = {
            "brand": behaviour.brand,
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "funding": "credit",
            "last4": behaviour.last4,
            "network": behaviour.brand,
        }
    elif behaviour.type == "customer_balance":
        details["customer_balance"] = {}
    blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    billing = {"address": blank, "email": None, "name": None, "phone": None, "tax_id": None}
    return {
        "id": ctx.new_id("ch_"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None if reason else ctx.new_id("txn_"),
        "billing_details": method.get("billing_details", billing),
        "calculated_statement_descriptor": "SIMULATOR",
        "captured": False,
        "created": ctx.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": reason[0] if reason else None,
        "failure_message": reason[2] if reason else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": {
            "network_status": "declined_by_network" if reason else "approved_by_network",
            "reason": (reason[1] or reason[0]) if reason else None,
            "risk_level": "normal",
            "seller_message": "The bank declined the payment." if reason else "Payment complete.",
            "type": "issuer_declined" if reason else "authorized",
        },
        "paid": reason is None,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": details,
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "failed" if reason else "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def _method_for(ctx: Context, intent: Object, params: Params) -> Object | None:
    sent = params.get("payment_method") or intent["payment_method"]
    if not sent:
        return None
    method = resolve_method(ctx, sent)
    if method["customer"] not in (None, intent["customer"]):
        message = "The provided PaymentMethod is attached to another customer."
        raise invalid(message, "payment_method", "payment_method_customer_mismatch")
    if intent["setup_future_usage"] and intent["customer"]:
        attach(ctx, method, intent["customer"])
    return method


@routes("POST", "/v1/payment_intents")
def create_payment_intent(ctx: Context, params: Params) -> Object:
    """Create an intent, and confirm it where asked to."""
    amount = int(required(params, "amount"))
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    if params.get("customer"):
        ctx.get("customer", params["customer"], "customer")
    chosen = {
        name: params[name]
        for name in ("description", "receipt_email", "setup_future_usage", "capture_method", "confirmation_method")
        if params.get(name)
    }
    intent = new_intent(
        ctx,
        amount,
        str(required(params, "currency")).lower(),
        params.get("customer"),
        metadata=merge_metadata({}, params.get("metadata")),
        shipping=params.get("shipping"),
        payment_method_types=params.get("payment_method_types", ["card"]),
        **chosen,
    )
    method = _method_for(ctx, intent, params)
    if method is not None:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    if boolean(params.get("confirm")):
        _confirm(ctx, intent, method, params)
    return ctx.save(intent)


def _confirm(ctx: Context, intent: Object, method: Object | None, params: Params) -> None:
    if method is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise invalid(message, code="payment_intent_unexpected_state")
    off_session = str(params.get("off_session", "false")) != "false"
    if error := confirm_intent(ctx, intent, method, off_session=off_session):
        raise error


@routes("POST", "/v1/payment_intents/{intent}/confirm")
def confirm_payment_intent(ctx: Context, params: Params, intent: str) -> Object:
    """Confirm with the intent's payment method or the one sent."""
    held = ctx.get("payment_intent", intent, "intent")
    if held["status"] not in CONFIRMABLE:
        raise _unexpected(held, "confirm")
    _confirm(ctx, held, _method_for(ctx, held, params), params)
    return held


@routes("POST", "/v1/payment_intents/{intent}/capture")
def capture_payment_intent(ctx: Context, params: Params, intent: str) -> Object:
    """Take the money that was held."""
    held = ctx.get("payment_intent", intent, "intent")
    if held["status"] != "requires_capture":
        raise _unexpected(held, "capture")
    amount = integer(params.get("amount_to_capture"), held["amount"])
    charge = ctx.get("charge", held["latest_charge"])
    charge |= {"captured": True, "amount_captured": amount}
    held |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    ctx.emit("charge.captured", ctx.save(charge))
    ctx.emit("payment_intent.succeeded", ctx.save(held))
    return held


@routes("POST", "/v1/payment_intents/{intent}/cancel")
def cancel_payment_intent(ctx: Context, params: Params, intent: str) -> Object:
    """Cancel an intent that has not taken money."""
    held = ctx.get("payment_intent", intent, "intent")
    if held["status"] not in (*CONFIRMABLE, "requires_capture"):
        raise _unexpected(held, "cancel")
    cancel_intent(ctx, held, params.get("cancellation_reason"))
    return held


def cancel_intent(ctx: Context, intent: Object, reason: str | None) -> None:
    """Mark an intent canceled."""
    intent |= {"status": "canceled", "canceled_at": ctx.now, "cancellation_reason": reason, "amount_capturable": 0}
    ctx.emit("payment_intent.canceled", ctx.save(intent))


def _unexpected(intent: Object, verb: str) -> StripeError:
    message = f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
    return invalid(message, code="payment_intent_unexpected_state")


@routes("POST", "/v1/payment_intents/{intent}")
def update_payment_intent(ctx: Context, params: Params, intent: str) -> Object:
    """Change amount, description, customer, method or metadata."""
    held = ctx.get("payment_intent", intent, "intent")
    for name in ("description", "receipt_email", "customer", "setup_future_usage"):
        if name in params:
            held[name] = params[name] or None
    held["amount"] = integer(params.get("amount"), held["amount"])
    held["metadata"] = merge_metadata(held["metadata"], params.get("metadata"))
    method = _method_for(ctx, held, params) if params.get("payment_method") else None
    if method is not None:
        held |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return ctx.save(held)


@routes("GET", "/v1/payment_intents/{intent}")
def retrieve_payment_intent(ctx: Context, params: Params, intent: str) -> Object:
    """One intent."""
    return ctx.get("payment_intent", intent, "intent")


@routes("GET", "/v1/payment_intents")
def list_payment_intents(ctx: Context, params: Params) -> Object:
    """Intents by customer and time."""
    return page(params, _of(ctx, "payment_intent", params), "/v1/payment_intents")


@routes("GET", "/v1/charges/{charge}")
def retrieve_charge(ctx: Context, params: Params, charge: str) -> Object:
    """One charge."""
    return ctx.get("charge", charge)


@routes("GET", "/v1/charges")
def list_charges(ctx: Context, params: Params) -> Object:
    """Charges by customer, intent and time."""
    return page(params, _of(ctx, "charge", params), "/v1/charges")


@routes("GET", "/v1/refunds")
def list_refunds(ctx: Context, params: Params) -> Object:
    """Refunds by charge, intent and time."""
    return page(params, _of(ctx, "refund", params), "/v1/refunds")


@routes("GET", "/v1/refunds/{refund}")
def retrieve_refund(ctx: Context, params: Params, refund: str) -> Object:
    """One refund."""
    return ctx.get("refund", refund)


def _of(ctx: Context, kind: str, params: Params) -> list[Object]:
    return [
        held
        for held in ctx.all(kind)
        if all(params.get(name) in (None, held.get(name)) for name in ("customer", "payment_intent", "charge"))
        and in_range(held["created"], params.get("created"))
    ]


@routes("POST", "/v1/refunds")
def create_refund(ctx: Context, params: Params) -> Object:
    """Give back a charge, whole or in part."""
    id_ = params.get("charge")
    if params.get("payment_intent"):
        id_ = ctx.get("payment_intent", params["payment_intent"], "payment_intent")["latest_charge"]
    charge = ctx.get("charge", id_ or required(params, "charge"), "charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = integer(params.get("amount"), left) or 0
    if not 0 < amount <= left:
        raise invalid(f"Charge {charge['id']} has already been refunded.", "charge", "charge_already_refunded")
    before = snapshot(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    refund: Object = {
        "id": ctx.new_id("re_"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": ctx.new_id("txn_"),
        "charge": charge["id"],
        "created": ctx.now,
        "currency": charge["currency"],
        "metadata": merge_metadata({}, params.get("metadata")),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "status": "succeeded",
    }
    ctx.emit("refund.created", ctx.save(refund))
    ctx.emit("charge.refunded", ctx.save(charge), changed(before, charge))
    return refund

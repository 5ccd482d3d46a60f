"""Payment methods and cards, with the behaviour of Stripe's test tokens and test card numbers."""

from dataclasses import dataclass

from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import StripeError, declined, invalid, missing
from local.simulators.stripe.forms import Params
from local.simulators.stripe.query import page

_REFUSED = "Your card was declined."


@dataclass(frozen=True)
class Behaviour:
    """What a test payment method does: how it looks, and what attaching and charging it answer."""

    brand: str = "visa"
    last4: str = "4242"
    type: str = "card"
    decline: tuple[str, str | None, str] | None = None
    attaches: bool = True
    needs_action: bool = False
    settles_later: bool = False
    dispute: str = ""


def _declining(code: str, decline_code: str | None, message: str, last4: str) -> Behaviour:
    return Behaviour(last4=last4, decline=(code, decline_code, message), attaches=False)


_BALANCE = "customer balance"
_GENERIC = ("card_declined", "generic_decline", _REFUSED)
BEHAVIOURS: dict[str, Behaviour] = {
    "visa": Behaviour(),
    "visa_debit": Behaviour(last4="5556"),
    "mastercard": Behaviour("mastercard", "4444"),
    "amex": Behaviour("amex", "8431"),
    "discover": Behaviour("discover", "9424"),
    "gb": Behaviour(last4="0008"),
    "br": Behaviour(last4="0007"),
    "de": Behaviour(last4="0030"),
    "us": Behaviour(),
    "createDispute": Behaviour(last4="0259", dispute="needs_response"),
    "createDisputeInquiry": Behaviour(last4="1976", dispute="warning_needs_response"),
    "bypassPending": Behaviour(last4="0077"),
    "chargeCustomerFail": Behaviour(last4="0341", decline=_GENERIC),
    "chargeDeclined": _declining(*_GENERIC, "0002"),
    "visa_chargeDeclined": _declining(*_GENERIC, "0002"),
    "visa_chargeDeclinedInsufficientFunds": _declining(
        "card_declined", "insufficient_funds", "Your card has insufficient funds.", "9995"
    ),
    "chargeDeclinedInsufficientFunds": _declining(
        "card_declined", "insufficient_funds", "Your card has insufficient funds.", "9995"
    ),
    "chargeDeclinedExpiredCard": _declining("expired_card", None, "Your card has expired.", "0069"),
    "chargeDeclinedIncorrectCvc": _declining("incorrect_cvc", None, "Your card's security code is incorrect.", "0127"),
    "chargeDeclinedProcessingError": _declining(
        "processing_error", None, "An error occurred while processing your card.", "0119"
    ),
    "chargeDeclinedFraudulent": _declining("card_declined", "fraudulent", _REFUSED, "0019"),
    "authenticationRequired": Behaviour(last4="3184", needs_action=True),
    "threeDSecure2Required": Behaviour(last4="3220", needs_action=True),
    "usBankAccount_success": Behaviour(type="us_bank_account", last4="6789", settles_later=True),
    "usBankAccount": Behaviour(type="us_bank_account", last4="6789", settles_later=True),
    _BALANCE: Behaviour(type="customer_balance"),
}
_NUMBERS = {
    "4242424242424242": "visa",
    "5555555555554444": "mastercard",
    "4000000000000341": "chargeCustomerFail",
    "4000000000000002": "chargeDeclined",
    "4000000000009995": "chargeDeclinedInsufficientFunds",
    "4000000000000069": "chargeDeclinedExpiredCard",
    "4000002760003184": "authenticationRequired",
    "4000000000003220": "threeDSecure2Required",
}


def behaviour_of(method: Object) -> Behaviour:
    """How a payment method or card behaves."""
    return BEHAVIOURS[method["_behaviour"]]


def _token_name(token: str) -> str | None:
    """The behaviour a test token stands for: `pm_card_visa`, `tok_visa`, `pm_usBankAccount_success` …"""
    for prefix in ("pm_card_", "tok_", "pm_"):
        if token.startswith(prefix) and token.removeprefix(prefix) in BEHAVIOURS:
            return token.removeprefix(prefix)
    return None


def _new_method(ctx: Context, name: str, billing_details: Params | None = None) -> Object:
    behaviour = BEHAVIOURS[name]
    details = billing_details or {}
    method: Object = {
        "id": ctx.new_id("pm_"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": {
                part: details.get("address", {}).get(part)
                for part in ("city", "country", "line1", "line2", "postal_code", "state")
            },
            "email": details.get("email"),
            "name": details.get("name"),
            "phone": details.get("phone"),
            "tax_id": None,
        },
        "created": ctx.now,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": behaviour.type,
        "_behaviour": name,
    }
    if behaviour.type == "card":
        method["card"] = {
            "brand": behaviour.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": behaviour.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": f"simulated{behaviour.last4}",
            "funding": "credit",
            "generated_from": None,
            "last4": behaviour.last4,
            "networks": {"available": [behaviour.brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    elif behaviour.type == "customer_balance":
        method["customer_balance"] = {}
    else:
        method["us_bank_account"] = {
            "account_holder_type": "company",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "fingerprint": f"simulated{behaviour.last4}",
            "last4": behaviour.last4,
            "routing_number": "110000000",
        }
    return ctx.save(method)


def balance_method(ctx: Context) -> Object:
    """What a payment out of a customer's cash balance is made with; nobody can attach it."""
    return _new_method(ctx, _BALANCE)


def resolve_method(ctx: Context, id_: str, param: str = "payment_method") -> Object:
    """A payment method by id; a test token makes a fresh one."""
    if (found := ctx.find("payment_method", id_) or ctx.find("card", id_)) is not None:
        return found
    if id_.startswith("pm_") and (name := _token_name(id_)):
        return _new_method(ctx, name)
    raise missing("PaymentMethod", id_, param)


def attach(ctx: Context, method: Object, customer: str) -> Object:
    """Tie a payment method to a customer; cards that refuse this are declined."""
    if method["customer"] == customer:
        return method
    if method["customer"] is not None:
        message = "The payment method you provided has already been attached to a customer."
        raise invalid(message, "payment_method", "payment_method_unexpected_state")
    behaviour = behaviour_of(method)
    if behaviour.type == "customer_balance":
        raise invalid("Payment methods of type customer_balance cannot be attached to a customer.", "payment_method")
    if behaviour.decline and not behaviour.attaches:
        raise declined(*behaviour.decline)
    method["customer"] = customer
    ctx.emit("payment_method.attached", ctx.save(method))
    return method


@routes("POST", "/v1/payment_methods")
def create_payment_method(ctx: Context, params: Params) -> Object:
    """Create a card or a US bank account from a token or number."""
    type_ = required(params, "type")
    if type_ == "us_bank_account":
        return _new_method(ctx, "usBankAccount", params.get("billing_details"))
    if type_ != "card":
        raise invalid(f"This simulator has no payment method of type {type_}.", "type")
    card = required(params, "card")
    name = _token_name(card["token"]) if "token" in card else _NUMBERS.get(card.get("number", ""))
    if name is None:
        raise StripeError(402, "card_error", "Your card number is incorrect.", code="incorrect_number", param="number")
    method = _new_method(ctx, name, params.get("billing_details"))
    method["metadata"] = merge_metadata({}, params.get("metadata"))
    return ctx.save(method)


@routes("POST", "/v1/payment_methods/{payment_method}/attach")
def attach_payment_method(ctx: Context, params: Params, payment_method: str) -> Object:
    """Attach to a customer."""
    customer = ctx.get("customer", required(params, "customer"), "customer")
    return attach(ctx, resolve_method(ctx, payment_method), customer["id"])


@routes("POST", "/v1/payment_methods/{payment_method}/detach")
def detach_payment_method(ctx: Context, params: Params, payment_method: str) -> Object:
    """Detach from its customer, who no longer defaults to it."""
    method = ctx.get("payment_method", payment_method, "payment_method")
    customer = ctx.find("customer", method["customer"])
    if customer is None or customer.get("deleted"):
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise invalid(message, "payment_method", "payment_method_unexpected_state")
    if customer["invoice_settings"]["default_payment_method"] == payment_method:
        customer["invoice_settings"]["default_payment_method"] = None
        ctx.save(customer)
    method["customer"] = None
    ctx.emit("payment_method.detached", ctx.save(method), {"customer": customer["id"]})
    return method


@routes("POST", "/v1/payment_methods/{payment_method}")
def update_payment_method(ctx: Context, params: Params, payment_method: str) -> Object:
    """Change billing details or metadata."""
    method = ctx.get("payment_method", payment_method, "payment_method")
    before = snapshot(method)
    method["metadata"] = merge_metadata(method["metadata"], params.get("metadata"))
    method["billing_details"] |= params.get("billing_details", {})
    ctx.emit("payment_method.updated", ctx.save(method), changed(before, method))
    return method


@routes("GET", "/v1/payment_methods/{payment_method}")
def retrieve_payment_method(ctx: Context, params: Params, payment_method: str) -> Object:
    """One payment method."""
    return ctx.get("payment_method", payment_method, "payment_method")


@routes("GET", "/v1/payment_methods")
def list_payment_methods(ctx: Context, params: Params) -> Object:
    """Payment methods by customer and type."""
    return page(params, _methods(ctx, params, params.get("customer")), "/v1/payment_methods")


@routes("GET", "/v1/customers/{customer}/payment_methods")
def list_customer_payment_methods(ctx: Context, params: Params, customer: str) -> Object:
    """A customer's payment methods."""
    ctx.get("customer", customer, "customer")
    return page(params, _methods(ctx, params, customer), f"/v1/customers/{customer}/payment_methods")


def _methods(ctx: Context, params: Params, customer: str | None) -> list[Object]:
    return [
        method
        for method in ctx.all("payment_method")
        if (customer is None or method["customer"] == customer) and params.get("type") in (None, method["type"])
    ]


def new_card(ctx: Context, token: str, customer: str) -> Object:
    """A card source from a test token: the older way to pay that the customer endpoints still take."""
    name = _token_name(token)
    if name is None or not token.startswith("tok_"):
        raise missing("token", token, "source")
    behaviour = BEHAVIOURS[name]
    if behaviour.decline and not behaviour.attaches:
        raise declined(*behaviour.decline)
    card: Object = {
        "id": ctx.new_id("card_"),
        "object": "card",
        "brand": behaviour.brand.title(),
        "country": "US",
        "customer": customer,
        "cvc_check": "pass",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"simulated{behaviour.last4}",
        "funding": "credit",
        "last4": behaviour.last4,
        "metadata": {},
        "name": None,
        "_behaviour": name,
    }
    ctx.emit("customer.source.created", ctx.save(card))
    return card

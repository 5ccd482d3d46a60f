"""Setup intents: keep a payment method for later without charging it."""

from local.simulators.stripe.context import Context, Object, merge_metadata, routes
from local.simulators.stripe.errors import declined, invalid
from local.simulators.stripe.forms import Params, boolean
from local.simulators.stripe.payment_methods import attach, behaviour_of, resolve_method
from local.simulators.stripe.query import page


@routes("POST", "/v1/setup_intents")
def create_setup_intent(ctx: Context, params: Params) -> Object:
    """Create, and confirm where asked to."""
    if params.get("customer"):
        ctx.get("customer", params["customer"], "customer")
    id_ = ctx.new_id("seti_")
    intent: Object = {
        "id": id_,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{id_}_secret_{ctx.new_id('')}",
        "created": ctx.now,
        "customer": params.get("customer"),
        "description": params.get("description"),
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": merge_metadata({}, params.get("metadata")),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {},
        "payment_method_types": params.get("payment_method_types", ["card"]),
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": params.get("usage", "off_session"),
    }
    ctx.emit("setup_intent.created", ctx.save(intent))
    if params.get("payment_method"):
        method = resolve_method(ctx, params["payment_method"])
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    if boolean(params.get("confirm")):
        _confirm(ctx, intent)
    return ctx.save(intent)


def _confirm(ctx: Context, intent: Object) -> None:
    if not intent["payment_method"]:
        raise invalid("You cannot confirm this SetupIntent because it's missing a payment method.")
    method = resolve_method(ctx, intent["payment_method"])
    behaviour = behaviour_of(method)
    if behaviour.needs_action:
        intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {}}}
        ctx.emit("setup_intent.requires_action", ctx.save(intent))
    elif behaviour.decline and not behaviour.attaches:
        error = declined(*behaviour.decline)
        intent |= {"status": "requires_payment_method", "last_setup_error": dict(error.error)}
        ctx.emit("setup_intent.setup_failed", ctx.save(intent))
        raise error
    else:
        if intent["customer"]:
            attach(ctx, method, intent["customer"])
        intent |= {"status": "succeeded", "last_setup_error": None, "next_action": None}
        ctx.emit("setup_intent.succeeded", ctx.save(intent))


@routes("POST", "/v1/setup_intents/{intent}/confirm")
def confirm_setup_intent(ctx: Context, params: Params, intent: str) -> Object:
    """Confirm with the intent's payment method or the one sent."""
    held = ctx.get("setup_intent", intent, "intent")
    if params.get("payment_method"):
        held["payment_method"] = resolve_method(ctx, params["payment_method"])["id"]
    _confirm(ctx, held)
    return held


@routes("POST", "/v1/setup_intents/{intent}/cancel")
def cancel_setup_intent(ctx: Context, params: Params, intent: str) -> Object:
    """Cancel an intent that has not succeeded."""
    held = ctx.get("setup_intent", intent, "intent")
    if held["status"] in ("succeeded", "canceled"):
        raise invalid(f"You cannot cancel this SetupIntent because it has a status of {held['status']}.")
    held |= {"status": "canceled", "cancellation_reason": params.get("cancellation_reason")}
    ctx.emit("setup_intent.canceled", ctx.save(held))
    return held


@routes("GET", "/v1/setup_intents/{intent}")
def retrieve_setup_intent(ctx: Context, params: Params, intent: str) -> Object:
    """One setup intent."""
    return ctx.get("setup_intent", intent, "intent")


@routes("GET", "/v1/setup_intents")
def list_setup_intents(ctx: Context, params: Params) -> Object:
    """Setup intents by customer and payment method."""
    found = [
        held
        for held in ctx.all("setup_intent")
        if all(params.get(name) in (None, held[name]) for name in ("customer", "payment_method"))
    ]
    return page(params, found, "/v1/setup_intents")

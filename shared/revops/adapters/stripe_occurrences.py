"""What Stripe's events say happened: the entries of the activity log to be (STR-3).

An occurrence's `fact` is the same for every event about the same thing, whatever the event's id: for what happens once
to an object its id and the kind, for what can happen again also the state the event carries.
"""

from collections.abc import Mapping

from revops.adapters.stripe_arrangements import ARRANGEMENTS, WITHOUT_ID, Tell, told
from revops.adapters.stripe_fields import (
    Json,
    digest,
    first_of,
    for_amount,
    id_of,
    money_of,
    object_of,
    plan_of,
    text_of,
    time_of,
)
from revops.billing.model import ActivityMetadata, ActivityType, PaymentType
from revops.billing.ports import Occurrence
from revops.kernel import Money


def occurrence_of(event_type: str, object_: Json, previous: Json) -> Occurrence | None:
    """What the log tells of an event; None for what it does not tell."""
    tell = _TOLD.get(event_type)
    if tell is None or not (text_of(object_.get("id")) or event_type in WITHOUT_ID):
        return None
    return tell(event_type, object_, previous)


def _intent(event_type: str, intent: Json, _: Json) -> Occurrence:
    error = object_of(intent.get("last_payment_error"))
    metadata = object_of(intent.get("metadata"))
    failed = event_type == "payment_intent.payment_failed"
    amount = money_of(intent, "amount") if failed else money_of(intent, "amount_received", "amount")
    charge = id_of(error.get("charge")) if failed else ""
    charge = charge or id_of(intent.get("latest_charge"))
    facts = ActivityMetadata(
        event_type=event_type,
        payment_intent_id=intent["id"],
        charge_id=charge or None,
        reference=first_of(metadata, "reference", "booking_id", "bookingId"),
        asset_id=_asset(metadata),
        amount=amount,
        payment_type=_payment_type(metadata),
        error_code=(text_of(error.get("decline_code")) or text_of(error.get("code")) or None) if failed else None,
        error_message=(text_of(error.get("message")) or None) if failed else None,
    )
    attempt = (charge or digest(intent)) if failed else ""
    return _payment(failed, facts, intent["id"], attempt)


def _charge(event_type: str, charge: Json, _: Json) -> Occurrence | None:
    """Charges are told by their payment intent; only one without it speaks for itself."""
    if id_of(charge.get("payment_intent")):
        return None
    failed = event_type == "charge.failed"
    facts = ActivityMetadata(
        event_type=event_type,
        charge_id=charge["id"],
        amount=money_of(charge, "amount"),
        asset_id=_asset(object_of(charge.get("metadata"))),
        payment_type=_payment_type(object_of(charge.get("metadata"))),
        error_code=text_of(charge.get("failure_code")) or None,
        error_message=text_of(charge.get("failure_message")) or None,
    )
    return _payment(failed, facts, charge["id"], "")


def _invoice(event_type: str, invoice: Json, _: Json) -> Occurrence:
    failed = event_type in ("invoice.payment_failed", "invoice.overdue")
    overdue = event_type == "invoice.overdue"
    details = object_of(object_of(invoice.get("parent")).get("subscription_details"))
    facts = ActivityMetadata(
        event_type=event_type if failed else "invoice.paid",
        invoice_id=invoice["id"],
        amount=money_of(invoice, "amount_remaining", "amount_due") if failed else money_of(invoice, "amount_paid"),
        subscription_id=id_of(details.get("subscription")) or id_of(invoice.get("subscription")) or None,
        asset_id=_asset(object_of(invoice.get("metadata"))),
        payment_type=_payment_type(object_of(invoice.get("metadata"))),
        error_message="not paid by its due date" if overdue else None,
    )
    if failed:
        attempt = "overdue" if overdue else str(invoice.get("attempt_count", invoice.get("thin", "")))
        return _payment(failed, facts, invoice["id"], attempt)
    if invoice.get("billing_reason") == "subscription_cycle":
        text = f"Subscription {facts.subscription_id} was renewed{for_amount(facts.amount)}"
        return told(ActivityType.SUBSCRIPTION_RENEWED, invoice["id"], "", text, facts)
    return _payment(failed, facts, invoice["id"], "")


def _payment(failed: bool, facts: ActivityMetadata, cause: str, attempt: str) -> Occurrence:
    kind = f"{facts.payment_type.value.capitalize()} payment" if facts.payment_type else "Payment"
    what = f"{kind}{for_amount(facts.amount)} for {facts.invoice_id or facts.payment_intent_id or facts.charge_id}"
    if failed:
        why = f": {facts.error_message}" if facts.error_message else ""
        return told(ActivityType.PAYMENT_FAILURE, cause, attempt, f"{what} failed{why}", facts)
    return told(ActivityType.PAYMENT_SUCCESS, cause, attempt, f"{what} succeeded", facts)


def _subscription(event_type: str, subscription: Json, previous: Json) -> Occurrence:
    kind = _SUBSCRIPTION[event_type]
    ends = time_of(subscription.get("cancel_at"))
    announced = previous.get("cancel_at_period_end") is False or ("cancel_at" in previous and not previous["cancel_at"])
    if kind is ActivityType.SUBSCRIPTION_UPDATED and announced and (ends or subscription.get("cancel_at_period_end")):
        kind = ActivityType.SUBSCRIPTION_CANCELLATION_SCHEDULED
    cancelled = kind is ActivityType.SUBSCRIPTION_CANCELLED
    plan_id, plan_name = plan_of(subscription)
    reason = object_of(subscription.get("cancellation_details"))
    facts = ActivityMetadata(
        event_type=event_type,
        subscription_id=subscription["id"],
        plan_id=plan_id or None,
        plan_name=plan_name or None,
        amount=_recurring(subscription) if cancelled else None,
        immediate=not _announced(subscription) if cancelled and plan_id else None,
        cancelled_at=time_of(subscription.get("canceled_at")) if cancelled else None,
        cancel_at=ends,
        cancellation_reason=text_of(reason.get("feedback")) or text_of(reason.get("reason")) or None,
    )
    once = kind in (ActivityType.SUBSCRIPTION_CREATED, ActivityType.SUBSCRIPTION_CANCELLED)
    plan = f" ({plan_name})" if plan_name else ""
    words = kind.value.removeprefix("subscription_").replace("_", " ")
    text = f"Subscription {subscription['id']}{plan}: {words}"
    return told(kind, subscription["id"], "" if once else digest([subscription, previous]), text, facts)


def _announced(subscription: Json) -> bool:
    """Whether one that ended did so as it was announced."""
    at, ended = subscription.get("cancel_at"), subscription.get("ended_at")
    return bool(subscription.get("cancel_at_period_end") or (at and ended and at <= ended))


def _other(event_type: str, object_: Json, _: Json) -> Occurrence:
    kind = _OTHER[event_type]
    of_invoice = object_.get("object") == "invoice"
    facts = ActivityMetadata(
        event_type=event_type,
        invoice_id=object_["id"] if of_invoice else None,
        charge_id=id_of(object_.get("charge")) or (object_["id"] if object_.get("object") == "charge" else None),
        payment_intent_id=object_["id"]
        if object_.get("object") == "payment_intent"
        else id_of(object_.get("payment_intent")) or None,
        amount=money_of(object_, "amount_refunded", "amount_remaining", "amount"),
    )
    text = f"{kind.value.replace('_', ' ').capitalize()}{for_amount(facts.amount)}: {object_['id']}"
    once = kind in (ActivityType.CUSTOMER_DELETED, ActivityType.INVOICE_VOIDED)
    return told(kind, object_["id"], "" if once else digest(object_), text, facts)


_SUBSCRIPTION: Mapping[str, ActivityType] = {
    "customer.subscription.created": ActivityType.SUBSCRIPTION_CREATED,
    "customer.subscription.updated": ActivityType.SUBSCRIPTION_UPDATED,
    "customer.subscription.deleted": ActivityType.SUBSCRIPTION_CANCELLED,
    "customer.subscription.paused": ActivityType.SUBSCRIPTION_PAUSED,
    "customer.subscription.resumed": ActivityType.SUBSCRIPTION_RESUMED,
    "customer.subscription.trial_will_end": ActivityType.TRIAL_ENDING,
    "customer.subscription.pending_update_applied": ActivityType.SUBSCRIPTION_UPDATED,
    "customer.subscription.pending_update_expired": ActivityType.SUBSCRIPTION_CHANGE_LAPSED,
}
_OTHER: Mapping[str, ActivityType] = {
    "invoice.voided": ActivityType.INVOICE_VOIDED,
    "invoice.marked_uncollectible": ActivityType.INVOICE_UNCOLLECTIBLE,
    "invoice.payment_action_required": ActivityType.PAYMENT_ACTION_REQUIRED,
    "charge.refunded": ActivityType.PAYMENT_REFUNDED,
    "customer.deleted": ActivityType.CUSTOMER_DELETED,
}
_TOLD: Mapping[str, Tell] = {
    "payment_intent.succeeded": _intent,
    "payment_intent.payment_failed": _intent,
    "charge.succeeded": _charge,
    "charge.failed": _charge,
    "invoice.paid": _invoice,
    "invoice.payment_succeeded": _invoice,
    "invoice.payment_failed": _invoice,
    "invoice.overdue": _invoice,
    **dict.fromkeys(_SUBSCRIPTION, _subscription),
    **dict.fromkeys(_OTHER, _other),
    **ARRANGEMENTS,
}


def _recurring(subscription: Json) -> Money | None:
    """What a subscription comes to per period, without usage; None where its prices are not all plain amounts."""
    items = object_of(subscription.get("items")).get("data")
    currency, total = text_of(subscription.get("currency")), 0
    for item in items if isinstance(items, list) else ():
        price, quantity = object_of(object_of(item).get("price")), object_of(item).get("quantity", 0)
        if object_of(price.get("recurring")).get("usage_type") == "metered":
            continue
        unit = price.get("unit_amount")
        if not isinstance(unit, int) or not isinstance(quantity, int):
            return None
        total += unit * quantity
    return money_of({"currency": currency, "amount": total}, "amount") if total else None


def _payment_type(metadata: Json) -> PaymentType | None:
    text = first_of(metadata, "payment_type", "paymentType")
    return PaymentType(text) if text in frozenset(PaymentType) else None


def _asset(metadata: Json) -> str | None:
    """The asset that is paid for (STR-4), under the names companies write it by."""
    return first_of(metadata, "asset_id", "assetId", "property_id", "propertyId")

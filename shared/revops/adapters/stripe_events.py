"""Reads the bodies of Stripe's webhooks: snapshot events (v1) and thin events (v2), of any type and API version.

Sources: https://docs.stripe.com/api/events/object, https://docs.stripe.com/api/v2/core/events/object,
https://docs.stripe.com/webhooks#handle-duplicate-events (two events can be about one thing: told apart by object and
type, never by the event's id).
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from revops.billing.model import ActivityMetadata, ActivityType, PaymentType
from revops.billing.ports import Occurrence, StripeEvent
from revops.kernel import Invalid, JsonError, Money, canonical_json, parse_json, parse_time

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,255}", re.ASCII)
_MAX_TEXT = 500

type Json = Mapping[str, Any]


def read_stripe_event(body: str | bytes) -> StripeEvent:
    """A `StripeEvent`. Raises Invalid for anything else; an unknown type is no reason to."""
    try:
        event = parse_json(body)
    except JsonError as error:
        raise Invalid.field("body", "json", str(error), "a Stripe event") from error
    if not isinstance(event, dict) or event.get("object") not in ("event", "v2.core.event"):
        raise _not_an_event("object")
    for name in ("id", "type"):
        if not isinstance(event.get(name), str) or not _NAME.fullmatch(event[name]):
            raise _not_an_event(name)
    if not isinstance(event.get("livemode"), bool):
        raise _not_an_event("livemode")
    return _snapshot(event) if event["object"] == "event" else _thin(event)


def _snapshot(event: Json) -> StripeEvent:
    data = event.get("data")
    object_ = data.get("object") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(object_, dict):
        raise _not_an_event("data.object")
    created = event.get("created")
    if isinstance(created, bool) or not isinstance(created, int) or not 0 <= created < 10**11:
        raise _not_an_event("created")
    previous = data.get("previous_attributes")
    return StripeEvent(
        id=event["id"],
        type=event["type"],
        created=datetime.fromtimestamp(created, UTC),
        livemode=event["livemode"],
        account=_text(event.get("account")),
        object_type=_text(object_.get("object")),
        object_id=_text(object_.get("id")),
        payer=_payer(object_),
        occurrence=_occurrence(event["type"], object_, previous if isinstance(previous, dict) else {}),
    )


def _thin(event: Json) -> StripeEvent:
    try:
        created = parse_time(_text(event.get("created")))
    except ValueError as error:
        raise _not_an_event("created") from error
    related = event.get("related_object")
    related = related if isinstance(related, dict) else {}
    object_type = _text(related.get("type")).removeprefix("v1.")
    object_id = _text(related.get("id"))
    account = _text(event.get("context")).rpartition("/")[2]
    bare = {"id": object_id, "object": object_type, "thin": event["id"]}
    return StripeEvent(
        id=event["id"],
        type=event["type"],
        created=created,
        livemode=event["livemode"],
        account=account if account.startswith("acct_") else "",
        object_type=object_type,
        object_id=object_id,
        payer=object_id if object_type == "customer" else "",
        occurrence=_occurrence(event["type"].removeprefix("v1."), bare, {}) if object_id else None,
    )


def _payer(object_: Json) -> str:
    """The Stripe customer an object carries, as an id or expanded."""
    if object_.get("object") == "customer":
        return _text(object_.get("id"))
    customer = object_.get("customer")
    return _text(customer.get("id") if isinstance(customer, dict) else customer)


# -- what happened ---------------------------------------------------------------------------------------------------


def _occurrence(event_type: str, object_: Json, previous: Json) -> Occurrence | None:
    tell = _TOLD.get(event_type)
    return tell(event_type, object_, previous) if tell and _text(object_.get("id")) else None


def _intent(event_type: str, intent: Json, _: Json) -> Occurrence:
    error = _object(intent.get("last_payment_error"))
    metadata = _object(intent.get("metadata"))
    failed = event_type == "payment_intent.payment_failed"
    amount = _money(intent, "amount") if failed else _money(intent, "amount_received", "amount")
    charge = _id(error.get("charge")) if failed else ""
    charge = charge or _id(intent.get("latest_charge"))
    facts = ActivityMetadata(
        event_type=event_type,
        payment_intent_id=intent["id"],
        charge_id=charge or None,
        reference=_first(metadata, "reference", "booking_id", "bookingId"),
        amount=amount,
        payment_type=_payment_type(metadata),
        error_code=(_text(error.get("decline_code")) or _text(error.get("code")) or None) if failed else None,
        error_message=(_text(error.get("message")) or None) if failed else None,
    )
    attempt = (charge or _digest(intent)) if failed else ""
    return _payment(failed, facts, intent["id"], attempt)


def _charge(event_type: str, charge: Json, _: Json) -> Occurrence | None:
    """Charges are told by their payment intent; only one without it speaks for itself."""
    if _id(charge.get("payment_intent")):
        return None
    failed = event_type == "charge.failed"
    facts = ActivityMetadata(
        event_type=event_type,
        charge_id=charge["id"],
        amount=_money(charge, "amount"),
        payment_type=_payment_type(_object(charge.get("metadata"))),
        error_code=_text(charge.get("failure_code")) or None,
        error_message=_text(charge.get("failure_message")) or None,
    )
    return _payment(failed, facts, charge["id"], "")


def _invoice(event_type: str, invoice: Json, _: Json) -> Occurrence:
    failed = event_type in ("invoice.payment_failed", "invoice.overdue")
    overdue = event_type == "invoice.overdue"
    details = _object(_object(invoice.get("parent")).get("subscription_details"))
    facts = ActivityMetadata(
        event_type=event_type if failed else "invoice.paid",
        invoice_id=invoice["id"],
        amount=_money(invoice, "amount_remaining", "amount_due") if failed else _money(invoice, "amount_paid"),
        subscription_id=_id(details.get("subscription")) or _id(invoice.get("subscription")) or None,
        payment_type=_payment_type(_object(invoice.get("metadata"))),
        error_message="not paid by its due date" if overdue else None,
    )
    if failed:
        attempt = "overdue" if overdue else str(invoice.get("attempt_count", invoice.get("thin", "")))
        return _payment(failed, facts, invoice["id"], attempt)
    if invoice.get("billing_reason") == "subscription_cycle":
        text = f"Subscription {facts.subscription_id} was renewed{_for(facts.amount)}"
        return _told(ActivityType.SUBSCRIPTION_RENEWED, invoice["id"], "", text, facts)
    return _payment(failed, facts, invoice["id"], "")


def _payment(failed: bool, facts: ActivityMetadata, cause: str, attempt: str) -> Occurrence:
    kind = f"{facts.payment_type.value.capitalize()} payment" if facts.payment_type else "Payment"
    what = f"{kind}{_for(facts.amount)} for {facts.invoice_id or facts.payment_intent_id or facts.charge_id}"
    if failed:
        why = f": {facts.error_message}" if facts.error_message else ""
        return _told(ActivityType.PAYMENT_FAILURE, cause, attempt, f"{what} failed{why}", facts)
    return _told(ActivityType.PAYMENT_SUCCESS, cause, attempt, f"{what} succeeded", facts)


def _subscription(event_type: str, subscription: Json, previous: Json) -> Occurrence:
    kind = _SUBSCRIPTION[event_type]
    ends = _time(subscription.get("cancel_at"))
    announced = previous.get("cancel_at_period_end") is False or ("cancel_at" in previous and not previous["cancel_at"])
    if kind is ActivityType.SUBSCRIPTION_UPDATED and announced and (ends or subscription.get("cancel_at_period_end")):
        kind = ActivityType.SUBSCRIPTION_CANCELLATION_SCHEDULED
    cancelled = kind is ActivityType.SUBSCRIPTION_CANCELLED
    plan_id, plan_name = plan_of(subscription)
    reason = _object(subscription.get("cancellation_details"))
    facts = ActivityMetadata(
        event_type=event_type,
        subscription_id=subscription["id"],
        plan_id=plan_id or None,
        plan_name=plan_name or None,
        immediate=not subscription.get("cancel_at_period_end", False) if cancelled and plan_id else None,
        cancelled_at=_time(subscription.get("canceled_at")) if cancelled else None,
        cancel_at=ends,
        cancellation_reason=_text(reason.get("feedback")) or _text(reason.get("reason")) or None,
    )
    once = kind in (ActivityType.SUBSCRIPTION_CREATED, ActivityType.SUBSCRIPTION_CANCELLED)
    plan = f" ({plan_name})" if plan_name else ""
    words = kind.value.removeprefix("subscription_").replace("_", " ")
    text = f"Subscription {subscription['id']}{plan}: {words}"
    return _told(kind, subscription["id"], "" if once else _digest([subscription, previous]), text, facts)


def _other(event_type: str, object_: Json, _: Json) -> Occurrence:
    kind = _OTHER[event_type]
    of_invoice = object_.get("object") == "invoice"
    facts = ActivityMetadata(
        event_type=event_type,
        invoice_id=object_["id"] if of_invoice else None,
        charge_id=_id(object_.get("charge")) or (object_["id"] if object_.get("object") == "charge" else None),
        payment_intent_id=object_["id"]
        if object_.get("object") == "payment_intent"
        else _id(object_.get("payment_intent")) or None,
        amount=_money(object_, "amount_refunded", "amount_remaining", "amount"),
    )
    text = f"{kind.value.replace('_', ' ').capitalize()}{_for(facts.amount)}: {object_['id']}"
    once = kind in (ActivityType.CUSTOMER_DELETED, ActivityType.INVOICE_VOIDED, ActivityType.PAYMENT_DISPUTED)
    return _told(kind, object_["id"], "" if once else _digest(object_), text, facts)


def _told(kind: ActivityType, cause: str, discriminator: str, details: str, facts: ActivityMetadata) -> Occurrence:
    return Occurrence(kind, _digest([kind.value, cause, discriminator]), cause, details[:_MAX_TEXT], facts)


_SUBSCRIPTION: Mapping[str, ActivityType] = {
    "customer.subscription.created": ActivityType.SUBSCRIPTION_CREATED,
    "customer.subscription.updated": ActivityType.SUBSCRIPTION_UPDATED,
    "customer.subscription.deleted": ActivityType.SUBSCRIPTION_CANCELLED,
    "customer.subscription.paused": ActivityType.SUBSCRIPTION_PAUSED,
    "customer.subscription.resumed": ActivityType.SUBSCRIPTION_RESUMED,
    "customer.subscription.trial_will_end": ActivityType.TRIAL_ENDING,
}
_OTHER: Mapping[str, ActivityType] = {
    "invoice.voided": ActivityType.INVOICE_VOIDED,
    "invoice.marked_uncollectible": ActivityType.INVOICE_UNCOLLECTIBLE,
    "invoice.payment_action_required": ActivityType.PAYMENT_ACTION_REQUIRED,
    "charge.refunded": ActivityType.PAYMENT_REFUNDED,
    "charge.dispute.created": ActivityType.PAYMENT_DISPUTED,
    "customer.deleted": ActivityType.CUSTOMER_DELETED,
}
_TOLD: Mapping[str, Callable[[str, Json, Json], Occurrence | None]] = {
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
}


# -- reading fields --------------------------------------------------------------------------------------------------


def plan_of(subscription: Json) -> tuple[str, str]:
    """Price id and plan name of a subscription's first item: the name its maker gave it, else the price's."""
    items = _object(subscription.get("items")).get("data")
    first = _object(items[0]) if isinstance(items, list) and items else {}
    price = _object(first.get("price")) or _object(first.get("plan")) or _object(subscription.get("plan"))
    name = _first(_object(subscription.get("metadata")), "plan", "plan_name")
    return _id(price), name or _text(price.get("nickname")) or _text(price.get("lookup_key")) or _id(price)


def _payment_type(metadata: Json) -> PaymentType | None:
    text = _first(metadata, "payment_type", "paymentType")
    return PaymentType(text) if text in frozenset(PaymentType) else None


def _money(object_: Json, *names: str) -> Money | None:
    currency = _text(object_.get("currency")).upper()
    if not re.fullmatch("[A-Z]{3}", currency, re.ASCII):
        return None
    for name in names:
        minor = object_.get(name)
        if isinstance(minor, int) and not isinstance(minor, bool) and minor:
            return Money(minor=minor, currency=currency)
    return Money(minor=0, currency=currency)


def _for(amount: Money | None) -> str:
    return f" of {amount}" if amount else ""


def _time(value: object) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) and value > 0 else None


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""


def _id(value: object) -> str:
    """An id, bare or of an expanded object."""
    return _text(value.get("id") if isinstance(value, dict) else value)


def _first(metadata: Json, *names: str) -> str | None:
    return next((text for name in names if (text := _text(metadata.get(name)))), None)


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _not_an_event(field: str) -> Invalid:
    return Invalid.field(field, "stripe-event", "not a Stripe event", "an event as Stripe sends it")

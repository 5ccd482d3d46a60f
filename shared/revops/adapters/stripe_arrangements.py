"""What events beside payments, invoices and subscriptions say happened: disputes, cash balances, credit, alerts,
schedules, entitlements, and payments of an invoice that no payment intent made."""

from collections.abc import Callable, Mapping
from typing import Any

from revops.adapters.stripe_fields import (
    MAX_TEXT,
    Json,
    digest,
    for_amount,
    id_of,
    money_of,
    object_of,
    text_of,
    time_of,
)
from revops.billing.model import ActivityMetadata, ActivityType
from revops.billing.ports import Occurrence
from revops.kernel import Money

Tell = Callable[[str, Json, Json], Occurrence | None]
"""Event type, its object, its previous attributes → what the log tells."""


def told(kind: ActivityType, cause: str, discriminator: str, details: str, facts: ActivityMetadata) -> Occurrence:
    """The occurrence of a kind about a cause; the discriminator tells apart what can happen to it more than once."""
    return Occurrence(kind, digest([kind.value, cause, discriminator]), cause, details[:MAX_TEXT], facts)


def _dispute(event_type: str, dispute: Json, _: Json) -> Occurrence:
    kind = _DISPUTES[event_type]
    status = text_of(dispute.get("status"))
    facts = _facts(
        event_type,
        object_id=dispute["id"],
        charge_id=id_of(dispute.get("charge")) or None,
        payment_intent_id=id_of(dispute.get("payment_intent")) or None,
        amount=money_of(dispute, "amount"),
        error_message=text_of(dispute.get("reason")) or None,
        status=status or None,
        due_at=time_of(object_of(dispute.get("evidence_details")).get("due_by")),
    )
    words = {
        ActivityType.PAYMENT_DISPUTED: f"Payment{for_amount(facts.amount)} was disputed: {facts.error_message or ''}",
        ActivityType.DISPUTE_CLOSED: f"Dispute{for_amount(facts.amount)} was closed: {status}",
        ActivityType.DISPUTE_FUNDS_MOVED: f"Dispute{for_amount(facts.amount)}: {event_type.rpartition('.')[2]}",
    }[kind]
    discriminator = event_type if kind is ActivityType.DISPUTE_FUNDS_MOVED else ""
    return told(kind, dispute["id"], discriminator, words.replace("_", " ").rstrip(": "), facts)


def _cash(event_type: str, moved: Json, _: Json) -> Occurrence:
    """Wired money that arrived, was applied to a payment, or went back."""
    applied = object_of(moved.get("applied_to_payment")) or object_of(moved.get("unapplied_from_payment"))
    facts = _facts(
        event_type,
        object_id=moved["id"],
        payment_intent_id=id_of(applied.get("payment_intent")) or None,
        amount=money_of(moved, "net_amount"),
        status=text_of(moved.get("type")) or None,
    )
    text = f"Cash balance{for_amount(facts.amount)}: {(facts.status or 'moved').replace('_', ' ')}"
    return told(ActivityType.CASH_BALANCE_MOVED, moved["id"], "", text, facts)


def _grant(event_type: str, grant: Json, _: Json) -> Occurrence:
    created = event_type.endswith(".created")
    voided, expires = time_of(grant.get("voided_at")), time_of(grant.get("expires_at"))
    status = "voided" if voided else "granted"
    amount = _monetary(grant.get("amount"))
    facts = _facts(event_type, object_id=grant["id"], amount=amount, status=status, due_at=expires)
    kind = ActivityType.CREDIT_GRANTED if created else ActivityType.CREDIT_CHANGED
    text = f"Credit{for_amount(amount)} was {'granted' if created else 'voided' if voided else 'changed'}"
    return told(kind, grant["id"], "" if created else digest(grant), text, facts)


def _credit(event_type: str, moved: Json, _: Json) -> Occurrence:
    """Credit that was granted to the balance or spent from it."""
    part = object_of(moved.get("debit")) or object_of(moved.get("credit"))
    applied = object_of(part.get("credits_applied")) or object_of(part.get("credits_application_invoice_voided"))
    amount = _monetary(part.get("amount"))
    facts = _facts(
        event_type,
        object_id=moved["id"],
        invoice_id=id_of(applied.get("invoice")) or None,
        amount=amount,
        status=text_of(part.get("type")) or None,
    )
    text = f"Credit balance{for_amount(amount)}: {(facts.status or 'moved').replace('_', ' ')}"
    return told(ActivityType.CREDIT_MOVED, moved["id"], "", text, facts)


def _alert(event_type: str, alert: Json, _: Json) -> Occurrence:
    """A threshold of a meter that a customer passed. The event has no id of its own: the alert, the customer and the
    value are what it is about."""
    what = object_of(alert.get("alert"))
    cause = text_of(what.get("id")) or text_of(alert.get("id"))
    value = alert.get("value")
    facts = _facts(event_type, object_id=cause or None, status=str(value) if isinstance(value, int) else None)
    title = text_of(what.get("title")) or cause
    text = f"Billing alert {title} was triggered" + (f" at {facts.status}" if facts.status else "")
    return told(ActivityType.BILLING_ALERT, cause, digest([text_of(alert.get("customer")), value]), text, facts)


def _entitlements(event_type: str, summary: Json, previous: Json) -> Occurrence:
    """Which features the customer has from now on. The summary has no id: the customer and the features, now and
    before, are what it is about, so that a repeat is one and two changes are two."""
    held = object_of(summary.get("entitlements")).get("data")
    features = tuple(sorted(text_of(object_of(each).get("lookup_key")) for each in held or ()))
    payer = text_of(summary.get("customer"))
    facts = _facts(event_type, features=features)
    text = f"Features are now: {', '.join(features) or 'none'}"
    return told(ActivityType.ENTITLEMENTS_CHANGED, payer, digest([features, previous]), text, facts)


def _schedule(event_type: str, schedule: Json, previous: Json) -> Occurrence | None:
    """Changes that are planned for later. An update that plans nothing else (a phase began) is told by the
    subscription it changed."""
    verb = event_type.rpartition(".")[2]
    ended = verb in ("aborted", "canceled", "completed", "released")
    if verb == "updated" and "thin" not in schedule and "phases" not in previous and "end_behavior" not in previous:
        return None
    phases = schedule.get("phases")
    changes = [each for each in phases if isinstance(each, dict)] if isinstance(phases, list) else []
    starts = [at for each in changes if (at := time_of(each.get("start_date")))]
    next_at = max(starts, default=None)
    facts = _facts(
        event_type,
        object_id=schedule["id"],
        subscription_id=id_of(schedule.get("subscription")) or id_of(schedule.get("released_subscription")) or None,
        status=verb if ended else text_of(schedule.get("end_behavior")) or None,
        due_at=None if ended else next_at,
    )
    of = f" of subscription {facts.subscription_id}" if facts.subscription_id else ""
    if ended:
        text = f"The schedule{of} was {verb}"
        return told(ActivityType.SUBSCRIPTION_SCHEDULE_ENDED, schedule["id"], verb, text, facts)
    text = f"A change{of} is scheduled" + (f" for {next_at:%Y-%m-%d}" if next_at else "") + f" ({verb})"
    return told(
        ActivityType.SUBSCRIPTION_CHANGE_SCHEDULED, schedule["id"], digest([verb, phases or schedule]), text, facts
    )


def _upcoming(event_type: str, invoice: Json, _: Json) -> Occurrence:
    """A renewal that is a few days away. The invoice does not exist yet: the subscription and the period are what it is
    about."""
    details = object_of(object_of(invoice.get("parent")).get("subscription_details"))
    subscription_id = id_of(details.get("subscription")) or id_of(invoice.get("subscription"))
    at = time_of(invoice.get("next_payment_attempt")) or time_of(invoice.get("period_end"))
    amount = money_of(invoice, "amount_due", "total")
    facts = _facts(event_type, subscription_id=subscription_id or None, amount=amount, due_at=at)
    text = f"An invoice{for_amount(amount)} is coming up" + (f" on {at:%Y-%m-%d}" if at else "")
    cause = subscription_id or text_of(invoice.get("customer")) or text_of(invoice.get("id"))
    return told(ActivityType.INVOICE_UPCOMING, cause, str(invoice.get("period_end")), text, facts)


def _finalized(event_type: str, invoice: Json, _: Json) -> Occurrence:
    due = time_of(invoice.get("due_date"))
    details = object_of(object_of(invoice.get("parent")).get("subscription_details"))
    amount = money_of(invoice, "amount_due", "total")
    facts = _facts(
        event_type,
        invoice_id=invoice["id"],
        subscription_id=id_of(details.get("subscription")) or None,
        amount=amount,
        due_at=due,
    )
    text = f"Invoice {invoice['id']}{for_amount(amount)} was issued" + (f", due on {due:%Y-%m-%d}" if due else "")
    return told(ActivityType.INVOICE_FINALIZED, invoice["id"], "", text, facts)


def _invoice_payment(event_type: str, paid: Json, _: Json) -> Occurrence | None:
    """A payment of an invoice. One by a payment intent is told by the intent; one that came another way, such as a
    bank transfer recorded by hand, by itself."""
    payment = object_of(paid.get("payment"))
    if "thin" in paid or id_of(payment.get("payment_intent")):
        return None
    amount = money_of(paid, "amount_paid", "amount_requested")
    facts = _facts(
        event_type,
        object_id=paid["id"],
        invoice_id=id_of(paid.get("invoice")) or None,
        charge_id=id_of(payment.get("charge")) or None,
        amount=amount,
        status=text_of(payment.get("type")) or None,
    )
    text = f"Payment{for_amount(amount)} for {facts.invoice_id or paid['id']} succeeded"
    return told(ActivityType.PAYMENT_SUCCESS, paid["id"], "", text, facts)


def _facts(event_type: str, **known: Any) -> ActivityMetadata:
    return ActivityMetadata(event_type=event_type, **known)


def _monetary(amount: object) -> Money | None:
    """The amount of credit, where it is money."""
    monetary = object_of(object_of(amount).get("monetary"))
    return money_of(monetary, "value") if monetary else None


_DISPUTES: Mapping[str, ActivityType] = {
    "charge.dispute.created": ActivityType.PAYMENT_DISPUTED,
    "charge.dispute.closed": ActivityType.DISPUTE_CLOSED,
    "charge.dispute.funds_withdrawn": ActivityType.DISPUTE_FUNDS_MOVED,
    "charge.dispute.funds_reinstated": ActivityType.DISPUTE_FUNDS_MOVED,
}
_SCHEDULES = ("created", "updated", "aborted", "canceled", "completed", "released", "expiring")

WITHOUT_ID = frozenset(
    {"billing.alert.triggered", "entitlements.active_entitlement_summary.updated", "invoice.upcoming"}
)
"""Types whose object has no id of its own."""

ARRANGEMENTS: Mapping[str, Tell] = {
    **dict.fromkeys(_DISPUTES, _dispute),
    "customer_cash_balance_transaction.created": _cash,
    "billing.credit_grant.created": _grant,
    "billing.credit_grant.updated": _grant,
    "billing.credit_balance_transaction.created": _credit,
    "billing.alert.triggered": _alert,
    "entitlements.active_entitlement_summary.updated": _entitlements,
    "invoice.upcoming": _upcoming,
    "invoice.finalized": _finalized,
    "invoice_payment.paid": _invoice_payment,
    **{f"subscription_schedule.{verb}": _schedule for verb in _SCHEDULES},
}

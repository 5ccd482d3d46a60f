"""What a convergence writes down beside the profile: entries of the activity log and notes for people (STR-3).

Both are functions of the set of events and of Stripe's state, not of the order in which they are seen.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from revops.billing.model import (
    ActivityLogEntry,
    ActivityMetadata,
    ActivityType,
    BillingFacts,
    Customer,
    SubscriptionStatus,
)
from revops.billing.policies import MembershipPolicy, failing_since
from revops.billing.ports import Occurrence
from revops.billing.store import ACTIVITY_LOG
from revops.crm.notes import NOTE, Note, NotePriority, NoteType, add_note
from revops.kernel import time_text
from revops.table import Table, Transaction

_MAX_NOTES: Final = 20
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Told:
    """An occurrence, when Stripe says it was, and the event that told it."""

    occurrence: Occurrence
    at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class _Draft:
    """A note to be. Of two drafts for one cause the one with the greater `told_by` stands: an event that says why
    before one that does not, then the later one; what only the state shows is the least."""

    id: str
    content: str
    told_by: str
    at: datetime
    tag: str


def add_to_log(
    table: Table, transaction: Transaction, customer: Customer, told: Told, facts: BillingFacts, now: datetime
) -> None:
    """Adds the entry unless it is there: the same occurrence is told once, whatever its events are called (R1). What a
    payment's event leaves out is added from Stripe's state: its invoice, and the plan that this bills."""
    entry_id = stable_id("ACT", told.occurrence.fact)
    if ACTIVITY_LOG.get(table, entry_id) is not None:
        return
    metadata = _completed(told.occurrence.metadata, facts)
    entry = ActivityLogEntry(
        id=entry_id,
        created_at=now,
        modified_at=now,
        customer_id=customer.id,
        owner_id=customer.owner_id,
        type=told.occurrence.type,
        occurred_at=told.at,
        details=told.occurrence.details,
        metadata=metadata,
    )
    ACTIVITY_LOG.create(transaction, entry)


def _completed(metadata: ActivityMetadata, facts: BillingFacts) -> ActivityMetadata:
    """With the invoice a payment intent pays, the subscription it bills and the plan that is on."""
    invoice = metadata.invoice_id or facts.invoice_of.get(metadata.payment_intent_id or "")
    bills = metadata.subscription_id or facts.subscription_of.get(invoice or "")
    plan = next((each for each in facts.subscriptions if each.id == bills), None)
    found = {
        "invoice_id": invoice,
        "subscription_id": bills,
        "plan_id": metadata.plan_id or (plan.plan_id if plan else None) or None,
        "plan_name": metadata.plan_name or (plan.plan_name if plan else None) or None,
    }
    return metadata.model_copy(update=found)


def write_notes(
    table: Table,
    transaction: Transaction,
    customer: Customer,
    facts: BillingFacts,
    told: Told | None,
    owner_id: str,
    policy: MembershipPolicy,
    now: datetime,
) -> None:
    """A high-priority issue note per failed payment and per cancellation: once per invoice, intent or subscription,
    however many events and attempts tell of it. The text is that of the latest attempt that says why, unless a person
    changed it."""
    drafts: dict[str, _Draft] = {}
    for draft in _drafts(customer, facts, told, now):
        if draft.id not in drafts or draft.told_by > drafts[draft.id].told_by:
            drafts[draft.id] = draft
    chosen = sorted(drafts.values(), key=lambda draft: draft.told_by, reverse=True)[:_MAX_NOTES]
    rows = table.get_many([NOTE.key(draft.id) for draft in chosen]) if chosen else []
    author = transaction.stamp.by
    for draft, row in zip(chosen, rows, strict=True):
        reminder = draft.at + timedelta(days=policy.follow_up_days)
        if row is None:
            add_note(transaction, _issue_note(draft, customer.id, author, owner_id, reminder, now))
            continue
        note = NOTE.load(row)
        if note.author.startswith("system:") and note.told_by < draft.told_by:
            NOTE.update(
                transaction, note.revised(now, content=draft.content, told_by=draft.told_by, reminder_at=reminder)
            )


def _issue_note(draft: _Draft, customer_id: str, author: str, owner_id: str, reminder: datetime, now: datetime) -> Note:
    return Note(
        id=draft.id,
        created_at=now,
        modified_at=now,
        related_to=customer_id,
        content=draft.content,
        author=author,
        owner_id=owner_id,
        type=NoteType.ISSUE,
        priority=NotePriority.HIGH,
        tags=("billing", draft.tag),
        reminder_at=reminder,
        told_by=draft.told_by,
    )


def _drafts(customer: Customer, facts: BillingFacts, told: Told | None, now: datetime) -> Iterator[_Draft]:
    """What there is to note: what the event tells, and what Stripe's state shows without (a webhook can be lost)."""
    failure, cancelled = ActivityType.PAYMENT_FAILURE.value, ActivityType.SUBSCRIPTION_CANCELLED.value
    if told is not None and told.occurrence.type.value in (failure, cancelled):
        kind = told.occurrence.type.value
        cause = facts.invoice_of.get(told.occurrence.cause, told.occurrence.cause)
        says_why = 1 if told.occurrence.metadata.error_message else 0
        told_by = f"{says_why}#{time_text(told.at)}#{told.event_id}"
        yield _Draft(stable_id("NOTE", f"{kind}#{cause}"), told.occurrence.details, told_by, told.at, kind)
    for invoice in facts.unpaid:
        since = failing_since(invoice, now)
        if since is not None:
            text = f"Payment for {invoice.id} failed; {invoice.remaining} is outstanding"
            yield _Draft(stable_id("NOTE", f"{failure}#{invoice.id}"), text, "", since, failure)
    for subscription in facts.subscriptions:
        ended = subscription.ended_at
        cancelled_now = subscription.status is SubscriptionStatus.CANCELED
        if cancelled_now and ended is not None and ended > customer.created_at:
            text = f"Subscription {subscription.id} ({subscription.plan_name}): cancelled"
            yield _Draft(stable_id("NOTE", f"{cancelled}#{subscription.id}"), text, "", ended, cancelled)


def stable_id(prefix: str, fact: str) -> str:
    """An identifier that is always the same for the same fact, of the shape every identifier has."""
    bits = int.from_bytes(hashlib.sha256(f"{prefix}#{fact}".encode()).digest()[:17])
    return prefix + "_" + "".join(_ALPHABET[(bits >> (5 * i)) & 31] for i in range(26))

"""What follows from a change of a billing row: pure functions of (before, after)."""

from revops.billing.model import Customer
from revops.billing.store import ACTIVITY_LOG, CUSTOMER
from revops.catalogue import ActivityCreated, Event, MembershipStatusChanged, Payload, event
from revops.table import Change, Row


def events(change: Change) -> list[Event]:
    """MembershipStatusChanged for a new or another status, ActivityCreated for an entry of the activity log."""
    row = change.after
    if row is None:
        return []
    if row.kind == CUSTOMER.kind:
        after = CUSTOMER.load(row)
        before = CUSTOMER.load(change.before) if change.before else None
        return _status_changed(row, before, after)
    if row.kind == ACTIVITY_LOG.kind and change.is_new:
        entry = ACTIVITY_LOG.load(row)
        told = ActivityCreated(activity_id=entry.id, type=entry.type.value, related_to=entry.customer_id, owner_id="")
        return [_event(row, entry.id, entry.version, told)]
    return []


def _status_changed(row: Row, before: Customer | None, after: Customer) -> list[Event]:
    previous = before.membership_status if before else None
    if previous is after.membership_status:
        return []
    payload = MembershipStatusChanged(
        customer_id=after.id,
        status=after.membership_status.value,
        previous_status=previous.value if previous else None,
        reason=after.membership_reason,
    )
    return [_event(row, after.id, after.version, payload)]


def _event(row: Row, entity_id: str, version: int, payload: Payload) -> Event:
    stamp = row.stamp
    if stamp is None:
        raise ValueError(f"{row.kind} row without a stamp")
    return event(payload, entity_id=entity_id, version=version, occurred_at=stamp.at, causation_id=stamp.causation_id)

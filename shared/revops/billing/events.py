"""What follows from a change of a billing row: pure functions of (before, after)."""

from collections.abc import Mapping
from typing import Any

from revops.billing.cancellation import CANCELLATIONS, CancellationState
from revops.billing.meters import METER_REPORTS
from revops.billing.model import Customer
from revops.billing.receive import PROVIDER
from revops.billing.resync import RESYNCS, ResyncStatus
from revops.billing.store import ACTIVITY_LOG, CUSTOMER
from revops.catalogue import ActivityCreated, Event, MembershipStatusChanged, Payload, event
from revops.payloads_billing import MeterErrorsReported
from revops.table import Change, Row


def work(change: Change) -> list[tuple[str, Mapping[str, Any]]]:
    """What the Stripe worker is to do after a change: bring a cancellation about, or the next block of a resync, after
    the pause that keeps this below its rate."""
    row = change.after
    if row is None:
        return []
    if row.kind == CANCELLATIONS.kind and CANCELLATIONS.load(row).state is CancellationState.REQUESTED:
        return [(PROVIDER, {"kind": CANCELLATIONS.kind, "entity_id": CANCELLATIONS.load(row).id})]
    if row.kind == RESYNCS.kind and RESYNCS.load(row).status is ResyncStatus.RUNNING:
        resync = RESYNCS.load(row)
        delay = {} if change.is_new else {"delay_seconds": resync.pause_seconds}
        return [(PROVIDER, {"kind": RESYNCS.kind, "entity_id": resync.id, **delay})]
    return []


def events(change: Change) -> list[Event]:
    """MembershipStatusChanged for a new or another status, ActivityCreated for an entry of the activity log,
    MeterErrorsReported for usage that Stripe did not take."""
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
    if row.kind == METER_REPORTS.kind and change.is_new:
        report = METER_REPORTS.load(row)
        codes = ", ".join(sorted(report.codes))
        errors = MeterErrorsReported(
            report_id=report.id, meter_id=report.meter_id, error_count=report.error_count, codes=codes
        )
        return [_event(row, report.id, report.version, errors)]
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

"""What follows from a change of a reconciliation, a difference, an adoption: pure functions of before and after."""

from collections.abc import Callable, Mapping
from typing import Any

from revops.catalogue import Event, event
from revops.payload import Payload
from revops.payloads_reconcile import CustomerAdopted, DifferenceSettled, ReconciliationFinished
from revops.reconcile.adoption import ADOPTIONS, CANDIDATES, AdoptionStatus, CandidateState, id_of_candidate
from revops.reconcile.model import Difference, DifferenceState, Reconciliation, RunStatus
from revops.reconcile.store import DIFFERENCES, RECONCILIATIONS, id_of_difference, id_of_run
from revops.reconcile.sweep import QUEUE
from revops.table import Change, Key, Row

_SETTLED = {
    DifferenceState.REPAIRED,
    DifferenceState.GONE,
    DifferenceState.CHANGED,
    DifferenceState.REFUSED,
}
_ID: Mapping[str, Callable[[Key], str]] = {
    RECONCILIATIONS.kind: id_of_run,
    DIFFERENCES.kind: id_of_difference,
    CANDIDATES.kind: id_of_candidate,
}


def work(change: Change) -> list[tuple[str, Mapping[str, Any]]]:
    """What the Stripe worker is to do after a change: the next block of a run or of a plan, a repair, an adoption."""
    row = change.after
    if row is None or not _waits(row):
        return []
    loaded = {kind.kind: kind for kind in (RECONCILIATIONS, DIFFERENCES, ADOPTIONS, CANDIDATES)}[row.kind].load(row)
    return [(QUEUE, {"kind": row.kind, "entity_id": loaded.id})]


def _waits(row: Row) -> bool:
    match row.kind:
        case RECONCILIATIONS.kind:
            return RECONCILIATIONS.load(row).status is RunStatus.RUNNING
        case DIFFERENCES.kind:
            return DIFFERENCES.load(row).state is DifferenceState.APPROVED
        case ADOPTIONS.kind:
            return ADOPTIONS.load(row).status is AdoptionStatus.PLANNING
        case CANDIDATES.kind:
            return CANDIDATES.load(row).state is CandidateState.APPROVED
        case _:
            return False


def events(change: Change) -> list[Event]:
    """ReconciliationFinished for a run that ended, DifferenceSettled for an approved repair that came to an end,
    CustomerAdopted for a customer of Stripe's that belongs to an account from now on. What was so before the change, or
    when its row was made, is not said."""
    before, row = change.before, change.after
    if before is None or row is None or row.stamp is None or _ended(before) is not None:
        return []
    payload = _ended(row)
    if payload is None:
        return []
    entity_id, stamp = _ID[row.kind](row.key), row.stamp
    return [
        event(
            payload,
            entity_id=entity_id,
            version=row.version,
            occurred_at=stamp.at,
            causation_id=stamp.causation_id,
        )
    ]


def _ended(row: Row) -> Payload | None:
    """What there is to say of a row that came to its end."""
    match row.kind:
        case RECONCILIATIONS.kind:
            run = RECONCILIATIONS.load(row)
            return None if run.status is RunStatus.RUNNING else _finished(run)
        case DIFFERENCES.kind:
            difference = DIFFERENCES.load(row)
            return _settled(difference) if difference.state in _SETTLED else None
        case CANDIDATES.kind:
            candidate = CANDIDATES.load(row)
            if candidate.state is CandidateState.ADOPTED:
                return CustomerAdopted(stripe_customer_id=candidate.payer, account_id=candidate.account_id)
    return None


def _settled(difference: Difference) -> DifferenceSettled:
    return DifferenceSettled(
        difference_id=difference.id,
        reconciliation_id=difference.reconciliation_id,
        order_id=difference.finding.order_id,
        kind=difference.finding.kind.value,
        outcome=difference.state.value,
    )


def _finished(run: Reconciliation) -> ReconciliationFinished:
    by_severity = dict[str, int]()
    for total in run.totals:
        by_severity[total.severity.value] = by_severity.get(total.severity.value, 0) + total.count
    return ReconciliationFinished(
        reconciliation_id=run.id,
        order_id=run.order_id,
        status=run.status.value,
        orders=run.orders,
        subscriptions=run.subscriptions,
        differences=run.differences,
        by_severity=by_severity,
    )

"""What the changes of enrolments say to the world."""

from revops.catalogue import Event, NurtureEnded, NurtureStarted, Payload, event
from revops.nurture.model import Enrolment
from revops.nurture.store import ENROLMENTS
from revops.table import Change


def events(change: Change) -> list[Event]:
    """The beginning and the end of a person's way through a sequence."""
    if change.kind != ENROLMENTS.kind or change.after is None:
        return []
    after = ENROLMENTS.load(change.after)
    payload = _said(ENROLMENTS.load(change.before) if change.before else None, after)
    if payload is None:
        return []
    stamp = change.after.stamp
    return [
        event(
            payload,
            entity_id=after.id,
            version=after.version,
            occurred_at=after.modified_at.isoformat(),
            causation_id=stamp.causation_id if stamp else "",
        )
    ]


def _said(before: Enrolment | None, after: Enrolment) -> Payload | None:
    if before is None:
        return NurtureStarted(enrolment_id=after.id, lead_id=after.lead_id, sequence=after.sequence)
    if before.active and not after.active:
        reason = after.ended_because or "completed"
        return NurtureEnded(enrolment_id=after.id, lead_id=after.lead_id, sequence=after.sequence, reason=reason)
    return None

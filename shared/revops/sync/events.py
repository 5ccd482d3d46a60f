"""Events of syncing: pure functions of a change."""

from revops.catalogue import Event, SyncConflictRecorded, event
from revops.sync.store import SYNC_CONFLICT
from revops.table import Change


def events(change: Change) -> list[Event]:
    """SyncConflictRecorded for a new conflict."""
    if change.kind != SYNC_CONFLICT.kind or not change.is_new or change.after is None:
        return []
    conflict = SYNC_CONFLICT.load(change.after)
    payload = SyncConflictRecorded(
        conflict_id=conflict.id, entity_id=conflict.person_id, field=conflict.field, rule=conflict.rule
    )
    causation = change.after.stamp.causation_id if change.after.stamp else ""
    return [
        event(
            payload,
            entity_id=conflict.id,
            version=conflict.version,
            occurred_at=conflict.created_at.isoformat(),
            causation_id=causation,
        )
    ]

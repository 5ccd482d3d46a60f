"""What a change of settings says to the world."""

from revops.catalogue import Event, SettingsApplied, event
from revops.settings.store import SETTINGS
from revops.table import Change


def events(change: Change) -> list[Event]:
    """One event per applied version."""
    if change.kind != SETTINGS.kind or change.after is None:
        return []
    record = SETTINGS.load(change.after)
    payload = SettingsApplied(name=record.id, settings_version=record.version)
    return [
        event(
            payload,
            entity_id=f"SETTINGS_{record.id}",
            version=record.version,
            occurred_at=record.modified_at.isoformat(),
        )
    ]

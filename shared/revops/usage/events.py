"""What the rest of the world is told about usage: pure functions of a change of a row."""

from revops.catalogue import Event, SpendCapAlertRaised, event
from revops.table import Change
from revops.usage.store import ALERTS


def events(change: Change) -> list[Event]:
    """SpendCapAlertRaised for a new alert."""
    row = change.after
    if row is None or row.kind != ALERTS.kind or not change.is_new or row.stamp is None:
        return []
    alert = ALERTS.load(row)
    payload = SpendCapAlertRaised(
        alert_id=alert.id,
        account_id=alert.account_id,
        cap=alert.cap,
        threshold_percent=alert.threshold_percent,
        cycle=alert.cycle,
    )
    return [
        event(
            payload,
            entity_id=alert.id,
            version=alert.version,
            occurred_at=row.stamp.at,
            causation_id=row.stamp.causation_id,
        )
    ]

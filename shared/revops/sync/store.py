"""Where the state of syncing stands.

| item | pk | sk | gsi1 | due | read by |
|---|---|---|---|---|---|
| state | SYNC#hubspot#<person> | STATE | SYNC#ALL#hubspot#<shard> / person | | person; everyone (drift report) |
| dirty mark | SYNC#hubspot#<person> | DIRTY | | `sync` while dirty | person; overdue |
| log entry | SYNC#hubspot#<person> | LOG#<slot> | | | person; the last 50, kept 90 days |
| link | CLAIM#hubspot_contact#<hash of id> | CLAIM | | | HubSpot id → person |
| conflict | SYNC#CONFLICT#<id> | CONFLICT | SYNC#CONFLICTS#<person> / time | | id; person |

State, marks and log are bookkeeping, not records: no audit. Conflicts are entities. A mark that was worked off keeps
its row, out of the due index: its version only ever grows, so that clearing an old mark cannot clear a new one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from revops.kernel import time_text
from revops.sync.model import SYSTEM, LogEntry, SyncConflict, SyncState
from revops.table import (
    ABSENT,
    ANYTHING,
    EntityKind,
    Expectation,
    Key,
    Page,
    Query,
    Row,
    Table,
    Transaction,
    claim,
    due_index,
    holder_of,
    query_all,
    shard_of,
)

STATE = "SYNC_STATE"
DIRTY = "SYNC_DIRTY"
LOG = "SYNC_LOG"
TOPIC = "sync"
SHARDS = 4
LOG_SLOTS = 50
LOG_KEEP = timedelta(days=90)
RESEND_AFTER = timedelta(minutes=2)
_LINK = "hubspot_contact"

SYNC_CONFLICT = EntityKind[SyncConflict](
    kind="SYNC_CONFLICT",
    title="sync conflict",
    model=SyncConflict,
    key=lambda identifier: Key(f"SYNC#CONFLICT#{identifier}", "CONFLICT"),
    index=lambda conflict: {
        "gsi1": (f"SYNC#CONFLICTS#{conflict.person_id}", f"{time_text(conflict.created_at)}#{conflict.id}")
    },
)


def _partition(person_id: str) -> str:
    return f"SYNC#{SYSTEM}#{person_id}"


def state_key(person_id: str) -> Key:
    """Where it stands what was last written to and read from the other side about a person."""
    return Key(_partition(person_id), "STATE")


def dirty_key(person_id: str) -> Key:
    """Where a person's dirty mark stands."""
    return Key(_partition(person_id), "DIRTY")


def read_state(table: Table, person_id: str) -> SyncState:
    """Where a person stands; version 0 when they were never synced."""
    row = table.get(state_key(person_id))
    return SyncState(person_id=person_id) if row is None else SyncState.model_validate_json(row.doc)


def write_state(transaction: Transaction, state: SyncState) -> None:
    """Adds the next version of a state; the commit fails unless the one before it still stands."""
    key = state_key(state.person_id)
    everyone = f"SYNC#ALL#{SYSTEM}#{shard_of(state.person_id, SHARDS)}"
    row = Row(
        pk=key.pk,
        sk=key.sk,
        kind=STATE,
        version=state.version,
        doc=state.model_dump_json(exclude_defaults=True),
        index={"gsi1": (everyone, state.person_id)},
    )
    transaction.put(row, ABSENT if state.version == 1 else state.version - 1)


def states(table: Table, shard: int, after: str, limit: int) -> tuple[list[SyncState], Page]:
    """A page of everyone's states."""
    page = table.query(Query(pk=f"SYNC#ALL#{SYSTEM}#{shard}", index="gsi1", after=after, limit=limit))
    return [SyncState.model_validate_json(row.doc) for row in page.rows], page


# -- links ---------------------------------------------------------------------------------------------------------


def linked_person(table: Table, remote_id: str) -> str | None:
    """The person a HubSpot contact belongs to."""
    return holder_of(table, _LINK, remote_id)


def link(transaction: Transaction, remote_id: str, person_id: str) -> None:
    """Adds the link; the commit fails if the contact belongs to anybody already."""
    claim(transaction, _LINK, remote_id, person_id)


# -- dirty marks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """The dirty mark of a person. `seen` has the newest version of each record that ever caused one."""

    person_id: str
    version: int = 0
    due_at: datetime | None = None
    tries: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_dirty(self) -> bool:
        return self.due_at is not None


def read_mark(table: Table, person_id: str) -> Mark:
    """The mark as it stands; a clean one of version 0 when there never was one."""
    row = table.get(dirty_key(person_id))
    return Mark(person_id) if row is None else load_mark(row)


def load_mark(row: Row) -> Mark:
    """The mark a row holds."""
    doc = json.loads(row.doc)
    due = doc.get("due")
    return Mark(
        person_id=doc["person"],
        version=row.version,
        due_at=datetime.fromisoformat(due) if due else None,
        tries=doc.get("tries", 0),
        seen=doc.get("seen", {}),
    )


def write_mark(
    transaction: Transaction,
    before: Mark,
    *,
    due_at: datetime | None,
    tries: int = 0,
    seen: Mapping[str, int] | None = None,
) -> None:
    """Adds the mark that follows `before`, dirty when it has a due time; the commit fails if it moved meanwhile."""
    key = dirty_key(before.person_id)
    doc: dict[str, object] = {"person": before.person_id, "seen": dict(before.seen if seen is None else seen)}
    index: dict[str, tuple[str, str]] = {}
    if due_at is not None:
        doc |= {"due": time_text(due_at), "tries": tries}
        index["due"] = due_index(TOPIC, due_at, key)
    expect: Expectation = ABSENT if before.version == 0 else before.version
    row = Row(pk=key.pk, sk=key.sk, kind=DIRTY, version=before.version + 1, doc=json.dumps(doc), index=index)
    transaction.put(row, expect)


# -- log -----------------------------------------------------------------------------------------------------------


def write_log(transaction: Transaction, state: SyncState, entry: LogEntry) -> None:
    """Adds a log entry of a person in the slot of the state's version, over the one that stood there."""
    row = Row(
        pk=_partition(state.person_id),
        sk=f"LOG#{state.version % LOG_SLOTS:03d}",
        kind=LOG,
        version=state.version,
        doc=entry.model_dump_json(exclude_defaults=True),
        ttl=int((entry.at + LOG_KEEP).timestamp()),
    )
    transaction.put(row, ANYTHING)


def read_log(table: Table, person_id: str) -> Sequence[LogEntry]:
    """What happened to a person, newest first."""
    rows = query_all(table, Query(pk=_partition(person_id), begins="LOG#"))
    return [LogEntry.model_validate_json(row.doc) for row in sorted(rows, key=lambda row: row.version, reverse=True)]


def conflicts_of(table: Table, person_id: str) -> list[SyncConflict]:
    """The conflicts of a person, oldest first."""
    return SYNC_CONFLICT.load_all(list(query_all(table, Query(pk=f"SYNC#CONFLICTS#{person_id}", index="gsi1"))))

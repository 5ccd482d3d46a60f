"""Notes (CRM-7): one entity, whoever writes it and whatever it is about.

| item | pk | sk | gsi1 | read by |
|---|---|---|---|---|
| note | NOTE#<id> | NOTE | NOTES#<related to> / created | id; what it is about, newest first |
"""

from enum import StrEnum

from pydantic import AwareDatetime

from revops.catalogue import Event, NoteCreated, event
from revops.kernel import time_text
from revops.table import Change, Entity, EntityKind, Index, Key, Query, Table, Transaction

MAX_CONTENT = 10_000


class NoteType(StrEnum):
    """What a note is about (CRM-7)."""

    GENERAL = "general"
    FOLLOW_UP = "follow_up"
    ISSUE = "issue"
    OPPORTUNITY = "opportunity"


class NotePriority(StrEnum):
    """How urgent a note is (CRM-7); `high` and `urgent` alert by mail."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class NoteVisibility(StrEnum):
    """`restricted` notes stand apart from the timeline (CRM-5)."""

    EVERYONE = "everyone"
    RESTRICTED = "restricted"


class Note(Entity):
    """A note about a record. `related_to` is that record's id, `author` a user or `system:<part>`, `owner_id` the
    seller responsible if there is one. `told_by` ranks what a note of the system rests on: words of a higher rank
    replace those of a lower."""

    related_to: str
    content: str
    author: str
    owner_id: str = ""
    type: NoteType = NoteType.GENERAL
    priority: NotePriority = NotePriority.MEDIUM
    visibility: NoteVisibility = NoteVisibility.EVERYONE
    tags: tuple[str, ...] = ()
    reminder_at: AwareDatetime | None = None
    told_by: str = ""


def _index(note: Note) -> Index:
    return {"gsi1": (f"NOTES#{note.related_to}", f"{time_text(note.created_at)}#{note.id}")}


NOTE = EntityKind[Note](
    kind="NOTE",
    title="note",
    model=Note,
    key=lambda identifier: Key(f"NOTE#{identifier}", "NOTE"),
    index=_index,
)


def add_note(transaction: Transaction, note: Note) -> None:
    """Adds a new note to the transaction of what it is about."""
    NOTE.create(transaction, note)


def notes_about(table: Table, related_to: str, limit: int = 25) -> list[Note]:
    """The latest notes about a record, newest first."""
    query = Query(pk=f"NOTES#{related_to}", index="gsi1", descending=True, limit=limit)
    return NOTE.load_all(table.query(query).rows)


def events(change: Change) -> list[Event]:
    """NoteCreated for a new note; a change of a note tells nobody anything."""
    row = change.after
    if row is None or row.kind != NOTE.kind or not change.is_new or row.stamp is None:
        return []
    note = NOTE.load(row)
    payload = NoteCreated(
        note_id=note.id, related_to=note.related_to, priority=note.priority.value, owner_id=note.owner_id
    )
    return [
        event(
            payload,
            entity_id=note.id,
            version=note.version,
            occurred_at=row.stamp.at,
            causation_id=row.stamp.causation_id,
        )
    ]

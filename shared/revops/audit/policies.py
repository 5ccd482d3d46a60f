"""Differences and the hash chain, as pure functions."""

import hashlib
import json
from collections.abc import Iterable

from revops.audit.model import AuditEntry, FieldChange
from revops.kernel import canonical_json
from revops.table import Change, Row

_BOOKKEEPING = frozenset({"version", "modified_at"})
"""Fields that change with every version by definition; the entry itself carries both."""


def record_name(row: Row) -> str:
    """How a record is named in the audit: its primary key as one text."""
    return f"{row.pk}|{row.sk}"


def changes_between(before: Row | None, after: Row | None) -> tuple[FieldChange, ...]:
    """Every changed field once, in name order. Counters count as fields."""
    old, new = _fields(before), _fields(after)
    return tuple(
        FieldChange(field=name, old=old.get(name), new=new.get(name))
        for name in sorted((old.keys() | new.keys()) - _BOOKKEEPING)
        if old.get(name) != new.get(name)
    )


def _fields(row: Row | None) -> dict[str, object]:
    if row is None:
        return {}
    fields: dict[str, object] = json.loads(row.doc) if row.doc else {}
    return {**fields, **row.counters}


def entry_for(change: Change, previous_hash: str) -> AuditEntry:
    """The entry of a change, chained to the one before it."""
    row = change.row
    stamp = row.stamp
    deleted = change.after is None
    entry = AuditEntry(
        record=record_name(row),
        kind=row.kind,
        version=row.version + 1 if deleted else row.version,
        changes=changes_between(change.before, change.after),
        at=stamp.at if stamp and not deleted else "",
        by=stamp.by if stamp and not deleted else "",
        on_behalf_of=stamp.on_behalf_of if stamp else "",
        ip=stamp.ip if stamp else "",
        user_agent=stamp.user_agent if stamp else "",
        request_id=stamp.request_id if stamp else "",
        deleted=deleted,
        previous_hash=previous_hash,
    )
    return sealed(entry)


def gap_entry(record: str, kind: str, version: int, previous_hash: str) -> AuditEntry:
    """The entry of a version whose change was lost."""
    return sealed(AuditEntry(record=record, kind=kind, version=version, gap=True, previous_hash=previous_hash))


def sealed(entry: AuditEntry) -> AuditEntry:
    """The entry with its hash."""
    return entry.model_copy(update={"hash": entry_hash(entry)})


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 over everything in the entry but the hash itself."""
    return hashlib.sha256(canonical_json(entry.model_dump(mode="json", exclude={"hash"})).encode()).hexdigest()


def verify_chain(entries: Iterable[AuditEntry]) -> list[str]:
    """What is wrong with a record's chain, oldest entry first; empty when nothing is."""
    faults: list[str] = []
    previous: AuditEntry | None = None
    for entry in entries:
        if entry.hash != entry_hash(entry):
            faults.append(f"version {entry.version}: the entry was altered")
        if entry.previous_hash != (previous.hash if previous else ""):
            faults.append(f"version {entry.version}: does not follow the entry before it")
        if entry.version != (previous.version + 1 if previous else 1):
            faults.append(f"version {entry.version}: a version before it is missing")
        previous = entry
    return faults

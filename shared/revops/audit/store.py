"""Where audit entries stand.

| item | pk | sk | read by |
|---|---|---|---|
| entry | AUDIT#<primary key of the record> | <version, 10 digits> | record, in version order |

Only the change relay may write these keys; the template's policies say so.
"""

from collections.abc import Iterator

from revops.audit.model import AuditEntry
from revops.table import Key, Query, Row, Table, query_all

AUDIT = "AUDIT"


def audit_key(record: str, version: int) -> Key:
    """`record` is the audited row's primary key as `<pk>|<sk>`."""
    return Key(f"AUDIT#{record}", f"{version:010d}")


def audit_row(entry: AuditEntry) -> Row:
    """The row of an entry."""
    key = audit_key(entry.record, entry.version)
    return Row(pk=key.pk, sk=key.sk, kind=AUDIT, doc=entry.model_dump_json(exclude_defaults=True))


def load_entry(row: Row) -> AuditEntry:
    """The inverse of `audit_row`."""
    return AuditEntry.model_validate_json(row.doc)


def entries_of(table: Table, record: str) -> Iterator[AuditEntry]:
    """A record's entries, oldest first."""
    return (load_entry(row) for row in query_all(table, Query(pk=f"AUDIT#{record}", consistent=True)))


def head_of(table: Table, record: str) -> AuditEntry | None:
    """A record's newest entry."""
    page = table.query(Query(pk=f"AUDIT#{record}", descending=True, limit=1, consistent=True))
    return load_entry(page.rows[0]) if page.rows else None

"""The change stream: every committed change of a row as (before, after), the only source of what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from revops.table.row import Key, Row


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row. `before` is None for a new row, `after` for one that was deleted."""

    sequence: str
    before: Row | None
    after: Row | None

    @property
    def row(self) -> Row:
        """The row as it is now, or as it was last."""
        row = self.after or self.before
        if row is None:
            raise ValueError("a change of nothing")
        return row

    @property
    def key(self) -> Key:
        return self.row.key

    @property
    def kind(self) -> str:
        return self.row.kind

    @property
    def is_new(self) -> bool:
        return self.before is None and self.after is not None

    @property
    def is_same(self) -> bool:
        """A write that changed nothing; some engines emit a record for it."""
        return self.before is not None and self.before == self.after


def parse_record(record: Mapping[str, Any]) -> Change:
    """A record of a DynamoDB stream event, as Lambda receives it. Raises KeyError or ValueError for a broken one."""
    body = record["dynamodb"]
    old, new = body.get("OldImage"), body.get("NewImage")
    if not old and not new:
        raise ValueError("a stream record without an image")
    return Change(
        sequence=body["SequenceNumber"],
        before=Row.from_raw(old) if old else None,
        after=Row.from_raw(new) if new else None,
    )

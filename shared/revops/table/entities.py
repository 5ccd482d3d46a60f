"""Entities in the table: one description per kind says where it stands, how it is listed and how it is read back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from revops.kernel import CallContext, NotFound, VersionConflict, time_text
from revops.table.port import ConditionFailed, Table
from revops.table.row import Key, Row, Stamp
from revops.table.transaction import ABSENT, Transaction

Index = Mapping[str, tuple[str, str]]
_LONGEST_ID = 256
"""Characters of an identifier. Ours are shorter; a longer one out of a path is nobody's, and would not fit a key."""


class Entity(BaseModel):
    """A versioned record. Frozen: a change is a new value, one version on (`revised`).

    Models are built when first used (`defer_build`, here and in every other base): a function imports more of them than
    a request meets.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")

    id: str
    version: int = 1
    created_at: AwareDatetime
    modified_at: AwareDatetime

    def revised(self, now: datetime, **changes: Any) -> Self:
        """The next version with some fields changed. The fields are validated."""
        data = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate({**data, **changes, "version": self.version + 1, "modified_at": now})


@dataclass(frozen=True, slots=True)
class EntityKind[T: Entity]:
    """How entities of one kind stand in the table.

    `key` turns an id into the primary key, `index` gives the index entries of an entity, `title` is what people call
    one. Which kinds are audited is listed in one place, `bootstrap.AUDITED`.
    """

    kind: str
    title: str
    model: type[T]
    key: Callable[[str], Key]
    index: Callable[[T], Index] = lambda _: {}

    def row(self, entity: T) -> Row:
        key = self.key(entity.id)
        return Row(
            pk=key.pk,
            sk=key.sk,
            kind=self.kind,
            version=entity.version,
            doc=entity.model_dump_json(exclude_none=True),
            index=dict(self.index(entity)),
        )

    def load(self, row: Row) -> T:
        return self.model.model_validate_json(row.doc)

    def readable(self, row: Row | None) -> T | None:
        """The entity of a row. None also for one that nothing can be made of, for those who go through many: it must
        hold no other up, and the relay keeps it as a dead letter."""
        try:
            return self.load(row) if row is not None else None
        except ValueError:
            return None

    def get(self, table: Table, identifier: str) -> T | None:
        """The entity as it stands now (strongly consistent), or None."""
        row = table.get(self.key(identifier)) if len(identifier) <= _LONGEST_ID else None
        return None if row is None else self.load(row)

    def require(self, table: Table, identifier: str) -> T:
        """The entity as it stands now. Raises NotFound."""
        entity = self.get(table, identifier)
        if entity is None:
            raise NotFound(self.title, identifier)
        return entity

    def load_all(self, rows: Sequence[Row | None]) -> list[T]:
        return [self.load(row) for row in rows if row is not None]

    def create(self, transaction: Transaction, entity: T) -> None:
        """Adds the first version; the commit fails if the id is taken."""
        transaction.put(self.row(entity), ABSENT)

    def update(self, transaction: Transaction, entity: T) -> None:
        """Adds the next version; the commit fails unless the version before it still stands."""
        transaction.put(self.row(entity), entity.version - 1)


def begin(call: CallContext, now: datetime) -> Transaction:
    """A transaction whose rows say who changed them, when and from where."""
    return Transaction(
        Stamp(
            at=time_text(now),
            by=call.principal.id,
            ip=call.ip,
            user_agent=call.user_agent[:256],
            request_id=call.request_id,
            on_behalf_of=call.on_behalf_of,
            causation_id=call.causation_id,
        )
    )


def commit_update[T: Entity](table: Table, transaction: Transaction, kind: EntityKind[T], entity: T) -> None:
    """Commits, turning a lost race on `entity` into VersionConflict with the version that stands."""
    try:
        table.commit(transaction)
    except ConditionFailed as error:
        failure = error.at(kind.key(entity.id))
        if failure is None:
            raise
        current = failure.current.version if failure.current else None
        raise VersionConflict(f"{kind.title} {entity.id} was changed by someone else", current) from error

"""The door to the table. Two implementations stand behind it: DynamoDB, and the in-memory one of the fault bench."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from revops.kernel import Conflict, Unavailable
from revops.table.row import Key, Row
from revops.table.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Query:
    """Rows of one partition in sort-key order. `begins` or (`low`, `high`, both inclusive) narrow the sort key.

    With an `index` the rows carry keys only unless `documents` asks for the whole items, which are then read by
    primary key; items that vanished meanwhile are left out.
    """

    pk: str
    index: str | None = None
    begins: str = ""
    low: str = ""
    high: str = ""
    descending: bool = False
    limit: int = 50
    after: str = ""
    documents: bool = True
    consistent: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows. `last` is the position to pass as `Query.after` for the next one, empty at the end."""

    rows: list[Row]
    last: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold: which operation, and the row that stood there instead, if any."""

    position: int
    key: Key
    current: Row | None


class ConditionFailed(Exception):
    """At least one expectation of a transaction did not hold. Nothing was written."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        super().__init__("condition failed: " + ", ".join(f"#{failure.position}" for failure in failures))
        self.failures = tuple(failures)

    def at(self, key: Key) -> Failure | None:
        """The failure that concerns a key, if there is one."""
        return next((failure for failure in self.failures if failure.key == key), None)


class Contention(Conflict):
    """Other transactions kept touching the same items until the retries ran out. Nothing was written (R6)."""

    title = "Busy"
    slug = "contention"
    retryable = True
    status = 503


class Throttled(Unavailable):
    """The table refused for lack of capacity until the retries ran out (R5)."""


class Table(Protocol):
    """The one table."""

    def get(self, key: Key, consistent: bool = True) -> Row | None: ...

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        """One row or None per key, in the order of the keys."""
        ...

    def query(self, query: Query) -> Page: ...

    def commit(self, transaction: Transaction) -> None:
        """All of it or nothing. Raises ConditionFailed, Contention, Throttled, TooLarge."""
        ...


def query_all(table: Table, query: Query) -> Iterator[Row]:
    """Every row of a partition, page by page."""
    while True:
        page = table.query(query)
        yield from page.rows
        if not page.last:
            return
        query = replace(query, after=page.last)


def present(rows: Iterable[Row | None]) -> list[Row]:
    """The rows that exist."""
    return [row for row in rows if row is not None]

"""A command is one transaction: puts with version conditions, counter moves with floors, checks and claims.

Nothing here talks to a database; `Table.commit` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from revops.kernel import TooLarge
from revops.table.row import Key, Row, Stamp

MAX_OPERATIONS: Final = 100
"""DynamoDB takes at most 100 operations and 4 MB in one transaction (R24)."""
MAX_DOC: Final = 390_000
"""Bytes of a document that still leave an item below DynamoDB's 400 KB."""


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


class _Anything:
    def __repr__(self) -> str:
        return "ANYTHING"


ABSENT: Final = _Absent()
"""Expectation: no such item yet."""
ANYTHING: Final = _Anything()
"""Expectation: none. For rows whose last writer may win, such as a cache."""

Expectation = int | _Absent | _Anything


@dataclass(frozen=True, slots=True)
class Put:
    """Writes a whole row if the expectation holds."""

    row: Row
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes an item if the expectation holds."""

    key: Key
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Check:
    """The item stands at a version (or is absent), and is left alone."""

    key: Key
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Move:
    """Adds whole numbers to counters. `at_least` are floors the counters must have *before* the move: conditions
    cannot add, so a budget is kept as what remains (`remaining >= :q`). `expect` guards the document version beside.
    The item is created when absent unless a floor or an expectation forbids it. `version` is left alone.

    A bare move is not idempotent by itself: it belongs in a transaction with a row that can be written once (R4).
    """

    key: Key
    kind: str
    add: Mapping[str, int]
    at_least: Mapping[str, int] = field(default_factory=dict)
    expect: Expectation = ANYTHING


Operation = Put | Delete | Check | Move


class Transaction:
    """Collects the operations of one command. `stamp` is written on every row it puts."""

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp
        self.operations: list[Operation] = []

    def put(self, row: Row, expect: Expectation) -> None:
        """Write a whole row if the expectation holds."""
        stamped = Row(row.pk, row.sk, row.kind, row.version, row.doc, row.index, row.counters, row.ttl, self.stamp)
        self.operations.append(Put(stamped, expect))

    def delete(self, key: Key, expect: Expectation = ANYTHING) -> None:
        self.operations.append(Delete(key, expect))

    def check(self, key: Key, expect: Expectation) -> None:
        self.operations.append(Check(key, expect))

    def move(
        self,
        key: Key,
        kind: str,
        add: Mapping[str, int],
        at_least: Mapping[str, int] | None = None,
        expect: Expectation = ANYTHING,
    ) -> None:
        """Add to counters, refusing to start below a floor."""
        self.operations.append(Move(key, kind, add, at_least or {}, expect))

    def keys(self) -> list[Key]:
        return [operation_key(operation) for operation in self.operations]

    def verify(self) -> None:
        """What no table takes. Raises TooLarge, and ValueError for two operations on one item (a mistake of ours)."""
        if len(self.operations) > MAX_OPERATIONS:
            raise TooLarge(f"{len(self.operations)} operations in one transaction; at most {MAX_OPERATIONS}")
        if len(set(self.keys())) < len(self.operations):
            raise ValueError("a transaction may touch an item only once")
        for operation in self.operations:
            if isinstance(operation, Put) and len(operation.row.doc) > MAX_DOC // 4:  # a character is 4 bytes at most
                size = len(operation.row.doc.encode())
                if size > MAX_DOC:
                    raise TooLarge(f"a {operation.row.kind} document of {size} bytes; at most {MAX_DOC}")


def operation_key(operation: Operation) -> Key:
    """The item an operation concerns."""
    return operation.row.key if isinstance(operation, Put) else operation.key

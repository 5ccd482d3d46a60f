"""The table in memory: the same port, the same conditions, and a record of every committed change.

Used by unit tests and by the fault bench, which needs thousands of fresh tables a second. It is not a simulator of
DynamoDB's wire; tests/integration holds both implementations to one contract.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import replace

from revops.table import (
    ABSENT,
    ANYTHING,
    INDEXES,
    Change,
    ConditionFailed,
    Delete,
    Failure,
    Key,
    Move,
    Operation,
    Page,
    Put,
    Query,
    Row,
    Transaction,
)
from revops.table.cursor import decode_position
from revops.table.shards import row_position


def _copy(row: Row) -> Row:
    index, counters = dict(row.index), dict(row.counters)
    return Row(row.pk, row.sk, row.kind, row.version, row.doc, index, counters, row.ttl, row.stamp)


class MemoryTable:
    """`Table` in memory. `changes` is the stream so far; `before_commit` lets a test step in between."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.changes: list[Change] = []
        self.before_commit: Callable[[Transaction], None] = lambda _: None
        self._partitions: dict[tuple[str, str], list[tuple[str, Key]]] = {}
        self._lock = threading.Lock()

    def spoil(self, key: Key) -> None:
        """Somebody broke a row: nothing can be made of its document any more."""
        self.rows[key] = replace(self.rows[key], doc='{"of": "another release"}')

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        row = self.rows.get(key)
        return _copy(row) if row else None

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        return [self.get(key, consistent) for key in keys]

    def query(self, query: Query) -> Page:
        low = query.begins or query.low
        top = query.begins + "\U0010ffff" if query.begins else query.high
        with self._lock:
            entries = self._partitions.get((query.index or "", query.pk))
            if not entries:
                return Page([], "")
            start = bisect_left(entries, (low, Key("", ""))) if low else 0
            end = bisect_right(entries, (top, Key("\U0010ffff", ""))) if top else len(entries)
            chosen = entries[start:end]
        if query.descending:
            chosen.reverse()
        if query.after:
            chosen = _after(chosen, query)
        page = [_copy(self.rows[key]) for _, key in chosen[: query.limit]]
        last = row_position(page[-1], query.index) if len(chosen) >= query.limit and page else ""
        if query.index and not query.documents:
            page = [
                Row(row.pk, row.sk, kind="", version=0, index={query.index: row.index[query.index]}) for row in page
            ]
        return Page(page, last)

    def commit(self, transaction: Transaction) -> None:
        transaction.verify()
        self.before_commit(transaction)
        keys = transaction.keys()
        with self._lock:
            failures = [
                Failure(position, key, _copy(row) if (row := self.rows.get(key)) else None)
                for position, (operation, key) in enumerate(zip(transaction.operations, keys, strict=True))
                if not self._holds(operation, key)
            ]
            if failures:
                raise ConditionFailed(failures)
            for operation in transaction.operations:
                self._apply(operation)

    def _holds(self, operation: Operation, key: Key) -> bool:
        row = self.rows.get(key)
        expect = operation.expect
        if expect is ABSENT and row is not None:
            return False
        if expect is not ABSENT and expect is not ANYTHING and (row is None or row.version != expect):
            return False
        if isinstance(operation, Move):
            counters = row.counters if row else {}
            return all(name in counters and counters[name] >= floor for name, floor in operation.at_least.items())
        return True

    def _apply(self, operation: Operation) -> None:
        match operation:
            case Put(row=row):
                self._store(row.key, _copy(row))
            case Delete(key=key):
                self._store(key, None)
            case Move(key=key, kind=kind, add=add):
                before = self.rows.get(key)
                row = _copy(before) if before else Row(pk=key.pk, sk=key.sk, kind=kind, version=0)
                row.kind = kind
                for name, amount in add.items():
                    row.counters[name] = row.counters.get(name, 0) + amount
                self._store(key, row)

    def _store(self, key: Key, after: Row | None) -> None:
        before = self.rows.pop(key, None)
        if before is not None:
            for partition, entry in _entries(before):
                entries = self._partitions[partition]
                del entries[bisect_left(entries, entry)]
        if after is not None:
            self.rows[key] = after
            for partition, entry in _entries(after):
                insort(self._partitions.setdefault(partition, []), entry)
        if before is not None or after is not None:
            sequence = f"{len(self.changes) + 1:021d}"
            self.changes.append(Change(sequence, before, after))  # a stored row is never changed, only replaced


class Overtaken(MemoryTable):
    """Somebody steps in once, right after a read of a key."""

    def __init__(self) -> None:
        super().__init__()
        self.after: tuple[Key, Callable[[], object]] | None = None

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        row = super().get(key, consistent)
        if self.after is not None and self.after[0] == key:
            (_, step_in), self.after = self.after, None
            step_in()
        return row


def _entries(row: Row) -> list[tuple[tuple[str, str], tuple[str, Key]]]:
    entries = [(("", row.pk), (row.sk, row.key))]
    entries += [((name, pk), (sk, row.key)) for name, (pk, sk) in row.index.items()]
    return entries


def _after(chosen: list[tuple[str, Key]], query: Query) -> list[tuple[str, Key]]:
    position = {name: value["S"] for name, value in decode_position(query.after).items()}
    sk_name = INDEXES[query.index][1] if query.index else "sk"
    mark = (position[sk_name], Key(position["pk"], position["sk"]))
    if query.descending:
        return [entry for entry in chosen if entry < mark]
    return [entry for entry in chosen if entry > mark]

"""The table with faults: a wrapper for the engine in memory, and a hook on the wire for DynamoDB's protocol.

Both do the same to the caller. In memory the retry loop of `DynamoTable` (its client token included) is played here;
over the wire the real one is at work.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError

from revops.kernel import Unavailable
from revops.table import Contention, Key, Page, Query, Row, Throttled, Transaction
from tests.builders.broken_wire import conflict, throttle
from tests.builders.memory_table import MemoryTable
from tests.faults.trouble import COMMIT, LAZY_READ, READ, Killed, Mishap, Trouble

_ATTEMPTS = 8
_SILENT_ATTEMPTS = 3
_STALE_REACH = 12
_READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan"})


class ItemLocks:
    """DynamoDB's rule for transactions: one that touches an item another one is holding is cancelled, not queued."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.refused = 0
        self._held: set[Key] = set()

    def take(self, keys: Sequence[Key]) -> bool:
        if self.enabled and not self._held.isdisjoint(keys):
            self.refused += 1
            return False
        self._held.update(keys)
        return True

    def give_back(self, keys: Sequence[Key]) -> None:
        self._held.difference_update(keys)


class FaultyTable:
    """`Table` over the one in memory."""

    def __init__(self, inner: MemoryTable, trouble: Trouble, locks: ItemLocks, turn: Callable[[str], None]) -> None:
        self.inner = inner
        self.fresh_tokens = False
        self._trouble = trouble
        self._locks = locks
        self._turn = turn

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        stale = self._read(f"get {key.pk}", consistent)
        row = self.inner.get(key)
        return self._earlier(key, row) if stale else row

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        stale = self._read(f"get_many {len(keys)}", consistent)
        rows = self.inner.get_many(keys)
        return [self._earlier(key, row) for key, row in zip(keys, rows, strict=True)] if stale else rows

    def query(self, query: Query) -> Page:
        stale = self._read(f"query {query.pk}", query.index is None and query.consistent)
        page = self.inner.query(query)
        if not stale:
            return page
        late = {change.key for change in self.inner.changes[-_STALE_REACH:]}
        return Page([row for row in page.rows if row.key not in late], page.last)

    def commit(self, transaction: Transaction) -> None:
        if not transaction.operations:
            return
        transaction.verify()
        keys = transaction.keys()
        site = f"commit {' '.join(sorted({key.pk.partition('#')[0] for key in keys}))}"
        done, silent = False, 0
        failed: Unavailable | Contention = Contention("others keep changing the same record")
        for _ in range(_ATTEMPTS):
            self._turn(site)
            mishap = self._trouble.strikes(site, COMMIT)
            if mishap is Mishap.KILL_BEFORE:
                raise Killed
            if mishap is Mishap.THROTTLED_OUT:
                raise Throttled("the table is busy; try again shortly")
            if mishap in (Mishap.THROTTLE, Mishap.CONFLICT) or not self._locks.take(keys):
                continue
            try:
                self._turn("holding")
                if not done or self.fresh_tokens:
                    self.inner.commit(transaction)
                done = True
            finally:
                self._locks.give_back(keys)
            if mishap is Mishap.KILL_AFTER:
                raise Killed
            if mishap is Mishap.SILENT:
                raise Unavailable("the table did not answer; try again shortly")
            if mishap is Mishap.LOST:
                silent += 1
                failed = Unavailable("the table did not answer; try again shortly")
                if silent == _SILENT_ATTEMPTS:
                    break
                continue
            self._turn("answered")
            return
        raise failed

    def _read(self, site: str, consistent: bool) -> bool:
        """Whether the answer is an old one."""
        self._turn(site)
        mishap = self._trouble.strikes(site, READ if consistent else LAZY_READ)
        if mishap is Mishap.KILL_BEFORE:
            raise Killed
        if mishap is Mishap.THROTTLED_OUT:
            raise Throttled("the table is busy; try again shortly")
        return mishap is Mishap.STALE

    def _earlier(self, key: Key, row: Row | None) -> Row | None:
        for change in reversed(self.inner.changes[-_STALE_REACH:]):
            if change.key == key:
                return change.before
        return row


class WireFaults:
    """The same on the wire between `DynamoTable` and its engine, as a `before-send` hook of its client."""

    def __init__(self, client: Any, trouble: Trouble, locks: ItemLocks, turn: Callable[[str], None]) -> None:
        self._client = client
        self._trouble = trouble
        self._locks = locks
        self._turn = turn
        self._deaf: dict[str, int] = {}
        self.written = True
        """Whether something may have been written since somebody last said that it was not."""

    def __enter__(self) -> "WireFaults":
        self._client.meta.events.register("before-send.dynamodb", self._send)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.meta.events.unregister("before-send.dynamodb", self._send)

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        actor = self._trouble.actor()
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        if not actor or self._trouble.aside:
            self.written = self.written or operation not in _READS
            return None
        if operation != "TransactWriteItems":
            if operation not in _READS:
                raise AssertionError(f"{operation}: commands are transactions")
            self._turn(operation)
            mishap = self._trouble.strikes(operation, READ)
            if mishap is Mishap.KILL_BEFORE:
                raise Killed
            return throttle(request) if mishap is Mishap.THROTTLED_OUT else None
        return self._commit(request, actor)

    def _commit(self, request: AWSPreparedRequest, actor: str) -> AWSResponse:
        body: Any = request.body
        keys = [_item_key(item) for item in json.loads(body)["TransactItems"]]
        site = f"commit {' '.join(sorted({key.pk.partition('#')[0] for key in keys}))}"
        self._turn(site)
        if self._deaf.get(actor):
            self._deaf[actor] -= 1
            raise ReadTimeoutError(endpoint_url=request.url)
        mishap = self._trouble.strikes(site, COMMIT)
        if mishap is Mishap.KILL_BEFORE:
            raise Killed
        if mishap in (Mishap.THROTTLE, Mishap.THROTTLED_OUT):
            return throttle(request)
        if mishap is Mishap.CONFLICT or not self._locks.take(keys):
            return conflict(request)
        try:
            self._turn("holding")
            answer: AWSResponse = self._client._endpoint.http_session.send(request)
        finally:
            self._locks.give_back(keys)
            self.written = True
        if mishap is Mishap.KILL_AFTER:
            raise Killed
        if mishap in (Mishap.LOST, Mishap.SILENT):
            self._deaf[actor] = _SILENT_ATTEMPTS - 1 if mishap is Mishap.SILENT else 0
            raise ReadTimeoutError(endpoint_url=request.url)
        self._turn("answered")
        return answer


def _item_key(item: dict[str, Any]) -> Key:
    operation = next(iter(item.values()))
    key = operation.get("Item") or operation["Key"]
    return Key(key["pk"]["S"], key["sk"]["S"])

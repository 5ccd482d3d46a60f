"""Leases: of everybody whom a schedule wakes for one period, one does the work, and the period is done once (R17).

| item | pk | sk | read by |
|---|---|---|---|
| lease | LEASE#<job> | <period> | job and period |

A lease is taken, and then either finished, which closes the period for good, or given back. A holder that died keeps
it until it runs out; whoever takes it then goes on. A lease keeps two runs apart in the ordinary case; what must
happen once even when a holder is slow is made so by claims in the work's own transactions.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from revops.kernel import Clock, parse_time, system_call, time_text
from revops.table.entities import begin
from revops.table.port import ConditionFailed, Table
from revops.table.row import Key, Row
from revops.table.transaction import ABSENT, Expectation

KIND = "LEASE"
KEEP = timedelta(days=40)
_DONE = "done"


@contextmanager
def lease(
    table: Table,
    job: str,
    period: str,
    holder: str,
    clock: Clock,
    length: timedelta = timedelta(minutes=5),
) -> Iterator[bool]:
    """Yields whether `holder` may do `job` for `period`; the block looks at that and leaves when it may not.

    A block that ends finishes the period, one that raises gives it back at once. `length` is how long a holder is
    trusted to be alive. Raises what the table raises, never ConditionFailed.
    """
    key = Key(f"LEASE#{job}", period)
    version = _take(table, key, holder, clock, length)
    if version is None:
        yield False
        return
    try:
        yield True
    except BaseException:
        _settle(table, key, holder, "", version, clock)
        raise
    _settle(table, key, holder, _DONE, version, clock)


def _take(table: Table, key: Key, holder: str, clock: Clock, length: timedelta) -> int | None:
    """The version the lease is held at, or None when it is somebody else's or the period is done."""
    now = clock.now()
    current: Row | None = None
    expect: Expectation = ABSENT
    while True:
        version = current.version + 1 if current else 1
        try:
            _write(table, key, holder, time_text(now + length), version, expect, clock)
        except ConditionFailed as error:
            current = error.failures[0].current
            if current is None:
                expect = ABSENT
            elif _free(current, now):
                expect = current.version
            else:
                return None
        else:
            return version


def _free(row: Row, now: datetime) -> bool:
    until = str(json.loads(row.doc)["until"])
    return until == "" or (until != _DONE and parse_time(until) <= now)


def _settle(table: Table, key: Key, holder: str, until: str, version: int, clock: Clock) -> None:
    try:
        _write(table, key, holder, until, version + 1, version, clock)
    except ConditionFailed:
        return  # it ran out and somebody else took it, who settles it now


def _write(table: Table, key: Key, holder: str, until: str, version: int, expect: Expectation, clock: Clock) -> None:
    now = clock.now()
    transaction = begin(system_call(f"lease:{holder}"), now)
    doc = json.dumps({"holder": holder, "until": until})
    ttl = int((now + KEEP).timestamp())
    transaction.put(Row(pk=key.pk, sk=key.sk, kind=KIND, version=version, doc=doc, ttl=ttl), expect)
    table.commit(transaction)

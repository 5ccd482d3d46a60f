"""The sweeper: finds what the stream or a queue lost, says so, and drives it again from the state (R15).

It walks slowly over the whole table and keeps its place, so every record is looked at once a cycle whatever the
table's size; and it asks the due index for inbox entries that no worker settled in time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.analytics import COUNTED, ApplyRollups, contribution_key
from revops.audit import WriteAudit, audit_key, record_name
from revops.audit.store import head_of
from revops.inbox import INBOX, Settlement
from revops.kernel import Clock, DomainError, Unavailable, parse_time, system_call, time_text
from revops.stream.ports import EventBus, MarkDirty, Queues, Redrive, RollingScan
from revops.stream.relay import SYNC_QUEUE, EventsOf, redriven
from revops.table import ABSENT, Change, Key, Row, Table, begin, due_now, present

SETTLED_AFTER = timedelta(minutes=10)
"""How old a version must be before its missing audit entry counts as lost and not as on its way."""
_PLACE = Key("SWEEP#table", "PLACE")


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a run looked at and drove again; `cycle_done` when it reached the end of the table."""

    looked_at: int
    redriven: int
    cycle_done: bool


class FindLost:
    """Walks on through the table and hands over the records whose version the audit or the counters have not seen.

    It writes no audit entry itself: only the change relay may, and the relay is who it hands over to.
    """

    def __init__(
        self, table: Table, scan: RollingScan, clock: Clock, *, audited: frozenset[str], redrive: Redrive
    ) -> None:
        self._table = table
        self._scan = scan
        self._clock = clock
        self._audited = audited
        self._redrive = redrive

    def __call__(self, *, pages: int = 10, page_size: int = 200) -> SweepReport:
        """Walks on from where the last run stopped."""
        place = self._table.get(_PLACE)
        after = place.doc.removeprefix("@") if place else ""
        looked_at = redriven = 0
        for _ in range(pages):
            page = self._scan.scan(after, page_size)
            looked_at += len(page.rows)
            lost = self._lost(page.rows)
            if lost:
                self._redrive(lost)
            redriven += len(lost)
            after = page.last
            if not after:
                break
        transaction = begin(system_call("housekeeping"), self._clock.now())
        version = place.version + 1 if place else 1
        transaction.put(
            Row(pk=_PLACE.pk, sk=_PLACE.sk, kind="SWEEP", version=version, doc="@" + after),
            place.version if place else ABSENT,
        )
        self._table.commit(transaction)
        return SweepReport(looked_at, redriven, cycle_done=not after)

    def _lost(self, rows: Sequence[Row]) -> list[Key]:
        old = time_text(self._clock.now() - SETTLED_AFTER)
        settled = [row for row in rows if row.kind in self._audited and row.stamp and row.stamp.at < old]
        if not settled:
            return []
        seen = self._table.get_many([audit_key(record_name(row), row.version) for row in settled])
        lost = {row.key for row, entry in zip(settled, seen, strict=True) if entry is None}
        counted = [row for row in settled if row.kind in COUNTED]
        stood = self._table.get_many([contribution_key(row.key) for row in counted])
        lost |= {
            row.key for row, entry in zip(counted, stood, strict=True) if entry is None or entry.version < row.version
        }
        return sorted(lost)


class RedriveRecords:
    """Records whose change was lost get a gap entry, and their events, marks and counters again, from the state."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        *,
        events_of: Iterable[EventsOf],
        write_audit: WriteAudit,
        rollups: ApplyRollups,
        bus: EventBus,
        queues: Queues,
        mark_dirty: MarkDirty,
    ) -> None:
        self._table = table
        self._clock = clock
        self._events_of = tuple(events_of)
        self._write_audit = write_audit
        self._rollups = rollups
        self._bus = bus
        self._queues = queues
        self._mark_dirty = mark_dirty

    def __call__(self, keys: Sequence[Key]) -> int:
        """Returns how many were driven again. Raises Unavailable when a dependency refused; the sweep comes again.

        A record that cannot be read keeps none of the others back: the first such error is raised after the last."""
        old = time_text(self._clock.now() - SETTLED_AFTER)
        # One that was changed again meanwhile is on its way: the relay says what was lost before it.
        rows = [row for row in present(self._table.get_many(list(keys))) if row.stamp and row.stamp.at < old]
        broken: Exception | None = None
        for row in rows:
            try:
                self._redrive(row)
            except (ValueError, DomainError) as error:  # pydantic's and JSON's errors are ValueErrors
                if isinstance(error, DomainError) and error.retryable:
                    raise
                broken = broken or error
        if broken is not None:
            raise broken
        return len(rows)

    def _redrive(self, row: Row) -> None:
        record = record_name(row)
        events = [redriven(row, self._clock.now().isoformat())]
        if row.version == 1:
            change = Change("", None, row)  # nothing stood before it, so the whole change is known
            events += [said for events_of in self._events_of for said in events_of(change)]
        else:
            change = Change("", Row(row.pk, row.sk, row.kind, version=row.version - 1), row)
        self._rollups([change])
        messages = self._mark_dirty(Change("", None, row))
        if self._queues.send(SYNC_QUEUE, messages) or self._bus.publish(events):
            raise Unavailable("a queue or the bus refused what was driven again")
        self._audit(change, record)  # last: the entry says that everything else was handed over

    def _audit(self, change: Change, record: str) -> None:
        row = change.row
        if row.version == 1:
            self._write_audit(change)
        else:
            head = head_of(self._table, record)
            self._write_audit.fill(record, row.kind, head.version + 1 if head else 1, row.version, head)


class SweepInbox:
    """Hands inbox entries that stayed unsettled to their worker again, and gives up those that were tried enough."""

    def __init__(self, table: Table, clock: Clock, settlement: Settlement) -> None:
        self._table = table
        self._clock = clock
        self._settlement = settlement

    def __call__(self) -> int:
        """Returns how many entries were handed over again or given up."""
        now = self._clock.now()
        call = system_call("housekeeping", time_text(now))
        count = 0
        for due in list(due_now(self._table, "inbox", now)):
            row = self._table.get(due.key)
            entry = INBOX.readable(row)
            if row is not None and entry is not None and entry.waiting and "due" in row.index and _is_due(row, now):
                self._settlement.again(entry, call)
                count += 1
        return count


def _is_due(row: Row, now: datetime) -> bool:
    return parse_time(row.index["due"][1].partition("#")[0]) <= now

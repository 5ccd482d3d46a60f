"""What the stream or a queue lost is found, said and driven again; one part that fails keeps no other from running."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from revops.access import Policy
from revops.analytics import ApplyRollups, rollup_key
from revops.audit import WriteAudit, entries_of, verify_chain
from revops.bootstrap import AUDITED
from revops.bootstrap.registry import events_of
from revops.crm.model import LeadStatus
from revops.crm.service import ChangeLead, LeadChange
from revops.inbox import INBOX, InboxStatus, ReceiveSignal, Settlement, Signal, inbox_id
from revops.inbox.service import MAX_ATTEMPTS
from revops.inbox.store import overdue_after
from revops.kernel import Unavailable
from revops.stream import FindLost, RedriveRecords, SweepInbox
from revops.stream.housekeeping import Housekeep
from revops.table import ANYTHING, Change, Key, Page, Query, Row, begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.stream import ListeningBus, ListeningQueues, MemoryBlobs, MemoryScan


class World:
    """A table whose stream lost everything so far."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.bus, self.queues = ListeningBus(), ListeningQueues()
        self.handed: list[Key] = []
        self.write_audit = WriteAudit(self.table, self.clock)
        self.redrive = RedriveRecords(
            self.table,
            self.clock,
            events_of=events_of(),
            write_audit=self.write_audit,
            rollups=ApplyRollups(self.table, self.clock),
            bus=self.bus,
            queues=self.queues,
            mark_dirty=self._mark,
        )
        self.find = FindLost(self.table, MemoryScan(self.table), self.clock, audited=AUDITED, redrive=self._hand_over)

    def _mark(self, change: Change) -> list[Mapping[str, Any]]:
        return [{"entity_id": change.key.pk, "kind": "PERSON"}]

    def _hand_over(self, keys: Sequence[Key]) -> None:
        self.handed += keys
        self.redrive(keys)

    def lead(self, n: int = 0) -> Key:
        made = submit_lead(self.table, clock=self.clock)(
            submission(email=f"p{n}@x{n}.example", phone="", last_name=f"N{n}", country="US", consents=()), CALL
        )
        return Key(f"LEAD#{made.lead.id}", "LEAD")

    def sweep(self) -> int:
        """Whole cycles until nothing is found."""
        found = 0
        for _ in range(20):
            report = self.find(pages=3, page_size=7)
            found += report.redriven
            if report.cycle_done:
                return found
        raise AssertionError("the walk does not end")


@pytest.mark.mission("SAFE-3", "SEE-4")
@pytest.mark.fault("R15")
def test_every_lost_change_is_found_said_and_driven_again_once() -> None:
    world = World()
    keys = [world.lead(n) for n in range(9)]
    assert world.sweep() == 0, "young changes are on their way, not lost"
    world.clock.advance(minutes=11)
    assert world.sweep() == 9
    assert world.bus.names.count("LeadCreated") == world.bus.names.count("RecordRedriven") == 9
    assert {message["entity_id"] for _, message in world.queues.sent} == {key.pk for key in keys}
    counted = world.table.get(rollup_key("leads"))
    assert counted is not None
    assert counted.counters == {"New": 9}
    for key in keys:
        entries = list(entries_of(world.table, f"{key.pk}|{key.sk}"))
        assert [entry.gap for entry in entries] == [False], "a first version is known whole"
    world.clock.advance(minutes=11)
    assert world.sweep() == 0


@pytest.mark.fault("R15")
def test_a_lost_later_version_gets_an_entry_that_says_that_it_is_missing() -> None:
    world = World()
    key = world.lead()
    change = ChangeLead(world.table, world.clock, Policy())
    changes: tuple[dict[str, str], ...] = ({"status": LeadStatus.CONTACTED}, {"job_title": "CEO"})
    for version, wanted in enumerate(changes, 1):
        change(key.pk.removeprefix("LEAD#"), LeadChange.model_validate({"version": version} | wanted), CALL)
    world.clock.advance(minutes=11)
    assert world.sweep() == 1
    entries = list(entries_of(world.table, f"{key.pk}|{key.sk}"))
    assert [(entry.version, entry.gap) for entry in entries] == [(1, True), (2, True), (3, True)]
    assert verify_chain(entries) == []
    late = [each for each in world.table.changes if each.key == key and each.row.version < 3]
    for each in late:
        assert world.write_audit(each) == 0, "what comes after all changes no entry"
    assert verify_chain(list(entries_of(world.table, f"{key.pk}|{key.sk}"))) == []


@pytest.mark.fault("R15", "R13")
def test_a_queue_that_refuses_leaves_the_record_to_be_found_again() -> None:
    world = World()
    key = world.lead()
    world.clock.advance(minutes=11)
    world.queues.refuse = {key.pk}
    with pytest.raises(Unavailable):
        world.sweep()
    assert list(entries_of(world.table, f"{key.pk}|{key.sk}")) == []
    world.queues.refuse = set()
    assert world.sweep() == 1


@pytest.mark.fault("R12", "R15")
def test_a_record_that_cannot_be_read_keeps_no_other_from_being_driven_again() -> None:
    world = World()
    transaction = begin(CALL, world.clock.now())
    transaction.put(Row("LEAD#0", "LEAD", "LEAD", doc="{}"), ANYTHING)
    world.table.commit(transaction)
    keys = [world.lead(n) for n in range(3)]
    world.clock.advance(minutes=11)
    with pytest.raises(ValueError):
        world.redrive([Key("LEAD#0", "LEAD"), *keys])
    assert all(list(entries_of(world.table, f"{key.pk}|{key.sk}")) for key in keys)


def test_a_record_that_is_gone_is_not_driven_again() -> None:
    assert World().redrive([Key("LEAD#x", "LEAD")]) == 0


def test_the_walk_goes_on_where_it_stopped() -> None:
    world = World()
    for n in range(10):
        world.lead(n)
    looked = [world.find(pages=1, page_size=10) for _ in range(3)]
    assert [report.looked_at for report in looked] == [10, 10, 10]
    assert not any(report.cycle_done for report in looked)


class Inbox:
    """An inbox whose queue loses everything."""

    def __init__(self) -> None:
        self.table, self.clock, self.blobs = MemoryTable(), ManualClock(), MemoryBlobs()
        self.settlement = Settlement(self.table, self.clock, self.blobs, "release-1")
        self.sweep = SweepInbox(self.table, self.clock, self.settlement)
        ReceiveSignal(self.table, self.clock, self.blobs)(Signal("stripe", "e", "t", "s", "{}"), CALL)
        self.id = inbox_id("stripe", "e")


@pytest.mark.mission("STR-6")
@pytest.mark.fault("R26", "R27")
def test_an_entry_nobody_settles_is_handed_over_again_and_given_up_with_its_reason() -> None:
    inbox = Inbox()
    assert inbox.sweep() == 0, "not overdue yet"
    for attempt in range(2, MAX_ATTEMPTS + 1):
        wait = overdue_after(attempt - 1)
        inbox.clock.advance(seconds=wait.total_seconds() - 1)
        assert inbox.sweep() == 0, "the wait doubles, so that an outage does not use up the attempts"
        inbox.clock.advance(seconds=1)
        assert inbox.sweep() == 1
        assert INBOX.require(inbox.table, inbox.id).attempts == attempt
    inbox.clock.advance(hours=6)
    assert inbox.sweep() == 1
    entry = INBOX.require(inbox.table, inbox.id)
    assert (entry.status, entry.reason) == (InboxStatus.DEAD, f"no outcome after {MAX_ATTEMPTS} attempts")
    inbox.clock.advance(days=1)
    assert inbox.sweep() == 0


@pytest.mark.fault("R22")
def test_the_sweep_believes_the_row_and_not_the_index() -> None:
    inbox = Inbox()
    inbox.clock.advance(minutes=6)
    entry = inbox.settlement.load(inbox.id)
    page = inbox.table.query
    stale = [row for shard in range(4) for row in page(_due(shard)).rows]
    assert len(stale) == 1
    transaction = begin(CALL, inbox.clock.now())
    inbox.settlement.applied(transaction, entry)
    inbox.table.commit(transaction)
    inbox.table.query = lambda query: page(query) if query.index != "due" else _page(stale)  # type: ignore[method-assign]
    assert inbox.sweep() == 0
    assert INBOX.require(inbox.table, inbox.id).status is InboxStatus.APPLIED


def _due(shard: int) -> Query:
    return Query(pk=f"DUE#inbox#{shard}", index="due", documents=False)


def _page(rows: list[Row]) -> Page:
    return Page(rows)


@pytest.mark.fault("R17")
@pytest.mark.parametrize("error", [Unavailable, ValueError, RuntimeError])
def test_a_part_that_fails_keeps_no_other_from_running_and_is_not_swallowed(error: type[Exception]) -> None:
    ran: list[str] = []

    def fails(period: str) -> int:
        ran.append("first")
        raise error("no")

    def works(period: str) -> int:
        ran.append(period)
        return 1

    with pytest.raises(error):
        Housekeep({"first": fails, "second": works, "third": works})("P")
    assert ran == ["first", "P", "P"]
    assert Housekeep({"second": works})("P") == {"second": 1}


def test_a_period_of_rest_costs_nothing() -> None:
    world = World()
    world.clock.advance(minutes=11)
    before = len(world.table.changes)
    assert world.sweep() == 0
    assert len(world.table.changes) - before == 1, "only the place where it stands"
    assert json.dumps(world.handed) == "[]"

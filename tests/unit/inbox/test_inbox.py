"""A signal is stored once, settled once, and can be replayed at any later time."""

import json
from datetime import datetime, timedelta

import pytest

from revops.inbox import INBOX, InboxEntry, InboxStatus, ReceiveSignal, Settlement, Signal, inbox_id
from revops.inbox.service import MAX_INLINE
from revops.inbox.store import KEEP, received_between
from revops.kernel import NotFound, Unavailable
from revops.table import ConditionFailed, begin, query_all
from revops.table.transaction import MAX_DOC
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL
from tests.builders.inbox import entries_about
from tests.builders.memory_table import MemoryTable
from tests.builders.stream import MemoryBlobs


class Desk:
    """An inbox."""

    def __init__(self) -> None:
        self.table, self.clock, self.blobs = MemoryTable(), ManualClock(), MemoryBlobs()
        self.receive = ReceiveSignal(self.table, self.clock, self.blobs)
        self.settlement = Settlement(self.table, self.clock, self.blobs, "release-2")

    def get(self, event: str = "evt_1", subject: str = "cus_1", body: str = "{}", provider: str = "stripe") -> bool:
        return self.receive(Signal(provider, event, "t", subject, body), CALL)

    def entry(self, event: str = "evt_1") -> InboxEntry:
        return self.settlement.load(inbox_id("stripe", event))

    def apply(self, entry: InboxEntry) -> None:
        transaction = begin(CALL, self.clock.now())
        self.settlement.applied(transaction, entry)
        self.table.commit(transaction)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("STR-1")
@pytest.mark.fault("R1")
def test_the_same_event_again_is_known_for_forty_days(desk: Desk) -> None:
    assert desk.get()
    assert not desk.get(body="another body")
    assert desk.get("evt_2")
    assert desk.get(provider="hubspot"), "another provider's event of that id is another event"
    assert timedelta(days=30) <= KEEP
    row = desk.table.get(INBOX.key(inbox_id("stripe", "evt_1")))
    assert row is not None
    assert row.ttl == int((desk.clock.now() + KEEP).timestamp())


@pytest.mark.fault("S17")
@pytest.mark.parametrize("event", ["a#b", "a|b", "\0", "x" * 5_000, "a\nb", "👍"])
def test_an_event_id_never_stands_in_a_key(desk: Desk, event: str) -> None:
    assert desk.get(event)
    [row] = desk.table.rows.values()
    assert len(row.pk) < 80
    assert event not in row.pk + row.sk
    assert not desk.get(event)


@pytest.mark.fault("S17")
def test_provider_and_event_are_not_run_together() -> None:
    assert inbox_id("stripe", "x") != inbox_id("stripex", "")


@pytest.mark.fault("R24")
@pytest.mark.parametrize(
    "body",
    ["x" * (MAX_INLINE + 1), "é" * MAX_INLINE, "😀" * (MAX_INLINE - 1), '"' * 100_000, "\n" * 100_000, "x" * 5_000_000],
)
def test_a_body_of_any_size_and_script_fits(desk: Desk, body: str) -> None:
    assert desk.get(body=body)
    [row] = desk.table.rows.values()
    assert len(row.doc.encode()) < MAX_DOC
    entry = desk.entry()
    assert entry.body == body
    desk.apply(entry)
    [row] = desk.table.rows.values()
    assert len(row.doc.encode()) < MAX_DOC, "settling does not bring the body back into the row"
    assert desk.entry().body == body


@pytest.mark.fault("R26")
def test_a_body_that_cannot_be_kept_is_not_acknowledged(desk: Desk) -> None:
    desk.blobs.down = True
    with pytest.raises(Unavailable):
        desk.get(body="x" * (MAX_INLINE + 1))
    assert desk.table.rows == {}


@pytest.mark.fault("R16", "R19")
def test_only_one_worker_settles(desk: Desk) -> None:
    desk.get()
    one, other = desk.entry(), desk.entry()
    desk.apply(one)
    with pytest.raises(ConditionFailed):
        desk.apply(other)
    desk.settlement.dead(other, "too late", CALL)
    entry = desk.entry()
    assert (entry.status, entry.handler_version, entry.reason) == (InboxStatus.APPLIED, "release-2", "")


@pytest.mark.mission("STR-6")
@pytest.mark.fault("R12", "R16")
def test_dead_with_its_reason_and_replayed(desk: Desk) -> None:
    desk.get()
    desk.settlement.dead(desk.entry(), "r" * 5_000, CALL)
    dead = desk.entry()
    assert (dead.status, len(dead.reason), dead.waiting) == (InboxStatus.DEAD, 1_000, False)
    desk.settlement.again(dead, CALL, delay_seconds=40)
    again = desk.entry()
    assert (again.status, again.attempts, again.reason) == (InboxStatus.RECEIVED, 1, "")
    assert again.delay_seconds == 40
    desk.apply(again)
    desk.settlement.again(desk.entry(), CALL)
    assert (desk.entry().waiting, desk.entry().delay_seconds) == (True, 0)


def _between(desk: Desk, start: datetime, end: datetime) -> list[InboxEntry]:
    partitions = received_between("stripe", start, end).values()
    return [INBOX.load(row) for query in partitions for row in query_all(desk.table, query)]


@pytest.mark.mission("STR-6")
def test_replayed_by_object_and_by_window(desk: Desk) -> None:
    start = desk.clock.now()
    for n in range(6):
        desk.get(f"evt_{n}", subject=f"cus_{n % 2}")
        desk.get(f"hs_{n}", provider="hubspot")
        desk.clock.advance(hours=10)
    assert [entry.event_id for entry in entries_about(desk.table, "stripe", "cus_1")] == ["evt_1", "evt_3", "evt_5"]
    window = _between(desk, start + timedelta(hours=10), start + timedelta(hours=40))
    assert sorted(entry.event_id for entry in window) == ["evt_1", "evt_2", "evt_3", "evt_4"]
    assert _between(desk, start - timedelta(days=9), start - timedelta(days=1)) == []


def test_an_entry_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.entry("never")


@pytest.mark.fault("R15")
def test_it_stands_in_the_due_index_while_it_waits_and_only_then(desk: Desk) -> None:
    desk.get()
    key = INBOX.key(inbox_id("stripe", "evt_1"))
    assert "due" in desk.table.rows[key].index
    desk.apply(desk.entry())
    assert "due" not in desk.table.rows[key].index
    assert json.loads(desk.table.rows[key].doc)["status"] == "Applied"

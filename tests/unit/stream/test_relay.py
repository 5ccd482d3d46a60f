"""The change relay: what follows from a change follows, whatever its neighbours are and whoever refuses."""

import json
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from revops.access import Policy
from revops.audit import WriteAudit, entries_of, verify_chain
from revops.bootstrap import AUDITED
from revops.bootstrap.registry import events_of
from revops.crm.service import ChangeLead, LeadChange
from revops.inbox import ReceiveSignal, Signal
from revops.kernel import TooLarge, Unavailable
from revops.stream import DEAD_LETTERS, KeepDeadLetter, RelayChanges
from revops.sync import dirty_marks
from revops.table import Change, Transaction
from revops.table.transaction import operation_key
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.stream import ListeningBus, ListeningQueues, MemoryBlobs, stream_record


class Relay:
    """A relay over a table, and what it reached."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.bus, self.queues, self.blobs = ListeningBus(), ListeningQueues(), MemoryBlobs()
        self.marks: list[Change] = []
        self.silent: set[str] = set()
        self.relay = RelayChanges(
            audited=AUDITED,
            events_of=events_of(),
            write_audit=WriteAudit(self.table, self.clock),
            bus=self.bus,
            queues=self.queues,
            mark_dirty=self._mark,
            keep_dead_letter=KeepDeadLetter(self.table, self.clock, self.blobs),
        )

    def _mark(self, change: Change) -> list[Mapping[str, Any]]:
        if change.key.pk in self.silent:
            raise Unavailable("no answer")
        self.marks.append(change)
        return [{"entity_id": change.key.pk, "kind": "PERSON"}]

    def leads(self, count: int) -> list[dict[str, Any]]:
        """The records of new leads, numbered from 1."""
        submit = submit_lead(self.table, clock=self.clock)
        for n in range(count):
            submit(submission(email=f"p{n}@x{n}.example", phone="", last_name=f"N{n}"), CALL)
        changes = [change for change in self.table.changes if change.kind == "LEAD"]
        return [stream_record(change, f"{n}") for n, change in enumerate(changes, 1)]

    def dead(self) -> list[str]:
        return [DEAD_LETTERS.load(row).reason for row in self.table.rows.values() if row.kind == "DEADLETTER"]


BROKEN: dict[str, dict[str, Any]] = {
    "no image": {"dynamodb": {"SequenceNumber": "9", "Keys": {"pk": {"S": "A"}, "sk": {"S": "B"}}}},
    "a document that is no lead": {"dynamodb": {"SequenceNumber": "9", "NewImage": {
        "pk": {"S": "LEAD#x"}, "sk": {"S": "LEAD"}, "kind": {"S": "LEAD"}, "v": {"N": "1"}, "doc": {"S": "{}"}}}},
    "no JSON": {"dynamodb": {"SequenceNumber": "9", "NewImage": {
        "pk": {"S": "ACC#x"}, "sk": {"S": "ACCOUNT"}, "kind": {"S": "ACCOUNT"}, "v": {"N": "1"}, "doc": {"S": "{"}}}},
    "a number that is none": {"dynamodb": {"SequenceNumber": "9", "NewImage": {
        "pk": {"S": "X"}, "sk": {"S": "Y"}, "kind": {"S": "Z"}, "v": {"N": "one"}}}},
    "another type": {"dynamodb": {"SequenceNumber": "9", "NewImage": {"pk": {"N": "1"}, "sk": {"S": "Y"}}}},
    "no keys at all": {"dynamodb": {"SequenceNumber": "9", "Keys": None, "NewImage": None}},
}  # fmt: skip


@pytest.mark.fault("R12", "R13")
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_record_nothing_can_be_made_of_is_kept_and_its_neighbours_go_on(name: str, place: int) -> None:
    world = Relay()
    records = world.leads(3)
    records.insert(place, BROKEN[name])
    outcome = world.relay(records)
    assert outcome.retry_from == ""
    assert outcome.audited == 3
    assert world.bus.names.count("LeadCreated") == 3
    assert len(world.queues.sent) == 3
    assert len(outcome.isolated) == len(world.dead()) == 1
    letter = DEAD_LETTERS.require(world.table, outcome.isolated[0])
    assert json.loads(world.blobs.get(letter.blob)) == BROKEN[name], "it is kept whole"
    world.relay(records)
    assert len(world.dead()) == 1, "given up twice it is one letter"


def _changed(world: Relay, times: int) -> list[dict[str, Any]]:
    """The records of a lead that is made and then changed so many times."""
    [made] = world.leads(1)
    lead_id = made["dynamodb"]["Keys"]["pk"]["S"].removeprefix("LEAD#")
    change = ChangeLead(world.table, world.clock, Policy())
    for number in range(1, times + 1):
        change(lead_id, LeadChange(version=number, job_title=f"Title {number}"), CALL)
    changes = [each for each in world.table.changes if each.kind == "LEAD"]
    return [stream_record(each, f"{n}") for n, each in enumerate(changes, 1)]


@pytest.mark.mission("SAFE-3")
@pytest.mark.fault("R15")
def test_a_creation_the_stream_lost_is_made_good_by_the_next_change() -> None:
    world = Relay()
    _, second, third = _changed(world, 2)
    world.relay([second, third])
    assert world.bus.names.count("LeadCreated") == 1
    assert world.bus.names.count("RecordRedriven") == 1
    entries = list(entries_of(world.table, _record_of(second)))
    assert [(entry.version, entry.gap) for entry in entries] == [(1, False), (2, False), (3, False)]
    assert verify_chain(entries) == []
    world.relay([second, third])
    assert world.bus.names.count("RecordRedriven") == 1, "once is enough"


@pytest.mark.mission("SAFE-3")
@pytest.mark.fault("R15", "R27")
def test_what_the_stream_lost_between_two_changes_is_said_before_any_entry_stands() -> None:
    world = Relay()
    first, second, _, fourth = _changed(world, 3)
    world.relay([first, second])
    world.bus.refuse = {f"{_record_of(first)}:4:RecordRedriven": 1}
    outcome = world.relay([fourth])
    assert outcome.retry_from == "4"
    assert len(list(entries_of(world.table, _record_of(first)))) == 2
    assert world.relay([fourth]).retry_from == ""
    entries = list(entries_of(world.table, _record_of(first)))
    assert [(entry.version, entry.gap) for entry in entries] == [(1, False), (2, False), (3, True), (4, False)]
    assert world.bus.names.count("RecordRedriven") == 1


@pytest.mark.mission("HUB-1")
@pytest.mark.fault("R15", "R27")
@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_change_goes_out_with_the_next_one_whatever_that_one_changed(lost: int) -> None:
    world = Relay()
    before = _changed(world, lost - 1)
    lead_id = _record_of(before[0]).partition("|")[0].removeprefix("LEAD#")
    ChangeLead(world.table, world.clock, Policy())(lead_id, LeadChange(version=lost, industry="Shipping"), CALL)
    last = [change for change in world.table.changes if change.kind == "LEAD"][-1]
    assert not dirty_marks(last), "HubSpot has no such field"
    world.relay(before[:-1])
    world.marks.clear()
    world.queues.refuse = {last.key.pk}
    assert world.relay([stream_record(last, "8")]).retry_from == "8"
    world.queues.refuse = set()
    assert world.relay([stream_record(last, "8")]).audited
    assert any(map(dirty_marks, world.marks))
    world.marks.clear()
    world.relay([stream_record(last, "8")])
    assert not any(map(dirty_marks, world.marks)), "once is enough"


def _record_of(record: Mapping[str, Any]) -> str:
    keys = record["dynamodb"]["Keys"]
    return f"{keys['pk']['S']}|{keys['sk']['S']}"


@pytest.mark.fault("R13")
@pytest.mark.parametrize("place", range(4))
def test_a_dependency_that_is_silent_stops_the_batch_there(place: int) -> None:
    world = Relay()
    records = world.leads(4)
    keys = [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]
    world.silent = {keys[place]}
    outcome = world.relay(records)
    assert outcome.retry_from == f"{place + 1}"
    assert [change.key.pk for change in world.marks] == keys[:place]
    assert len(world.bus.events) == place
    world.silent = set()
    assert world.relay(records[place:]).retry_from == ""
    assert len({event.id for event in world.bus.events}) == 4
    assert [change.key.pk for change in world.marks] == keys


@pytest.mark.fault("R13")
def test_nothing_is_lost_when_the_letter_box_and_a_later_dependency_are_silent() -> None:
    world = Relay()
    records = world.leads(3)
    world.blobs.down = True
    world.silent = {records[2]["dynamodb"]["Keys"]["pk"]["S"]}
    broken = {"dynamodb": {**BROKEN["no image"]["dynamodb"], "SequenceNumber": "0"}}
    assert world.relay([broken, *records]).retry_from == "0", "the earliest of the two"


@pytest.mark.fault("R24", "R12")
def test_a_change_that_can_never_be_written_down_is_kept_and_blocks_nobody() -> None:
    world = Relay()
    records = world.leads(3)
    second = records[1]["dynamodb"]["Keys"]["pk"]["S"]

    def too_large(transaction: Transaction) -> None:
        if any(key.pk.startswith(f"AUDIT#{second}") for key in map(operation_key, transaction.operations)):
            raise TooLarge("a document of 500000 bytes")

    world.table.before_commit = too_large
    outcome = world.relay(records)
    assert (outcome.retry_from, outcome.audited) == ("", 2)
    assert world.dead() == ["TooLarge"]


@pytest.mark.fault("R13", "R27")
@pytest.mark.parametrize("refused", [{0}, {2}, {1, 3}, {0, 1, 2, 3}])
@pytest.mark.parametrize("by", ["bus", "queue"])
def test_what_the_bus_or_a_queue_refuses_is_delivered_again_from_the_lowest(refused: set[int], by: str) -> None:
    world = Relay()
    records = world.leads(4)
    keys = [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]
    if by == "bus":
        world.bus.refuse = {f"{keys[n].removeprefix('LEAD#')}:1:LeadCreated": 1 for n in refused}
    else:
        world.queues.refuse = {keys[n] for n in refused}
    outcome = world.relay(records)
    assert outcome.retry_from == f"{min(refused) + 1}"
    world.queues.refuse = set()
    assert world.relay(records[min(refused) :]).retry_from == ""
    assert len({event.id for event in world.bus.events}) == 4
    assert {message["entity_id"] for _, message in world.queues.sent} == set(keys)


@pytest.mark.fault("R13")
def test_sequence_numbers_are_compared_as_numbers() -> None:
    world = Relay()
    records = world.leads(2)
    for record, sequence in zip(records, ("99", "100"), strict=True):
        record["dynamodb"]["SequenceNumber"] = sequence
    world.queues.refuse = {record["dynamodb"]["Keys"]["pk"]["S"] for record in records}
    assert world.relay(records).retry_from == "99"


@pytest.mark.mission("SAFE-3", "BUS-1")
@pytest.mark.fault("R14")
def test_the_same_batch_again_says_and_writes_nothing_new() -> None:
    world = Relay()
    records = world.leads(2)
    world.relay(records)
    ids, rows = {event.id for event in world.bus.events}, set(world.table.rows)
    assert world.relay(records).audited == 0
    assert {event.id for event in world.bus.events} == ids
    assert set(world.table.rows) == rows


@pytest.mark.fault("R14")
def test_records_of_many_items_in_any_interleaving_leave_the_same_audit() -> None:
    ends = set()
    for order in permutations(range(5)):
        world = Relay()
        records = world.leads(5)
        world.relay([records[n] for n in order])
        audits = sorted((row.pk, row.doc) for row in world.table.rows.values() if row.kind == "AUDIT")
        assert all(verify_chain(list(entries_of(world.table, pk.removeprefix("AUDIT#")))) == [] for pk, _ in audits)
        ends.add((json.dumps(audits), tuple(sorted(event.id for event in world.bus.events))))
    assert len(ends) == 1


@pytest.mark.mission("LEAD-2", "BUS-1")
def test_a_change_says_what_changed_and_carries_no_personal_data() -> None:
    world = Relay()
    world.leads(1)
    lead_id = next(row.pk for row in world.table.rows.values() if row.kind == "LEAD").removeprefix("LEAD#")
    change = LeadChange(version=1, last_name="Renamed", status="Contacted")  # type: ignore[arg-type]
    ChangeLead(world.table, world.clock, Policy())(lead_id, change, CALL)
    world.relay([stream_record(each) for each in world.table.changes])
    text = json.dumps([event.model_dump(mode="json") for event in world.bus.events])
    for mark in ("Asha", "N0", "Renamed", "p0@", "Nordlicht", "901820"):
        assert mark not in text
    entries = list(entries_of(world.table, f"LEAD#{lead_id}|LEAD"))
    assert {field.field for field in entries[1].changes} >= {"last_name", "status", "contacted_at"}
    assert (entries[1].by, entries[1].ip, entries[1].request_id) == ("user-1", "203.0.113.9", "req-1")


@pytest.mark.mission("STR-1", "HUB-3")
def test_a_signal_goes_to_its_workers_queue_while_it_waits() -> None:
    world = Relay()
    ReceiveSignal(world.table, world.clock, world.blobs)(Signal("stripe", "evt_1", "t", "cus_1", "{}"), CALL)
    world.relay([stream_record(change) for change in world.table.changes])
    [(queue, message)] = world.queues.sent
    assert (queue, message["provider"]) == ("stripe", "stripe")
    assert str(message["inbox_id"]).startswith("INB_stripe_")
    assert not [row for row in world.table.rows.values() if row.kind == "AUDIT"]


def test_a_write_that_changed_nothing_is_nothing() -> None:
    world = Relay()
    row = next(iter(world.leads(1)))["dynamodb"]["NewImage"]
    record = {"dynamodb": {"SequenceNumber": "1", "OldImage": row, "NewImage": row}}
    outcome = world.relay([record])
    assert (outcome.audited, outcome.published, outcome.queued) == (0, 0, 0)


def test_rows_of_other_kinds_are_not_audited_and_the_audit_audits_not_itself() -> None:
    world = Relay()
    world.relay(world.leads(1))
    audit = [change for change in world.table.changes if change.kind == "AUDIT"]
    assert audit
    outcome = world.relay([stream_record(change) for change in audit])
    assert (outcome.audited, outcome.isolated) == (0, [])

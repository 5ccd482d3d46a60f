"""The stream and its consumers under Lambda's contract: what the emulators leave out, shown on the real relay."""

import itertools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from revops.audit import entries_of, verify_chain
from revops.bootstrap import AUDITED
from revops.crm.notes import NOTE, Note
from revops.kernel import Unavailable, time_text
from revops.stream import DEAD_LETTERS
from revops.table import Change, Key, Row, begin, parse_record
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL
from tests.builders.memory_table import MemoryTable
from tests.faults.stream_runner import SourceMapping, StreamRunner, record_of, sequence_of
from tests.faults.world import Plan, World

Record = dict[str, Any]


def note(identifier: str, clock: ManualClock, text: str = "a note") -> Note:
    now = clock.now()
    return Note(id=identifier, created_at=now, modified_at=now, related_to="LEAD_1", content=text, author="user-1")


class Bench:
    """The relay of the product's own wiring over a table without faults, and notes to feed it with."""

    def __init__(self, batch_size: int = 8, retries: int = 5, lanes: int = 1) -> None:
        self.world = World(Plan(1))
        self.world.trouble.calm = True
        self.table: MemoryTable = self.world.table.inner
        self.clock = self.world.clock
        self.failing: dict[str, int] = {}
        mapping = SourceMapping(batch_size=batch_size, retries=retries, lanes=lanes)
        self.runner = StreamRunner(self._invoke, self.clock, mapping)
        self.world.pump()
        self.world.relay.trim()

    def write(self, *notes: Note) -> list[Record]:
        """Notes in one transaction; their stream records."""
        seen = len(self.table.changes)
        transaction = begin(CALL, self.clock.now())
        for each in notes:
            if each.version == 1:
                NOTE.create(transaction, each)
            else:
                NOTE.update(transaction, each)
        self.table.commit(transaction)
        return [record_of(change, self.clock.now()) for change in self.table.changes[seen:]]

    def _invoke(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        records = event["Records"]
        for place, record in enumerate(records):
            left = self.failing.get(sequence_of(record), 0)
            if left:  # those before it succeed
                self.failing[sequence_of(record)] = left - 1
                self.world.wiring.change_relay({"Records": records[:place]})
                return {"batchItemFailures": [{"itemIdentifier": sequence_of(record)}]}
        return self.world.wiring.change_relay(event)

    def audited(self, each: Note) -> int:
        key = NOTE.key(each.id)
        entries = list(entries_of(self.table, f"{key.pk}|{key.sk}"))
        assert verify_chain(entries) == []
        return len(entries)

    @property
    def published(self) -> set[str]:
        return set(self.world.outside.bus.published)


def poison(record: Record) -> Record:
    """The same record with a document that nothing can read."""
    broken: Record = {**record, "dynamodb": {**record["dynamodb"]}}
    broken["dynamodb"]["NewImage"] = {**broken["dynamodb"]["NewImage"], "doc": {"S": '{"half":'}}
    return broken


@pytest.mark.fault("R13")
@pytest.mark.parametrize("times", [1, 3])
def test_every_subset_of_a_batch_may_fail_for_a_while(times: int) -> None:
    for subset in range(256):
        bench = Bench()
        notes = [note(f"NOTE_{number}", bench.clock) for number in range(8)]
        records = bench.write(*notes)
        bench.failing = {sequence_of(records[number]): times for number in range(8) if subset >> number & 1}
        bench.runner.offer(records)
        bench.runner.drain()
        assert bench.runner.failed == []
        assert [bench.audited(each) for each in notes] == [1] * 8, f"subset {subset:08b}"
        assert bench.published >= {f"{each.id}:1:NoteCreated" for each in notes}


@pytest.mark.fault("R12", "R13")
def test_every_subset_of_a_batch_may_be_poison() -> None:
    for subset in range(256):
        bench = Bench()
        notes = [note(f"NOTE_{number}", bench.clock) for number in range(8)]
        bad = {number for number in range(8) if subset >> number & 1}
        records = [poison(r) if number in bad else r for number, r in enumerate(bench.write(*notes))]
        bench.runner.offer(records)
        bench.runner.drain()
        assert bench.runner.failed == []
        assert [bench.audited(each) for number, each in enumerate(notes) if number not in bad] == [1] * (8 - len(bad))
        letters = [DEAD_LETTERS.load(row) for row in bench.table.rows.values() if row.kind == DEAD_LETTERS.kind]
        assert len(letters) == len(bad), f"subset {subset:08b}"
        assert all(letter.reason == "JSONDecodeError" and letter.source == "change_relay" for letter in letters)
        assert {letter.about for letter in letters} == {f"NOTE#NOTE_{number}|NOTE" for number in bad}
        assert all(letter.blob in bench.world.outside.blobs.kept for letter in letters)


@pytest.mark.fault("R13")
def test_every_subset_of_a_batch_may_fail_for_good() -> None:
    """What never succeeds goes to the on-failure destination, alone; its neighbours go on."""
    for subset in range(256):
        bench = Bench(retries=2)
        notes = [note(f"NOTE_{number}", bench.clock) for number in range(8)]
        records = bench.write(*notes)
        bad = {number for number in range(8) if subset >> number & 1}
        bench.failing = {sequence_of(records[number]): 1_000_000 for number in bad}
        bench.runner.offer(records)
        bench.runner.drain()
        lost = {sequence_of(record) for record in bench.runner.failed}
        assert lost == {sequence_of(records[number]) for number in bad}, f"subset {subset:08b}"
        assert [bench.audited(each) for number, each in enumerate(notes) if number not in bad] == [1] * (8 - len(bad))
        bench.failing = {}
        bench.runner.offer(bench.runner.failed)  # put back from the bucket
        bench.runner.drain()
        assert [bench.audited(each) for each in notes] == [1] * 8


@pytest.mark.fault("R14")
def test_records_of_one_transaction_in_any_order_and_split_over_batches() -> None:
    for order in itertools.permutations(range(5)):
        for cut in range(6):
            bench = Bench(batch_size=5)
            notes = [note(f"NOTE_{number}", bench.clock) for number in range(5)]
            records = bench.write(*notes)
            shuffled = [records[number] for number in order]
            for batch in (shuffled[:cut], shuffled[cut:]):
                bench.runner.offer(batch)
                bench.runner.drain()
            assert [bench.audited(each) for each in notes] == [1] * 5
            assert bench.published == {f"{each.id}:1:NoteCreated" for each in notes}


@pytest.mark.fault("R14")
def test_versions_of_a_record_keep_their_order_whatever_lies_between() -> None:
    bench = Bench(batch_size=3, lanes=2)
    first, other = note("NOTE_A", bench.clock), note("NOTE_B", bench.clock)
    records = bench.write(first, other)
    for number in range(2, 7):
        first, other = (each.revised(bench.clock.now(), content=f"text {number}") for each in (first, other))
        records += bench.write(first, other)
    bench.runner.offer(records)
    bench.runner.drain()
    assert (bench.audited(first), bench.audited(other)) == (6, 6)


@pytest.mark.fault("R13")
def test_an_error_of_the_function_is_bisected_down_to_the_record_that_causes_it() -> None:
    clock = ManualClock()
    seen: list[int] = []

    def explode(event: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.append(len(event["Records"]))
        if any(sequence_of(record) == "5" for record in event["Records"]):
            raise Unavailable("boom")
        return {}

    runner = StreamRunner(explode, clock, SourceMapping(batch_size=8, retries=2, lanes=1))
    changes = [Change(str(number), None, Row(f"NOTE#{number}", "NOTE", "NOTE")) for number in range(8)]
    runner.offer([record_of(change) for change in changes])
    runner.drain()
    assert [sequence_of(record) for record in runner.failed] == ["5"]
    assert seen[:2] == [8, 4]
    assert runner.reasons == ["Unavailable"]


@pytest.mark.fault("R15")
def test_records_older_than_the_mapping_takes_go_to_the_destination() -> None:
    bench = Bench()
    records = bench.write(note("NOTE_old", bench.clock))
    bench.runner.offer(records)
    bench.clock.advance(hours=7)
    fresh = note("NOTE_new", bench.clock)
    bench.runner.offer(bench.write(fresh))
    bench.runner.drain()
    assert [sequence_of(record) for record in bench.runner.failed] == [sequence_of(records[0])]
    assert bench.audited(fresh) == 1


@pytest.mark.fault("R24")
def test_a_record_larger_than_an_entry_may_be_is_kept_and_its_neighbours_go_on() -> None:
    """A document near the limit doubles in its audit entry, which holds the old and the new value of a field."""
    bench = Bench()
    big = note("NOTE_big", bench.clock, "x" * 380_000)
    small = note("NOTE_small", bench.clock)
    records = bench.write(big, small)
    second, third = (each.revised(bench.clock.now(), content=each.content[1:] + "y") for each in (big, small))
    records += bench.write(second, third)
    bench.runner.offer(records)
    bench.runner.drain()
    assert bench.audited(third) == 2
    kept = [DEAD_LETTERS.load(row).about for row in bench.table.rows.values() if row.kind == DEAD_LETTERS.kind]
    failed = [parse_record(record).key.pk for record in bench.runner.failed]
    assert bench.audited(second) == 2 or "NOTE#NOTE_big|NOTE" in kept or "NOTE#NOTE_big" in failed


@pytest.mark.fault("R15")
@pytest.mark.parametrize("lost", range(1, 32))
def test_the_sweeper_finds_every_record_the_stream_dropped(lost: int) -> None:
    bench = Bench()
    settings = sum(row.kind in AUDITED for row in bench.table.rows.values())  # the bench's own, which no relay saw
    notes = [note(f"NOTE_{number}", bench.clock) for number in range(5)]
    for number, record in enumerate(bench.write(*notes)):
        if not lost >> number & 1:
            bench.runner.offer([record])
    bench.runner.drain()
    bench.clock.advance(minutes=11)
    report = bench.world.wiring.find_lost()()
    assert report.redriven == lost.bit_count() + settings
    assert [bench.audited(each) for each in notes] == [1] * 5
    assert bench.published >= {f"{each.id}:1:NoteCreated" for each in notes}
    dropped = {f"NOTE#NOTE_{number}|NOTE" for number in range(5) if lost >> number & 1}
    said = {
        event.data["record"] for event in bench.world.outside.bus.published.values() if event.name == "RecordRedriven"
    }
    assert said >= dropped
    assert bench.world.wiring.find_lost()().redriven == 0


@pytest.mark.fault("R15")
def test_a_change_whose_content_was_lost_is_said_to_be_lost() -> None:
    bench = Bench()
    first = note("NOTE_1", bench.clock)
    bench.runner.offer(bench.write(first))
    second = first.revised(bench.clock.now(), content="nobody saw this")
    bench.write(second)
    third = second.revised(bench.clock.now(), content="nor this")
    bench.write(third)
    bench.runner.drain()
    bench.clock.advance(minutes=11)
    bench.world.wiring.find_lost()()
    entries = list(entries_of(bench.table, "NOTE#NOTE_1|NOTE"))
    assert [entry.gap for entry in entries] == [False, True, True]
    assert verify_chain(entries) == []


def test_what_the_bench_offers_is_what_lambda_gets() -> None:
    change = Change("7", None, Row("NOTE#1", "NOTE", "NOTE", doc="{}"))
    record = record_of(change, ManualClock().now())
    assert parse_record(record) == change
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["Keys"] == {"pk": {"S": "NOTE#1"}, "sk": {"S": "NOTE"}}
    assert "NOTE" in AUDITED
    assert Key("NOTE#1", "NOTE") == change.key
    assert time_text(ManualClock().now()) > "2026"
    assert timedelta(hours=6) == SourceMapping().max_age

"""One contract for the table, held by both implementations: DynamoDB's (on dynoxide) and the in-memory one.

Whatever the fault bench proves on the in-memory table holds on DynamoDB as far as this file holds.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from revops.kernel import TooLarge, Unavailable
from revops.table import (
    ABSENT,
    ANYTHING,
    Change,
    ConditionFailed,
    Contention,
    Key,
    Query,
    Row,
    Stamp,
    Table,
    Throttled,
    Transaction,
    claim,
    due_in_turns,
    due_index,
    due_now,
    holder_of,
    merge_pages,
    parse_record,
    query_all,
    release,
    shard_of,
)
from revops.table.dynamo import DynamoTable
from revops.table.leases import lease
from tests.builders.broken_wire import Fault, broken_wire, conflict, lost_answer, refusal, throttle, unreachable
from tests.builders.clock import ManualClock
from tests.builders.dynoxide import DynoxideServer
from tests.builders.memory_table import MemoryTable

STAMP = Stamp("2026-11-20T09:00:00.000000Z", "USR_1", "192.0.2.7", "curl/8", "req-1", "USR_2", "cause-1")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "dynoxide"])
def table(request: pytest.FixtureRequest) -> Table:
    if request.param == "memory":
        return MemoryTable()
    dynamo: DynamoTable = request.getfixturevalue("dynamo_table")
    return dynamo


def begin() -> Transaction:
    return Transaction(STAMP)


def row(pk: str, sk: str = "ROW", version: int = 1, doc: str = '{"n":1}', **more: object) -> Row:
    return Row(pk=pk, sk=sk, kind="THING", version=version, doc=doc, **more)  # type: ignore[arg-type]


def store(table: Table, *rows: Row) -> None:
    for start in range(0, len(rows), 100):
        transaction = begin()
        for one in rows[start : start + 100]:
            transaction.put(one, ANYTHING)
        table.commit(transaction)


def attempt(table: Table, build: Callable[[Transaction], None]) -> ConditionFailed | None:
    transaction = begin()
    build(transaction)
    try:
        table.commit(transaction)
    except ConditionFailed as error:
        return error
    return None


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_comes_back_as_it_went_in(table: Table) -> None:
    full = row(
        "THING#राहुल#\U0001f9ff",
        "β/ü",
        version=7,
        doc='{"name":"राहुल पाटील","zwj":"👩‍💻","rtl":"שלום"}',
        index={name: (f"P#{name}#é", f"S#{name}") for name in ("gsi1", "gsi2", "gsi3", "gsi4", "due")},
        counters={"units": -3, "spent": 10**15, "zero": 0},
        ttl=1_800_000_000,
    )
    store(table, full)
    found = table.get(full.key)
    assert found is not None
    assert (found.index, found.counters, found.ttl, found.doc) == (full.index, full.counters, full.ttl, full.doc)
    assert (found.key, found.kind, found.version, found.stamp) == (full.key, "THING", 7, STAMP)
    assert table.get(full.key, consistent=False) == found
    assert table.get(Key(full.pk, "other")) is None


def test_a_bare_row_has_nothing_it_was_not_given(table: Table) -> None:
    store(table, Row("A", "B", "BARE"))
    found = table.get(Key("A", "B"))
    assert found is not None
    assert (found.doc, found.index, found.counters, found.ttl, found.version) == ("", {}, {}, None, 1)


def test_a_put_replaces_the_whole_row(table: Table) -> None:
    store(table, row("A", index={"gsi1": ("L", "1")}, counters={"n": 1}, ttl=5))
    store(table, row("A", version=2, doc='{"n":2}'))
    found = table.get(Key("A", "ROW"))
    assert found is not None
    assert (found.version, found.index, found.counters, found.ttl) == (2, {}, {}, None)
    assert table.query(Query("L", index="gsi1")).rows == []


def test_a_caller_cannot_reach_into_the_table_through_a_row(table: Table) -> None:
    mine = row("A", counters={"n": 1})
    store(table, mine)
    mine.counters["n"] = 99
    found = table.get(mine.key)
    assert found is not None
    found.counters["n"] = 98
    again = table.get(mine.key)
    assert again is not None
    assert again.counters == {"n": 1}


def test_get_many_keeps_order_misses_and_duplicates(table: Table) -> None:
    store(table, *(row(f"T{n:03d}") for n in range(150)))
    wanted = [Key(f"T{n:03d}", "ROW") for n in (149, 0, 7, 0)] + [Key("nothing", "ROW"), Key("T001", "ROW")]
    wanted += [Key(f"T{n:03d}", "ROW") for n in range(150)]
    found = table.get_many(wanted)
    assert [one.pk if one else None for one in found] == [key.pk if key.pk.startswith("T") else None for key in wanted]
    assert table.get_many([]) == []


# --- expectations -----------------------------------------------------------------------------------------------------


def test_absent_holds_once(table: Table) -> None:
    assert attempt(table, lambda tx: tx.put(row("A"), ABSENT)) is None
    refused = attempt(table, lambda tx: tx.put(row("A", doc='{"n":2}'), ABSENT))
    assert refused is not None
    (failure,) = refused.failures
    assert (failure.position, failure.key) == (0, Key("A", "ROW"))
    assert failure.current is not None
    assert failure.current.doc == '{"n":1}'


@pytest.mark.parametrize("operation", ["put", "delete", "check", "move"])
def test_a_version_is_expected_exactly(table: Table, operation: str) -> None:
    key = Key("A", "ROW")
    build: dict[str, Callable[[Transaction, int], None]] = {
        "put": lambda tx, version: tx.put(row("A", version=9), version),
        "delete": lambda tx, version: tx.delete(key, version),
        "check": lambda tx, version: tx.check(key, version),
        "move": lambda tx, version: tx.move(key, "THING", {"n": 1}, expect=version),
    }
    missing = attempt(table, lambda tx: build[operation](tx, 3))
    assert missing is not None
    assert missing.failures[0].current is None
    store(table, row("A", version=3))
    for wrong in (2, 4):
        refused = attempt(table, lambda tx, wrong=wrong: build[operation](tx, wrong))  # type: ignore[misc]
        assert refused is not None
        assert refused.failures[0].current == table.get(key)
    assert attempt(table, lambda tx: build[operation](tx, 3)) is None


def test_anything_asks_nothing(table: Table) -> None:
    assert attempt(table, lambda tx: tx.put(row("A", version=5), ANYTHING)) is None
    assert attempt(table, lambda tx: tx.put(row("A", version=1), ANYTHING)) is None
    assert attempt(table, lambda tx: tx.delete(Key("A", "ROW"))) is None
    assert attempt(table, lambda tx: tx.delete(Key("A", "ROW"))) is None
    assert table.get(Key("A", "ROW")) is None


def test_check_absent(table: Table) -> None:
    assert attempt(table, lambda tx: tx.check(Key("B", "ROW"), ABSENT)) is None
    store(table, row("B"))
    refused = attempt(table, lambda tx: tx.check(Key("B", "ROW"), ABSENT))
    assert refused is not None


def test_all_or_nothing_and_every_failure_is_named_with_what_stands(table: Table) -> None:
    store(table, row("A", version=2), row("M", counters={"left": 4}))
    transaction = begin()
    transaction.put(row("NEW"), ABSENT)
    transaction.put(row("A", version=2), 1)
    transaction.check(Key("GONE", "ROW"), 1)
    transaction.move(Key("M", "ROW"), "THING", {"left": -5}, {"left": 5})
    with pytest.raises(ConditionFailed) as caught:
        table.commit(transaction)
    error = caught.value
    assert [failure.position for failure in error.failures] == [1, 2, 3]
    a, gone, m = error.failures
    assert (a.current, gone.current, m.current) == (table.get(Key("A", "ROW")), None, table.get(Key("M", "ROW")))
    assert m.current is not None
    assert m.current.counters == {"left": 4}
    assert error.at(Key("A", "ROW")) is a
    assert error.at(Key("NEW", "ROW")) is None
    assert table.get(Key("NEW", "ROW")) is None


def test_an_empty_transaction_is_nothing(table: Table) -> None:
    table.commit(begin())


# --- counters ---------------------------------------------------------------------------------------------------------


def test_a_move_makes_the_row_and_adds(table: Table) -> None:
    key = Key("C", "COUNT")
    for _ in range(3):
        assert attempt(table, lambda tx: tx.move(key, "COUNT", {"a": 2, "b": -1})) is None
    found = table.get(key)
    assert found is not None
    assert (found.counters, found.kind) == ({"a": 6, "b": -3}, "COUNT")


def test_a_floor_is_kept_and_needs_the_row(table: Table) -> None:
    key = Key("C", "COUNT")

    def take(units: int) -> ConditionFailed | None:
        return attempt(table, lambda tx: tx.move(key, "COUNT", {"left": -units}, {"left": units}))

    missing = take(1)
    assert missing is not None
    assert missing.failures[0].current is None
    assert table.get(key) is None
    store(table, Row("C", "COUNT", "COUNT", doc='{"keep":1}', counters={"left": 10}))
    assert take(7) is None
    refused = take(4)
    assert refused is not None
    assert refused.failures[0].current is not None
    assert refused.failures[0].current.counters == {"left": 3}
    assert take(3) is None
    found = table.get(key)
    assert found is not None
    assert (found.counters, found.doc, found.version) == ({"left": 0}, '{"keep":1}', 1)


def test_two_floors_must_both_hold(table: Table) -> None:
    store(table, Row("C", "COUNT", "COUNT", counters={"units": 5, "money": 5}))
    key = Key("C", "COUNT")
    for floors in ({"units": 6, "money": 1}, {"units": 1, "money": 6}, {"units": 1, "other": 0}):
        assert attempt(table, lambda tx, floors=floors: tx.move(key, "COUNT", {"units": -1}, floors)) is not None  # type: ignore[misc]
    assert (
        attempt(table, lambda tx: tx.move(key, "COUNT", {"units": -5, "money": -5}, {"units": 5, "money": 5})) is None
    )


def test_a_move_may_expect_absence(table: Table) -> None:
    key = Key("C", "COUNT")
    assert attempt(table, lambda tx: tx.move(key, "COUNT", {"n": 1}, expect=ABSENT)) is None
    assert attempt(table, lambda tx: tx.move(key, "COUNT", {"n": 1}, expect=ABSENT)) is not None


# --- queries ----------------------------------------------------------------------------------------------------------


SORTS = ["a#1", "a#2", "a#3", "b#1", "b#2", "zz", "ß", "€", "\U0001f9ff"]


def _partition(table: Table, index: str | None) -> None:
    rows = []
    for number, sort in enumerate(SORTS):
        if index is None:
            rows.append(row("P", sort, doc=f'{{"n":{number}}}'))
        else:
            rows.append(row(f"T{number}", doc=f'{{"n":{number}}}', index={index: ("P", sort)}))
    rows.append(row("Q", "a#1", index={index: ("Q", "a#1")} if index else {}))
    store(table, *rows)


def _sorts(rows: list[Row], index: str | None) -> list[str]:
    return [one.index[index][1] if index else one.sk for one in rows]


@pytest.mark.parametrize("index", [None, "gsi1", "gsi2", "gsi3", "gsi4", "due"])
def test_ranges_order_and_paging(table: Table, index: str | None) -> None:
    _partition(table, index)

    def ask(**narrow: object) -> list[str]:
        return _sorts(table.query(Query("P", index=index, **narrow)).rows, index)  # type: ignore[arg-type]

    assert ask() == SORTS
    assert ask(descending=True) == SORTS[::-1]
    assert ask(begins="a#") == SORTS[:3]
    assert ask(begins="€") == ["€"]
    assert ask(low="a#2") == SORTS[1:]
    assert ask(high="b#1") == SORTS[:4]
    assert ask(low="a#2", high="b#1") == SORTS[1:4]
    assert ask(low="a#2", high="b#1", descending=True) == SORTS[1:4][::-1]
    assert ask(limit=2) == SORTS[:2]
    assert ask(begins="nothing") == []
    for descending in (False, True):
        for limit in (1, 2, 4, len(SORTS), 50):
            query = Query("P", index=index, limit=limit, descending=descending)
            walked = _sorts(list(query_all(table, query)), index)
            assert walked == (SORTS[::-1] if descending else SORTS)
    narrowed = Query("P", index=index, begins="a#", limit=2)
    assert _sorts(list(query_all(table, narrowed)), index) == SORTS[:3]
    first = table.query(narrowed)
    assert first.last
    assert table.query(Query("nobody", index=index)).rows == []


@pytest.mark.parametrize("index", ["gsi1", "gsi2", "gsi3", "gsi4", "due"])
def test_an_index_gives_keys_or_whole_items(table: Table, index: str) -> None:
    store(table, row("A", "ROW", counters={"n": 1}, ttl=9, index={index: ("P", "1"), "gsi1": ("P", "1")}))
    (whole,) = table.query(Query("P", index=index)).rows
    assert whole == table.get(Key("A", "ROW"))
    (bare,) = table.query(Query("P", index=index, documents=False)).rows
    assert bare == Row("A", "ROW", kind="", version=0, index={index: ("P", "1")})


def test_equal_sort_keys_in_an_index_are_all_seen(table: Table) -> None:
    store(table, *(row(f"T{n:02d}", index={"gsi2": ("P", "same")}) for n in range(12)))
    for descending in (False, True):
        query = Query("P", index="gsi2", limit=5, descending=descending)
        seen = [one.pk for one in query_all(table, query)]
        assert sorted(seen) == [f"T{n:02d}" for n in range(12)]


def test_a_row_leaves_and_changes_an_index_by_being_written(table: Table) -> None:
    store(table, row("A", index={"gsi1": ("P", "1")}))
    store(table, row("A", version=2, index={"gsi1": ("Q", "1")}))
    assert table.query(Query("P", index="gsi1")).rows == []
    assert [one.pk for one in table.query(Query("Q", index="gsi1")).rows] == ["A"]
    attempt(table, lambda tx: tx.move(Key("A", "ROW"), "THING", {"n": 1}))
    assert [one.counters for one in table.query(Query("Q", index="gsi1")).rows] == [{"n": 1}]
    attempt(table, lambda tx: tx.delete(Key("A", "ROW"), 2))
    assert table.query(Query("Q", index="gsi1")).rows == []


def test_a_write_is_read_at_once(table: Table) -> None:
    for version in range(1, 20):
        store(table, row("A", version=version))
        found = table.get(Key("A", "ROW"))
        assert found is not None
        assert found.version == version
        assert [one.version for one in table.query(Query("A", consistent=True)).rows] == [version]


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("R24")
def test_more_than_a_transaction_takes(table: Table) -> None:
    transaction = begin()
    for number in range(100):
        transaction.put(row(f"T{number}"), ABSENT)
    table.commit(transaction)
    transaction.put(row("T100"), ABSENT)
    with pytest.raises(TooLarge):
        table.commit(transaction)
    assert table.get(Key("T100", "ROW")) is None


@pytest.mark.fault("R24")
@pytest.mark.parametrize("text", ["x" * 400_000, "€" * 140_000])
def test_more_than_an_item_takes(table: Table, text: str) -> None:
    with pytest.raises(TooLarge):
        attempt(table, lambda tx: tx.put(row("A", doc=text), ABSENT))


def test_one_item_once_per_transaction(table: Table) -> None:
    transaction = begin()
    transaction.put(row("A"), ANYTHING)
    transaction.check(Key("A", "ROW"), 1)
    with pytest.raises(ValueError, match="only once"):
        table.commit(transaction)


# --- on top: claims, due times, sharded lists -------------------------------------------------------------------------


def test_a_claim_is_held_by_one_until_released(table: Table) -> None:
    assert attempt(table, lambda tx: claim(tx, "email", "ann@example.com", "PER_1", ttl=99)) is None
    assert attempt(table, lambda tx: claim(tx, "email", "ann@example.com", "PER_2")) is not None
    assert attempt(table, lambda tx: claim(tx, "phone", "ann@example.com", "PER_2")) is None
    assert holder_of(table, "email", "ann@example.com") == "PER_1"
    assert attempt(table, lambda tx: release(tx, "email", "ann@example.com")) is None
    assert holder_of(table, "email", "ann@example.com") is None


@pytest.mark.fault("R18", "R6")
def test_of_64_threads_one_gets_the_claim(table: Table) -> None:
    def grab(number: int) -> bool:
        def build(tx: Transaction) -> None:
            claim(tx, "email", "one@example.com", f"PER_{number}")
            tx.put(row(f"PERSON#{number}"), ABSENT)
            tx.move(Key("COUNT", "PEOPLE"), "COUNT", {"n": 1})

        return attempt(table, build) is None

    with ThreadPoolExecutor(64) as pool:
        won = [number for number, got in enumerate(pool.map(grab, range(64))) if got]
    assert len(won) == 1
    assert holder_of(table, "email", "one@example.com") == f"PER_{won[0]}"
    people = table.get_many([Key(f"PERSON#{number}", "ROW") for number in range(64)])
    assert [number for number, one in enumerate(people) if one] == won
    count = table.get(Key("COUNT", "PEOPLE"))
    assert count is not None
    assert count.counters == {"n": 1}


def test_due_now_gives_what_is_due_and_nothing_later(table: Table) -> None:
    rows = []
    for number in range(20):
        key = Key(f"T{number:02d}", "ROW")
        at = NOON + timedelta(seconds=number - 10)
        rows.append(row(key.pk, index={"due": due_index("things", at, key)}))
    store(table, *rows)
    due = list(due_now(table, "things", NOON))
    assert sorted(one.key.pk for one in due) == [f"T{number:02d}" for number in range(11)]
    assert {one.at for one in due if one.key.pk == "T10"} == {"2026-11-20T12:00:00.000000Z"}
    assert list(due_now(table, "others", NOON)) == []
    assert len(list(due_now(table, "things", NOON + timedelta(days=1), limit=2))) <= 8


def test_due_in_turns_goes_on_behind_what_it_gave_whether_or_not_that_left(table: Table) -> None:
    rows = []
    for number in range(30):
        key = Key(f"T{number:02d}", "ROW")
        rows.append(row(key.pk, index={"due": due_index("things", NOON + timedelta(seconds=number), key)}))
    store(table, *rows)
    seen: list[str] = []
    for turn in due_in_turns(table, "things", NOON + timedelta(seconds=24), 2):
        assert len(turn) <= 8
        seen += [one.key.pk for one in turn]
        store(table, *(row(one.key.pk, version=2) for one in turn[::2]))
    assert sorted(seen) == [f"T{number:02d}" for number in range(25)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_sharded_lists_read_as_one(table: Table, descending: bool, limit: int) -> None:
    names = [f"LEAD_{number:02d}" for number in range(23)]
    store(table, *(row(name, index={"gsi3": (f"ALL#{shard_of(name, 4)}", name)}) for name in names))
    partitions = {str(shard): Query(f"ALL#{shard}", index="gsi3", descending=descending) for shard in range(4)}
    seen: list[str] = []
    positions: dict[str, str] = {}
    for _ in range(60):
        rows, positions = merge_pages(table, partitions, positions, limit, lambda one: one.index["gsi3"][1])
        assert len(rows) <= limit
        seen += [one.pk for one in rows]
        if not positions:
            break
    assert seen == (names[::-1] if descending else names)


@pytest.mark.fault("R17")
def test_of_16_threads_one_gets_the_lease_and_the_period_is_done_once(table: Table) -> None:
    barrier = threading.Barrier(16)

    def work(number: int) -> bool:
        barrier.wait(30)
        with lease(table, "job", "p1", str(number), ManualClock()) as mine:
            return mine

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == 1
    with lease(table, "job", "p1", "late", ManualClock()) as late:
        assert not late


# --- the stream -------------------------------------------------------------------------------------------------------


def changes_of(table: Table, dynoxide: DynoxideServer) -> list[Change]:
    """Every change so far, in order per item."""
    if isinstance(table, MemoryTable):
        return table.changes
    assert isinstance(table, DynamoTable)
    return [parse_record(record) for record in dynoxide.stream_records(table)]


def test_the_stream_tells_every_change_as_before_and_after(table: Table, dynoxide: DynoxideServer) -> None:
    full = row("A", doc='{"name":"राहुल"}', index={"gsi1": ("P", "1"), "due": ("D", "2")}, counters={"n": 1}, ttl=9)
    store(table, full, row("B"))
    store(table, row("A", version=2))
    attempt(table, lambda tx: tx.move(Key("A", "ROW"), "THING", {"n": 5}))
    attempt(table, lambda tx: tx.put(row("A"), ABSENT))  # refused, so nothing is told
    attempt(table, lambda tx: tx.delete(Key("A", "ROW"), 2))
    told = [change for change in changes_of(table, dynoxide) if change.key == Key("A", "ROW")]
    seen = [(one.before and one.before.version, one.after and one.after.version) for one in told]
    assert seen == [(None, 1), (1, 2), (2, 2), (2, None)]
    assert told[0].is_new
    assert told[0].after is not None
    assert (told[0].after.doc, told[0].after.index, told[0].after.ttl) == (full.doc, full.index, 9)
    assert told[0].after.stamp == STAMP
    assert told[2].before is not None
    assert told[2].after is not None
    assert (told[2].before.counters, told[2].after.counters) == ({}, {"n": 5})
    for earlier, later in pairwise(told):
        assert earlier.after == later.before
    assert len({one.sequence for one in changes_of(table, dynoxide)}) == 5


# --- faults on the wire: DynamoDB's implementation alone --------------------------------------------------------------


@pytest.fixture
def patient(dynamo_table: DynamoTable) -> tuple[DynamoTable, list[float]]:
    """The table with a clock that only counts its pauses."""
    pauses: list[float] = []
    dynamo_table._sleep = pauses.append
    dynamo_table._jitter = lambda: 1.0
    return dynamo_table, pauses


def _add_one(table: DynamoTable) -> None:
    transaction = begin()
    transaction.put(row("LEDGER", doc='{"n":1}'), ABSENT)
    transaction.move(Key("C", "COUNT"), "COUNT", {"n": 1})
    table.commit(transaction)


def _count(table: DynamoTable) -> int:
    found = table.get(Key("C", "COUNT"))
    return found.counters["n"] if found else 0


@pytest.mark.fault("R5", "R6")
@pytest.mark.parametrize("fault", [conflict, throttle])
def test_conflicts_and_throttles_are_retried_under_one_token(
    patient: tuple[DynamoTable, list[float]], fault: Fault
) -> None:
    table, pauses = patient
    with broken_wire(table, fault, fault, fault) as wire:
        _add_one(table)
    assert len(wire.sent) == 4
    assert len(wire.tokens) == 1
    assert pauses == [0.04, 0.08, 0.16]
    assert _count(table) == 1


@pytest.mark.fault("R5", "R6")
@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (conflict, Contention),
        (throttle, Throttled),
        (lambda request: refusal(request, "TransactionCanceledException", ("None", "ThrottlingError")), Throttled),
        (
            lambda request: refusal(request, "TransactionCanceledException", ("ProvisionedThroughputExceeded", "None")),
            Throttled,
        ),
        (lambda request: refusal(request, "InternalServerError", status=500), Unavailable),
    ],
)
def test_after_eight_attempts_it_gives_up_and_says_it_can_be_tried_again(
    patient: tuple[DynamoTable, list[float]], fault: Fault, raised: type[Contention | Unavailable]
) -> None:
    table, pauses = patient
    with broken_wire(table, *[fault] * 20) as wire, pytest.raises(raised) as caught:
        _add_one(table)
    assert caught.value.retryable
    assert (len(wire.sent), len(wire.tokens), len(pauses)) == (8, 1, 7)
    assert max(pauses) <= 1.0
    assert _count(table) == 0


def test_a_failed_condition_is_never_retried(patient: tuple[DynamoTable, list[float]]) -> None:
    table, pauses = patient
    _add_one(table)
    with broken_wire(table) as wire, pytest.raises(ConditionFailed):
        _add_one(table)
    assert (len(wire.sent), pauses, _count(table)) == (1, [], 1)


def test_a_condition_that_fails_beside_a_conflict_is_answered_at_once(
    patient: tuple[DynamoTable, list[float]],
) -> None:
    table, _ = patient
    with (
        broken_wire(
            table,
            lambda request: refusal(
                request, "TransactionCanceledException", ("ConditionalCheckFailed", "TransactionConflict")
            ),
        ) as wire,
        pytest.raises(ConditionFailed),
    ):
        _add_one(table)
    assert len(wire.sent) == 1


@pytest.mark.fault("R4")
@pytest.mark.parametrize("lost", [1, 2])
def test_a_commit_whose_answer_was_lost_is_not_done_twice(patient: tuple[DynamoTable, list[float]], lost: int) -> None:
    table, _ = patient
    with broken_wire(table, *[lost_answer] * lost) as wire:
        _add_one(table)
    assert (len(wire.sent), len(wire.tokens)) == (lost + 1, 1)
    assert _count(table) == 1


@pytest.mark.fault("R4")
def test_a_table_that_does_not_answer_is_unavailable(patient: tuple[DynamoTable, list[float]]) -> None:
    table, _ = patient
    with broken_wire(table, *[unreachable] * 9) as wire, pytest.raises(Unavailable):
        _add_one(table)
    assert len(wire.sent) == 3
    assert _count(table) == 0


@pytest.mark.fault("R4")
def test_a_table_that_is_not_there_is_unavailable(dynoxide: DynoxideServer) -> None:
    assert dynoxide.endpoint_url
    nowhere = DynamoTable("revops-test", "eu-west-2", "http://127.0.0.1:9", sleep=lambda _: None)
    with pytest.raises(Unavailable):
        nowhere.get(Key("A", "ROW"))
    with pytest.raises(Unavailable):
        _add_one(nowhere)


@pytest.mark.fault("R5")
def test_reads_ride_out_throttles(patient: tuple[DynamoTable, list[float]]) -> None:
    table, _ = patient
    store(table, row("A", index={"gsi1": ("P", "1")}))
    with broken_wire(table, throttle, throttle):
        assert table.get(Key("A", "ROW")) is not None
    with broken_wire(table, throttle):
        assert len(table.query(Query("P", index="gsi1")).rows) == 1
    with broken_wire(table, throttle):
        assert table.get_many([Key("A", "ROW")])[0] is not None
    with broken_wire(table, *[throttle] * 9), pytest.raises(Throttled):
        table.get(Key("A", "ROW"))


def test_what_cannot_be_helped_is_raised_as_it_is(patient: tuple[DynamoTable, list[float]]) -> None:
    table, pauses = patient
    with (
        broken_wire(table, lambda request: refusal(request, "ValidationException")) as wire,
        pytest.raises(Exception, match="ValidationException"),
    ):
        _add_one(table)
    assert (len(wire.sent), pauses) == (1, [])


def test_reads_are_strongly_consistent_unless_told_otherwise(dynamo_table: DynamoTable) -> None:
    key = Key("A", "ROW")
    with broken_wire(dynamo_table) as wire:
        dynamo_table.get(key)
        dynamo_table.get(key, consistent=False)
        dynamo_table.get_many([key])
        dynamo_table.query(Query("A", consistent=True))
        dynamo_table.query(Query("A", index="gsi1", consistent=True))
    first, second, many, base, index = wire.sent
    assert (first["ConsistentRead"], second["ConsistentRead"]) == (True, False)
    assert many["RequestItems"][dynamo_table.name]["ConsistentRead"] is True
    assert base["ConsistentRead"] is True
    assert "ConsistentRead" not in index

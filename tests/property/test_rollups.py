"""I3 for counters: whatever the stream repeats, reorders or loses, counters equal a recount of the records."""

from collections import Counter
from datetime import UTC, date, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revops.analytics import ApplyRollups, contributions
from revops.analytics.store import ROLLUP
from revops.crm.model import Assignment, Attribution, Channel, Lead, LeadStatus, Opportunity, OpportunityStage
from revops.crm.store import LEADS, OPPORTUNITIES
from revops.kernel import Money
from revops.table import ANYTHING, Change, ConditionFailed, Row, Stamp, Transaction
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def _lead(identifier: str, version: int, random: Random) -> Row:
    owner = random.choice(["a", "b", "c"])
    return LEADS.row(
        Lead(
            id=identifier,
            version=version,
            created_at=NOW,
            modified_at=NOW,
            person_id="PER_1",
            attribution=Attribution(source="s", campaign="c", medium="m"),
            channel=Channel.FORM,
            owner_id=owner,
            assignment=Assignment(owner_id=owner, rule="r", explanation="e"),
            status=random.choice(list(LeadStatus)),
        )
    )


def _deal(identifier: str, version: int, random: Random) -> Row:
    return OPPORTUNITIES.row(
        Opportunity(
            id=identifier,
            version=version,
            created_at=NOW,
            modified_at=NOW,
            name="n",
            account_id="ACC_1",
            value=Money(minor=random.randrange(0, 10**9), currency=random.choice(["EUR", "JPY"])),
            stage=random.choice(list(OpportunityStage)),
            expected_close=date(2026, 12, 1),
            owner_id=random.choice(["a", "b"]),
        )
    )


def _lives(random: Random) -> tuple[list[Change], dict[str, Row | None]]:
    """The stream of some records' lives, and where each ends."""
    stream: list[Change] = []
    ends: dict[str, Row | None] = {}
    for n in range(random.randrange(1, 6)):
        make = random.choice([_lead, _deal])
        rows: list[Row | None] = [
            make(f"{make.__name__}_{n}", version, random) for version in range(1, random.randrange(2, 7))
        ]
        if random.random() < 0.25:
            rows.append(None)
        befores = [None, *rows[:-1]]
        stream += [Change("", before, after) for before, after in zip(befores, rows, strict=True)]
        ends[f"{n}"] = rows[-1]
    return stream, ends


def _counters(table: MemoryTable) -> dict[str, int]:
    return {
        f"{row.pk.removeprefix('ROLLUP#')}/{name}": amount
        for row in table.rows.values()
        if row.kind == ROLLUP
        for name, amount in row.counters.items()
        if amount
    }


def _recount(ends: dict[str, Row | None]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for row in ends.values():
        total.update(contributions(row))
    return {name: amount for name, amount in total.items() if amount}


@pytest.mark.mission("SEE-4")
@pytest.mark.fault("R14", "R15")
@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_counters_equal_a_recount_after_any_delivery(seed: int) -> None:
    random = Random(seed)
    stream, ends = _lives(random)
    newest = {change.key: change for change in stream}
    arriving = [change for change in stream if random.random() < 0.8] + random.choices(stream, k=5)
    random.shuffle(arriving)
    table = MemoryTable()
    apply = ApplyRollups(table, ManualClock())
    while arriving:
        size = random.randrange(1, 6)
        apply(arriving[:size])
        arriving = arriving[size:]
    apply([change for change in newest.values() if random.random() < 2])  # what the sweeper drives again
    assert _counters(table) == _recount(ends)


@pytest.mark.fault("R6")
@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_two_consumers_in_each_others_way_count_once(seed: int) -> None:
    random = Random(seed)
    stream, ends = _lives(random)
    table = MemoryTable()
    one, other = ApplyRollups(table, ManualClock()), ApplyRollups(table, ManualClock())
    left = random.randrange(1, 4)

    def interfere(_: Transaction) -> None:
        nonlocal left
        if left:
            left -= 1
            other(random.choices(stream, k=3))

    table.before_commit = interfere
    one(stream)
    assert _counters(table) == _recount(ends)


@pytest.mark.fault("R24")
def test_a_batch_of_any_size_fits_its_transactions() -> None:
    random, table = Random(7), MemoryTable()
    stream = [Change("", None, _lead(f"LEAD_{n}", 1, Random(n))) for n in range(250)]
    assert ApplyRollups(table, ManualClock())(stream) == 250
    assert _counters(table) == _recount({change.key.pk: change.after for change in stream})
    moved = [Change("", change.after, _lead(f"LEAD_{n}", 2, random)) for n, change in enumerate(stream)]
    assert ApplyRollups(table, ManualClock())(moved) == 250
    assert ApplyRollups(table, ManualClock())(moved + stream) == 0


def test_an_unfinished_transaction_counts_nothing() -> None:
    table = MemoryTable()

    def fail(_: Transaction) -> None:
        raise ConditionFailed([])

    table.before_commit = fail
    with pytest.raises(Exception, match="others"):
        ApplyRollups(table, ManualClock())([Change("", None, _lead("LEAD_1", 1, Random(1)))])
    assert table.rows == {}


def test_other_kinds_of_rows_count_for_nothing() -> None:
    transaction = Transaction(Stamp("t", "b"))
    transaction.put(Row("X", "Y", "NOTE"), ANYTHING)
    assert contributions(Row("X", "Y", "NOTE")) == {}
    assert ApplyRollups(MemoryTable(), ManualClock())([Change("", None, Row("X", "Y", "NOTE"))]) == 0


@pytest.mark.fault("R14")
@given(st.permutations(range(5)))
def test_of_versions_that_come_in_one_batch_in_any_order_the_newest_counts(order: list[int]) -> None:
    random, table = Random(3), MemoryTable()
    rows = [_lead("LEAD_1", version, random) for version in range(1, 6)]
    changes = [Change("", before, after) for before, after in zip([None, *rows[:-1]], rows, strict=True)]
    ApplyRollups(table, ManualClock())([changes[n] for n in order])
    assert _counters(table) == _recount({"1": rows[-1]})

"""I3: a counter is the sum of what was accepted, never above its cap; each id counts once; prices are exact.

On the in-memory table for thousands of seeded stories; on dynoxide with 32 threads at one cap.
"""

import contextlib
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from revops.kernel import CapReached, Conflict, Refused, Unavailable
from revops.table import Contention, Table, Transaction
from revops.table.dynamo import DynamoTable
from revops.usage import Allowance, CapPlan, CapTerms, Line, Meter, UsageReceipt
from revops.usage.policies import ATOMS
from revops.usage.store import (
    PLANS,
    opened_units,
    plan_id,
    spend_key,
    spend_limit,
    units_key,
    usage_moves,
)
from tests.builders.broken_wire import broken_wire, conflict, lost_answer, throttle
from tests.builders.dynoxide import dynamo_table, dynoxide
from tests.builders.memory_table import MemoryTable
from tests.builders.usage import ACCOUNT, CALL, MONTH, UsageDesk, api_calls, ledger_of, line, terms

__all__ = ["dynamo_table", "dynoxide"]

SCALE = int(os.environ.get("REVOPS_SCALE", "1"))
"""How many times the ordinary number of stories: `make proof` tells more."""
STORIES = 800 * SCALE


def random_terms(chance: random.Random) -> CapTerms:
    """Any plan: a pool or lines, with and without price, limit and spend cap."""

    def allowance(which: Line) -> Allowance:
        included = chance.choice([0, 1, 7, 40])
        price = chance.choice([None, "0", "0.015", "1", "0.3333"])
        return line(which, included, price, chance.choice([None, None, 20, 60]))

    lines = [Line.POOLED] if chance.random() < 0.3 else chance.sample(list(Line)[:3], chance.randint(1, 3))
    return terms(*map(allowance, lines), spend_cap=chance.choice([None, 0, 10, 37, 1000]))


class Bookkeeper:
    """Says what an event must lead to, one event at a time, from nothing but the terms and its own sums."""

    def __init__(self, plan: CapTerms) -> None:
        self.plan = plan
        self.used = dict.fromkeys(Meter, 0)
        self.spent = Decimal(0)
        self.receipts: dict[str, UsageReceipt] = {}

    def expect(self, meter: Meter, quantity: int) -> tuple[str, int, Decimal]:
        """The outcome, the units beyond what is included, and their cost in cents."""
        allowance = self.plan.allowance(meter)
        if allowance is None:
            return "refused", 0, Decimal(0)
        used = sum(self.used.values()) if allowance.line is Line.POOLED else self.used[meter]
        over = max(0, used + quantity - allowance.included) - max(0, used - allowance.included)
        cost = over * (allowance.overage_price or Decimal(0)) * 100
        if allowance.stops_at is not None and used + quantity > allowance.stops_at:
            return "units", over, cost
        if cost and self.plan.spend_cap is not None and self.spent + cost > self.plan.spend_cap:
            return "spend", over, cost
        return "accepted", over, cost


@pytest.mark.mission("USE-1", "USE-2", "USE-3")
@pytest.mark.parametrize("block", range(8))
def test_any_story_keeps_to_the_books(block: int) -> None:
    for seed in range(block * STORIES // 8, (block + 1) * STORIES // 8):
        _tell(seed)


def _tell(seed: int) -> None:
    chance = random.Random(seed)
    table = MemoryTable()
    desk = UsageDesk(table)
    second = UsageDesk(table, desk.clock)  # another process with beliefs of its own
    books = Bookkeeper(random_terms(chance))
    desk.set_plan(books.plan, CALL)
    for step in range(chance.randint(5, 40)):
        teller = chance.choice([desk, second])
        if chance.random() < 0.08:
            changed = random_terms(chance)
            desk.set_plan(changed, CALL)
            books.plan = changed
        meter = chance.choice(list(Meter))
        quantity = chance.choice([1, 1, 2, 5, 13, 50])
        if books.receipts and chance.random() < 0.15:
            first = books.receipts[chance.choice(list(books.receipts))]
            again = teller.use(first.quantity, first.meter, event_id=first.event_id)
            same = {"duplicate": True, "remaining": again.remaining}
            assert again == first.model_copy(update=same), f"seed {seed}"
            continue
        wanted, over, cost = books.expect(meter, quantity)
        event_id = f"{seed}-{step}"
        try:
            receipt = teller.use(quantity, meter, event_id=event_id)
        except CapReached as error:
            outcome = "spend" if error.extra["cap"] == "Spend" else "units"
        except Refused:
            outcome = "refused"
        else:
            outcome = "accepted"
            assert (receipt.overage_units, receipt.overage_cost * 100) == (over, cost), f"seed {seed}"
            books.receipts[event_id] = receipt
            books.used[meter] += quantity
            books.spent += cost
        assert outcome == wanted, f"seed {seed} step {step}"
    for meter in Meter:
        assert desk.units(meter) == books.used[meter], f"seed {seed}"
    assert desk.spent() == int(books.spent * ATOMS), f"seed {seed}"
    entries, units, cost_sum = desk.ledger()
    assert (entries, units, cost_sum) == (
        len(books.receipts),
        sum(books.used.values()),
        int(books.spent * ATOMS),
    ), f"seed {seed}"


@pytest.mark.mission("USE-3")
@pytest.mark.fault("R3", "R4", "R20")
def test_others_stepping_in_before_any_commit_change_no_sum() -> None:
    """Before any commit another process may record usage or, in every other story, change the plan."""
    for seed in range(500 * SCALE):
        _tell_with_intruders(seed)


def _tell_with_intruders(seed: int) -> None:
    chance = random.Random(seed)
    table = MemoryTable()
    desk, other = UsageDesk(table), UsageDesk(table)
    one_plan = seed % 2 == 0
    desk.set_plan(random_terms(chance), CALL)
    intrusions = 6

    def step_in(_: Transaction) -> None:
        nonlocal intrusions
        if intrusions and chance.random() < 0.4:
            intrusions -= 1
            if one_plan or chance.random() < 0.7:
                attempt(partial(other.use, chance.randint(1, 9), event_id=f"o{intrusions}"))
            else:
                attempt(lambda: other.set_plan(random_terms(chance), CALL))

    table.before_commit = step_in
    for number in range(12):
        attempt(partial(desk.use, chance.randint(1, 9), event_id=f"d{number}"))
        if not one_plan and chance.random() < 0.2:
            attempt(lambda: desk.set_plan(random_terms(chance), CALL))
    table.before_commit = lambda _: None
    plan = PLANS.require(table, plan_id(ACCOUNT))
    entries = list(ledger_of(table, ACCOUNT, MONTH))
    used = sum(entry.quantity for entry in entries)
    assert desk.units() == used, f"seed {seed}"
    assert desk.spent() == sum(entry.charge.cost for entry in entries), f"seed {seed}"
    allowance = plan.terms.allowance(Meter.API_CALLS)
    if one_plan and allowance is not None:
        beyond = sum(entry.charge.overage_units for entry in entries)
        assert beyond == max(0, used - allowance.included), f"seed {seed}"
    _check_counters(table, plan, used, desk.spent(), f"seed {seed}")


def _check_counters(table: Table, plan: CapPlan, used: int, spent: int, story: str) -> None:
    """The rows of the month say what is left under the terms in force."""
    units = table.get(units_key(ACCOUNT, MONTH))
    if units is not None:
        fresh = opened_units(plan.terms, plan.version, MONTH).counters
        wanted = {name: value + usage_moves(Meter.API_CALLS, used).get(name, 0) for name, value in fresh.items()}
        assert units.counters == wanted, story
    spend = table.get(spend_key(ACCOUNT, MONTH))
    if spend is not None:
        assert spend.counters == {"left": spend_limit(plan.terms) - spent, "spent": spent}, story


def attempt(act: Callable[[], object]) -> None:
    """Does it; a refusal is an answer too."""
    with contextlib.suppress(CapReached, Refused, Contention, Conflict, Unavailable):
        act()


def race(table: Table, threads: int, each: int, quantity: int = 1) -> int:
    """How many of `threads` × `each` events were accepted, every thread a process of its own."""
    barrier = threading.Barrier(threads)
    accepted = [0] * threads

    def work(number: int) -> None:
        desk = UsageDesk(table)
        barrier.wait(30)
        for step in range(each):
            while True:
                try:
                    desk.use(quantity, event_id=f"{number}-{step}")
                    accepted[number] += 1
                except Contention:
                    continue
                except CapReached:
                    pass
                break

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return sum(accepted)


@pytest.mark.mission("USE-3")
@pytest.mark.fault("R20")
def test_32_threads_at_one_unit_cap(dynamo_table: DynamoTable) -> None:
    desk = UsageDesk(dynamo_table)
    desk.plan(api_calls(100))
    assert race(dynamo_table, threads=32, each=6) == 100
    assert desk.units() == 100
    assert desk.ledger() == (100, 100, 0)


@pytest.mark.mission("USE-3")
@pytest.mark.fault("R20")
def test_32_threads_at_one_spend_cap_across_the_tier_boundary(dynamo_table: DynamoTable) -> None:
    desk = UsageDesk(dynamo_table)
    desk.plan(api_calls(50, "0.015"), spend_cap=100)  # 66 units at 1.5 cents fit, the 67th does not
    assert race(dynamo_table, threads=32, each=5) == 50 + 66
    assert desk.units() == 116
    assert desk.spent() == 99 * ATOMS
    assert desk.ledger() == (116, 116, 99 * ATOMS)


@pytest.mark.mission("USE-2")
@pytest.mark.fault("R20")
def test_32_threads_split_one_event_at_the_tier_boundary(dynamo_table: DynamoTable) -> None:
    desk = UsageDesk(dynamo_table)
    desk.plan(api_calls(50, "1"))
    assert race(dynamo_table, threads=32, each=2, quantity=3) == 64
    assert desk.spent() == (64 * 3 - 50) * 100 * ATOMS
    assert desk.ledger() == (64, 192, desk.spent())


@pytest.mark.mission("USE-1")
@pytest.mark.fault("R1", "R20")
def test_32_threads_with_the_same_events(dynamo_table: DynamoTable) -> None:
    desk = UsageDesk(dynamo_table)
    desk.plan(api_calls(1000))
    barrier = threading.Barrier(32)

    def work(_: int) -> int:
        mine = UsageDesk(dynamo_table)
        barrier.wait(30)
        return sum(not mine.use(3, event_id=f"same-{step}").duplicate for step in range(3))

    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(work, range(32))) == 3
    assert (desk.units(), desk.ledger()) == (9, (3, 9, 0))


@pytest.mark.mission("USE-3")
@pytest.mark.fault("R4", "R5", "R6", "R20")
@pytest.mark.parametrize("seed", range(3 * SCALE))
def test_a_bad_wire_changes_no_sum(dynamo_table: DynamoTable, seed: int) -> None:
    """A fifth of all sends meets a conflict, a tenth a throttle, a tenth a lost answer; the caller sends again."""
    chance = random.Random(seed)
    dynamo_table._sleep = lambda _: None
    desk = UsageDesk(dynamo_table)
    desk.plan(api_calls(20, "0.015"), spend_cap=30)
    faults = chance.choices([None, conflict, throttle, lost_answer], [6, 2, 1, 1], k=2000)
    with broken_wire(dynamo_table, *faults, operation="TransactWriteItems"):
        for number in range(30):
            for _ in range(chance.choice([1, 1, 3])):
                attempt(partial(desk.use, 2, event_id=f"e{number}"))
    assert desk.units() == 40  # 20 included and, at 1.5 cents each, 20 beyond
    assert desk.ledger() == (20, 40, 30 * ATOMS)


@pytest.mark.mission("USE-4")
@pytest.mark.fault("R17")
def test_16_sweeps_at_once_raise_each_alert_once(dynamo_table: DynamoTable) -> None:
    desk = UsageDesk(dynamo_table)
    desk.plan(api_calls(10, "1"), spend_cap=1000)
    desk.use(18, at=datetime(2026, 11, 20, 8, tzinfo=UTC))

    def work(number: int) -> int:
        return UsageDesk(dynamo_table, seed=number).sweep("p")["raised"]

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == 5

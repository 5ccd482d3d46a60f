"""The rate budget: never more than the limit in any window, Retry-After obeyed, nothing lost."""

import random
from collections import deque
from collections.abc import Callable

import pytest

from revops.kernel import Unavailable
from revops.settings import SettingsReader
from revops.sync import BudgetedGateway, HandleMessage, HubspotBudget, PushPerson, RateBudget
from revops.sync.ports import RateLimited
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable
from tests.unit.sync.fakes import FakeHubspot, World


def _budgets(count: int, clock: ManualClock | None = None) -> tuple[ManualClock, MemoryTable, list[RateBudget]]:
    clock, table = clock or ManualClock(), MemoryTable()
    return clock, table, [RateBudget(table, clock, SettingsReader(table)) for _ in range(count)]


@pytest.mark.mission("HUB-5")
@pytest.mark.fault("R11")
@pytest.mark.parametrize("seed", range(5))
def test_no_ten_seconds_ever_hold_more_than_the_limit(seed: int) -> None:
    rng = random.Random(seed)
    clock, _, budgets = _budgets(6)
    clock.advance(seconds=rng.random())
    calls: deque[float] = deque()
    waits: list[float] = []
    total = 0
    for _ in range(4_000):
        try:
            rng.choice(budgets).spend()
        except RateLimited as error:
            waits.append(error.retry_after or 0.0)
            clock.advance(milliseconds=rng.choice([5, 40, 300]))
            continue
        total += 1
        now = clock.now().timestamp()
        calls.append(now)
        while calls[0] <= now - 10:
            calls.popleft()
        assert len(calls) <= 100
    assert all(0 < wait <= 1.0 for wait in waits)
    elapsed = (clock.now() - ManualClock().now()).total_seconds()
    assert total >= 0.75 * min(9 * elapsed, 4_000)


@pytest.mark.mission("HUB-5")
def test_calls_are_taken_in_blocks_so_the_shared_item_is_written_less_often() -> None:
    _, table, (budget,) = _budgets(1)
    for _ in range(9):
        budget.spend()
    assert len(table.changes) == 3
    with pytest.raises(RateLimited):
        budget.spend()


@pytest.mark.mission("HUB-5")
def test_retry_after_stops_every_worker_and_the_longest_holds() -> None:
    clock, _, (first, second) = _budgets(2)
    second.spend()
    first.stop(12.0)
    first.stop(3.0)
    for budget in (first, second):
        with pytest.raises(RateLimited) as stopped:
            budget.spend()
        assert stopped.value.retry_after == 12
    clock.advance(seconds=12)
    first.spend()
    second.spend()


@pytest.mark.mission("HUB-5")
def test_a_429_inside_a_call_stops_and_other_errors_do_not() -> None:
    clock, _, (budget,) = _budgets(1)
    hubspot = FakeHubspot(clock)
    gateway = BudgetedGateway(hubspot, budget)
    hubspot.around = _raising(Unavailable("away", retry_after=5.0))
    with pytest.raises(Unavailable):
        gateway.contact("1", ())
    hubspot.around = lambda when, name: None
    assert gateway.contact("1", ()) is None
    hubspot.around = _raising(RateLimited("slow", retry_after=4.0))
    with pytest.raises(RateLimited):
        gateway.contact("1", ())
    hubspot.around = lambda when, name: None
    with pytest.raises(RateLimited, match="quiet"):
        gateway.contact("1", ())


def _raising(error: Exception) -> Callable[[str, str], None]:
    def around(when: str, name: str) -> None:
        raise error

    return around


def test_a_limit_that_leaves_no_call_for_a_slot_is_refused() -> None:
    assert HubspotBudget().per_slot == 9
    with pytest.raises(ValueError, match="slots"):
        HubspotBudget(calls=10)
    assert HubspotBudget(calls=10, slot_seconds=5).per_slot == 3


@pytest.mark.mission("HUB-5")
@pytest.mark.fault("R11")
def test_a_backlog_drains_in_twice_its_calls_over_the_limit_and_nothing_is_lost() -> None:
    """300 people changed at once, two calls each, HubSpot answering 429 now and then: within 2 × 600 / 10 a second."""
    rng = random.Random(7)
    world = World()
    budget = RateBudget(world.table, world.clock, SettingsReader(world.table))
    gateway = BudgetedGateway(world.hubspot, budget)
    world.push = PushPerson(world.table, world.clock, world.ids, gateway, world.people, world.settings)
    world.handle = HandleMessage(
        world.table, world.clock, world.converge, world.push, world.settlement, world.queue, jitter=rng.random
    )
    refusals: list[int] = []

    def refuse(when: str, name: str) -> None:
        if when == "before" and len(refusals) < 5 and rng.random() < 0.01:
            refusals.append(1)
            raise RateLimited("slow down", retry_after=2.0)

    world.hubspot.around = refuse
    for number in range(300):
        world.people.add(f"PER_{number}", world.clock.now(), last_name="L", email=f"p{number}@example.com")
    assert _drained(world) < 2 * 300 / 10
    for number in range(300):
        world.people.edit(f"PER_{number}", world.clock.now(), phone="+44")
    assert _drained(world) < 2 * 600 / 10
    assert len(refusals) == 5
    assert len(world.hubspot.records) == 300
    assert {record["phone"] for record in world.hubspot.records.values()} == {"+44"}


def _drained(world: World) -> float:
    """Seconds until nothing waits any more."""
    start = world.clock.now()
    world.relay()
    while world.queue.waiting:
        world.work()
        world.clock.advance(milliseconds=250)
    return (world.clock.now() - start).total_seconds()

"""One seed, one schedule: executed orders are provisioned while everything goes wrong that can.

Mishaps of the provider, reads that fail, workers that die before or after any call and any commit, commits whose
answer is lost, a second worker stepping in at any call, and a clock that jumps by seconds, hours or past the life of a
key. Afterwards calm returns, people resume what is blocked, and the invariants are looked at.
"""

import random
from dataclasses import dataclass

from revops.kernel import DomainError
from revops.orders.decisions import Amendment
from revops.orders.model import OrderStatus, Step
from revops.orders.workflow import GIVE_UP, StepTask
from revops.table import ConditionFailed, Contention, Key, Page, Query, Row, Transaction
from tests.builders.clock import ManualClock
from tests.builders.fake_stripe import Mishap
from tests.builders.memory_table import MemoryTable
from tests.builders.orders import REP, WORKER, Desk

_JUMPS = (0, 1, 5, 30, 120, 300, 3600, 11 * 3600, 23 * 3600 - 5, 23 * 3600, 24 * 3600 - 1, 25 * 3600)
_CALM = 40


class Died(BaseException):
    """A worker was killed. Not an Exception: nothing may catch it and clean up."""


@dataclass
class _FaultyTable:
    """The table of a dying worker: may die around a commit, lose its answer, or meet contention."""

    inner: MemoryTable
    rng: random.Random
    risk: float = 0.0

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        return self.inner.get(key, consistent)

    def get_many(self, keys: list[Key], consistent: bool = True) -> list[Row | None]:
        return self.inner.get_many(keys, consistent)

    def query(self, query: Query) -> Page:
        return self.inner.query(query)

    def commit(self, transaction: Transaction) -> None:
        if self.rng.random() < self.risk:
            raise Died("before a commit")
        if self.rng.random() < self.risk:
            raise Contention("busy")
        self.inner.commit(transaction)
        if self.rng.random() < self.risk:
            raise Died("after a commit")


@dataclass
class Outcome:
    """How a schedule ended; no faults means all is well."""

    seed: int
    faults: list[str]
    calls: int


def run_schedule(seed: int, *, orders: int = 1) -> Outcome:
    """Runs one schedule and tells what is wrong afterwards."""
    rng = random.Random(seed)
    table = _FaultyTable(MemoryTable(), rng)
    clock = ManualClock()
    desk = Desk(table, clock, seed)  # type: ignore[arg-type]
    first = desk.executed(start_date="2026-11-21")
    ids = [first.id] + [
        desk.executed(start_date="2026-11-21", account_id=first.account_id).id for _ in range(orders - 1)
    ]
    _rough(desk, rng, table)
    for _ in range(rng.randint(2, 14)):
        clock.advance(seconds=rng.choice(_JUMPS))
        _attempt(desk, rng, rng.choice(ids))
    _calm(desk, table)
    for _ in range(_CALM):
        clock.advance(seconds=240)
        for order_id in ids:
            order = desk.order(order_id)
            if order.status is OrderStatus.BLOCKED:
                desk.resume(order_id, Amendment(), REP)
            _attempt(desk, rng, order_id)
    desk.stripe.settle(everything=True)
    return Outcome(seed, _faults(desk, ids), len(desk.stripe.calls))


def _rough(desk: Desk, rng: random.Random, table: _FaultyTable) -> None:
    stripe = desk.stripe
    stripe.rng = rng
    stripe.likelihood = {mishap: rng.choice((0, 0.05, 0.15, 0.3)) for mishap in Mishap}
    stripe.read_failure = rng.choice((0, 0.1))
    table.risk = rng.choice((0, 0.02, 0.1))
    risk = rng.choice((0, 0.05, 0.15))
    inside = False

    def between(_: str) -> None:
        nonlocal inside
        if rng.random() < risk:
            raise Died("around a call")
        if not inside and rng.random() < risk:
            inside = True
            desk.clock.advance(seconds=rng.choice((0, 1, 20, 50)))
            try:
                _attempt(desk, rng, None)
            finally:
                inside = False

    stripe.between = between


def _calm(desk: Desk, table: _FaultyTable) -> None:
    desk.stripe.likelihood = {}
    desk.stripe.read_failure = 0
    desk.stripe.between = lambda _: None
    table.risk = 0


def _attempt(desk: Desk, rng: random.Random, order_id: str | None) -> None:
    """What one execution does before it stops, dies or has to wait for its retry."""
    if order_id is None:
        order_id = rng.choice([key.pk.removeprefix("ORDER#") for key in _forms(desk)])
    try:
        result = desk.run(StepTask(order_id, Step.PROVISION), WORKER)
        desk.run(StepTask(order_id, result.next), WORKER)
        if result.next == Step.PROVISION and rng.random() < 0.05:
            desk.run(StepTask(order_id, GIVE_UP, failed_step=Step.PROVISION, error="timed out"), WORKER)
    except (Died, DomainError, ConditionFailed):
        return


def _forms(desk: Desk) -> list[Key]:
    table = desk.table
    assert isinstance(table, _FaultyTable)
    return [key for key in table.inner.rows if key.sk == "FORM"]


def _faults(desk: Desk, ids: list[str]) -> list[str]:
    faults = list(desk.stripe.violations)
    for order_id in ids:
        order = desk.order(order_id)
        made = desk.stripe.subscriptions_of(order_id)
        if len(made) != 1:
            faults.append(f"{order_id} has {len(made)} subscriptions")
        elif order.stripe_subscription_id != made[0]:
            faults.append(f"{order_id} points at {order.stripe_subscription_id or 'nothing'}, not {made[0]}")
        if order.status is not OrderStatus.ACTIVE:
            faults.append(f"{order_id} ends {order.status}")
        if desk.crm.deal(order.opportunity_id)["stage"] != "Closed Won":
            faults.append(f"the deal of {order_id} is not won")
    if len(desk.stripe.subscriptions) != len(ids):
        faults.append("a subscription without an executed order")
    if len(desk.stripe.customers) != 1:
        faults.append(f"one account has {len(desk.stripe.customers)} customers")
    return faults

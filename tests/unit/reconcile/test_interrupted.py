"""A repair that dies at any commit, or at any call of the provider, is done once by whoever comes next (R3, R8)."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from revops.reconcile.model import DifferenceState
from revops.reconcile.store import REPAIR
from revops.table import holder_of
from tests.builders.clock import ManualClock
from tests.builders.reconcile import WORKER, Bench
from tests.unit.reconcile.test_repairs import DRIFTS

pytestmark = [pytest.mark.mission("ORD-7"), pytest.mark.fault("R3", "R8")]


class _Killed(BaseException):
    """The worker is gone."""


def _approved(action: str) -> tuple[Bench, str, str]:
    bench = Bench(ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)))
    order = bench.sold()
    DRIFTS[action](bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    return bench, order.id, difference.id


def _done_by_the_next(bench: Bench, order_id: str, identifier: str) -> None:
    bench.clock.advance(seconds=80)
    assert bench.repair(identifier, WORKER).state is DifferenceState.REPAIRED
    assert bench.found() == []
    assert holder_of(bench.table, REPAIR, order_id) is None
    assert bench.stripe.violations == []


@pytest.mark.parametrize("action", DRIFTS)
@pytest.mark.parametrize("cut", range(1, 5))
def test_dead_at_a_commit(action: str, cut: int) -> None:
    bench, order_id, identifier = _approved(action)
    left = [cut]

    def die(_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise _Killed

    bench.desk.memory.before_commit = die
    with suppress(_Killed):  # there are fewer commits than cuts
        bench.repair(identifier, WORKER)
    bench.desk.memory.before_commit = lambda _: None
    _done_by_the_next(bench, order_id, identifier)
    assert len(bench.stripe.prorated) <= 1, "an item is changed once"


@pytest.mark.parametrize("action", DRIFTS)
@pytest.mark.parametrize("cut", range(1, 7))
def test_dead_at_a_call(action: str, cut: int) -> None:
    bench, order_id, identifier = _approved(action)
    left = [cut]

    def die(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise _Killed

    bench.stripe.between = die
    with suppress(_Killed):  # there are fewer calls than cuts
        bench.repair(identifier, WORKER)
    bench.stripe.between = lambda _: None
    _done_by_the_next(bench, order_id, identifier)
    assert len(bench.stripe.prorated) <= 1, "an item is changed once"

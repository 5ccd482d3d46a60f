"""A period of a job is done once (R17)."""

from datetime import timedelta

import pytest

from revops.table.leases import lease
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

pytestmark = pytest.mark.fault("R17")


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_one_holder_at_a_time_and_one_finish_for_good(table: MemoryTable, clock: ManualClock) -> None:
    with lease(table, "job", "p1", "a", clock) as mine:
        assert mine
        with lease(table, "job", "p1", "b", clock) as theirs:
            assert not theirs
        with lease(table, "job", "p2", "b", clock) as other_period, lease(table, "job2", "p1", "b", clock) as other:
            assert other_period
            assert other
    clock.advance(days=30)
    with lease(table, "job", "p1", "b", clock) as again:
        assert not again


def test_a_failed_run_gives_it_back(table: MemoryTable, clock: ManualClock) -> None:
    with pytest.raises(ZeroDivisionError), lease(table, "job", "p1", "a", clock):
        raise ZeroDivisionError
    with lease(table, "job", "p1", "b", clock) as mine:
        assert mine


def test_a_dead_holder_loses_it_when_it_runs_out(table: MemoryTable, clock: ManualClock) -> None:
    dead = lease(table, "job", "p1", "a", clock, timedelta(minutes=5))
    assert dead.__enter__()
    clock.advance(minutes=4, seconds=59)
    with lease(table, "job", "p1", "b", clock) as early:
        assert not early
    clock.advance(seconds=1)
    with lease(table, "job", "p1", "b", clock) as mine:
        assert mine
        assert dead.__exit__(None, None, None) is False  # the first wakes up, and changes nothing
        with lease(table, "job", "p1", "c", clock) as third:
            assert not third
    with lease(table, "job", "p1", "c", clock) as done:
        assert not done

"""A few hundred schedules of the fault bench, item locks on; `python -m tests.faults proof` runs thousands.

A failing seed prints its violations and the command that replays it.
"""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.builders.dynoxide import ROOT, DynoxideServer, dynoxide
from tests.faults.mutants import MUTANTS, hunt
from tests.faults.schedule import Outcome, run
from tests.faults.world import Plan

__all__ = ["dynoxide"]
_PIECE = 10
MEMORY = 200
DYNOXIDE = 6
QUICK = {"e-mail not claimed", "lead put without version", "rollups by bare ADD", "random idempotency key"}


def told(outcomes: Iterator[Outcome]) -> list[str]:
    """What broke, with the command that shows it again."""
    return [f"{outcome.command}: {outcome.violations}" for outcome in outcomes if outcome.violations]


@pytest.mark.fault("R1", "R2", "R3", "R4", "R5", "R6", "R8", "R9", "R12", "R13", "R14", "R15", "R16", "R17")
@pytest.mark.fault("R18", "R19", "R20", "R26", "R27")
@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize("first", range(0, MEMORY, _PIECE))
def test_schedules_in_memory(first: int) -> None:
    assert told(run(Plan(seed)) for seed in range(first, first + _PIECE)) == []


@pytest.mark.fault("R3", "R4", "R5", "R6", "R18", "R19", "R20")
@pytest.mark.parametrize("first", range(0, DYNOXIDE, 2))
def test_schedules_on_dynoxide(first: int, dynoxide: DynoxideServer) -> None:
    assert told(run(Plan(seed, "dynoxide"), dynoxide) for seed in range(first, first + 2)) == []


@pytest.mark.parametrize("name", sorted(QUICK))
def test_planted_bugs_are_noticed(name: str, dynoxide: DynoxideServer) -> None:
    verdict = hunt(next(mutant for mutant in MUTANTS if mutant.name == name), dynoxide)
    assert verdict.seed is not None, f"{name} survived {verdict.tried} schedules"


def test_a_seed_replays_identically_in_another_process() -> None:
    here = run(Plan(8))
    command = [sys.executable, "-m", "tests.faults", "--seed", "8"]
    there = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert f"digest:   {here.digest}" in there.stdout, there.stdout + there.stderr
    assert run(Plan(8, trace=True)).digest == here.digest


def test_a_world_is_full_of_trouble() -> None:
    """The bench does what it says: mishaps of every kind strike, transactions collide, orders get to the end."""
    outcomes = [run(Plan(seed)) for seed in range(30)]
    assert len({fired.mishap for outcome in outcomes for fired in outcome.fired}) >= 9
    assert sum(outcome.refused_by_lock for outcome in outcomes) > 50
    assert len({outcome.digest for outcome in outcomes}) == 30

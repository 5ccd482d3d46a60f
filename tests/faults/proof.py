"""Many schedules in two processes, a single one in this, and the whole proof; what `python -m tests.faults` calls."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from multiprocessing.process import BaseProcess

from tests.builders.dynoxide import DynoxideServer, running_dynoxide
from tests.faults.mutants import MUTANTS, Verdict, hunt
from tests.faults.nurturing import NURTURING
from tests.faults.schedule import Outcome, run, shrink
from tests.faults.world import Plan

PROOF_MEMORY = 5_000
PROOF_DYNOXIDE = 300
PROOF_NURTURE = 2_000
"""Of the others, three in five have leads and people who change their minds; with these it is more than 5,000."""
_PROCESSES = 2
_SHOWN = 5
_EVERY = 3.0
_PIECE = 4


def say(text: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _ready() -> None:
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    if parent := multiprocessing.parent_process():  # nobody would wait for what it still does
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def _engine(name: str) -> Iterator[DynoxideServer | None]:
    """An engine for some schedules: one that had many tables in its life takes ever longer for each call."""
    if name != "dynoxide":
        yield None
        return
    with running_dynoxide() as server:
        yield server


def _pool() -> ProcessPoolExecutor:
    """Processes of their own; one that dies breaks the pool instead of being replaced."""
    return ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn"), _ready)


def _some(plans: Sequence[Plan]) -> list[Outcome]:
    with _engine(plans[0].engine) as server:
        return [run(plan, server) for plan in plans]


def sweep(plans: Iterable[Plan], until: float = 0.0) -> Iterator[Outcome]:
    """Runs plans of one engine, some at a time in each of a few processes."""
    waiting: set[Future[list[Outcome]]] = set()
    source = iter(plans)
    with _pool() as pool:
        while True:
            while len(waiting) < 2 * _PROCESSES and (piece := list(islice(source, _PIECE))):
                waiting.add(pool.submit(_some, piece))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()
            if until and time.monotonic() > until:
                source = iter(())


def report(outcome: Outcome) -> None:
    """A failing seed with its schedule."""
    say(f"✗ seed {outcome.plan.seed} ({outcome.plan.engine}): {len(outcome.violations)} violations")
    for line in outcome.violations[:_SHOWN]:
        say(f"    {line}")
    say(f"  schedule: {len(outcome.actors)} actors, {len(outcome.fired)} mishaps")
    for fired in outcome.fired[-12:]:
        say(f"    {fired.name:<20} {fired.mishap.value:<22} {fired.site}")
    say(f"  again:    {outcome.command}")


def run_range(first: int, last: int, engine: str, minutes: float = 0.0, cast: frozenset[str] = frozenset()) -> int:
    """How many seeds failed."""
    until = time.monotonic() + minutes * 60 if minutes else 0.0
    started, told, done, failed, steps, fired, refused = time.monotonic(), 0.0, 0, 0, 0, 0, 0
    plans = (Plan(seed, engine, cast=cast) for seed in range(first, last + 1))
    for outcome in sweep(plans, until):
        done, steps, fired = done + 1, steps + outcome.steps, fired + len(outcome.fired)
        refused += outcome.refused_by_lock
        if outcome.violations:
            failed += 1
            if failed <= _SHOWN:
                report(outcome)
        if time.monotonic() - told > _EVERY:
            told = time.monotonic()
            say(f"  · {engine}: {done} of {last - first + 1} schedules, {failed} failed, {told - started:.0f} s")
    say(
        f"{'✗' if failed else '✓'} {engine}: {done} schedules, {failed} failed; {steps:,} calls, {fired:,} mishaps, "
        f"{refused:,} refused by an item lock, {time.monotonic() - started:.0f} s"
    )
    return failed


def run_one(plan: Plan, *, shorter: bool) -> int:
    """One seed, with its trace if wanted."""
    _ready()
    with _engine(plan.engine) as server:
        outcome = run(plan, server)
        if shorter and outcome.violations:
            outcome = shrink(outcome, lambda tried: run(tried, server))
            if plan.trace:
                outcome = run(replace(outcome.plan, trace=True), server)
            say(f"without: {' '.join(sorted(outcome.plan.without)) or '-'}")
            say(f"spared:  {' '.join(sorted(outcome.plan.spared)) or '-'}")
        for line in outcome.trace:
            say(line)
        if outcome.violations:
            report(outcome)
        else:
            say(f"✓ seed {plan.seed} ({plan.engine}): {outcome.steps} calls, {len(outcome.fired)} mishaps")
        say(f"  digest:   {outcome.digest}")
    return int(bool(outcome.violations))


def _hunt(name: str) -> Verdict:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    with _engine(mutant.engine) as server:
        return hunt(mutant, server)


def run_mutants() -> int:
    """How many planted bugs survived."""
    survived = 0
    with _pool() as pool:
        for verdict in pool.map(_hunt, [mutant.name for mutant in MUTANTS]):
            survived += verdict.seed is None
            caught = (
                f"caught by seed {verdict.seed} ({verdict.tried} tried)" if verdict.seed is not None else "SURVIVED"
            )
            say(f"  {'✗' if verdict.seed is None else '✓'} {verdict.name:<34} {caught:<34} {verdict.violation[:90]}")
    say(f"{'✗' if survived else '✓'} mutants: {len(MUTANTS)} planted, {survived} survived")
    return survived


def proof() -> int:
    """The full counts, item locks on: every schedule clean and every mutant caught."""
    failed = run_range(0, PROOF_MEMORY - 1, "memory")
    failed += run_range(0, PROOF_NURTURE - 1, "memory", cast=NURTURING)
    failed += run_range(0, PROOF_DYNOXIDE - 1, "dynoxide")
    return failed + run_mutants()

"""Run schedules: one, a range, for some minutes, or the whole proof.

    python -m tests.faults --seed 17 [--engine dynoxide] [--trace] [--shrink]
    python -m tests.faults --seeds 0-4999 [--engine dynoxide] [--minutes 10]
    python -m tests.faults mutants
    python -m tests.faults proof
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from tests.builders.dynoxide import DynoxideServer, running_dynoxide
from tests.faults.mutants import MUTANTS, Verdict, hunt
from tests.faults.schedule import Outcome, run, shrink
from tests.faults.world import Plan

PROOF_MEMORY = 5_000
PROOF_DYNOXIDE = 200
_PROCESSES = 2
_SHOWN = 5
_EVERY = 3.0


def say(text: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


_server: DynoxideServer | None = None
_stack = ExitStack()


def _ready(engine: str) -> None:
    global _server
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    if engine == "dynoxide":
        _server = _stack.enter_context(running_dynoxide())


def _one(plan: Plan) -> Outcome:
    outcome = run(plan, _server)
    return replace(outcome, trace=[]) if not plan.trace else outcome


def sweep(plans: Iterable[Plan], engine: str, until: float = 0.0) -> Iterator[Outcome]:
    """Runs plans in processes of their own, each with its own engine."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(_PROCESSES, _ready, (engine,)) as pool:
        for outcome in pool.imap_unordered(_one, plans, chunksize=4):
            yield outcome
            if until and time.monotonic() > until:
                return


def report(outcome: Outcome) -> None:
    """A failing seed with its schedule."""
    say(f"✗ seed {outcome.plan.seed} ({outcome.plan.engine}): {len(outcome.violations)} violations")
    for line in outcome.violations[:_SHOWN]:
        say(f"    {line}")
    say(f"  schedule: {len(outcome.actors)} actors, {len(outcome.fired)} mishaps")
    for fired in outcome.fired[-12:]:
        say(f"    {fired.name:<20} {fired.mishap.value:<22} {fired.site}")
    say(f"  again:    {outcome.command}")


def run_range(first: int, last: int, engine: str, minutes: float = 0.0) -> int:
    """How many seeds failed."""
    until = time.monotonic() + minutes * 60 if minutes else 0.0
    started, told, done, failed, steps, fired, refused = time.monotonic(), 0.0, 0, 0, 0, 0, 0
    plans = (Plan(seed, engine) for seed in range(first, last + 1))
    for outcome in sweep(plans, engine, until):
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
    _ready(plan.engine)
    with _stack:
        outcome = run(plan, _server)
        if shorter and outcome.violations:
            outcome = shrink(outcome, lambda tried: run(tried, _server))
            if plan.trace:
                outcome = run(replace(outcome.plan, trace=True), _server)
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
    return hunt(next(mutant for mutant in MUTANTS if mutant.name == name), _server)


def run_mutants() -> int:
    """How many planted bugs survived."""
    survived = 0
    context = multiprocessing.get_context("spawn")
    engine = "dynoxide" if any(mutant.engine == "dynoxide" for mutant in MUTANTS) else "memory"
    with context.Pool(_PROCESSES, _ready, (engine,)) as pool:
        for verdict in pool.imap(_hunt, [mutant.name for mutant in MUTANTS]):
            survived += verdict.seed is None
            caught = f"caught by seed {verdict.seed} ({verdict.tried} tried)" if verdict.seed is not None else "SURVIVED"
            say(f"  {'✗' if verdict.seed is None else '✓'} {verdict.name:<34} {caught:<34} {verdict.violation[:90]}")
    say(f"{'✗' if survived else '✓'} mutants: {len(MUTANTS)} planted, {survived} survived")
    return survived


def proof() -> int:
    """The full counts, item locks on: every schedule clean and every mutant caught."""
    failed = run_range(0, PROOF_MEMORY - 1, "memory")
    failed += run_range(0, PROOF_DYNOXIDE - 1, "dynoxide")
    return failed + run_mutants()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("proof", "mutants"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", default="")
    parser.add_argument("--engine", choices=("memory", "dynoxide"), default="memory")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--without", default="", help="actors to leave out, separated by commas")
    parser.add_argument("--spared", default="", help="mishaps to leave out, as actor:number")
    given = parser.parse_args(arguments)
    if given.what == "proof":
        return int(proof() > 0)
    if given.what == "mutants":
        return int(run_mutants() > 0)
    if given.seed is not None:
        without, spared = (frozenset(filter(None, text.split(","))) for text in (given.without, given.spared))
        plan = Plan(given.seed, given.engine, without=without, spared=spared, trace=given.trace)
        return run_one(plan, shorter=given.shrink)
    first, _, last = (given.seeds or "0-999999").partition("-")
    return int(run_range(int(first), int(last or first), given.engine, given.minutes or (0.0 if given.seeds else 1.0)) > 0)


if __name__ == "__main__":
    sys.exit(main())

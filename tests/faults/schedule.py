"""Running one seed, shrinking one that fails."""

import gc
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from revops.table import EntityKind, Row
from tests.builders.dynoxide import DynoxideServer
from tests.faults.actors import actors_later, actors_of
from tests.faults.invariants import violations
from tests.faults.quiet import come_to_rest, pause
from tests.faults.trouble import Fired
from tests.faults.world import Plan, World

Prepare = Callable[[World], None]


@dataclass(slots=True)
class Outcome:
    """How a schedule ended. `digest` is of everything that happened, so two runs of a seed can be compared."""

    plan: Plan
    violations: list[str]
    fired: list[Fired] = field(default_factory=list)
    actors: list[str] = field(default_factory=list)
    steps: int = 0
    refused_by_lock: int = 0
    digest: str = ""
    seconds: float = 0.0
    trace: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        cast = f" --cast {','.join(sorted(self.plan.cast))}" if self.plan.cast else ""
        return f"python -m tests.faults --seed {self.plan.seed} --engine {self.plan.engine}{cast}"


def run(plan: Plan, server: DynoxideServer | None = None, prepare: Prepare = lambda _: None) -> Outcome:
    """Runs a schedule to its rest and looks at the invariants. `prepare` plants a bug."""
    with silent_logs(), _read_once(), _uncollected():
        return _run(plan, server, prepare)


def _run(plan: Plan, server: DynoxideServer | None, prepare: Prepare) -> Outcome:
    started = time.perf_counter()
    with World(plan, server) as world:
        prepare(world)
        actors = actors_of(world)
        world.baton.run(actors)
        later = actors_later(world)
        if later:
            pause(world)
        world.baton.run(later)
        found = come_to_rest(world)
        found += violations(world)
        changes = "\n".join(f"{change.key} {change.row.version} {change.row.doc}" for change in world.history)
        digest = hashlib.sha256(f"{world.steps}\n{world.trouble.fired}\n{changes}".encode()).hexdigest()[:16]
        return Outcome(
            plan,
            found,
            world.trouble.fired,
            sorted({*actors, *later}),
            world.steps,
            world.locks.refused,
            digest,
            time.perf_counter() - started,
            world.trace,
        )


@contextmanager
def silent_logs() -> Iterator[None]:
    """A killed Lambda logs nothing, and thousands of failing batches would log too much."""

    def silence(*_: object, **__: object) -> None:
        return

    with (
        patch("revops.platform.batch.log", silence),
        patch("revops.platform.batch.log_error", silence),
        patch("revops.platform.jobs.log", silence),
        patch("revops.platform.stream.log_error", silence),
    ):
        yield


@contextmanager
def _read_once() -> Iterator[None]:
    """A document is decoded once in a schedule, whoever reads it: decoding is pure and entities are frozen."""
    decode, known = EntityKind.load, dict[tuple[str, str], Any]()

    def load(self: EntityKind[Any], row: Row) -> Any:
        name = (self.kind, row.doc)
        found = known.get(name)
        if found is None:
            found = known[name] = decode(self, row)
        return found

    with patch.object(EntityKind, "load", load):
        yield


@contextmanager
def _uncollected() -> Iterator[None]:
    """A world becomes garbage all at once when its schedule is over; there is nothing to look for before."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def shrink(outcome: Outcome, again: Callable[[Plan], Outcome], budget: int = 120) -> Outcome:
    """The shortest schedule found that breaks the same invariant: actors first, then mishaps, one by one."""
    kind = outcome.violations[0].partition(":")[0]
    best = outcome

    def still(plan: Plan) -> bool:
        nonlocal best, budget
        if budget <= 0:
            return False
        budget -= 1
        tried = again(plan)
        if any(line.startswith(f"{kind}:") for line in tried.violations):
            best = tried
            return True
        return False

    for actor in outcome.actors:
        still(replace(best.plan, without=best.plan.without | {actor}))
    size = max(1, len(best.fired) // 2)
    while size:
        names = [fired.name for fired in best.fired]
        for start in range(0, len(names), size):
            still(replace(best.plan, spared=best.plan.spared | frozenset(names[start : start + size])))
        size //= 2
    return best

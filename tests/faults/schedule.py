"""Running one seed, shrinking one that fails."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from unittest.mock import patch

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
        return f"python -m tests.faults --seed {self.plan.seed} --engine {self.plan.engine}"


def run(plan: Plan, server: DynoxideServer | None = None, prepare: Prepare = lambda _: None) -> Outcome:
    """Runs a schedule to its rest and looks at the invariants. `prepare` plants a bug."""
    started = time.perf_counter()
    with silent_logs(), World(plan, server) as world:
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
    with (
        patch("revops.platform.batch.log"),
        patch("revops.platform.batch.log_error"),
        patch("revops.platform.jobs.log"),
        patch("revops.platform.stream.log_error"),
    ):
        yield


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

"""Who serves a world: the Lambdas behind streams, queues, bus and workflow, the schedules, and time itself."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from revops.kernel import time_text
from revops.signing.ports import QUEUES
from tests.faults.nurturing import send_nurture
from tests.faults.world import World

_PATIENCE = 150
ELSEWHERE = frozenset({"hubspot-worker-1", "hubspot-worker-2", "nurture-1", "nurture-2", "schedules-2"})
"""Who has nothing to do with what runs; at rest they get done."""


def _serve(world: World, quota: int, look: Callable[[], bool], work: Callable[[], object]) -> None:
    """Looks, works where there is something, until it did its share, or looked often enough."""
    patience = _PATIENCE
    found = False

    def again() -> bool:
        nonlocal patience, found
        found, patience = patience > 0 and look(), patience - 1
        return found or patience < 0

    again()
    while patience >= 0:
        if found:
            work()
            quota -= 1
            if not quota:
                return
            again()
        else:
            world.wait(again)


def _relay(world: World, rng: random.Random, name: str) -> None:
    size = 0

    def look() -> bool:
        nonlocal size
        world.pump()
        if rng.random() < 0.001:
            world.diary.trimmed += world.relay.trim()
        size = rng.randint(1, 8)
        return world.relay.ready

    _serve(world, rng.randint(5, 40), look, lambda: world.relay.step(rng.randrange, size))


def _rollups(world: World, rng: random.Random, name: str) -> None:
    size = 0

    def look() -> bool:
        nonlocal size
        world.pump()
        size = rng.randint(1, 8)
        return world.rollups.ready

    _serve(world, rng.randint(5, 40), look, lambda: world.rollups.step(rng.randrange, size))


def _work_off(
    world: World, rng: random.Random, name: str, worker: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> None:
    queue = world.outside.queues[name]

    def look() -> bool:
        if rng.random() < world.loss:
            queue.lose_one()
        return queue.ready

    _serve(world, rng.randint(5, 40), look, lambda: queue.deliver(worker))


def _stripe_worker(world: World, rng: random.Random, name: str) -> None:
    _work_off(world, rng, "stripe", world.stripe_worker)


def _hubspot_worker(world: World, rng: random.Random, name: str) -> None:
    _work_off(world, rng, "hubspot", world.hubspot_worker)


def _esign_worker(world: World, rng: random.Random, name: str) -> None:
    queues = [world.outside.queues[each] for each in QUEUES.values()]
    queue = queues[0]

    def look() -> bool:
        nonlocal queue
        queue = rng.choice(queues)
        if rng.random() < world.loss:
            queue.lose_one()
        return queue.ready

    _serve(world, rng.randint(5, 30), look, lambda: queue.deliver(world.esign_worker))


def _bus(world: World, rng: random.Random, name: str) -> None:
    bus = world.outside.bus
    _serve(world, rng.randint(5, 50), lambda: bool(bus.waiting), lambda: bus.deliver(world.bus_consumer))


def _flow(world: World, rng: random.Random, name: str) -> None:
    workflow = world.outside.workflow

    def look() -> bool:
        if rng.random() < 0.005:
            workflow.lose_one()
        return workflow.ready

    _serve(world, rng.randint(5, 50), look, lambda: workflow.step(world.order_steps))


def _schedules(world: World, rng: random.Random, name: str) -> None:
    for _ in range(rng.randint(2, 6)):
        world.idle(rng.randint(1, 20))
        run_schedules(world, period(world), rng.choice((1, 1, 2)))


def period(world: World) -> str:
    """The period of a schedule: the minute."""
    return time_text(world.clock.now())[:16]


def run_schedules(world: World, when: str, times: int = 1) -> None:
    """Every schedule of a period, perhaps twice."""
    for _ in range(times):
        world.asynchronously(lambda: world.wiring.fire("score_leads", when))
        world.asynchronously(lambda: world.wiring.fire("spend_cap_alerts", when))
        world.asynchronously(lambda: world.wiring.fire("nurture", when))
        world.note_late()
        world.asynchronously(lambda: world.wiring.fire("housekeeping", when))


def _time(world: World, rng: random.Random, name: str) -> None:
    for _ in range(rng.randint(4, 20)):
        world.clock.advance(seconds=rng.choice((1, 5, 30, 200, 400)))
        world.idle(rng.randint(1, 12))


SERVING: dict[str, Callable[[World, random.Random, str], None]] = {
    "relay-1": _relay,
    "relay-2": _relay,
    "rollups": _rollups,
    "stripe-worker-1": _stripe_worker,
    "stripe-worker-2": _stripe_worker,
    "hubspot-worker-1": _hubspot_worker,
    "hubspot-worker-2": _hubspot_worker,
    "esign-worker-1": _esign_worker,
    "esign-worker-2": _esign_worker,
    "bus-1": _bus,
    "bus-2": _bus,
    "flow-1": _flow,
    "flow-2": _flow,
    "nurture-1": send_nurture,
    "nurture-2": send_nurture,
    "schedules-1": _schedules,
    "schedules-2": _schedules,
    "time": _time,
}

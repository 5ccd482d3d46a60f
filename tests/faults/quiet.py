"""After the schedule: faults stop, and everything that is owed is done, until nothing changes any more.

What is not acknowledged is sent again, streams and queues are drained, failed batches come out of the on-failure
bucket, dead letters are redriven (R16), executions run on, people resume
what is blocked, and the clock moves in steps of some minutes past every retry, lease and sweep. A world that
does not come to rest is itself a finding.
"""

import random

from revops.billing.store import DUE_TOPIC
from revops.inbox import INBOX, InboxStatus
from revops.kernel import system_call
from revops.orders.model import OrderStatus
from revops.orders.policies.lifecycle import is_automatic
from revops.orders.store import ORDERS
from revops.sync.store import TOPIC
from revops.table import due_now
from tests.faults.actors import decide, deliver_one, period, run_schedules
from tests.faults.nurturing import due_steps
from tests.faults.world import World

_ROUNDS = 60
_STEP_MINUTES = 11


def come_to_rest(world: World) -> list[str]:
    """What is wrong with the way to rest; empty when the world is quiet."""
    world.trouble.calm = True
    world.outside.provisioning.likelihood = {}
    world.outside.provisioning.read_failure = 0
    rng = random.Random(world.plan.seed * 11 + 3)
    replayed = False
    quiet = 0
    for _ in range(_ROUNDS):
        _round(world, rng)
        if _is_quiet(world):
            quiet += 1
            if quiet < 2:
                continue
            if replayed or not _replay_dead(world):
                return []
            replayed, quiet = True, 0
        else:
            quiet = 0
    return [f"never quiet: {why}" for why in _unrest(world)]


def _round(world: World, rng: random.Random) -> None:
    for _ in range(40):
        busy = False
        while deliver_one(world, rng):
            busy = True
        for order_ids in world.diary.orders.values():
            for order_id in order_ids:
                decide(world, rng, order_id, sign=order_id in world.diary.to_sign)
        busy = _drain(world) or busy
        for queue in world.outside.queues.values():
            handler = world.stripe_worker if queue.name == "stripe" else world.hubspot_worker
            if world.plan.seed % 2:  # in the other worlds nobody does, and the sweepers have to
                queue.redrive()
            while queue.deliver(handler):
                busy = True
        world.outside.bus.redrive()
        for _ in range(len(world.outside.bus.waiting)):
            busy = world.outside.bus.deliver(world.bus_consumer) or busy
        for _ in range(50):
            if not world.outside.workflow.step(world.order_steps):
                break
            busy = True
        world.outside.provisioning.settle()
        if not busy:
            break
    world.clock.advance(minutes=_STEP_MINUTES)
    run_schedules(world, period(world))
    _drain(world)


def _drain(world: World) -> bool:
    """Both consumers of the stream read on; what went to the on-failure bucket is put back first."""
    busy = False
    for runner in (world.relay, world.rollups):
        world.pump()
        again, runner.failed = runner.failed, []
        runner.offer(again)
        while runner.step():
            busy = True
            world.pump()
    return busy


def _is_quiet(world: World) -> bool:
    return not any(True for _ in _unrest(world))


def _unrest(world: World) -> list[str]:
    world.pump()
    outside, now = world.outside, world.clock.now()
    found = []
    if outside.stripe.outbox or outside.hubspot.rung:
        found.append(f"{len(outside.stripe.outbox)} webhooks undelivered")
    for name, runner in (("relay", world.relay), ("rollups", world.rollups)):
        if runner.waiting or runner.failed:
            found.append(f"{runner.waiting} records wait for {name}")
    found += [f"{len(queue.messages)} messages in {name}" for name, queue in outside.queues.items() if queue.messages]
    if outside.bus.waiting:
        found.append("events on the bus: " + ", ".join(sorted({event.name for event, _ in outside.bus.waiting})))
    found += [f"inbox {row.pk} waits" for row in world.rows_of("INBOX") if INBOX.load(row).waiting]
    for row in world.rows_of("ORDER"):
        order = ORDERS.load(row)
        if is_automatic(order.status) or order.status is OrderStatus.BLOCKED:
            found.append(f"order {order.id} is {order.status}: {order.block.reason if order.block else ''}")
    found += due_steps(world)
    for topic in (TOPIC, DUE_TOPIC):
        found += [f"{topic} due: {due.key.pk}" for due in due_now(world.inner, topic, now)]
    return found


def _replay_dead(world: World) -> bool:
    """Dead letters of the inbox are replayed once, as an operator does when the trouble is over (R16)."""
    dead = [INBOX.load(row) for row in world.rows_of("INBOX") if '"Dead"' in row.doc]
    dead = [entry for entry in dead if entry.status is InboxStatus.DEAD]
    if not dead:
        return False
    world.wiring.settlement.replay(dead, system_call("operator"))
    return True

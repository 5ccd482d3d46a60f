"""After the schedule: faults stop, and everything that is owed is done, until nothing changes any more.

What is not acknowledged is sent again, streams and queues are drained, failed batches come out of the on-failure
bucket, dead letters are redriven (R16), executions run on, people resume
what is blocked, and the clock moves in steps of some minutes past every retry, lease and sweep. A world that
does not come to rest is itself a finding.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from revops.billing.cancellation import DUE_TOPIC as CANCELLATION
from revops.billing.store import DUE_TOPIC
from revops.inbox import INBOX, InboxStatus
from revops.kernel import system_call, time_text
from revops.orders.model import OrderStatus
from revops.orders.policies.lifecycle import is_automatic
from revops.orders.store import ORDERS, TENANT_TOPIC
from revops.sales.store import CREDITING, MIRRORING
from revops.signing.store import DUE_TOPIC as ENVELOPE
from revops.sync.store import TOPIC
from tests.faults.actors import decide, deliver_one
from tests.faults.contracts import hopeless, mirrored, settle_tenants
from tests.faults.nurturing import due_steps
from tests.faults.serving import period, run_schedules
from tests.faults.signatures import settle_signatures, unheard
from tests.faults.world import World

_ROUNDS = 60
_STEP_MINUTES = 11
_MORE_LOOKS = 4
_TOPICS = (TOPIC, DUE_TOPIC, CANCELLATION, ENVELOPE, TENANT_TOPIC, "timeline", CREDITING, MIRRORING)


def come_to_rest(world: World) -> list[str]:
    """What is wrong with the way to rest; empty when the world is quiet."""
    with _calm(world) as rng:
        found = _rest(world, rng)
        if found or not world.rows_of("ORDER"):
            return found
        if not _anything_lost(world):
            found = [f"sales: {line}, although nothing was lost" for line in mirrored(world, linked=False)]
        world.clock.advance(hours=25)  # what was lost is found by a look within the day; tomorrow's terms begin
        world.days += 1
        found += _rest(world, rng)
        for _ in range(_MORE_LOOKS):
            if found or not unheard(world):
                break
            world.clock.advance(minutes=90)  # sent again by that look, signed, and lost: the look after it finds it
            found += _rest(world, rng)
        return found


def pause(world: World) -> list[str]:
    """Between two acts everybody gets done with what is owed."""
    with _calm(world) as rng:
        return _rest(world, rng)


@contextmanager
def _calm(world: World) -> Iterator[random.Random]:
    stripe, trouble = world.outside.provisioning, world.trouble
    before = stripe.likelihood, stripe.read_failure
    trouble.calm, stripe.likelihood, stripe.read_failure = True, {}, 0
    yield random.Random(world.plan.seed * 11 + 3 + world.steps)
    trouble.calm = False
    stripe.likelihood, stripe.read_failure = before


def _rest(world: World, rng: random.Random) -> list[str]:
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


def _anything_lost(world: World) -> bool:
    queues = world.outside.queues.values()
    return bool(world.diary.trimmed) or any(queue.lost or queue.dead for queue in queues)


def _round(world: World, rng: random.Random) -> None:
    handlers = {"stripe": world.stripe_worker, "hubspot": world.hubspot_worker}
    for _ in range(40):
        busy = settle_signatures(world, rng)
        while deliver_one(world, rng):
            busy = True
        for order_ids in world.diary.orders.values():
            for order_id in order_ids:
                decide(world, rng, order_id, sign=order_id in world.diary.to_sign)
        busy = _drain(world) or busy
        for queue in world.outside.queues.values():
            handler = handlers.get(queue.name, world.esign_worker)
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
        busy = settle_tenants(world) or busy
        if not busy:
            break
    world.clock.advance(minutes=_STEP_MINUTES)
    run_schedules(world, period(world))
    _drain(world)


def _drain(world: World) -> bool:
    """Both consumers of the stream read on; what went to the on-failure bucket is put back first."""
    busy = False
    world.note_given_up()
    for runner in (world.relay, world.rollups):
        world.pump()
        again, runner.failed = runner.failed, []
        runner.offer(again)
        while runner.step():
            busy = True
            world.pump()
    return busy


def _is_quiet(world: World) -> bool:
    return next(_unrest(world), None) is None


def _unrest(world: World) -> Iterator[str]:
    """What is still to be done; nothing when the world is quiet."""
    world.pump()
    yield from _under_way(world)
    yield from (f"inbox {row.pk} waits" for row in world.rows_of("INBOX") if INBOX.load(row).waiting)
    for order in map(ORDERS.load, world.rows_of("ORDER")):
        if is_automatic(order.status) or (order.status is OrderStatus.BLOCKED and not hopeless(world, order)):
            yield f"order {order.id} is {order.status}: {order.block.reason if order.block else ''}"
        looked_after = any(order.id in ids for ids in world.diary.orders.values())
        if order.status is OrderStatus.AWAITING_TENANT or (
            order.status is OrderStatus.CHANGES_REQUESTED and looked_after
        ):
            yield f"order {order.id} is {order.status}"
    yield from due_steps(world)
    yield from _due(world)


def _under_way(world: World) -> Iterator[str]:
    outside = world.outside
    if outside.stripe.outbox or outside.hubspot.rung:
        yield f"{len(outside.stripe.outbox)} webhooks undelivered"
    for name, runner in (("relay", world.relay), ("rollups", world.rollups)):
        if runner.waiting or runner.failed:
            yield f"{runner.waiting} records wait for {name}"
    for name, queue in outside.queues.items():
        if queue.messages:
            yield f"{len(queue.messages)} messages in {name}"
    if outside.bus.waiting:
        yield "events on the bus: " + ", ".join(sorted({event.name for event, _ in outside.bus.waiting}))


def _due(world: World) -> Iterator[str]:
    """What a query of the due index would find by now."""
    now = time_text(world.clock.now()) + "~"
    for row in world.rows().values():
        if "due" in row.index:
            partition, since = row.index["due"]
            topic = partition.removeprefix("DUE#").rpartition("#")[0]
            if topic in _TOPICS and since <= now:
                yield f"{topic} due: {row.pk}"


def _replay_dead(world: World) -> bool:
    """Dead letters of the inbox are replayed once, as an operator does when the trouble is over (R16)."""
    dead = [entry for entry in map(INBOX.load, world.rows_of("INBOX")) if entry.status is InboxStatus.DEAD]
    if not dead:
        return False
    for entry in dead:
        world.wiring.settlement.again(entry, system_call("operator"))
    return True

"""Sending against withdrawing in every order a seed can make: nothing leaves after a committed withdrawal (I11, S21).

Actors hand a baton on wherever they touch the table or wait; time passes with every turn, and a message leaves at some
moment of its call. The same schedules find violations as soon as the gate is replaced by a look before sending, and by
a gate without its lease: the test would see one.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from revops.crm.consent import CONSENTS, RecordConsent, SendGate, refusal
from revops.kernel import Refused, Unavailable
from revops.table import ABSENT, ConditionFailed, Key, Put, Row, Transaction, begin
from tests.builders.clock import ManualClock
from tests.builders.engagement import PERSON, PUBLIC, consent, place_lead
from tests.builders.memory_table import MemoryTable
from tests.faults.baton import Baton

SEEDS = 300
LONGEST_CALL = 8.0


class World:
    """A table whose every call may hand the baton on, a clock that moves with it, and what left when."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = ManualClock()
        self.table = MemoryTable()
        place_lead(self.table, self.clock, consent(self.clock))
        self.baton = Baton(self.rng, self.rng.choice((0.2, 0.5, 0.9)))
        self.leaving: list[tuple[datetime, str]] = []
        self.left: list[str] = []
        self.after_withdrawal: list[str] = []
        self.granted = True

    # -- the table's port ------------------------------------------------------------------------------------------

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        self.pass_time()
        return self.table.get(key, consistent)

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        self.pass_time()
        return [self.table.get(key) for key in keys]

    def commit(self, transaction: Transaction) -> None:
        self.pass_time()
        self.table.commit(transaction)
        for operation in transaction.operations:  # what is in force is in force at this very moment
            if isinstance(operation, Put) and operation.row.kind == CONSENTS.kind:
                self.granted = not refusal(CONSENTS.load(operation.row), "email")

    # -- time ------------------------------------------------------------------------------------------------------

    def pass_time(self, *, idle: bool = False) -> None:
        """Some time passes, what was to leave by then leaves, and perhaps another one goes on."""
        self.clock.advance(seconds=self.rng.choice((0.0, 0.01, 0.05, 0.3)))
        for at, message in sorted(self.leaving):
            if at <= self.clock.now():
                self.leaving.remove((at, message))
                self.left.append(message)
                if not self.granted:
                    self.after_withdrawal.append(message)
        self.baton.turn(idle)

    def sleep(self, seconds: float) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < until:
            self.pass_time(idle=True)


class Sender:
    """Sends a few messages, each once the gate lets it pass; sometimes dies before it says that one has left."""

    def __init__(self, world: World, name: str, gate: SendGate) -> None:
        self.world, self.name, self.gate = world, name, gate

    def __call__(self) -> None:
        for number in range(self.world.rng.randint(1, 3)):
            self.send(f"{self.name}-{number}")
            self.world.sleep(self.world.rng.uniform(0, 6))

    def send(self, message: str) -> None:
        for _ in range(20):
            transaction = begin(PUBLIC, self.world.clock.now())
            transaction.put(Row(pk=f"MESSAGE#{message}", sk="MESSAGE", kind="MESSAGE"), ABSENT)
            try:
                start_by = self.gate.enter(transaction, PERSON, "email", message)
                self.world.commit(transaction)
            except Refused:
                return
            except (Unavailable, ConditionFailed):
                self.world.sleep(1)
                continue
            if self.world.clock.now() <= start_by:
                self.call(message)
            return

    def call(self, message: str) -> None:
        takes = self.world.rng.uniform(0.05, LONGEST_CALL)
        self.world.leaving.append((self.world.clock.now() + timedelta(seconds=takes), message))
        if self.world.rng.random() < 0.2:
            return  # killed; the message is on its way all the same
        self.world.sleep(takes)
        for _ in range(5):
            transaction = begin(PUBLIC, self.world.clock.now())
            self.gate.leave(transaction, PERSON, message)
            try:
                self.world.commit(transaction)
            except ConditionFailed:
                continue
            return


class LookOnly(SendGate):
    """What a gate is not: it looks before it sends."""

    def enter(
        self, transaction: Transaction, person_id: str, channel: str, message_id: str, purpose: str = "marketing"
    ) -> datetime:
        reason = refusal(CONSENTS.get(self._table, person_id), channel, purpose)
        if reason:
            raise Refused(reason)
        return self._clock.now() + timedelta(seconds=2)

    def leave(self, transaction: Transaction, person_id: str, message_id: str) -> None:
        return None


class NoLease(LookOnly):
    """Holds the record's version in the message's transaction, and lets the withdrawal pass while it is sent."""

    def enter(
        self, transaction: Transaction, person_id: str, channel: str, message_id: str, purpose: str = "marketing"
    ) -> datetime:
        until = super().enter(transaction, person_id, channel, message_id, purpose)
        transaction.check(CONSENTS.key(person_id), CONSENTS.require(self._table, person_id).version)
        return until


class Ahead:
    """The clock of a machine that is some seconds ahead of the others."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        self.clock, self.ahead = clock, timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.clock.now() + self.ahead


def _minds_changing(world: World, ahead: float) -> None:
    """Somebody withdraws, and perhaps agrees and withdraws once more, each time until it is taken."""
    record = RecordConsent(world, Ahead(world.clock, ahead), sleep=world.sleep)  # type: ignore[arg-type]
    for granted in (False, True, False)[: world.rng.choice((1, 1, 3))]:
        world.sleep(world.rng.uniform(0, 8))
        for _ in range(10):
            try:
                record(PERSON, [consent(world.clock, granted=granted)], PUBLIC)
            except Unavailable:
                continue
            break
        else:
            raise AssertionError("a withdrawal was never taken")


def _played(seed: int, kind: type[SendGate] = SendGate, ahead: float = 0) -> World:
    world = World(seed)
    gate = kind(world, world.clock)  # type: ignore[arg-type]
    senders = {name: Sender(world, name, gate) for name in ("mail", "sequence")}
    world.baton.run({**senders, "person": lambda: _minds_changing(world, ahead)})
    assert not world.baton.broken, world.baton.broken
    while world.leaving:
        world.pass_time()
    return world


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_no_message_leaves_after_a_committed_withdrawal() -> None:
    worlds = [_played(seed) for seed in range(SEEDS)]
    assert {seed: world.after_withdrawal for seed, world in enumerate(worlds) if world.after_withdrawal} == {}
    assert sum(len(world.left) for world in worlds) > SEEDS // 2, "messages do leave"
    assert all(len(set(world.left)) == len(world.left) for world in worlds), "none twice"


@pytest.mark.fault("S21", "R25")
@pytest.mark.parametrize("ahead", [-1.9, 1.9])
def test_clocks_may_differ_by_two_seconds(ahead: float) -> None:
    assert [seed for seed in range(SEEDS // 2) if _played(seed, ahead=ahead).after_withdrawal] == []


@pytest.mark.fault("S21")
@pytest.mark.parametrize("broken", [LookOnly, NoLease])
def test_without_the_gate_the_same_schedules_find_messages_that_left_too_late(broken: type[SendGate]) -> None:
    late = [seed for seed in range(SEEDS) if _played(seed, broken).after_withdrawal]
    assert len(late) > SEEDS // 20, late

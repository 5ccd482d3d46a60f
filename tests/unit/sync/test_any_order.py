"""Whatever happens in whatever order, both sides end equal, and it ends.

One seed is one schedule: edits on both sides, webhooks late, twice and out of order, workers stepping in between any
two calls and commits of another, killed between them, answers lost. A failing seed is in the test's id and replays.
"""

import random
from collections.abc import Callable
from functools import partial

import pytest

from revops.inbox import INBOX, InboxStatus
from revops.kernel import DomainError, Unavailable
from revops.sync import HubspotFields, conflicts_of, push_message
from revops.sync.exchange import sync_call
from revops.sync.model import IDENTITY
from revops.sync.ports import OutcomeUnknown, RateLimited
from revops.sync.store import read_mark, read_state
from revops.table import Transaction
from tests.unit.sync.fakes import World

PEOPLE = ("PER_A", "PER_B")
SEEDS = 150


class Killed(BaseException):
    """The function is gone, between two calls."""


class Schedule:
    """One seed's run over a world."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        spelt = self.random.random() < 0.3
        self.world = World(
            seed,
            here=(lambda phone: phone.replace(" ", "")) if spelt else (lambda phone: phone),
            there=(lambda phone: phone.replace("+", "00")) if spelt else (lambda phone: phone),
            fields=HubspotFields(max_overrules=100),
        )
        self.depth = 0
        self.calm = False
        self.edits = 0
        self.edits_too = True
        self.world.hubspot.around = self.around
        self.world.table.before_commit = self.before_commit

    def run(self) -> None:
        self.calm = True
        for person_id in PEOPLE:
            email = f"{person_id[-1].lower()}@example.com"
            self.world.people.add(person_id, self.world.clock.now(), first_name="F", last_name="L", email=email)
        self.calm = False
        for _ in range(self.random.randint(10, 40)):
            self.act()
        self.calm = True
        before = len(self.world.hubspot.writes)
        self.world.settle()
        self.settled_writes = len(self.world.hubspot.writes) - before

    # what happens

    def act(self) -> None:
        actions = [self.ring, self.ring, self.relay, self.work, self.work, self.wait]
        if self.edits_too:
            actions += [self.edit_here, self.edit_there]
        try:
            self.random.choice(actions)()
        except (Killed, DomainError):
            if self.depth:
                raise

    def edit_here(self) -> None:
        name = self.random.choice(["first_name", "phone", "company", "job_title", "status"])
        value = self.random.choice(["New", "Contacted"]) if name == "status" else self.value()
        self.edits += 1
        calm, self.calm = self.calm, True
        try:
            self.world.people.edit(self.random.choice(PEOPLE), self.world.clock.now(), **{name: value})
        finally:
            self.calm = calm

    def edit_there(self) -> None:
        if not self.world.hubspot.records:
            return
        identifier = self.random.choice(sorted(self.world.hubspot.records))
        name = self.random.choice(["firstname", "phone", "company", "jobtitle", "lastname"])
        self.edits += 1
        self.world.hubspot.edit(identifier, **{name: self.value() if self.random.random() < 0.9 else ""})

    def value(self) -> str:
        return f"+{self.random.randint(1, 4)} {self.random.randint(1, 2)}"

    def ring(self) -> None:
        if self.world.hubspot.rung:
            self.quietly(
                lambda: self.world.webhook(
                    self.random.randrange(len(self.world.hubspot.rung)), keep=self.random.random() < 0.2
                )
            )

    def relay(self) -> None:
        self.quietly(self.world.relay)

    def quietly(self, step: Callable[[], object]) -> None:
        """Steps of other functions, whose own faults are tested elsewhere."""
        calm, self.calm = self.calm, True
        try:
            step()
        finally:
            self.calm = calm

    def wait(self) -> None:
        if self.depth == 0:  # a worker's call does not outlive its lease
            self.world.clock.advance(seconds=self.random.choice([1, 10, 40, 130]))
            self.quietly(lambda: self.world.sweep(sync_call()))

    def work(self) -> None:
        queue = self.world.queue
        if not queue.waiting:
            return
        index = self.random.randrange(len(queue.waiting))
        _, message = queue.waiting[index]
        self.world.handle(message)  # a message of a worker that was killed stays
        queue.waiting = [entry for entry in queue.waiting if entry[1] is not message]

    # where others step in

    def around(self, when: str, name: str) -> None:
        self.step_in()
        if self.calm:
            return
        dice = self.random.random()
        if dice < 0.05:
            raise Killed
        if dice < 0.10:
            raise OutcomeUnknown("no answer", retry_after=5.0)
        if dice < 0.13 and when == "before":
            raise RateLimited("slow down", retry_after=3.0)

    def before_commit(self, transaction: Transaction) -> None:
        if self.calm:
            return
        self.step_in()
        if self.random.random() < 0.03:
            raise Killed

    def step_in(self) -> None:
        if self.calm or self.depth >= 2 or self.random.random() > 0.2:
            return
        self.depth += 1
        try:
            self.act()
        except (Killed, DomainError):
            pass  # that was another worker's end, not ours
        finally:
            self.depth -= 1


@pytest.mark.mission("HUB-1", "HUB-4")
@pytest.mark.fault("R1", "R2", "R3", "R4")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_sides_end_equal(seed: int) -> None:
    schedule = Schedule(seed)
    schedule.run()
    world = schedule.world
    fields = HubspotFields()
    for person_id in PEOPLE:
        state, person = read_state(world.table, person_id), world.people.snapshot(person_id)
        assert person is not None
        holders = [key for key, record in world.hubspot.records.items() if record.get(IDENTITY) == person_id]
        assert holders == [state.remote_id]
        record = world.hubspot.records[state.remote_id]
        for line in fields.exchanged:
            here, there = line.outbound(person), record.get(line.property, "")
            base = state.bases.get(line.property)
            spelt = base is not None and not base.pending and (base.local, base.remote) == (here, there)
            if line.property == "jobtitle" and spelt and not here:
                continue  # filled in there before the two were joined; having nothing here empties nothing there
            if line.property == "phone" and spelt:
                assert world.hubspot.spell(here) == there or world.people.spell(there) == here
            else:
                assert here == there, line.property
        assert not read_mark(world.table, person_id).is_dirty
        assert state.sending is None
    assert all(
        INBOX.load(row).status is InboxStatus.APPLIED for row in world.table.rows.values() if row.kind == "INBOX"
    )
    conflicts = sum(len(conflicts_of(world.table, person_id)) for person_id in PEOPLE)
    assert conflicts <= schedule.edits
    assert schedule.settled_writes <= 8  # no exchange that keeps itself going
    quiet = len(world.hubspot.writes)
    for person_id in PEOPLE:
        world.queue.send(push_message(person_id))
    world.settle()
    assert len(world.hubspot.writes) == quiet


@pytest.mark.mission("HUB-4")
def test_what_only_one_side_changed_is_never_lost() -> None:
    """Fields edited on one side only keep that side's last value, whatever else went wrong."""
    for seed in range(60):
        schedule = Schedule(seed)
        schedule.edits_too = False
        world = schedule.world
        rng = random.Random(seed + 1000)
        last: dict[str, str] = {}
        schedule.calm = True
        world.people.add("PER_A", world.clock.now(), first_name="F", last_name="L", email="a@example.com")
        world.settle()
        schedule.calm = False
        (identifier,) = world.hubspot.records
        for number in range(12):
            value = f"+{number + 1}"
            if rng.random() < 0.5:
                schedule.quietly(partial(world.people.edit, "PER_A", world.clock.now(), phone=value))
                last["phone"] = value
            else:
                world.hubspot.edit(identifier, company=value)
                last["company"] = value
            for _ in range(3):
                try:
                    rng.choice([schedule.ring, schedule.relay, schedule.work, schedule.wait])()
                except (Killed, Unavailable):
                    continue
        schedule.calm = True
        world.settle()
        lead = world.people.lead("PER_A")
        assert lead.phone.replace(" ", "") == last["phone"].replace(" ", ""), seed
        assert lead.company == last.get("company", ""), seed
        assert world.hubspot.records[identifier]["phone"] == world.hubspot.spell(last["phone"]), seed

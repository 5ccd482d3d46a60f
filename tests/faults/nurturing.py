"""Nurture in the fault world: people who take their consent back, the job that sends, what must be true of it, and
mistakes that somebody could make with it."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from revops.crm.consent import CONSENTS, SEND_WITHIN, Consent, ConsentRecord, SendGate
from revops.crm.model import SpamScore
from revops.crm.store import LEADS
from revops.kernel import system_call
from revops.nurture import policies
from revops.nurture.model import Enrolment, StepStatus, enrolment_id, moment
from revops.nurture.sending import Due, Ending, SendMessage
from revops.nurture.store import ENROLMENTS
from revops.table import Transaction

if TYPE_CHECKING:
    from tests.faults.world import World

NURTURING = frozenset("form-1 form-2 mind-1 mind-2 relay-1 bus-1 nurture-1 nurture-2 time".split())
"""The cast of a world where people hand in forms and change their minds, and nothing else happens."""
_PATIENCE = 40
_SENT = (StepStatus.SENT,)
_MAY_HAVE_LEFT = (StepStatus.SENT, StepStatus.UNKNOWN)


# -- actors ------------------------------------------------------------------------------------------------------------


def change_their_mind(world: "World", rng: random.Random, name: str) -> None:
    """People open what they got, take a consent back, or all of them, and sometimes give one again."""
    for number in range(rng.randint(3, 12)):
        world.idle(rng.choice((0, 3, 15)))
        for _ in range(_PATIENCE):
            if world.diary.leads_promised:
                break
            world.idle()
        lead_ids = sorted(world.diary.leads_promised)
        if not lead_ids:
            return
        lead_id = rng.choice(lead_ids)
        row = world.peek(LEADS.key(lead_id))
        if row is None:
            continue
        if rng.random() < 0.4:
            call = system_call("tracking")
            world.ask(lambda: world.wiring.record_engagement()(lead_id, "email_open", f"{name}-{number}", call))  # noqa: B023
            continue
        _say(world, rng, LEADS.load(row).person_id)


def _say(world: "World", rng: random.Random, person_id: str) -> None:
    said = Consent(
        channel=rng.choice(("email", "email", "whatsapp")),
        purpose="marketing",
        granted=rng.random() < 0.25,
        at=world.clock.now(),
        source="bench",
    )
    disturb = True if rng.random() < 0.1 else None
    call = system_call("tracking")
    world.ask(lambda: world.wiring.record_consent()(person_id, (said,), call, do_not_disturb=disturb))


def send_nurture(world: "World", rng: random.Random, name: str) -> None:
    """The job wakes, of itself and of its fellow, in periods that overlap."""
    for number in range(rng.randint(3, 10)):
        world.idle(rng.randint(1, 10))
        period = f"{world.clock.now():%H:%M}/{number % 2}"
        world.asynchronously(lambda: world.wiring.fire("nurture", period))  # noqa: B023


# -- invariants --------------------------------------------------------------------------------------------------------


def nurture(world: "World") -> Iterator[str]:
    """I11: nothing left after a committed withdrawal, nothing twice, and no step is lost."""
    left = Counter(message.reference for message in world.outside.door.left)
    for message in world.outside.door.left:
        if message.forbidden:
            yield f"{message.reference} left by {message.channel} although {message.forbidden}"
    for reference, count in left.items():
        if count > 1:
            yield f"{reference} left {count} times"
    now, known = world.clock.now(), set[str]()
    for row in world.rows_of(ENROLMENTS.kind):
        enrolment = ENROLMENTS.load(row)
        yield from _steps(enrolment, left, now, known)
    for reference in left.keys() - known:
        yield f"{reference} left and is no step's message"
    yield from _unenrolled(world)


def _steps(enrolment: Enrolment, left: Mapping[str, int], now: datetime, known: set[str]) -> Iterator[str]:
    for step in enrolment.steps:
        known.add(step.message_id)
        what, went = f"{enrolment.id}/{step.name} is {step.status}", left.get(step.message_id, 0)
        if not step.status.ended and (not enrolment.active or now >= (moment(step) or enrolment.closes_at)):
            yield f"{what} and lost"
        if step.status not in (*_SENT, StepStatus.DONE, StepStatus.WAITING) and not step.reason:
            yield f"{what} and does not say why"
        if step.status in _SENT and not went:
            yield f"{what} and never left"
        if went and step.status not in _MAY_HAVE_LEFT:
            yield f"{what} and left"


def _unenrolled(world: "World") -> Iterator[str]:
    """Whoever agreed from the first and never said otherwise is in the sequence."""
    rows = world.rows()
    for row in world.rows_of("LEAD"):
        lead = LEADS.load(row)
        record = rows.get(CONSENTS.key(lead.person_id))
        said = (
            CONSENTS.load(record)
            if record
            else ConsentRecord(id="", created_at=lead.created_at, modified_at=lead.created_at)
        )
        steady = said.entries and all(each.granted for each in said.entries) and not said.do_not_disturb
        open_lead = lead.status in ("New", "Contacted") and lead.version < 3 and lead.spam_score is not SpamScore.HIGH
        if steady and open_lead and ENROLMENTS.key(enrolment_id(lead.person_id, "bench", 1)) not in rows:
            yield f"{lead.id} agreed and is in no sequence"


def due_steps(world: "World") -> list[str]:
    """What is still to be done now; the world is not quiet before it is."""
    now = world.clock.now()
    found = []
    for row in world.rows_of(ENROLMENTS.kind):
        at = json.loads(row.doc)
        if "due" in row.index and (next_at := ENROLMENTS.load(row).next_at) is not None and next_at <= now:
            found.append(f"nurture {at['id']} is due")
    return found


# -- mistakes ----------------------------------------------------------------------------------------------------------


@contextmanager
def no_gate() -> Iterator[None]:
    """The gate is left out: the consents are read, and the message leaves some time later."""

    def enter(
        self: SendGate,
        transaction: Transaction,
        person_id: str,
        channel: str,
        message_id: str,
        purpose: str = "marketing",
    ) -> datetime:
        return self._clock.now() + SEND_WITHIN

    with patch.object(SendGate, "enter", enter):
        yield


def slow_sender(world: "World") -> None:
    """Between the look and the call others get their turn, now and then for long."""
    door = world.outside.door
    turn = door.turn

    def doze(site: str) -> None:
        if site.startswith("send ") and world.rng.random() < 0.7:
            world.baton.sleep(150)
        turn(site)

    door.turn = doze


@contextmanager
def asked_at_enrolment() -> Iterator[None]:
    """What the person says later is not looked at."""
    with (
        patch("revops.crm.consent.refusal", lambda *_, **__: ""),
        patch("revops.nurture.policies.refusal", lambda *_, **__: ""),
        patch("revops.nurture.policies._withdrawn", lambda *_: ""),
        patch("revops.nurture.enrolling.ReviewEnrolments.person", lambda *_: 0),
    ):
        yield


@contextmanager
def claimed_afterwards() -> Iterator[None]:
    """The message leaves first and is recorded then."""
    claim: Callable[..., datetime] = SendMessage._claim
    sent = SendMessage._sent

    def call(self: SendMessage, due: Due, outgoing: Any, caller: Any) -> Ending:
        ending = sent(self, due.step, outgoing, self._clock.now() + SEND_WITHIN)
        claim(self, due, outgoing, caller)
        self._record(due, outgoing, ending, caller)
        return ending

    with patch.object(SendMessage, "__call__", call):
        yield


@contextmanager
def unknown_tried_again() -> Iterator[None]:
    """A message whose end nobody knows is sent once more."""
    with_step = policies.with_step

    def careless(enrolment: Enrolment, name: str, now: datetime, **changes: Any) -> Enrolment:
        if changes.get("status") is StepStatus.UNKNOWN:
            changes |= {"status": StepStatus.WAITING, "not_before": now}
        return with_step(enrolment, name, now, **changes)

    with (
        patch("revops.nurture.running.with_step", careless),
        patch("revops.nurture.sending.with_step", careless),
    ):
        yield

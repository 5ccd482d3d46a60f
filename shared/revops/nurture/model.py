"""Sequences of messages to a lead, and a lead's way through one (LEAD-5).

A *sequence* is data: steps with a channel, a delay and conditions. An *enrolment* is one person's way through it; it
carries the steps as they stood when it began, so a change of the rules never moves what is under way.
"""

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from revops.crm.model import LeadStatus
from revops.table import Entity

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", examples=["mail-1"])]
Delay = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=400), examples=["P3D"])]
"""A duration in ISO 8601, such as `P3D` or `PT5S`."""
LAST_ATTEMPT = 12
"""A message that the vendor keeps putting off is given up after so many tries, over about twenty hours."""


class Part(BaseModel):
    """A frozen part of a sequence."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class StepChannel(StrEnum):
    """What a step does: a message, or a task for the lead's owner."""

    EMAIL = "email"
    WHATSAPP = "whatsapp"
    TASK = "task"


class Anchor(StrEnum):
    """What a step's delay counts from. `engagement` is the first open or click since the enrolment, `previous` the end
    of the step before it on the same channel."""

    ENROLMENT = "enrolment"
    PREVIOUS = "previous"
    ENGAGEMENT = "engagement"


class Trigger(StrEnum):
    """What enrols a lead."""

    LEAD_CREATED = "lead_created"
    SCORE_REACHED = "score_reached"
    RECYCLED = "recycled"


class Step(Part):
    """One step. `template` names a mail or a WhatsApp template, for a task it is its title. `only_if` skips the step
    unless it holds when the step is due. `score_rise` makes it due at once when the score has risen by so much since
    the enrolment. An empty `language` is the one of the lead's country."""

    name: Name
    channel: StepChannel
    after: Delay
    of: Anchor = Anchor.ENROLMENT
    template: Annotated[str, Field(min_length=1, max_length=120)]
    language: Annotated[str, Field(pattern=r"^([a-z]{2}(_[A-Z]{2})?)?$")] = ""
    only_if: Literal["", "engaged", "not_engaged"] = ""
    score_rise: Annotated[int, Field(ge=0, le=100, description="0 = the score is no reason")] = 0


class Sequence(Part):
    """An ordered set of steps. `again` lets somebody who has been through it begin anew.

    `closes_after` is how long its steps wait for an engagement. A step that still waits for one then is skipped, and so
    is each that counts from the end of such a step. A step whose time is known comes at its time, however late, and
    those that count from it come after it: who clicks the last mail on the 28th day gets both WhatsApp follow-ups.

    A lead whose status leaves `statuses` leaves the sequence for good: a status that comes back, as by the undoing of
    a conversion, does not bring the steps back.
    """

    active: bool = True
    triggers: tuple[Trigger, ...]
    score_at_least: Annotated[int, Field(ge=0, le=100, description="With the trigger score_reached")] = 0
    statuses: tuple[LeadStatus, ...] = (
        LeadStatus.NEW,
        LeadStatus.CONTACTED,
        LeadStatus.QUALIFIED,
        LeadStatus.RECYCLED,
    )
    again: bool = False
    closes_after: Delay = timedelta(days=30)
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=30)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps of a sequence have one name")
        seen: set[StepChannel] = set()
        for step in self.steps:
            if step.of is Anchor.PREVIOUS and step.channel not in seen:
                raise ValueError(f"step {step.name} counts from a {step.channel} step before it, and there is none")
            seen.add(step.channel)
        if Trigger.SCORE_REACHED in self.triggers and not self.score_at_least:
            raise ValueError("the trigger score_reached needs score_at_least")
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels of its messages, in the order of the steps."""
        return tuple(dict.fromkeys(step.channel for step in self.steps if step.channel is not StepChannel.TASK))


class StepStatus(StrEnum):
    """How a step stands. Everything but `waiting` and `sending` is an end; there is no way back from one."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        return self not in (StepStatus.WAITING, StepStatus.SENDING)


class StepRecord(Step):
    """A step of an enrolment: when it is due, and what became of it and why. `due_at` is empty while the step waits
    for what its delay counts from. `at` is when the status was reached."""

    status: StepStatus = StepStatus.WAITING
    due_at: AwareDatetime | None = None
    not_before: AwareDatetime | None = None
    at: AwareDatetime | None = None
    reason: str = ""
    attempts: int = 0
    message_id: str = ""
    vendor_ref: str = ""
    task_id: str = ""


class EnrolmentStatus(StrEnum):
    """Whether an enrolment still goes on."""

    ACTIVE = "Active"
    COMPLETED = "Completed"
    ENDED = "Ended"


class Enrolment(Entity):
    """One person's way through one sequence, for the `round`-th time. `score_at_start` is what a rise counts from,
    `ended_because` why it ended before its last step, `started_by` and `ended_by` who did it."""

    lead_id: str
    person_id: str
    sequence: str
    round: int = 1
    trigger: str
    rules_version: int = 0
    score_at_start: int = 0
    closes_at: AwareDatetime
    status: EnrolmentStatus = EnrolmentStatus.ACTIVE
    ended_at: AwareDatetime | None = None
    ended_because: str = ""
    started_by: str = ""
    ended_by: str = ""
    steps: tuple[StepRecord, ...]

    @property
    def active(self) -> bool:
        return self.status is EnrolmentStatus.ACTIVE

    @property
    def sending(self) -> StepRecord | None:
        """The step whose message is on its way, if one is."""
        return next((step for step in self.steps if step.status is StepStatus.SENDING), None)

    @property
    def next_at(self) -> datetime | None:
        """When somebody has to look at it again."""
        if not self.active:
            return self.sending.not_before if self.sending else None
        times = [when for step in self.steps if (when := moment(step)) is not None]
        if in_suspense(self.steps):
            times.append(self.closes_at)
        return min(times, default=None)


def moment(step: StepRecord) -> datetime | None:
    """When a step that has not ended is to be looked at; None while it waits for something else than a time."""
    if step.status.ended:
        return None
    if step.status is StepStatus.SENDING:
        return step.not_before
    if step.due_at is None:
        return None
    return max(step.due_at, step.not_before) if step.not_before else step.due_at


def in_suspense(steps: Iterable[StepRecord]) -> frozenset[str]:
    """The names of the steps for which nobody knows whether they will ever come: those that wait for an engagement, and
    those that count from the end of one that does. A step that counts from one with a known time is none of them."""
    found: set[str] = set()
    before: dict[StepChannel, str] = {}
    for step in steps:
        follows = step.of is Anchor.PREVIOUS and before.get(step.channel) not in found
        if step.status is StepStatus.WAITING and step.due_at is None and not follows:
            found.add(step.name)
        before[step.channel] = step.name
    return frozenset(found)


class Message(Entity):
    """A message of a step: the row that makes it one. Carries no address and no text."""

    enrolment_id: str
    step: str
    channel: str
    lead_id: str
    person_id: str


def enrolment_id(person_id: str, sequence: str, number: int) -> str:
    """The id of a person's `number`-th way through a sequence: whoever enrols them makes the same one."""
    return _derived("NUR", person_id, sequence, str(number))


def message_id(enrolment: str, step: str) -> str:
    """The id of the one message of a step of an enrolment."""
    return _derived("MSG", enrolment, step)


def _derived(prefix: str, *parts: str) -> str:
    digest = hashlib.sha256("\0".join((prefix, *parts)).encode()).digest()
    return f"{prefix}_{base64.b32encode(digest).decode()[:26]}"

"""What billing needs from outside: Stripe's current state, the proof of a webhook's sender, whose account it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from revops.billing.model import ActivityMetadata, ActivityType, BillingFacts
from revops.kernel import DomainError


class StripeRefused(DomainError):
    """Stripe will not do this however often it is asked: a permanent answer (4xx). `code` is Stripe's own."""

    status = 502
    title = "Refused by Stripe"
    slug = "stripe-refused"

    def __init__(self, detail: str, code: str = "") -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What an event says happened: an entry of the activity log to be.

    `fact` tells two events about the same thing apart from two things: equal facts are one occurrence. `cause` is
    what a note about it is written for (invoice, payment intent, charge or subscription).
    """

    type: ActivityType
    fact: str
    cause: str
    details: str
    metadata: ActivityMetadata


class Concern(StrEnum):
    """Whom an event is for: a payer, who is converged; the operators, whose usage did not arrive; nobody here."""

    PAYER = "payer"
    METER = "meter"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """A snapshot or thin event, read. `payer` is empty when the event does not carry it; then `object_type` and
    `object_id` say what to fetch. `occurrence` is None for what the activity log does not tell. Events that concern
    nobody are kept and ignored (STR-1)."""

    id: str
    type: str
    created: datetime
    livemode: bool
    account: str
    object_type: str
    object_id: str
    payer: str = ""
    occurrence: Occurrence | None = None
    concern: Concern = Concern.PAYER

    @property
    def subject(self) -> str:
        """What the event is about: the payer where it is known, else the object."""
        return self.payer or self.object_id or self.id


class EventReader(Protocol):
    """Reads the body of a webhook. Raises Invalid for anything that is not a Stripe event."""

    def __call__(self, body: str | bytes) -> StripeEvent: ...


SenderProof = Callable[[bytes, str, datetime], None]
"""Raises Invalid unless the raw bytes and the signature header come from Stripe, at this time."""


@dataclass(frozen=True, slots=True)
class MeterErrors:
    """Usage that Stripe did not take: of which meter (empty when no meter has that name), how many events in which
    window, by code, with a few of the requests' identifiers."""

    meter_id: str
    summary: str
    start: datetime | None
    end: datetime | None
    count: int
    codes: Mapping[str, int]
    samples: tuple[str, ...] = ()


class StripeGateway(Protocol):
    """Stripe's current state. Raises Unavailable when asking again can help, StripeRefused when it cannot."""

    def payer_of(self, object_type: str, object_id: str) -> str | None:
        """Who pays for an object: its Stripe customer; the intent itself for a payment without one; None for
        objects that concern no payer."""
        ...

    def facts(self, payer: str) -> BillingFacts:
        """Everything about a payer as it is now."""
        ...

    def meter_errors(self, event_id: str) -> MeterErrors:
        """What a thin event about a meter says; the event as it was delivered says only that there is something."""
        ...


class WorkQueue(Protocol):
    """The workers' queues, by provider."""

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Sends and returns the positions that were refused."""
        ...


class AccountDirectory(Protocol):
    """What billing has to know about accounts."""

    def owner_of(self, account_id: str) -> str | None:
        """The user responsible for an account, an empty text when nobody is; None when there is no such account."""
        ...

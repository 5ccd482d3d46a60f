"""Ending a customer's subscription on request (STR-5): what is wanted is written down, then brought about at Stripe.

| item | pk | sk | due | read by |
|---|---|---|---|---|
| cancellation | CUSTOMER#<customer> | CANCELLATION#<subscription> | `cancellation` while requested | customer; due |

There is one row per subscription and it says what is wanted *now*: cancelled now, cancelled at the period's end, or
kept. The worker looks at the subscription at Stripe and does what is missing, so that doing it twice does nothing
twice; then it syncs the whole customer. Only then is the row settled, under the version that was read: a wish that was
changed meanwhile is brought about once more. So is one that is settled, when an older message comes again: its worker
may have been the last to act at Stripe and have died before it saw that it was overtaken. What is kept goes on as it
was signed: its agreed end and the changes that are planned, which an end with the period takes away, are put back.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.billing.model import Customer
from revops.billing.ports import StripeRefused
from revops.billing.rights import CustomerRights
from revops.billing.store import CUSTOMER
from revops.kernel import CallContext, Clock, Invalid, NotFound, Refused
from revops.table import (
    ConditionFailed,
    Contention,
    Entity,
    EntityKind,
    Index,
    Key,
    Query,
    Table,
    begin,
    due_index,
    query_all,
)

DUE_TOPIC = "cancellation"
OVERDUE_AFTER = timedelta(minutes=5)
_LOOKED_AT_AGAIN = timedelta(days=1)
"""How long after it was settled a wish is looked at for a message: none comes again later than half a day."""
_ATTEMPTS = 8


class Mode(StrEnum):
    """What is wanted of a subscription."""

    NOW = "now"
    PERIOD_END = "period_end"
    KEEP = "keep"


class CancellationState(StrEnum):
    """Where a wish stands: `Scheduled` ends by itself at `ends_at`, `Kept` was withdrawn in time."""

    REQUESTED = "Requested"
    SCHEDULED = "Scheduled"
    CANCELLED = "Cancelled"
    KEPT = "Kept"
    REFUSED = "Refused"


class Feedback(StrEnum):
    """Why a customer leaves, in Stripe's words."""

    CUSTOMER_SERVICE = "customer_service"
    LOW_QUALITY = "low_quality"
    MISSING_FEATURES = "missing_features"
    OTHER = "other"
    SWITCHED_SERVICE = "switched_service"
    TOO_COMPLEX = "too_complex"
    TOO_EXPENSIVE = "too_expensive"
    UNUSED = "unused"


class Cancellation(Entity):
    """What is wanted of one subscription, by whom and why, and what came of it. `detail` says why it was refused, or
    what stood in the way of the wish."""

    customer_id: str
    subscription_id: str = Field(examples=["sub_1QyB2c"])
    mode: Mode
    reason: str = ""
    feedback: Feedback | None = None
    requested_by: str
    requested_at: AwareDatetime
    state: CancellationState = CancellationState.REQUESTED
    ends_at: AwareDatetime | None = None
    settled_at: AwareDatetime | None = None
    detail: str = ""


def cancellation_id(customer_id: str, subscription_id: str) -> str:
    """One row per customer and subscription."""
    return f"{customer_id}.{hashlib.sha256(subscription_id.encode()).hexdigest()[:32]}"


def _key(identifier: str) -> Key:
    customer_id, _, digest = identifier.partition(".")
    return Key(f"CUSTOMER#{customer_id}", f"CANCELLATION#{digest}")


def _index(wish: Cancellation) -> Index:
    if wish.state is not CancellationState.REQUESTED:
        return {}
    return {"due": due_index(DUE_TOPIC, wish.modified_at + OVERDUE_AFTER, _key(wish.id))}


CANCELLATIONS = EntityKind[Cancellation](
    kind="CANCELLATION", title="cancellation", model=Cancellation, key=_key, index=_index
)


def cancellation_of_key(key: Key) -> str:
    """The id of a cancellation by its primary key."""
    return f"{key.pk.removeprefix('CUSTOMER#')}.{key.sk.removeprefix('CANCELLATION#')}"


def cancellations_of(table: Table, customer_id: str) -> list[Cancellation]:
    """Every cancellation of a customer, the latest first, strongly consistent."""
    query = Query(pk=f"CUSTOMER#{customer_id}", begins="CANCELLATION#", consistent=True)
    found = CANCELLATIONS.load_all(list(query_all(table, query)))
    return sorted(found, key=lambda each: (each.requested_at, each.id), reverse=True)


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────────


class CancellationRequest(BaseModel):
    """What is to end, when and why. Without `subscription_id` it is the customer's only running one."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    mode: Annotated[Mode, Field(json_schema_extra={"enum": ["now", "period_end"]})]
    reason: Annotated[str, Field(max_length=500, examples=["moves to another provider in January"])] = ""
    feedback: Feedback | None = None
    subscription_id: Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z0-9_]*$")] = ""


class RequestCancellation:
    """Writes down what is wanted; the stream hands it to the worker. The row and its versions are the audit of who
    asked for what."""

    def __init__(self, table: Table, clock: Clock, rights: CustomerRights) -> None:
        self._table = table
        self._clock = clock
        self._rights = rights

    def cancel(self, identifier: str, wanted: CancellationRequest, call: CallContext) -> Cancellation:
        """The same wish while it is on its way changes nothing; later it is looked at anew, for somebody may have
        undone it at Stripe. Raises NotFound, Forbidden, Invalid, Refused, Contention."""
        if wanted.mode is Mode.KEEP:
            raise Invalid.field("mode", "STR-5 mode", "to keep it, withdraw the cancellation", "now, period_end")
        customer = self._rights.endable(identifier, call)
        subscription_id = _subscription(customer, wanted.subscription_id)

        def wish(before: Cancellation | None) -> Cancellation | None:
            if before is not None and before.mode is wanted.mode and before.state is CancellationState.REQUESTED:
                return None  # it is on its way
            return self._wish(customer.id, subscription_id, before, call, wanted.mode, wanted.reason, wanted.feedback)

        return self._write(cancellation_id(customer.id, subscription_id), wish, call)

    def withdraw(self, identifier: str, subscription_id: str, call: CallContext) -> Cancellation:
        """Takes a cancellation back that is asked for or scheduled. Raises NotFound, Forbidden, Refused, Contention."""
        customer = self._rights.endable(identifier, call)
        asked = cancellations_of(self._table, customer.id)
        open_ones = [each for each in asked if each.mode is not Mode.KEEP]
        named = [each for each in open_ones if subscription_id in ("", each.subscription_id)]
        if not named:
            raise NotFound("cancellation")
        if len(named) > 1:
            ids = ", ".join(each.subscription_id for each in named)
            raise Invalid.field("subscription_id", "STR-5 which", "several are to be cancelled", ids)
        found = named[0]

        def wish(before: Cancellation | None) -> Cancellation | None:
            if before is None or before.mode is Mode.KEEP:
                return None
            if before.state is CancellationState.CANCELLED:
                raise Refused(f"subscription {before.subscription_id} has ended; a new order form begins another")
            return self._wish(customer.id, found.subscription_id, before, call, Mode.KEEP, "", None)

        return self._write(found.id, wish, call)

    def read(self, identifier: str, call: CallContext) -> list[Cancellation]:
        """What was asked for of a customer's subscriptions. Raises NotFound."""
        return cancellations_of(self._table, self._rights.readable(identifier, call).id)

    def _wish(
        self,
        customer_id: str,
        subscription_id: str,
        before: Cancellation | None,
        call: CallContext,
        mode: Mode,
        reason: str,
        feedback: Feedback | None,
    ) -> Cancellation:
        now = self._clock.now()
        said = {
            "mode": mode,
            "reason": reason,
            "feedback": feedback,
            "requested_by": call.principal.id,
            "requested_at": now,
            "state": CancellationState.REQUESTED,
            "settled_at": None,
            "detail": "",
        }
        if before is not None:
            return before.revised(now, **said)
        return Cancellation.model_validate(
            {
                "id": cancellation_id(customer_id, subscription_id),
                "created_at": now,
                "modified_at": now,
                "customer_id": customer_id,
                "subscription_id": subscription_id,
                **said,
            }
        )

    def _write(
        self, identifier: str, wish: Callable[[Cancellation | None], Cancellation | None], call: CallContext
    ) -> Cancellation:
        for _ in range(_ATTEMPTS):
            before = CANCELLATIONS.get(self._table, identifier)
            after = wish(before)
            if after is None:
                return CANCELLATIONS.require(self._table, identifier)
            transaction = begin(call, self._clock.now())
            if before is None:
                CANCELLATIONS.create(transaction, after)
            else:
                CANCELLATIONS.update(transaction, after)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # somebody wished something else, or the worker settled it
            return after
        raise Contention("the cancellation keeps changing; try again shortly")


def _subscription(customer: Customer, named: str) -> str:
    """The subscription that is meant. Raises Refused when none runs, Invalid when it is unclear or not theirs."""
    if not customer.running:
        raise Refused("no subscription of this customer is running")
    if named and named not in customer.running:
        raise Invalid.field("subscription_id", "STR-5 own", "not a running one", ", ".join(customer.running))
    if not named and len(customer.running) > 1:
        raise Invalid.field("subscription_id", "STR-5 which", "several are running", ", ".join(customer.running))
    return named or customer.running[0]


# ── bringing it about ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription stands at Stripe: over, or running with or without an announced end."""

    ended: bool
    ends_at: AwareDatetime | None = None


class CancellationGateway(Protocol):
    """Ending subscriptions at Stripe. Raises Unavailable when asking again can help, StripeRefused when it cannot."""

    def bring(self, wish: Cancellation, payers: tuple[str, ...]) -> Standing:
        """Looks at the subscription, does what the wish lacks and answers how it stands then. Doing it twice does
        nothing twice. Raises StripeRefused too for a subscription of none of the payers."""
        ...


SyncCustomer = Callable[[str, str, CallContext], object]
"""The full sync of a customer, for a cause: status, links and log (STR-5)."""


KeepAsAgreed = Callable[[str, CallContext], str]
"""Puts back what is agreed of a subscription that goes on after all; what stood in the way, in words. Raises
Unavailable and Contention."""


class BringCancellations:
    """The worker's part."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        stripe: CancellationGateway,
        sync: SyncCustomer,
        keep: KeepAsAgreed,
    ) -> None:
        self._table = table
        self._clock = clock
        self._stripe = stripe
        self._sync = sync
        self._keep = keep

    def __call__(self, identifier: str, call: CallContext) -> CancellationState:
        """Brings about what is wanted of one subscription, syncs the customer, settles the row.

        Raises NotFound, Unavailable, Contention: the message comes again.
        """
        overtaken = False
        for _ in range(_ATTEMPTS):
            wish = CANCELLATIONS.require(self._table, identifier)
            if not (overtaken or self._may_be_undone(wish)):
                return wish.state
            settled = self._settled(wish, call)
            if _outcome(settled) == _outcome(wish):
                return wish.state
            transaction = begin(call, self._clock.now())
            CANCELLATIONS.update(transaction, settled)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                overtaken = True  # what was done here may have come after what the newer wish did: look once more
                continue
            return settled.state
        raise Contention("the cancellation keeps changing; try again shortly")

    def _may_be_undone(self, wish: Cancellation) -> bool:
        """Whether what is wanted has still to be brought about, or another worker may have acted after it was."""
        if wish.state in (CancellationState.SCHEDULED, CancellationState.KEPT) and wish.settled_at is not None:
            return self._clock.now() < wish.settled_at + _LOOKED_AT_AGAIN
        return wish.state is CancellationState.REQUESTED

    def _settled(self, wish: Cancellation, call: CallContext) -> Cancellation:
        now = self._clock.now()
        payers = CUSTOMER.require(self._table, wish.customer_id).payers
        try:
            standing = self._stripe.bring(wish, payers)
        except StripeRefused as error:
            return wish.revised(now, state=CancellationState.REFUSED, settled_at=now, detail=error.detail[:500])
        state, detail = CancellationState.SCHEDULED, ""
        if standing.ended:
            state = CancellationState.CANCELLED
            detail = "it had ended before it could be kept" if wish.mode is Mode.KEEP else ""
        elif wish.mode is Mode.KEEP:
            state, detail = CancellationState.KEPT, self._keep(wish.subscription_id, call)[:500]
        self._sync(wish.customer_id, f"{wish.id}:{wish.requested_at.isoformat()}", call)
        return wish.revised(now, state=state, ends_at=standing.ends_at, settled_at=now, detail=detail)


def _outcome(wish: Cancellation) -> tuple[object, ...]:
    return wish.state, wish.ends_at, wish.detail

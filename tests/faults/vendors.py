"""What stands outside: Stripe's and HubSpot's truth, the mail service, the blob store. They change under our feet,
lose answers, and tell of every change by a webhook that may come twice, late, or in another order."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from revops.billing.model import (
    BillingFacts,
    InvoiceFact,
    PaymentFact,
    SubscriptionFact,
    SubscriptionStatus,
)
from revops.billing.ports import MeterErrors, StripeRefused
from revops.kernel import Money, Unavailable
from revops.orders.ports import SubscriptionRequest
from tests.builders.clock import ManualClock
from tests.faults.trouble import REMOTE_READ, REMOTE_WRITE, Killed, Mishap, Trouble

Turn = Callable[[str], None]
_S = SubscriptionStatus


def remote[T](site: str, trouble: Trouble, turn: Turn, work: Callable[[], T], *, writes: bool = False) -> T:
    """A call to somebody else's machine."""
    turn(site)
    mishap = trouble.strikes(site, REMOTE_WRITE if writes else REMOTE_READ)
    if mishap is Mishap.KILL_BEFORE:
        raise Killed
    if mishap is Mishap.UNREACHED:
        raise Unavailable(f"{site} did not answer")
    result = work()
    turn(site)
    if mishap is Mishap.KILL_AFTER:
        raise Killed
    if mishap is Mishap.SILENT:
        raise Unavailable(f"{site} did not answer")
    return result


@dataclass(slots=True)
class Webhook:
    """Something a vendor wants to tell: the event's id, its type, what it is about, and the body."""

    event_id: str
    event_type: str
    subject: str
    body: str
    provider: str = "stripe"
    delivered: int = 0


class StripeTruth:
    """`StripeGateway` over payers whose state changes; every change is a webhook in `outbox`."""

    def __init__(self, clock: ManualClock, rng: random.Random, trouble: Trouble, turn: Turn) -> None:
        self.truth: dict[str, BillingFacts] = {}
        self.outbox: list[Webhook] = []
        self.failed_intents: set[str] = set()
        self.flapping = False
        self.after_fetch: Callable[[str], None] = lambda _: None
        self._clock = clock
        self._rng = rng
        self._trouble = trouble
        self._turn = turn
        self._made = 0

    # -- the port ------------------------------------------------------------------------------------------------

    def payer_of(self, object_type: str, object_id: str) -> str | None:
        def work() -> str | None:
            if object_type == "payment_intent":
                return object_id
            for payer, facts in self.truth.items():
                if object_id in {*(one.id for one in facts.subscriptions), *(one.id for one in facts.unpaid)}:
                    return payer
            return None

        return remote("stripe payer_of", self._trouble, self._turn, work)

    def meter_errors(self, event_id: str) -> MeterErrors:
        raise StripeRefused(f"no event {event_id}: nobody here sends usage to a meter")

    def facts(self, payer: str) -> BillingFacts:
        found = remote("stripe facts", self._trouble, self._turn, lambda: self.at(payer))
        self.after_fetch(payer)
        return found

    def at(self, payer: str) -> BillingFacts:
        """The truth, without a call."""
        return self.truth.get(payer, BillingFacts(payer))

    # -- what happens at Stripe ------------------------------------------------------------------------------------

    def adopt(self, payer: str, request: SubscriptionRequest, identifier: str) -> None:
        """A subscription that our provisioning made."""
        self._add(payer, request.account_id, identifier, replayed=True)

    def happens(self, payer: str) -> None:
        """One of the things that happen to a payer."""
        facts = self.at(payer)
        if self.flapping:
            self._flap(payer, facts)
            return
        running = [each for each in facts.subscriptions if each.status is not SubscriptionStatus.CANCELED]
        moves: list[Callable[[], None]] = [lambda: self._pays(payer, True), lambda: self._pays(payer, False)]
        if len(facts.subscriptions) < 3:
            moves.append(lambda: self._add(payer, "", f"sub_{payer}_{len(facts.subscriptions)}"))
        for each in running:
            moves += [
                lambda each=each: self._fails(payer, each),  # type: ignore[misc]
                lambda each=each: self._cancels(payer, each),  # type: ignore[misc]
                lambda each=each: self._announces(payer, each),  # type: ignore[misc]
            ]
        for invoice in facts.unpaid:
            moves += [lambda invoice=invoice: self._settles(payer, invoice)] * 3  # type: ignore[misc]
        self._rng.choice(moves)()
        if self._rng.random() < 0.5:  # of which the activity log tells nothing
            self.tell(payer, "customer.updated", {"id": payer, "object": "customer"})

    def _flap(self, payer: str, facts: BillingFacts) -> None:
        """A → B → A, told by events that the activity log takes no notice of."""
        now = self._second()
        each = facts.subscriptions[0] if facts.subscriptions else SubscriptionFact("sub_0", _S.PAST_DUE, now, now)
        flipped = replace(each, status=_S.ACTIVE if each.status is _S.PAST_DUE else _S.PAST_DUE)
        self._set(replace(facts, currency="EUR", subscriptions=(flipped,)))
        self.tell(payer, "customer.updated", {"id": payer, "object": "customer"})

    def ends(self, payer: str, identifier: str, *, at: datetime | None, over: bool) -> None:
        """A subscription ends now, or is announced to end at a time, or not to."""
        facts = self.at(payer)
        (each,) = (one for one in facts.subscriptions if one.id == identifier)
        if over:
            self._cancels(payer, each)
            return
        self._set(replace(facts, subscriptions=_with(facts, replace(each, cancel_at=at))))
        said: dict[str, Any] = {"id": identifier, "object": "subscription", "cancel_at": at and int(at.timestamp())}
        self.tell(payer, "customer.subscription.updated", said)

    def _add(self, payer: str, account_id: str, identifier: str, replayed: bool = False) -> None:
        facts, now = self.at(payer), self._second()
        made = SubscriptionFact(
            identifier, SubscriptionStatus.ACTIVE, created=now, period_start=now, plan_id="price_pro", plan_name="Pro"
        )
        account = facts.account_id or account_id
        self._set(replace(facts, account_id=account, currency="EUR", subscriptions=(*facts.subscriptions, made)))
        self.tell(payer, "customer.subscription.created", {"id": identifier, "object": "subscription"})

    def _fails(self, payer: str, each: SubscriptionFact) -> None:
        facts = self.at(payer)
        invoice = InvoiceFact(
            f"in_{payer}_{self._next()}",
            Money(minor=12900, currency="EUR"),
            self._second(),
            attempted=True,
            subscription_id=each.id,
        )
        subscriptions = _with(facts, replace(each, status=SubscriptionStatus.PAST_DUE))
        self._set(replace(facts, subscriptions=subscriptions, unpaid=(*facts.unpaid, invoice)))
        said = {"id": invoice.id, "object": "invoice", "attempt_count": 1, "amount_remaining": 12900, "currency": "eur"}
        self.tell(payer, "invoice.payment_failed", said)
        self.tell(payer, "customer.subscription.updated", {"id": each.id, "object": "subscription"})

    def _settles(self, payer: str, invoice: InvoiceFact) -> None:
        facts = self.at(payer)
        unpaid = tuple(each for each in facts.unpaid if each.id != invoice.id)
        late = {each.subscription_id for each in unpaid}
        subscriptions = tuple(
            replace(each, status=SubscriptionStatus.ACTIVE)
            if each.status is SubscriptionStatus.PAST_DUE and each.id not in late
            else each
            for each in facts.subscriptions
        )
        if self._rng.random() < 0.5:  # as if it had never been there: A → B → A
            self._set(replace(facts, unpaid=unpaid, subscriptions=subscriptions))
            self.tell(payer, "invoice.voided", {"id": invoice.id, "object": "invoice"})
            return
        lifetime = {"EUR": facts.lifetime.get("EUR", 0) + invoice.remaining.minor}
        self._set(replace(facts, unpaid=unpaid, subscriptions=subscriptions, lifetime=lifetime))
        said = {"id": invoice.id, "object": "invoice", "amount_paid": invoice.remaining.minor, "currency": "eur"}
        self.tell(payer, "invoice.paid", said)
        if self._rng.random() < 0.5:  # Stripe says it twice, under two names
            self.tell(payer, "invoice.payment_succeeded", said)

    def _cancels(self, payer: str, each: SubscriptionFact) -> None:
        facts = self.at(payer)
        ended = replace(each, status=SubscriptionStatus.CANCELED, ended_at=self._second())
        self._set(replace(facts, subscriptions=_with(facts, ended)))
        self.tell(payer, "customer.subscription.deleted", {"id": each.id, "object": "subscription"})

    def _announces(self, payer: str, each: SubscriptionFact) -> None:
        facts = self.at(payer)
        end = None if each.cancel_at else self._second() + timedelta(minutes=self._rng.choice((3, 40, 100_000)))
        self._set(replace(facts, subscriptions=_with(facts, replace(each, cancel_at=end))))
        said: dict[str, Any] = {"id": each.id, "object": "subscription", "cancel_at": end and int(end.timestamp())}
        self.tell(payer, "customer.subscription.updated", said)

    def _pays(self, payer: str, succeeded: bool) -> None:
        facts, identifier = self.at(payer), f"pi_{payer}_{self._next():04d}"
        payment = PaymentFact(identifier, self._second(), succeeded, Money(minor=500, currency="EUR"))
        self._set(replace(facts, currency="EUR", payments=(*facts.payments, payment)))
        if not succeeded:
            self.failed_intents.add(identifier)
        said = {"id": identifier, "object": "payment_intent", "amount": 500, "amount_received": 500, "currency": "eur"}
        self.tell(payer, f"payment_intent.{'succeeded' if succeeded else 'payment_failed'}", said)

    def _set(self, facts: BillingFacts) -> None:
        self.truth[facts.payer] = facts

    def tell(self, payer: str, event_type: str, said: dict[str, Any]) -> None:
        """An event in the outbox."""
        identifier = f"evt_{self._next()}"
        body = {
            "id": identifier,
            "object": "event",
            "type": event_type,
            "created": int(self._clock.now().timestamp()),
            "livemode": False,
            "data": {"object": {**said, "customer": payer}},
        }
        self.outbox.append(Webhook(identifier, event_type, payer, json.dumps(body)))

    def _next(self) -> int:
        self._made += 1
        return self._made

    def _second(self) -> datetime:
        return self._clock.now().replace(microsecond=0)


def _with(facts: BillingFacts, changed: SubscriptionFact) -> tuple[SubscriptionFact, ...]:
    return tuple(changed if each.id == changed.id else each for each in facts.subscriptions)


@dataclass(slots=True)
class Mailbox:
    """`Mailer` that may die around the call, or do it without answering. `shaken` are the subjects it happened to."""

    trouble: Trouble
    turn: Turn
    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def send(self, to: str, subject: str, text: str) -> None:
        remote("mail", self.trouble, self.turn, lambda: self.sent.append((to, subject, text)), writes=True)


@dataclass(slots=True)
class FaultyBlobs:
    """`BlobStore`."""

    trouble: Trouble
    turn: Turn
    kept: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, content: bytes, content_type: str) -> None:
        remote("blob put", self.trouble, self.turn, lambda: self.kept.__setitem__(name, content), writes=True)

    def get(self, name: str) -> bytes:
        return remote("blob get", self.trouble, self.turn, lambda: self.kept[name])

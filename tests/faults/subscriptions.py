"""Stripe as it runs subscriptions: what provisioning makes and changes there, ends on request, what its own schedules
do when their day comes, and the invoices that follow (ORD-4, ORD-5, STR-5, ORD-9)."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from revops.billing.cancellation import Cancellation, Mode, Standing
from revops.billing.ports import StripeRefused
from revops.orders.ports import ProvisioningRefused, SubscriptionRequest
from revops.orders.provisioning.ports import LiveSubscription, PlannedFuture, SubscriptionChange
from revops.sales.model import InvoiceStatus
from revops.sales.ports import InvoiceFact, PayerFacts, PaymentFact, SubscriptionFact
from tests.builders.clock import ManualClock
from tests.builders.fake_stripe import FakeStripe
from tests.builders.reconcile import Shelf
from tests.builders.sales import FakeLedger
from tests.faults.trouble import Trouble
from tests.faults.vendors import StripeTruth, remote

_MONTH = timedelta(days=30)


@dataclass(slots=True)
class RunningStripe(Shelf):
    """The provisioning side of the same Stripe: a subscription made or changed here is one there, with its webhook and
    its invoice."""

    truth: StripeTruth = field(init=False)
    books: "Books" = field(init=False)
    _counted: int = 0

    def create_subscription(self, request: SubscriptionRequest, key: str) -> str:
        self.tell()
        try:
            return FakeStripe.create_subscription(self, request, key)
        finally:
            self.tell()

    def subscription(self, subscription_id: str) -> LiveSubscription:
        """One that no order made names none."""
        if subscription_id in self.live:
            return FakeStripe.subscription(self, subscription_id)
        self._read("subscription")
        return LiveSubscription(subscription_id, "active", "", "EUR", (), {})

    def change(self, change: SubscriptionChange, key: str) -> str:
        self._require_running(change.subscription_id)
        try:
            return FakeStripe.change(self, change, key)
        finally:
            self.tell()

    def plan_future(self, live: LiveSubscription, future: PlannedFuture) -> None:
        self._require_running(live.id)
        FakeStripe.plan_future(self, live, future)

    def end_at(self, live: LiveSubscription, instant: int) -> None:
        self._require_running(live.id)
        FakeStripe.end_at(self, live, instant)
        self.tell()

    def _require_running(self, identifier: str) -> None:
        if self.live[identifier].ended:
            raise ProvisioningRefused("a canceled subscription cannot be changed")

    def settle(self, everything: bool = False) -> None:
        """Requests that were on the line arrive, and schedules go on to the phase whose day has come."""
        FakeStripe.settle(self, everything)
        now = int(self.clock.now().timestamp())
        for identifier in list(self.futures):
            future = self.futures[identifier]
            while future.phases and future.phases[0].starts_at <= now:
                phase, *later = future.phases
                future = self.futures[identifier] = replace(future, phases=tuple(later))
                items = tuple(
                    self._item(f"si_{identifier}_{item.price_id}", item.price_id, item.quantity) for item in phase.items
                )
                live = self.live[identifier]
                self.live[identifier] = replace(live, items=items, metadata={**live.metadata, **phase.metadata})
            if not future.phases:
                del self.futures[identifier]
                self.live[identifier] = replace(self.live[identifier], schedule_id="", cancel_at=future.ends_at)

    def tell(self) -> None:
        """What became of subscriptions since the last look reaches the truth, and the books."""
        for identifier, request in self.subscriptions.items():
            facts = self.truth.at(request.customer_id)
            known = next((each for each in facts.subscriptions if each.id == identifier), None)
            if known is None:
                self.truth.adopt(request.customer_id, request, identifier)
                self.books.issue(request.customer_id, identifier, sum(item.quantity or 0 for item in request.items))
                known = self.truth.at(request.customer_id).subscriptions[-1]
            live = self.live[identifier]
            ends = datetime.fromtimestamp(live.cancel_at, UTC) if live.cancel_at else None
            if known.ended_at is None and (live.ended or known.cancel_at != ends):
                self.truth.ends(request.customer_id, identifier, at=ends, over=live.ended)
        for change in self.changes[self._counted :]:
            self._counted += 1
            live = self.live[change.subscription_id]
            self.books.issue(live.customer_id, live.id, sum(item.quantity or 0 for item in change.items))


class Cancellations:
    """`CancellationGateway` over the subscriptions of the bench: those that provisioning made, and others."""

    def __init__(self, stripe: RunningStripe, trouble: Trouble, turn: Callable[[str], None]) -> None:
        self._stripe = stripe
        self._trouble = trouble
        self._turn = turn

    def bring(self, wish: Cancellation, payers: tuple[str, ...]) -> Standing:
        def work() -> Standing:
            self._stripe.tell()
            if wish.subscription_id in self._stripe.live:
                return self._bring_live(wish, payers)
            return self._bring(wish, payers)

        return remote("stripe cancel", self._trouble, self._turn, work, writes=True)

    def _bring_live(self, wish: Cancellation, payers: tuple[str, ...]) -> Standing:
        stripe, live = self._stripe, self._stripe.live[wish.subscription_id]
        if live.customer_id not in payers:
            raise StripeRefused("not this customer's")
        if not live.ended:
            stripe.live[live.id] = self._changed(live, wish.mode)
            stripe.tell()
        live = stripe.live[live.id]
        return Standing(live.ended, datetime.fromtimestamp(live.cancel_at, UTC) if live.cancel_at else None)

    def _changed(self, live: LiveSubscription, mode: Mode) -> LiveSubscription:
        if mode is Mode.NOW:
            self._stripe.futures.pop(live.id, None)
            return replace(live, status="canceled", schedule_id="")
        if mode is Mode.PERIOD_END and (live.schedule_id or not live.cancel_at_period_end):
            self._stripe.futures.pop(live.id, None)
            end = live.items[0].period_end
            return replace(live, cancel_at_period_end=True, cancel_at=end, schedule_id="")
        if mode is Mode.KEEP and live.cancel_at:
            return replace(live, cancel_at_period_end=False, cancel_at=0)
        return live

    def _bring(self, wish: Cancellation, payers: tuple[str, ...]) -> Standing:
        truth, now = self._stripe.truth, self._stripe.clock.now()
        for payer in payers:
            for each in truth.at(payer).subscriptions:
                if each.id != wish.subscription_id:
                    continue
                if each.ended_at is None and wish.mode is Mode.NOW:
                    truth.ends(payer, each.id, at=None, over=True)
                elif each.ended_at is None and (each.cancel_at is None) is (wish.mode is Mode.PERIOD_END):
                    at = now.replace(microsecond=0) + _MONTH if wish.mode is Mode.PERIOD_END else None
                    truth.ends(payer, each.id, at=at, over=False)
                (held,) = (one for one in truth.at(payer).subscriptions if one.id == each.id)
                return Standing(held.ended_at is not None, held.ended_at or held.cancel_at)
        raise StripeRefused("no such subscription of this customer")


class Books(FakeLedger):
    """`StripeBooks`: the invoices of what was provisioned, and what was paid of them."""

    def __init__(self, clock: ManualClock, truth: StripeTruth, trouble: Trouble, turn: Callable[[str], None]) -> None:
        super().__init__()
        self._clock = clock
        self._stripe = truth
        self._trouble = trouble
        self._turn = turn

    def of_payer(self, payer: str) -> PayerFacts:
        return remote("stripe books", self._trouble, self._turn, lambda: self.at(payer))

    def at(self, payer: str) -> PayerFacts:
        """The truth, without a call."""
        held = self._stripe.at(payer).subscriptions
        subscriptions = tuple(SubscriptionFact(each.id, each.cancel_at, each.ended_at) for each in held)
        return replace(self.truth.get(payer, PayerFacts()), subscriptions=subscriptions)

    def issue(self, payer: str, subscription_id: str, seats: int) -> None:
        """An invoice for seats that came to be."""
        facts, now = self.truth.get(payer, PayerFacts()), self._second()
        made = InvoiceFact(
            id=f"in_{subscription_id}_{len(facts.invoices)}",
            number=f"B-{subscription_id}-{len(facts.invoices)}",
            status=InvoiceStatus.OPEN,
            currency="EUR",
            total=seats * 5900,
            due=seats * 5900,
            paid=0,
            remaining=seats * 5900,
            credited=0,
            credit_used=0,
            issued_at=now,
            due_at=now + _MONTH,
            paid_at=None,
            period_start=now,
            period_end=now + _MONTH,
            hosted_url="",
            subscription_id=subscription_id,
            lines=(),
        )
        self.truth[payer] = replace(facts, invoices=(*facts.invoices, made))
        self._say(payer, "invoice.finalized", made)

    def happens(self, rng: random.Random) -> None:
        """An open invoice is paid, or voided, or given up for good."""
        found = [
            (payer, invoice)
            for payer, facts in self.truth.items()
            for invoice in facts.invoices
            if invoice.status is InvoiceStatus.OPEN
        ]
        if not found:
            return
        payer, invoice = rng.choice(found)
        facts, now = self.truth[payer], self._second()
        became = rng.choice((InvoiceStatus.PAID, InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE))
        payments = facts.payments
        if became is InvoiceStatus.PAID:
            pays = ((invoice.id, invoice.remaining),)
            payments = (*payments, PaymentFact(f"ch_{invoice.id}", now, invoice.remaining, "EUR", "Credit Card", pays))
            after = replace(invoice, status=became, paid=invoice.due, remaining=0, paid_at=now)
        else:
            after = replace(invoice, status=became)
        invoices = tuple(after if each.id == invoice.id else each for each in facts.invoices)
        self.truth[payer] = replace(facts, invoices=invoices, payments=payments)
        kind = {InvoiceStatus.PAID: "paid", InvoiceStatus.VOID: "voided"}.get(became, "marked_uncollectible")
        self._say(payer, f"invoice.{kind}", after)

    def _say(self, payer: str, event_type: str, invoice: InvoiceFact) -> None:
        said = {"id": invoice.id, "object": "invoice", "amount_paid": invoice.paid, "currency": "eur"}
        self._stripe.tell(payer, event_type, said)

    def _second(self) -> datetime:
        return self._clock.now().replace(microsecond=0)

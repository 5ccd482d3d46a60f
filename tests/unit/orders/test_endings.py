"""An end with the period, asked for beside a change of the terms: whoever writes last at the provider, what is wanted
stands there in the end; and what is kept after all goes on as it was signed (STR-5, ORD-5)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from revops.access import Policy
from revops.adapters.agreed_terms import AgreedTerms
from revops.billing.cancellation import (
    CANCELLATIONS,
    BringCancellations,
    Cancellation,
    CancellationRequest,
    CancellationState,
    Mode,
    RequestCancellation,
    Standing,
    cancellation_id,
)
from revops.billing.model import Customer, MembershipStatus
from revops.billing.rights import CustomerRights
from revops.billing.store import CUSTOMER, PAYER
from revops.bootstrap.cash import CashWiring
from revops.bootstrap.registry import work_of
from revops.kernel import CallContext, Principal, Role
from revops.orders.changing import ChangeSubscription
from revops.orders.events import work
from revops.orders.model import OrderForm, OrderKind, OrderStatus
from revops.orders.policies.calendar import opening
from revops.orders.ports import ProvisioningRefused
from revops.orders.provisioning.ports import LiveSubscription
from revops.orders.store import TIMELINES
from revops.orders.turning import TurnTimelines
from revops.settings import SettingsReader
from revops.table import Change, Row, begin, claim, present
from tests.builders.billing import Accounts
from tests.builders.clock import ManualClock
from tests.builders.orders import WORKER, Desk
from tests.unit.orders.test_changing import ZONE, amended

pytestmark = pytest.mark.mission("STR-5", "ORD-5")

FINANCE = CallContext(Principal("finance", Role.FINANCE))


class Counter:
    """Billing and orders over one table and one provider. `bring` is what the worker does with a wish."""

    def __init__(self) -> None:
        self.desk = Desk(clock=ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)))
        self.root = self.sold(auto_renewal=False, renewal_date="2027-11-20")
        table, clock, stripe = self.desk.table, self.desk.clock, self.desk.stripe
        self.change = ChangeSubscription(table, clock, stripe, SettingsReader(table, ttl=0), self.desk.wishes)
        self.agreed = AgreedTerms(table, lambda: stripe, lambda: self.change)
        self.bring = BringCancellations(table, clock, Provider(self), lambda *_: None, self.agreed)
        self.request = RequestCancellation(table, clock, CustomerRights(table, Policy(), Accounts()))

    def sold(self, **terms: object) -> OrderForm:
        """An order in service, and billing's profile of its customer."""
        order = self.desk.run_until_it_waits(self.desk.executed(**terms).id)
        now = self.desk.clock.now()
        customer = Customer(
            id="CUST_1",
            created_at=now,
            modified_at=now,
            payers=(order.stripe_customer_id,),
            membership_status=MembershipStatus.ACTIVE,
            membership_reason="",
            running=(order.stripe_subscription_id,),
        )
        transaction = begin(WORKER, now)
        CUSTOMER.create(transaction, customer)
        claim(transaction, PAYER, order.stripe_customer_id, customer.id)
        self.desk.table.commit(transaction)
        return order

    @property
    def live(self) -> LiveSubscription:
        return self.desk.stripe.live[self.root.stripe_subscription_id]

    @property
    def seats(self) -> int | None:
        return self.live.seat.quantity if self.live.seat else None

    @property
    def timeline(self) -> Row:
        """The row of the terms by time."""
        return present([self.desk.table.get(TIMELINES.key(self.root.id))])[0]

    @property
    def wish(self) -> Cancellation:
        return CANCELLATIONS.require(self.desk.table, cancellation_id("CUST_1", self.root.stripe_subscription_id))

    def ask(self, mode: Mode = Mode.PERIOD_END) -> None:
        self.request.cancel("CUST_1", CancellationRequest(mode=mode), FINANCE)

    def work(self) -> None:
        """What the stream hands the worker, if anything."""
        if self.wish.state is CancellationState.REQUESTED:
            self.bring(self.wish.id, WORKER)

    def renewed(self) -> OrderForm:
        """A signed renewal from the end of the first term on."""
        renewal = amended(
            self.desk, self.root, OrderKind.RENEWAL, start_date="2027-11-20", renewal_date="2028-11-20", seats=31
        )
        return self.desk.run_until_it_waits(renewal.id)

    def steps_in(self, at: str, act: Callable[[], None]) -> None:
        """Somebody acts at the next call of this name."""

        def between(name: str) -> None:
            if name == at:
                self.desk.stripe.between = lambda _: None
                act()

        self.desk.stripe.between = between


class Provider:
    """A `CancellationGateway` over the subscription of a counter."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def bring(self, wish: Cancellation, payers: tuple[str, ...]) -> Standing:
        stripe, live = self._counter.desk.stripe, self._counter.live
        assert live.customer_id in payers
        if wish.mode is Mode.PERIOD_END:
            stripe.futures.pop(live.id, None)
            end = live.items[0].period_end
            stripe.live[live.id] = replace(live, cancel_at=end, cancel_at_period_end=True, schedule_id="")
        if wish.mode is Mode.KEEP:
            stripe.live[live.id] = replace(live, cancel_at=0, cancel_at_period_end=False)
        return Standing(live.ended)


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_what_is_kept_has_its_signed_end_again(counter: Counter) -> None:
    signed = opening(date(2027, 11, 20), ZONE)
    assert counter.live.cancel_at == signed
    counter.ask()
    counter.work()
    assert counter.live.cancel_at == counter.live.items[0].period_end != signed
    counter.request.withdraw("CUST_1", "", FINANCE)
    counter.work()
    assert (counter.live.cancel_at, counter.live.cancel_at_period_end) == (signed, False)
    assert (counter.wish.state, counter.wish.detail) == (CancellationState.KEPT, "")


def test_what_is_kept_has_its_signed_changes_again(counter: Counter) -> None:
    counter.renewed()
    planned = counter.desk.stripe.futures[counter.live.id]
    counter.ask()
    counter.work()
    assert counter.desk.stripe.futures == {}
    counter.request.withdraw("CUST_1", "", FINANCE)
    counter.work()
    assert counter.desk.stripe.futures == {counter.live.id: planned}
    assert (counter.live.cancel_at, counter.live.cancel_at_period_end) == (0, False)


@pytest.mark.parametrize("ends_first", [True, False])
def test_terms_whose_day_comes_before_the_end_hold_until_it(counter: Counter, *, ends_first: bool) -> None:
    """The schedule that would have brought them went with the end of the period."""
    fewer = amended(counter.desk, counter.root, start_date="2026-11-25", seats=17)
    counter.desk.run_until_it_waits(fewer.id)
    if ends_first:
        counter.ask()
        counter.work()
    before, seats = counter.timeline, counter.seats
    counter.desk.clock.advance(days=6)
    assert TurnTimelines(counter.desk.table, counter.desk.clock, lambda *_: None)(WORKER) == 1
    turned = Change("1", before, counter.timeline)
    ((queue, message),) = [each for work_after in work_of() for each in work_after(turned)]
    assert (queue, message) == ("stripe", {"kind": "TIMELINE", "entity_id": counter.root.id})
    changes = len(counter.desk.stripe.changes)
    for _ in range(2):
        counter.change.catch_up(str(message["entity_id"]), WORKER)
    assert len(counter.desk.stripe.changes) == changes + ends_first, "once, and only where no schedule stands"
    assert counter.seats == (17 if ends_first else seats)
    assert counter.live.cancel_at_period_end is ends_first


def test_nothing_is_caught_up_of_what_was_only_agreed(counter: Counter) -> None:
    counter.renewed()
    first = counter.timeline
    assert work(Change("1", None, first)) == []
    counter.desk.run_until_it_waits(amended(counter.desk, counter.root, start_date="2026-11-25", seats=17).id)
    agreed = counter.timeline
    assert (TIMELINES.load(first).next_at, first) != (TIMELINES.load(agreed).next_at, agreed)
    assert work(Change("2", first, agreed)) == [], "another form was agreed; no day has come"
    assert work(Change("3", agreed, agreed)) == []
    counter.change.catch_up(counter.root.id, WORKER)
    counter.ask()
    counter.work()
    changes = list(counter.desk.stripe.changes)
    counter.change.catch_up(counter.root.id, WORKER)
    assert counter.desk.stripe.changes == changes, "the form that began it holds"


def test_what_has_ended_is_not_caught_up(counter: Counter) -> None:
    counter.desk.run_until_it_waits(amended(counter.desk, counter.root, start_date="2026-11-25", seats=17).id)
    counter.ask()
    counter.work()
    counter.desk.stripe.live[counter.live.id] = replace(counter.live, status="canceled")
    counter.desk.clock.advance(days=6)
    changes = list(counter.desk.stripe.changes)
    wiring = cast(CashWiring, SimpleNamespace(change_subscription=lambda: counter.change))
    catch_up = CashWiring.work_after(wiring, TIMELINES.kind)
    assert catch_up is not None
    catch_up(counter.root.id, WORKER)
    assert counter.desk.stripe.changes == changes


def test_what_cannot_be_put_back_is_said(counter: Counter) -> None:
    counter.renewed()
    counter.ask()
    counter.work()
    counter.request.withdraw("CUST_1", "", FINANCE)

    def refuse() -> None:
        raise ProvisioningRefused("the Stripe price was changed")

    counter.steps_in("before ensure_price", refuse)
    counter.work()
    assert counter.wish.state is CancellationState.KEPT
    assert "the Stripe price was changed" in counter.wish.detail


@pytest.mark.fault("S9")
def test_a_subscription_that_only_names_an_order_of_ours_stays_as_it_is(counter: Counter) -> None:
    foreign = replace(counter.live, id="sub_foreign", cancel_at=0)
    counter.desk.stripe.live["sub_foreign"] = foreign
    assert foreign.metadata["order_form"] == counter.root.id
    seen = len(counter.desk.stripe.calls)
    assert counter.agreed("sub_foreign", WORKER) == ""
    assert counter.desk.stripe.calls[seen:] == ["subscription"], "the order's own is left alone as well"
    assert counter.desk.stripe.live["sub_foreign"] == foreign
    counter.desk.stripe.live["sub_nobodys"] = replace(foreign, id="sub_nobodys", metadata={})
    assert counter.agreed("sub_nobodys", WORKER) == ""


@pytest.mark.fault("R2", "R19")
@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("at", ["before plan_future", "after plan_future is done", "after subscription"])
def test_an_end_with_the_period_outlives_a_change_that_is_planned_beside_it(
    counter: Counter, at: str, settled: bool
) -> None:
    """The end is asked for, and brought about, between the look of a change and its write; the worker of the wish may
    have settled it by then, or not yet."""

    def asks() -> None:
        counter.ask()
        if settled:
            counter.work()
        else:
            Provider(counter).bring(counter.wish, (counter.root.stripe_customer_id,))

    counter.steps_in(at, asks)
    renewal = counter.renewed()
    counter.work()
    assert (counter.live.cancel_at_period_end, counter.live.schedule_id) == (True, "")
    assert counter.desk.stripe.futures == {}
    assert counter.wish.state is CancellationState.SCHEDULED
    assert renewal.status in {OrderStatus.ACTIVE, OrderStatus.BLOCKED}


@pytest.mark.fault("R2", "R19")
def test_an_end_with_the_period_outlives_another_end(counter: Counter) -> None:
    def asks() -> None:
        counter.ask()
        counter.work()

    counter.steps_in("before end_at", asks)
    going_on = amended(counter.desk, counter.root, auto_renewal=True, start_date="2026-11-20")
    counter.desk.run_until_it_waits(going_on.id)
    counter.work()
    assert counter.live.cancel_at_period_end


@pytest.mark.fault("R2", "R3")
def test_an_end_that_was_on_its_way_outlives_a_change_too(counter: Counter) -> None:
    """It was asked for before the change looked; its worker was at the provider meanwhile, and died unsettled."""

    def brings() -> None:
        Provider(counter).bring(counter.wish, (counter.root.stripe_customer_id,))

    counter.ask()
    counter.steps_in("before plan_future", brings)
    before = counter.wish.version
    counter.renewed()
    assert counter.wish.version > before, "the worker hears of it once more"
    counter.work()
    assert (counter.live.cancel_at_period_end, counter.live.schedule_id) == (True, "")


@pytest.mark.parametrize("mode", [Mode.PERIOD_END, Mode.KEEP])
def test_what_was_settled_before_is_not_asked_for_again(counter: Counter, mode: Mode) -> None:
    """Somebody took the end back at the provider itself, or here: a change of the terms does not bring it back."""
    counter.ask()
    counter.work()
    if mode is Mode.KEEP:
        counter.request.withdraw("CUST_1", "", FINANCE)
        counter.work()
    counter.desk.stripe.live[counter.live.id] = replace(counter.live, cancel_at=0, cancel_at_period_end=False)
    before = counter.wish
    counter.renewed()
    assert counter.wish == before
    assert counter.live.schedule_id

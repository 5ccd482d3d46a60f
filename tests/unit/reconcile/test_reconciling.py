"""Every executed order has exactly one subscription and no other has any; what differs is found and priced."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from revops.kernel import Forbidden, NotFound
from revops.orders.model import Meter, OrderForm, OrderStatus
from revops.orders.policies.calendar import opening
from revops.orders.store import ORDERS
from revops.reconcile.model import DifferenceKind, Finding, Phase, RunStatus, Severity
from revops.reconcile.ports import EndWish
from revops.reconcile.store import RECONCILIATIONS
from revops.reconcile.walking import PAGE
from revops.table import begin
from tests.builders.clock import ManualClock
from tests.builders.orders import WORKER as ORDER_WORKER
from tests.builders.reconcile import FINANCE, REP, WORKER, Bench, OddPrice, manager
from tests.unit.orders.test_changing import amended

pytestmark = pytest.mark.mission("ORD-7")
D = DifferenceKind


@pytest.fixture
def bench() -> Bench:
    return Bench(ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)))


@pytest.fixture
def order(bench: Bench) -> OrderForm:
    return bench.sold()


def found(bench: Bench, order_id: str = "") -> list[Finding]:
    return [each.finding for each in bench.found(order_id)]


def kinds(bench: Bench) -> list[DifferenceKind]:
    return [each.kind for each in found(bench)]


def effects(bench: Bench) -> list[Fraction | None]:
    return [each.effect.amount if each.effect else None for each in found(bench)]


def only(bench: Bench) -> Finding:
    (one,) = found(bench)
    return one


def seat(bench: Bench, order: OrderForm, **changes: object) -> None:
    """Somebody changes the seats at the provider."""
    first, *others = bench.stripe.live[order.stripe_subscription_id].items
    bench.stripe.set_items(order.stripe_subscription_id, [replace(first, **changes), *others])  # type: ignore[arg-type]


# -- exactly one -------------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-4")
def test_what_is_right_is_left_in_peace(bench: Bench, order: OrderForm) -> None:
    run = bench.reconciled()
    assert (run.status, run.orders, run.subscriptions, run.differences) == (RunStatus.DONE, 1, 1, 0)
    assert (run.totals, run.worst, bench.stripe.repairs) == ((), None, [])


@pytest.mark.mission("ORD-4")
def test_a_missing_one_costs_what_is_not_billed(bench: Bench) -> None:
    order = bench.desk.executed()
    assert found(bench) == []  # it may be on its way
    bench.clock.advance(hours=2)
    missing = only(bench)
    assert (missing.kind, missing.severity) == (D.MISSING, Severity.CRITICAL)
    assert missing.effect is not None
    assert missing.effect.minor == -25 * 5900
    assert order.id in missing.words


@pytest.mark.mission("ORD-4")
def test_an_ended_one_is_said_to_have_ended(bench: Bench, order: OrderForm) -> None:
    bench.stripe.end(order.stripe_subscription_id)
    ended = only(bench)
    assert (ended.kind, ended.action.kind, ended.subscription_id) == (D.ENDED, "none", order.stripe_subscription_id)


@pytest.mark.mission("ORD-4")
def test_a_doubled_one_is_the_one_that_the_order_does_not_name(bench: Bench, order: OrderForm) -> None:
    other = bench.stripe.twin(order.stripe_subscription_id)
    doubled = only(bench)
    assert (doubled.kind, doubled.subscription_id, doubled.action.kind) == (D.DOUBLED, other, "cancel_subscription")
    assert doubled.effect is not None
    assert doubled.effect.minor == 25 * 5900


@pytest.mark.mission("ORD-4")
def test_a_running_one_of_no_executed_order_is_an_orphan(bench: Bench, order: OrderForm) -> None:
    waiting = bench.desk.submitted()
    named = {"order_form": waiting.id}
    known = bench.stripe.twin(order.stripe_subscription_id, metadata=named, customer_id="cus_x")
    unknown = bench.stripe.twin(order.stripe_subscription_id, metadata={"order_form": "ORD_NOBODY"})
    bench.stripe.end(bench.stripe.twin(order.stripe_subscription_id, metadata=named))
    bench.stripe.twin(order.stripe_subscription_id, metadata={})
    run = bench.reconciled()
    assert run.unclaimed == 1
    told = {each.subscription_id: each for each in found(bench)}
    assert {each.kind for each in told.values()} == {D.ORPHAN}
    assert told[known].action.kind == "cancel_subscription"
    assert told[unknown].action.kind == "none"  # whose it is, nobody here knows


@pytest.mark.mission("ORD-4")
def test_the_wrong_customer_and_a_deleted_one(bench: Bench, order: OrderForm) -> None:
    bench.stripe.drift(order.stripe_subscription_id, customer_id="cus_else")
    wrong = only(bench)
    assert (wrong.kind, wrong.expected, wrong.actual) == (D.WRONG_CUSTOMER, order.stripe_customer_id, "cus_else")
    bench.stripe.drift(order.stripe_subscription_id, customer_id=order.stripe_customer_id)
    bench.stripe.accounts[order.stripe_customer_id] = "ACC_ELSE"
    assert only(bench).actual == "ACC_ELSE"
    bench.stripe.deleted.add(order.stripe_customer_id)
    assert only(bench).kind is D.CUSTOMER_DELETED
    bench.stripe.end(order.stripe_subscription_id)
    assert only(bench).kind is D.CUSTOMER_DELETED


@pytest.mark.mission("ORD-4")
def test_one_whose_metadata_was_wiped_is_found_by_its_order(bench: Bench, order: OrderForm) -> None:
    bench.stripe.drift(order.stripe_subscription_id, metadata={})
    wiped = only(bench)
    assert (wiped.kind, wiped.severity, wiped.action.kind) == (D.METADATA, Severity.LOW, "set_metadata")
    assert wiped.action.metadata["order_form"] == order.id


@pytest.mark.mission("ORD-4")
def test_a_change_in_the_middle_of_a_run_is_no_difference(bench: Bench, order: OrderForm) -> None:
    """A subscription that was made after the listing had passed is looked for before it is called missing."""
    run = bench.start("", FINANCE)
    run = bench.run(run.id, WORKER)
    assert run.phase is Phase.ORDERS
    late = bench.sold()
    while run.status is RunStatus.RUNNING:
        run = bench.run(run.id, WORKER)
    assert late.stripe_subscription_id
    assert (run.orders, run.differences) == (2, 0)


@pytest.mark.fault("R3", "R17")
def test_a_repeated_block_counts_once(bench: Bench) -> None:
    orders = [bench.sold() for _ in range(3)]
    for order in orders:
        seat(bench, order, quantity=30)
    run = bench.start("", FINANCE)
    while True:
        before = RECONCILIATIONS.require(bench.table, run.id)
        if before.status is not RunStatus.RUNNING:
            break
        bench.run(run.id, WORKER)
        after = RECONCILIATIONS.require(bench.table, run.id)
        if after.status is RunStatus.RUNNING:  # a worker that died before it moved on: the same block again
            transaction = begin(WORKER, bench.clock.now())
            RECONCILIATIONS.update(transaction, before.model_copy(update={"version": after.version + 1}))
            bench.table.commit(transaction)
            bench.run(run.id, WORKER)
    assert (before.orders, before.subscriptions, before.differences) == (3, 3, 3)


def test_a_run_walks_over_pages(bench: Bench) -> None:
    orders = [bench.sold() for _ in range(PAGE + 3)]
    seat(bench, orders[0], quantity=1)
    seat(bench, orders[-1], quantity=1)
    run = bench.reconciled()
    assert (run.orders, run.subscriptions, run.differences) == (PAGE + 3, PAGE + 3, 2)
    (total,) = run.totals
    assert (total.kind, total.currency, total.count, total.exact) == (D.QUANTITY, "EUR", 2, str(-2 * 24 * 5900))
    asked = [call for call in bench.stripe.calls if call in ("of_customer", "one")]
    assert len(asked) == 2  # only about those that differ


# -- what differs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seats", "effect"), [(27, 2 * 5900), (20, -5 * 5900)])
def test_seats(bench: Bench, order: OrderForm, seats: int, effect: int) -> None:
    seat(bench, order, quantity=seats)
    one = only(bench)
    assert (one.kind, one.expected, one.actual, one.severity) == (D.QUANTITY, "25", str(seats), Severity.HIGH)
    assert one.effect is not None
    assert one.effect.minor == effect


def test_a_years_price_is_exact_by_the_month(bench: Bench) -> None:
    order = bench.sold(billing_cycle="Annual", seats=7, list_price=833, spend_cap=None)
    bench.stripe.odd["price_x"] = OddPrice("revops_professional", "10000", "12")
    seat(bench, order, price_id="price_x", lookup_key="")
    one = only(bench)
    assert one.effect is not None
    assert one.effect.exact == str(Fraction(7 * 10_000, 12) - 7 * 833)
    assert one.effect.minor == 2  # a third of one is left
    assert one.kind is D.PRICE


def test_quantity_and_price_together_are_what_is_billed_less_what_was_agreed(bench: Bench, order: OrderForm) -> None:
    bench.stripe.odd["price_x"] = OddPrice("revops_professional", "4900")
    seat(bench, order, price_id="price_x", lookup_key="", quantity=40)
    known = {each.kind: each.effect.amount for each in found(bench) if each.effect}
    assert set(known) == {D.QUANTITY, D.PRICE}
    assert sum(known.values()) == 40 * 4900 - 25 * 5900


def test_the_right_price_under_no_key_costs_nothing(bench: Bench, order: OrderForm) -> None:
    bench.stripe.odd["price_x"] = OddPrice("revops_professional", "5900")
    seat(bench, order, price_id="price_x", lookup_key="")
    one = only(bench)
    assert (one.kind, one.severity, one.effect and one.effect.minor) == (D.PRICE, Severity.LOW, 0)


def test_usage_is_priced_by_what_was_used_last_month(bench: Bench, order: OrderForm) -> None:
    live = bench.stripe.live[order.stripe_subscription_id]
    bench.usage.used[order.account_id] = {"2026-10": {Meter.API_CALLS: 9_000, Meter.SIGNATURES: 3_000}}
    bench.stripe.set_items(live.id, live.items[:1])
    one = only(bench)
    assert (one.kind, one.action.kind, one.action.price_key) == (
        D.MISSING_ITEM,
        "add_item",
        "revops:usage_revops_units:usage:eur:10000:1.5",
    )
    assert effects(bench) == [-2_000 * Fraction("1.5")]
    bench.stripe.odd["price_u"] = OddPrice("usage_revops_units", "2", metered=True, included=1_000)
    other = replace(live.items[1], price_id="price_u", lookup_key="")
    bench.stripe.set_items(live.id, [live.items[0], other])
    assert kinds(bench) == [D.PRICE]
    assert effects(bench) == [11_000 * 2 - 2_000 * Fraction("1.5")]


def test_an_item_that_nobody_agreed_to(bench: Bench, order: OrderForm) -> None:
    live = bench.stripe.live[order.stripe_subscription_id]
    bench.stripe.odd["price_x"] = OddPrice("support", "100000", "12")
    extra = replace(live.items[0], id="si_x", price_id="price_x", lookup_key="", quantity=2)
    bench.stripe.set_items(live.id, [*live.items, extra])
    assert (kinds(bench), effects(bench)) == ([D.EXTRA_ITEM], [Fraction(200_000, 12)])
    bench.stripe.odd["price_x"] = OddPrice("support", "")
    assert effects(bench) == [None]  # a price of several steps: nobody can say what it comes to
    assert bench.reconciled().totals[0].unknown == 1


def test_collection(bench: Bench, order: OrderForm) -> None:
    terms = bench.stripe.terms[order.stripe_subscription_id]
    terms.automatic = True
    assert (only(bench).kind, only(bench).severity, only(bench).action.automatic) == (
        D.COLLECTION,
        Severity.HIGH,
        False,
    )
    terms.automatic, terms.days_until_due = False, 60
    assert (only(bench).severity, only(bench).action.days_until_due) == (Severity.MEDIUM, 30)


def test_a_card_that_came_later_is_charged_from_then_on(bench: Bench) -> None:
    order = bench.sold(payment_method="Credit Card")
    assert found(bench) == []
    bench.stripe.chargeable.add(order.stripe_customer_id)
    assert (only(bench).kind, only(bench).action.automatic) == (D.COLLECTION, True)


def test_an_end_that_nobody_agreed_to(bench: Bench, order: OrderForm) -> None:
    ends = int((bench.clock.now() + timedelta(days=40)).timestamp())
    bench.stripe.drift(order.stripe_subscription_id, cancel_at=ends)
    one = only(bench)
    assert (one.kind, one.action.kind, one.action.instant) == (D.ENDING, "set_ending", 0)
    assert one.effect is not None
    assert (one.effect.minor, one.effect.from_time) == (-25 * 5900, ends)
    bench.wishes.asked[order.stripe_subscription_id] = EndWish(ends)
    assert found(bench) == []  # somebody asked for it (STR-5)
    bench.stripe.end(order.stripe_subscription_id)
    assert found(bench) == []


def test_an_end_that_was_asked_for_and_planned_and_is_gone(bench: Bench, order: OrderForm) -> None:
    ends = int((bench.clock.now() + timedelta(days=40)).timestamp())
    bench.wishes.asked[order.stripe_subscription_id] = EndWish()
    assert found(bench) == [], "it is on its way"
    bench.wishes.asked[order.stripe_subscription_id] = EndWish(ends)
    one = only(bench)
    assert (one.kind, one.severity, one.action.instant) == (D.ENDING, Severity.HIGH, ends)
    assert one.effect is not None
    assert (one.effect.minor, one.effect.from_time) == (25 * 5900, ends)
    bench.all_repaired()
    assert bench.stripe.seen(order.stripe_subscription_id).cancel_at == ends
    assert found(bench) == []
    bench.stripe.drift(order.stripe_subscription_id, cancel_at=0)
    bench.clock.advance(days=41)
    assert found(bench) == [], "its day is over: what stands then is billing's to bring about"


def test_a_term_that_does_not_renew_ends_on_its_day(bench: Bench) -> None:
    order = bench.sold(auto_renewal=False)
    assert found(bench) == []
    ends = opening(order.terms.renewal_date, "Europe/Berlin")
    bench.stripe.drift(order.stripe_subscription_id, cancel_at=0)
    one = only(bench)
    assert (one.action.instant, one.effect and one.effect.from_time) == (ends, ends)
    assert one.effect is not None
    assert one.effect.minor == 25 * 5900
    bench.clock.advance(days=400)
    assert (only(bench).severity, only(bench).action.kind) == (Severity.HIGH, "cancel_subscription")
    bench.stripe.end(order.stripe_subscription_id)
    assert found(bench) == []


# -- amendments --------------------------------------------------------------------------------------------------------


def test_the_terms_of_an_executed_amendment_are_what_is_expected(bench: Bench, order: OrderForm) -> None:
    form = amended(bench.desk, order, seats=40, start_date="2026-11-20")
    bench.desk.run_until_it_waits(form.id)
    assert found(bench) == []
    assert bench.stripe.live[order.stripe_subscription_id].metadata["revision"] == form.id
    seat(bench, order, quantity=25)
    one = only(bench)
    assert (one.kind, one.expected, one.order_id) == (D.QUANTITY, "40", order.id)


def test_a_change_that_is_agreed_for_later_is_planned(bench: Bench, order: OrderForm) -> None:
    form = amended(bench.desk, order, seats=40, start_date="2027-02-01")
    bench.desk.run_until_it_waits(form.id)
    assert found(bench) == []
    bench.stripe.forget_future(bench.stripe.live[order.stripe_subscription_id])
    one = only(bench)
    assert (one.kind, one.action.kind) == (D.SCHEDULE, "set_schedule")


def test_an_amendment_on_its_way_is_waited_for(bench: Bench, order: OrderForm) -> None:
    form = amended(bench.desk, order, seats=40, start_date="2026-11-20")
    bench.desk.run_until_it_waits(form.id)
    seat(bench, order, quantity=25)
    stood = ORDERS.require(bench.table, form.id)
    moving = stood.revised(bench.clock.now(), status=OrderStatus.EXECUTED, status_since=bench.clock.now())
    transaction = begin(ORDER_WORKER, bench.clock.now())
    ORDERS.update(transaction, moving)
    bench.table.commit(transaction)
    assert found(bench) == []
    bench.clock.advance(hours=2)
    assert kinds(bench) == [D.QUANTITY]


# -- asking and reading ------------------------------------------------------------------------------------------------


def test_one_order_alone(bench: Bench, order: OrderForm) -> None:
    other = bench.sold()
    seat(bench, order, quantity=3)
    seat(bench, other, quantity=3)
    assert [each.order_id for each in found(bench, order.id)] == [order.id]
    with pytest.raises(NotFound):
        bench.start("ORD_NOBODY", FINANCE)


@pytest.mark.mission("SAFE-1")
def test_who_may_start_and_who_sees_what(bench: Bench, order: OrderForm) -> None:
    other = bench.sold()
    bench.owners |= {order.account_id: "USR_rep", other.account_id: "USR_else"}
    seat(bench, order, quantity=3)
    seat(bench, other, quantity=3)
    with pytest.raises(Forbidden):
        bench.start("", REP)
    run = bench.reconciled()
    everything = bench.read.report(run.id, 10, "", FINANCE)
    assert (len(everything.differences), everything.totals_shown) == (2, True)
    for call in (REP, manager("USR_rep")):
        mine = bench.read.report(run.id, 10, "", call)
        assert [each.owner_id for each in mine.differences] == ["USR_rep"]
        assert not mine.totals_shown
    bench.owners[order.account_id] = "USR_else"  # handed over since
    assert bench.read.report(run.id, 10, "", REP).differences == []


def test_differences_come_in_pages_the_worst_first(bench: Bench) -> None:
    for number in range(5):
        seat(bench, bench.sold(), quantity=number + 1)
    bench.stripe.twin(bench.sold().stripe_subscription_id)
    run = bench.reconciled()
    seen, cursor = [], ""
    while True:
        page = bench.read.report(run.id, 2, cursor, FINANCE)
        seen += page.differences
        cursor = page.next_cursor
        if not cursor:
            break
    assert [each.finding.severity for each in seen] == [Severity.CRITICAL, *[Severity.HIGH] * 5]
    assert len({each.id for each in seen}) == 6


@pytest.mark.fault("R17")
def test_the_night_begins_one_run(bench: Bench, order: OrderForm) -> None:
    bench.clock.advance(hours=16)  # one in the morning
    assert bench.start.nightly(WORKER) == 0
    bench.clock.advance(hours=2)
    assert [bench.start.nightly(WORKER) for _ in range(3)] == [1, 0, 0]
    bench.clock.advance(days=1)
    assert bench.start.nightly(WORKER) == 1
    assert len(bench.read.latest(FINANCE)) == 2


def test_a_provider_that_refuses_ends_the_run_with_its_reason(bench: Bench) -> None:
    bench.stripe.refuses = "Stripe refused: no such thing"
    run = bench.reconciled()
    assert (run.status, run.problem) == (RunStatus.FAILED, "Stripe refused: no such thing")

"""An executed amendment or renewal reaches the subscription of its order, exactly once, whatever fails or repeats."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from revops.adapters.order_caps import ApplyOrderCaps
from revops.kernel import CallContext, DomainError, Refused
from revops.orders.decisions import Amendment
from revops.orders.model import BillingCycle, OrderForm, OrderKind, OrderStatus, Step
from revops.orders.policies.calendar import midnight, opening
from revops.orders.policies.pricing import SeatPrice
from revops.orders.policies.timeline import Segment, with_order
from revops.orders.provisioning.creation import Creation
from revops.orders.provisioning.ports import REVISION, LiveSubscription
from revops.orders.store import CREATIONS, ORDERS, TIMELINES
from revops.orders.turning import TurnTimelines
from revops.orders.workflow import StepTask
from revops.table import begin, due_now
from revops.usage import PLANS, SetCapPlan
from revops.usage.store import plan_id
from tests.builders.clock import ManualClock
from tests.builders.fake_stripe import FakeStripe, Mishap
from tests.builders.orders import REP, WORKER, Desk

pytestmark = pytest.mark.mission("ORD-5")

ZONE = "Europe/Berlin"


def amended(desk: Desk, root: OrderForm, kind: OrderKind = OrderKind.AMENDMENT, **terms: Any) -> OrderForm:
    """An executed form about the subscription of `root`, with other terms."""
    now = desk.clock.now()
    changed = type(root.terms).model_validate({**root.terms.model_dump(), **terms})
    fields = {"kind": kind, "amends": root.id, "terms": changed, "status": OrderStatus.EXECUTED}
    order = root.model_copy(
        update={
            **fields,
            "id": f"{root.id}_{random.Random(str(sorted(terms.items()))).randrange(10**9)}",
            "version": 1,
            "created_at": now,
            "modified_at": now,
            "status_since": now,
            "stripe_subscription_id": "",
            "stripe_customer_id": "",
        }
    )
    transaction = begin(WORKER, now)
    ORDERS.create(transaction, order)
    desk.table.commit(transaction)
    return order


@pytest.fixture
def desk() -> Desk:
    return Desk(clock=ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)))


@pytest.fixture
def root(desk: Desk) -> OrderForm:
    return desk.run_until_it_waits(desk.executed(billing_cycle="Annual").id)


def items(desk: Desk, subscription_id: str) -> list[tuple[str, int | None]]:
    return [(item.lookup_key, item.quantity) for item in desk.stripe.live[subscription_id].items]


def test_an_upgrade_changes_the_one_subscription(desk: Desk, root: OrderForm) -> None:
    order = amended(desk, root, plan="Enterprise", list_price=9900, seats=40, start_date="2026-11-20")
    done = desk.run_until_it_waits(order.id)
    assert (done.status, done.stripe_subscription_id) == (OrderStatus.ACTIVE, root.stripe_subscription_id)
    assert len(desk.stripe.subscriptions) == 1
    assert items(desk, done.stripe_subscription_id) == [
        ("revops:revops_enterprise:seat:eur:annual:118800", 40),
        ("revops:usage_revops_units:usage:eur:10000:1.5", None),
    ]
    (change,) = desk.stripe.changes
    assert change.metadata == {"plan": "Enterprise", REVISION: order.id}
    # the period of the fake begins at nine o'clock, and nothing is prorated for a time before it
    assert change.proration_date == desk.stripe.live[done.stripe_subscription_id].items[0].period_start


def test_a_change_takes_effect_at_midnight_of_its_day(desk: Desk, root: OrderForm) -> None:
    desk.clock.advance(days=10, hours=3)
    desk.run_until_it_waits(amended(desk, root, seats=30, start_date="2026-11-30").id)
    assert [change.proration_date for change in desk.stripe.changes] == [midnight(date(2026, 11, 30), ZONE)]


def test_without_proration_nothing_is_prorated(desk: Desk, root: OrderForm) -> None:
    desk.run_until_it_waits(amended(desk, root, seats=30, proration=False, start_date="2026-11-20").id)
    assert [change.proration_date for change in desk.stripe.changes] == [0]


def test_usage_lines_keep_their_item_as_long_as_their_meter_is_counted(desk: Desk, root: OrderForm) -> None:
    before = desk.stripe.live[root.stripe_subscription_id].items[1].id
    usage = [{"meter": "Pooled", "monthly_cap": 50_000, "overage_price": "0.0125"}]
    desk.run_until_it_waits(amended(desk, root, usage=usage, start_date="2026-11-20").id)
    seats, pooled = desk.stripe.live[root.stripe_subscription_id].items
    assert (pooled.id, pooled.lookup_key) == (before, "revops:usage_revops_units:usage:eur:50000:1.25")
    usage = [
        {"meter": "Signatures", "monthly_cap": 10, "overage_price": "1"},
        {"meter": "API Calls", "monthly_cap": 0, "overage_price": "0.000000000001"},
    ]
    desk.clock.advance(days=1)
    desk.run_until_it_waits(amended(desk, root, usage=usage, start_date="2026-11-21").id)
    assert items(desk, root.stripe_subscription_id)[1:] == [
        ("revops:usage_revops_signatures:usage:eur:10:100", None),
        ("revops:usage_revops_api_calls:usage:eur:0:0.0000000001", None),
    ]
    assert seats.quantity == 25


def test_a_change_for_later_is_planned_and_changes_nothing_now(desk: Desk, root: OrderForm) -> None:
    order = amended(desk, root, seats=10, start_date="2027-03-01")
    desk.run_until_it_waits(order.id)
    assert desk.stripe.changes == []
    assert items(desk, root.stripe_subscription_id)[0][1] == 25
    (phase,) = desk.stripe.futures[root.stripe_subscription_id].phases
    assert phase.starts_at == opening(date(2027, 3, 1), ZONE)
    assert [item.quantity for item in phase.items] == [10, None]
    assert phase.metadata[REVISION] == order.id
    assert desk.stripe.futures[root.stripe_subscription_id].ends_at == 0


def test_an_amendment_leaves_a_renewal_standing(desk: Desk) -> None:
    root = desk.run_until_it_waits(desk.executed(auto_renewal=False, renewal_date="2027-11-20").id)
    assert desk.stripe.live[root.stripe_subscription_id].cancel_at == opening(date(2027, 11, 20), ZONE)
    renewal = amended(
        desk, root, OrderKind.RENEWAL, start_date="2027-11-20", renewal_date="2028-11-20", list_price=6200
    )
    desk.run_until_it_waits(renewal.id)
    assert desk.stripe.live[root.stripe_subscription_id].cancel_at == 0  # the schedule ends it now
    future = desk.stripe.futures[root.stripe_subscription_id]
    assert future.ends_at == opening(date(2028, 11, 20), ZONE)
    desk.clock.advance(days=5)
    desk.run_until_it_waits(amended(desk, root, seats=26, start_date="2026-11-25").id)
    assert items(desk, root.stripe_subscription_id)[0][1] == 26
    assert desk.stripe.futures[root.stripe_subscription_id] == future
    assert not desk.stripe.violations


def test_non_renewal_is_an_end_and_renewal_takes_it_back(desk: Desk, root: OrderForm) -> None:
    assert desk.stripe.live[root.stripe_subscription_id].cancel_at == 0
    desk.run_until_it_waits(
        amended(desk, root, auto_renewal=False, renewal_date="2027-11-20", start_date="2026-11-20").id
    )
    assert desk.stripe.live[root.stripe_subscription_id].cancel_at == opening(date(2027, 11, 20), ZONE)
    desk.clock.advance(days=1)
    desk.run_until_it_waits(amended(desk, root, auto_renewal=True, start_date="2026-11-21", seats=25).id)
    assert desk.stripe.live[root.stripe_subscription_id].cancel_at == 0


def test_what_was_cancelled_to_the_end_of_its_period_ends_with_it(desk: Desk, root: OrderForm) -> None:
    live = desk.stripe.live[root.stripe_subscription_id]
    end = live.items[0].period_end
    desk.stripe.live[live.id] = replace(live, cancel_at=end, cancel_at_period_end=True)
    now = desk.run_until_it_waits(amended(desk, root, seats=30, start_date="2026-11-20").id)
    assert (now.status, items(desk, live.id)[0][1]) == (OrderStatus.ACTIVE, 30)
    assert (desk.stripe.live[live.id].cancel_at, desk.stripe.live[live.id].cancel_at_period_end) == (end, True)
    desk.clock.advance(minutes=1)
    later = desk.run_until_it_waits(amended(desk, root, seats=40, start_date="2027-03-01").id)
    assert later.status is OrderStatus.BLOCKED
    assert later.block is not None
    assert "withdraw the cancellation" in later.block.reason
    assert desk.stripe.futures == {}
    desk.stripe.live[live.id] = replace(desk.stripe.live[live.id], cancel_at=0, cancel_at_period_end=False)
    desk.resume(later.id, Amendment(), REP)
    assert desk.run_until_it_waits(later.id).status is OrderStatus.ACTIVE
    assert [phase.starts_at for phase in desk.stripe.futures[live.id].phases] == [opening(date(2027, 3, 1), ZONE)]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [({"currency": "USD"}, "stays in its currency"), ({}, "canceled")],
)
def test_what_cannot_be_changed_is_blocked_with_what_to_do(
    desk: Desk, root: OrderForm, terms: dict[str, Any], reason: str
) -> None:
    if not terms:
        live = desk.stripe.live[root.stripe_subscription_id]
        desk.stripe.live[live.id] = replace(live, status="canceled")
    order = desk.run_until_it_waits(amended(desk, root, start_date="2026-11-20", **terms).id)
    assert order.status is OrderStatus.BLOCKED
    assert order.block is not None
    assert reason in order.block.reason
    assert desk.stripe.changes == []


@pytest.mark.fault("S9")
def test_a_form_of_another_account_changes_nothing(desk: Desk, root: OrderForm) -> None:
    order = amended(desk, root, seats=30, start_date="2026-11-20")
    transaction = begin(WORKER, desk.clock.now())
    ORDERS.update(transaction, order.revised(desk.clock.now(), account_id="ACC_OTHER"))
    desk.table.commit(transaction)
    blocked = desk.run_until_it_waits(order.id)
    assert blocked.block is not None
    assert "belongs to another account" in blocked.block.reason
    assert (desk.stripe.changes, TIMELINES.get(desk.table, root.id)) == ([], None)


def test_the_newest_agreement_holds_from_its_day(root: OrderForm) -> None:
    first: tuple[Segment, ...] = (Segment(order_id=root.id, kind=OrderKind.NEW, starts_at=100),)
    kinds = {"a": OrderKind.AMENDMENT, "r": OrderKind.RENEWAL}

    def agreed(*forms: tuple[str, int]) -> list[tuple[str, int]]:
        segments: tuple[Segment, ...] = first
        for number, (kind, starts_at) in enumerate(forms):
            order = root.model_copy(update={"id": f"{kind}{number}", "kind": kinds[kind]})
            segments = with_order(segments, order, starts_at)
            assert with_order(segments, order, starts_at + 1) == segments
        return [(each.order_id, each.starts_at) for each in segments[1:] if not each.replaced_by]

    assert agreed(("a", 200), ("a", 300)) == [("a0", 200), ("a1", 300)]
    assert agreed(("a", 300), ("a", 200)) == [("a1", 200)]
    assert agreed(("r", 300), ("a", 200)) == [("r0", 300), ("a1", 200)]
    assert agreed(("a", 300), ("r", 200)) == [("r1", 200)]
    assert agreed(("r", 300), ("r", 300)) == [("r1", 300)]


@pytest.mark.mission("USE-3")
def test_caps_hold_from_the_day_that_was_agreed_and_not_before(desk: Desk) -> None:
    root = desk.run_until_it_waits(desk.executed(auto_renewal=False, renewal_date="2027-11-20").id)
    caps = ApplyOrderCaps(desk.table, desk.clock, SetCapPlan(desk.table, desk.clock))
    turn = TurnTimelines(desk.table, desk.clock, caps)
    caps(root.id, WORKER)

    def included() -> int:
        plan = PLANS.require(desk.table, plan_id(root.account_id))
        return plan.terms.allowances[0].included

    def line(cap: int) -> list[dict[str, Any]]:
        return [{"meter": "Pooled", "monthly_cap": cap, "overage_price": "0.015"}]

    renewal = amended(
        desk, root, OrderKind.RENEWAL, start_date="2027-11-20", renewal_date="2028-11-20", usage=line(77_000)
    )
    later = amended(desk, root, start_date="2027-02-01", usage=line(20_000))
    for order in (renewal, later):
        desk.run_until_it_waits(order.id)
        caps(order.id, WORKER)
    assert included() == 10_000
    assert turn(WORKER) == 0
    desk.clock.advance(days=80)
    assert [turn(WORKER), turn(WORKER)] == [1, 0]
    assert included() == 20_000
    sooner = amended(desk, root, start_date="2027-02-10", usage=line(30_000))
    desk.clock.advance(days=10)
    desk.run_until_it_waits(sooner.id)
    caps(sooner.id, WORKER)
    caps(later.id, WORKER)  # told again
    assert included() == 30_000
    desk.clock.advance(days=300)
    assert turn(WORKER) == 1
    caps(sooner.id, WORKER)
    assert included() == 77_000
    assert TIMELINES.require(desk.table, root.id).next_at is None


@pytest.mark.fault("R12")
def test_terms_that_cannot_be_put_in_force_hold_none_of_the_others_up(desk: Desk) -> None:
    roots = [desk.run_until_it_waits(desk.executed(auto_renewal=False).id) for _ in range(6)]
    later = [amended(desk, root, start_date="2027-02-01", seats=60) for root in roots]
    for order in later:
        desk.run_until_it_waits(order.id)
    broken = {order.id for order in later[:3]}
    told: set[str] = set()

    def apply(order_id: str, _: CallContext) -> None:
        if order_id in broken:
            raise Refused("a spend cycle with overage is running")
        told.add(order_id)

    desk.clock.advance(days=80)
    turn = TurnTimelines(desk.table, desk.clock, apply)
    with pytest.raises(Refused):
        turn(WORKER)
    assert told == {order.id for order in later[3:]}
    broken.clear()
    assert turn(WORKER) == 3
    assert told == {order.id for order in later}


@pytest.mark.fault("R12")
def test_a_form_nothing_can_be_made_of_holds_the_terms_of_no_other_up(desk: Desk) -> None:
    roots = [desk.run_until_it_waits(desk.executed(auto_renewal=False).id) for _ in range(2)]
    for root in roots:
        desk.run_until_it_waits(amended(desk, root, start_date="2027-02-01", seats=60).id)
    desk.clock.advance(days=80)
    first, second = (
        TIMELINES.load(desk.memory.rows[due.key]) for due in due_now(desk.table, "timeline", desk.clock.now())
    )
    desk.memory.spoil(ORDERS.key(first.segments[-1].order_id))
    turn = TurnTimelines(
        desk.table, desk.clock, ApplyOrderCaps(desk.table, desk.clock, SetCapPlan(desk.table, desk.clock))
    )
    with pytest.raises(ValueError, match="OrderForm"):
        turn(WORKER)
    assert TIMELINES.require(desk.table, second.id).next_at is None
    assert TIMELINES.require(desk.table, first.id).next_at == first.next_at


@pytest.mark.mission("ORD-2")
def test_a_request_frozen_by_an_earlier_release_is_carried_out(desk: Desk) -> None:
    order, now = desk.executed(), desk.clock.now()
    price = SeatPrice(
        product_id="revops_professional",
        product_name="Professional",
        currency="EUR",
        unit_amount="5900",
        cycle=BillingCycle.MONTHLY,
    )
    frozen = {
        "order_id": order.id,
        "account_id": order.account_id,
        "customer_id": "cus_1",
        "price_id": desk.stripe.ensure_price(price),
        "seats": 25,
        "charge_automatically": False,
        "payment_types": [],
        "days_until_due": 30,
        "starts_at": 0,
        "ends_at": 0,
        "plan": "Professional",
    }
    name = f"SUBSCRIPTION#{order.id}"
    creation = Creation(id=name, created_at=now, modified_at=now, request=frozen, key_used_at=now)
    transaction = begin(WORKER, now)
    CREATIONS.create(transaction, creation)
    desk.table.commit(transaction)
    done = desk.run_until_it_waits(order.id)
    assert done.status is OrderStatus.ACTIVE
    assert items(desk, done.stripe_subscription_id) == [(price.lookup_key, 25)]


def wrong_after(seed: int) -> list[str]:
    """One seed, one schedule: a change for now and one for later while everything goes wrong that can. What is wrong
    once calm has returned."""
    rng = random.Random(seed)
    desk = Desk(clock=ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)), seed=seed)
    root = desk.run_until_it_waits(desk.executed().id)
    later = amended(desk, root, seats=12, start_date="2027-01-10")
    now = amended(desk, root, seats=60, plan="Enterprise", list_price=9900, start_date="2026-11-20")
    stripe, ids = desk.stripe, [now.id, later.id]
    stripe.rng = rng
    stripe.likelihood = {mishap: rng.choice((0, 0.05, 0.15, 0.3)) for mishap in Mishap}
    stripe.read_failure = rng.choice((0, 0.2))
    for _ in range(rng.randint(2, 10)):
        desk.clock.advance(seconds=rng.choice((0, 1, 30, 120, 3600, 23 * 3600, 25 * 3600)))
        _try(desk, rng.choice(ids))
    stripe.likelihood, stripe.read_failure = {}, 0
    for _ in range(12):
        desk.clock.advance(seconds=240)
        for order_id in ids:
            if desk.order(order_id).status is OrderStatus.BLOCKED:
                desk.resume(order_id, Amendment(), REP)
            _try(desk, order_id)
    stripe.settle(everything=True)
    timeline = TIMELINES.require(desk.table, root.id)
    future = stripe.futures.get(root.stripe_subscription_id)
    planned = [phase.metadata[REVISION] for phase in future.phases] if future else []
    coming = [each.order_id for each in timeline.coming(int(desk.clock.now().timestamp()))]
    held = items(desk, root.stripe_subscription_id)[0]
    right = {
        "made once": [change.metadata[REVISION] for change in stripe.changes] == [now.id],
        "one subscription": len(stripe.subscriptions) == 1,
        "keys kept": not stripe.violations,
        "the items": held == ("revops:revops_enterprise:seat:eur:monthly:9900", 60),
        "the timeline": len(timeline.segments) == 3,
        "the plan": planned == coming,
    }
    return [name for name, holds in right.items() if not holds]


@pytest.mark.fault("R3", "R8", "R9", "R10")
@pytest.mark.parametrize("block", range(4))
def test_whatever_fails_a_change_is_made_once(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        assert wrong_after(seed) == [], seed


def test_a_change_that_never_looks_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = FakeStripe.subscription

    def blind(self: FakeStripe, subscription_id: str) -> LiveSubscription:
        return replace(seen(self, subscription_id), metadata={})

    monkeypatch.setattr(FakeStripe, "subscription", blind)
    assert any("made once" in wrong_after(seed) for seed in range(300))


def _try(desk: Desk, order_id: str) -> None:
    try:
        desk.run(StepTask(order_id, Step.PROVISION), WORKER)
    except DomainError:
        return

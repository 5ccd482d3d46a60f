"""A repair that Finance approved is done once and only if it still is the one that was approved; nothing else is."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from revops.kernel import Forbidden, Invalid, Unavailable, VersionConflict
from revops.orders.model import OrderForm, OrderStatus
from revops.reconcile.events import events, work
from revops.reconcile.model import Difference, DifferenceKind, DifferenceState
from revops.reconcile.requesting import RepairApproval
from revops.reconcile.store import DIFFERENCES, REPAIR
from revops.reconcile.sweep import SweepReconciling
from revops.table import Change, Contention, begin, claim, holder_of
from tests.builders.clock import ManualClock
from tests.builders.fake_stripe import Mishap
from tests.builders.reconcile import FINANCE, REP, WORKER, Bench, OddPrice
from tests.unit.orders.test_changing import amended

pytestmark = pytest.mark.mission("ORD-7")
S = DifferenceState


@pytest.fixture
def bench() -> Bench:
    return Bench(ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)))


@pytest.fixture
def order(bench: Bench) -> OrderForm:
    return bench.sold()


def items(bench: Bench, order: OrderForm) -> list[tuple[str, int | None]]:
    return [(item.price_id, item.quantity) for item in bench.stripe.live[order.stripe_subscription_id].items]


def spoil(bench: Bench, order: OrderForm, **changes: object) -> None:
    first, *others = bench.stripe.live[order.stripe_subscription_id].items
    bench.stripe.set_items(order.stripe_subscription_id, [replace(first, **changes), *others])  # type: ignore[arg-type]


def _seats(bench: Bench, order: OrderForm) -> None:
    spoil(bench, order, quantity=31)


def _price(bench: Bench, order: OrderForm) -> None:
    bench.stripe.odd["price_x"] = OddPrice("revops_professional", "100")
    spoil(bench, order, price_id="price_x", lookup_key="")


def _less_usage(bench: Bench, order: OrderForm) -> None:
    live = bench.stripe.live[order.stripe_subscription_id]
    bench.stripe.set_items(live.id, live.items[:1])


def _no_seats(bench: Bench, order: OrderForm) -> None:
    live = bench.stripe.live[order.stripe_subscription_id]
    bench.stripe.set_items(live.id, live.items[1:])


def _extra(bench: Bench, order: OrderForm) -> None:
    live = bench.stripe.live[order.stripe_subscription_id]
    bench.stripe.odd["price_x"] = OddPrice("support", "700", metered=True)
    extra = replace(live.items[1], id="si_x", price_id="price_x", lookup_key="")
    bench.stripe.set_items(live.id, [*live.items, extra])


def _collection(bench: Bench, order: OrderForm) -> None:
    bench.stripe.terms[order.stripe_subscription_id].automatic = True


def _ending(bench: Bench, order: OrderForm) -> None:
    ends = int((bench.clock.now() + timedelta(days=9)).timestamp())
    bench.stripe.drift(order.stripe_subscription_id, cancel_at=ends)


def _metadata(bench: Bench, order: OrderForm) -> None:
    bench.stripe.drift(order.stripe_subscription_id, metadata={"account_id": "ACC_ELSE"})


def _doubled(bench: Bench, order: OrderForm) -> None:
    bench.stripe.twin(order.stripe_subscription_id)


DRIFTS: dict[str, Callable[[Bench, OrderForm], None]] = {
    "set_quantity": _seats,
    "swap_price": _price,
    "add_item": _less_usage,
    "remove_item": _extra,
    "set_collection": _collection,
    "set_ending": _ending,
    "set_metadata": _metadata,
    "cancel_subscription": _doubled,
}


@pytest.mark.parametrize("action", DRIFTS)
def test_each_repair_puts_its_difference_right(bench: Bench, order: OrderForm, action: str) -> None:
    before = bench.stripe.seen(order.stripe_subscription_id)
    DRIFTS[action](bench, order)
    (difference,) = bench.found()
    assert difference.finding.action.kind == action
    assert bench.stripe.repairs == []  # nothing is done unless somebody says so
    (done,) = bench.repaired(difference)
    assert (done.state, done.result, done.approved_by) == (S.REPAIRED, difference.finding.action.words, "USR_fin")
    assert bench.found() == []
    after = bench.stripe.seen(order.stripe_subscription_id)
    unnamed = {"items": tuple(item.model_copy(update={"id": ""}) for item in after.items)}
    wanted = {"items": tuple(item.model_copy(update={"id": ""}) for item in before.items)}
    assert after.model_copy(update=unnamed) == before.model_copy(update=wanted)
    assert bench.repair(done.id, WORKER) == done
    assert len(bench.stripe.repairs) == (0 if action == "set_ending" else 1)  # that one is the order's own door


def test_an_item_is_prorated_from_today_where_the_contract_prorates(bench: Bench, order: OrderForm) -> None:
    _no_seats(bench, order)
    (difference,) = bench.found()
    assert difference.finding.kind is DifferenceKind.MISSING_ITEM
    (done,) = bench.repaired(difference)
    assert done.state is S.REPAIRED
    assert set(items(bench, order)) == {
        ("price_of_revops:revops_professional:seat:eur:monthly:5900", 25),
        ("price_of_revops:usage_revops_units:usage:eur:10000:1.5", None),
    }


@pytest.mark.fault("R25")
@pytest.mark.parametrize(
    ("terms", "status", "from_when"),
    [
        ({}, "active", datetime(2026, 11, 19, 23, tzinfo=UTC)),  # the contract's midnight, Berlin
        ({}, "trialing", None),
        ({"proration": False}, "active", None),
    ],
)
def test_what_a_repair_prorates(
    bench: Bench, terms: dict[str, object], status: str, from_when: datetime | None
) -> None:
    order = bench.sold(**terms)
    held = bench.stripe.live[order.stripe_subscription_id].items
    begun = int((bench.clock.now() - timedelta(days=10)).timestamp())
    bench.stripe.set_items(order.stripe_subscription_id, [replace(item, period_start=begun) for item in held])
    spoil(bench, order, quantity=31)
    bench.stripe.drift(order.stripe_subscription_id, status=status)
    assert bench.repaired(*bench.found())[0].state is S.REPAIRED
    assert bench.stripe.prorated == [int(from_when.timestamp()) if from_when else 0]


@pytest.mark.mission("ORD-4")
def test_a_missing_subscription_is_made_by_resuming_its_order(bench: Bench) -> None:
    order = bench.desk.executed()
    bench.clock.advance(hours=2)
    (difference,) = bench.found()
    assert difference.finding.action.kind == "resume_order"
    (done,) = bench.repaired(difference)
    assert done.state is S.REPAIRED
    assert bench.desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    assert len(bench.stripe.subscriptions) == 1
    assert bench.found() == []


def test_what_is_agreed_for_later_is_planned_again(bench: Bench, order: OrderForm) -> None:
    bench.desk.run_until_it_waits(amended(bench.desk, order, seats=40, start_date="2027-02-01").id)
    bench.stripe.forget_future(bench.stripe.live[order.stripe_subscription_id])
    (difference,) = bench.found()
    assert bench.repaired(difference)[0].state is S.REPAIRED
    assert bench.stripe.futures[order.stripe_subscription_id].phases[0].items[0].quantity == 40
    assert bench.found() == []


# -- level-triggered ---------------------------------------------------------------------------------------------------


def test_what_changed_since_the_plan_is_refused(bench: Bench, order: OrderForm) -> None:
    _seats(bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    spoil(bench, order, quantity=99)
    done = bench.repair(difference.id, WORKER)
    assert done.state is S.CHANGED
    assert "nothing was done" in done.result
    assert "99" in done.result
    assert (items(bench, order)[0][1], bench.stripe.repairs) == (99, [])
    again = bench.found()[0]  # a new plan sees it as it is now
    assert bench.repaired(again)[0].state is S.REPAIRED


def test_what_would_be_done_otherwise_by_now_is_refused(bench: Bench) -> None:
    """An end was to be set; that day has passed, and what would help now is to cancel at once: nobody approved that."""
    order = bench.sold(auto_renewal=False)
    bench.stripe.drift(order.stripe_subscription_id, cancel_at=0)
    (difference,) = bench.found()
    assert difference.finding.action.kind == "set_ending"
    bench.approved(difference)
    bench.clock.moment = datetime.combine(order.terms.renewal_date, time(12), UTC) + timedelta(days=1)
    assert bench.repair(difference.id, WORKER).state is S.CHANGED
    assert (bench.stripe.repairs, bench.stripe.live[order.stripe_subscription_id].status) == ([], "active")


def test_an_order_that_was_amended_since_the_plan_is_refused(bench: Bench, order: OrderForm) -> None:
    _seats(bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    bench.desk.run_until_it_waits(amended(bench.desk, order, seats=31, start_date="2026-11-20").id)
    assert bench.repair(difference.id, WORKER).state is S.GONE
    assert items(bench, order)[0][1] == 31


def test_what_is_right_already_needs_nothing(bench: Bench, order: OrderForm) -> None:
    _seats(bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    spoil(bench, order, quantity=25)
    done = bench.repair(difference.id, WORKER)
    assert (done.state, bench.stripe.repairs) == (S.GONE, [])


def test_two_repairs_of_one_subscription_do_not_hinder_each_other(bench: Bench, order: OrderForm) -> None:
    _price(bench, order)
    _collection(bench, order)
    spoil(bench, order, quantity=31)
    done = bench.repaired(*bench.found())
    assert [each.state for each in done] == [S.REPAIRED] * 3
    assert bench.found() == []


def test_two_plans_with_one_difference_repair_it_once(bench: Bench, order: OrderForm) -> None:
    _less_usage(bench, order)
    (first,), (second,) = bench.found(), bench.found()
    bench.approved(first)
    bench.approved(second)
    assert {bench.repair(each.id, WORKER).state for each in (first, second)} == {S.REPAIRED, S.GONE}
    assert len(bench.stripe.live[order.stripe_subscription_id].items) == 2


@pytest.mark.fault("R17")
def test_a_repair_waits_while_another_one_is_under_way(bench: Bench, order: OrderForm) -> None:
    _seats(bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    transaction = begin(WORKER, bench.clock.now())
    claim(transaction, REPAIR, order.id, "another")
    bench.table.commit(transaction)
    with pytest.raises(Unavailable):
        bench.repair(difference.id, WORKER)
    assert bench.stripe.repairs == []
    assert 5 < sum(bench.waits) < 20  # well within a worker's minute


@pytest.mark.fault("R1", "R17")
def test_a_repair_that_was_settled_in_this_moment_keeps_no_other_one_out(bench: Bench, order: OrderForm) -> None:
    """Two messages of one repair: the second had read it before the first one was through."""
    _seats(bench, order)
    _collection(bench, order)
    one, other = bench.approved(*bench.found())
    raced = [True]

    def step_in(_: object) -> None:
        if raced:
            raced.clear()
            assert bench.repair(one.id, WORKER).state is S.REPAIRED

    bench.desk.memory.before_commit = step_in
    with pytest.raises(Contention):
        bench.repair(one.id, WORKER)
    assert bench.repair(one.id, WORKER).state is S.REPAIRED
    assert holder_of(bench.table, REPAIR, order.id) is None
    assert bench.repair(other.id, WORKER).state is S.REPAIRED
    assert len(bench.stripe.repairs) == 2


@pytest.mark.fault("R8", "R9")
@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_provider_does_an_item_is_repaired_once(seed: int) -> None:
    bench = Bench(ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)), seed=seed)
    order = bench.sold()
    _less_usage(bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    bench.stripe.rng = random.Random(seed)
    bench.stripe.likelihood = {mishap: 0.1 for mishap in Mishap if mishap is not Mishap.REFUSED}
    bench.stripe.read_failure = 0.1
    done = difference
    for _ in range(60):
        try:
            done = bench.repair(difference.id, WORKER)
        except (Unavailable, Contention):
            bench.clock.advance(seconds=90)
            continue
        break
    assert done.state is S.REPAIRED
    bench.stripe.settle(everything=True)
    assert len(bench.stripe.live[order.stripe_subscription_id].items) == 2
    assert bench.stripe.violations == []


def test_a_provider_that_declines_says_why(bench: Bench, order: OrderForm) -> None:
    _seats(bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    bench.stripe.likelihood = {Mishap.REFUSED: 1.0}
    done = bench.repair(difference.id, WORKER)
    assert (done.state, done.result) == (S.REFUSED, "declined")


# -- approving ---------------------------------------------------------------------------------------------------------


def test_only_finance_approves_and_only_what_can_be_repaired(bench: Bench, order: OrderForm) -> None:
    bench.stripe.drift(order.stripe_subscription_id, customer_id="cus_else")
    _seats(bench, order)
    wrong, seats = bench.found()
    version = bench.read.report(seats.reconciliation_id, 1, "", FINANCE).run.version
    with pytest.raises(Forbidden):
        bench.approve(seats.reconciliation_id, RepairApproval(version=version, differences=(seats.id,)), REP)
    for named, why in ((wrong.id, "no action"), ("REC_X.Y", "none of this")):
        with pytest.raises(Invalid, match=why):
            bench.approve(seats.reconciliation_id, RepairApproval(version=version, differences=(named,)), FINANCE)
    with pytest.raises(VersionConflict):
        bench.approve(seats.reconciliation_id, RepairApproval(version=version - 1, differences=(seats.id,)), FINANCE)
    assert bench.approved(seats)[0].version == bench.approved(seats)[0].version == 2  # a repeat changes nothing
    bench.repair(seats.id, WORKER)
    with pytest.raises(Invalid, match="is repaired"):
        bench.approved(seats)


def test_a_difference_is_approved_in_the_run_that_found_it(bench: Bench, order: OrderForm) -> None:
    _seats(bench, order)
    (earlier,), (later,) = bench.found(), bench.found()
    version = bench.read.report(later.reconciliation_id, 1, "", FINANCE).run.version
    with pytest.raises(Invalid, match="none of this"):
        bench.approve(later.reconciliation_id, RepairApproval(version=version, differences=(earlier.id,)), FINANCE)
    assert DIFFERENCES.require(bench.table, earlier.id).state is S.OPEN


def test_what_follows_from_each_change(bench: Bench, order: OrderForm) -> None:
    _seats(bench, order)
    (difference,) = bench.found()
    (approved,) = bench.approved(difference)
    change = _change(bench, difference, approved)
    assert work(change) == [("stripe", {"kind": "DIFFERENCE", "entity_id": difference.id})]
    assert events(change) == []
    done = bench.repair(difference.id, WORKER)
    after = _change(bench, approved, done)
    assert work(after) == []
    (told,) = events(after)
    assert (told.name, told.data["outcome"]) == ("DifferenceSettled", "repaired")


def _change(bench: Bench, before: Difference, after: Difference) -> Change:
    held = bench.table.get(DIFFERENCES.key(after.id))
    assert held is not None
    return Change("1", DIFFERENCES.row(before), held)


def test_lost_work_is_handed_over_again(bench: Bench, order: OrderForm) -> None:
    class Queue:
        def __init__(self) -> None:
            self.sent: list[Mapping[str, object]] = []

        def send(self, queue: str, messages: Sequence[Mapping[str, object]]) -> list[int]:
            self.sent += messages
            return []

    _seats(bench, order)
    (difference,) = bench.found()
    bench.approved(difference)
    lost = bench.start("", FINANCE)
    queue = Queue()
    sweep = SweepReconciling(bench.table, bench.clock, queue, bench.start)
    sweep(WORKER)
    assert [each for each in queue.sent if each["entity_id"] in (lost.id, difference.id)] == []
    bench.clock.advance(minutes=11)
    sweep(WORKER)
    assert {each["entity_id"] for each in queue.sent} >= {lost.id, difference.id}

"""What was paused or discounted at the provider is a difference, with what it costs, and how that is rounded."""

import pytest

from revops.api.reconcile import TotalView
from revops.orders.model import OrderStatus
from revops.reconcile.model import DifferenceKind, DifferenceState, Effect, Severity, Total
from tests.builders.fake_stripe import Mishap
from tests.builders.reconcile import Bench

pytestmark = pytest.mark.mission("ORD-7")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_collection_that_is_paused_is_what_does_not_come_in(bench: Bench) -> None:
    order = bench.sold()
    bench.stripe.terms[order.stripe_subscription_id].paused = "void"
    (difference,) = bench.found()
    finding = difference.finding
    assert (finding.kind, finding.severity, finding.action.kind) == (DifferenceKind.PAUSED, Severity.HIGH, "none")
    assert finding.effect is not None
    assert finding.effect.minor == -25 * 5900
    assert difference.state is DifferenceState.OPEN


def test_a_discount_that_was_not_agreed_costs_what_nobody_here_knows(bench: Bench) -> None:
    order = bench.sold()
    bench.stripe.terms[order.stripe_subscription_id].discounts = ("di_one", "di_two")
    run = bench.reconciled()
    (total,) = run.totals
    assert (total.kind, total.count, total.unknown, total.exact) == (DifferenceKind.DISCOUNT, 1, 1, "0")
    (difference,) = bench.found()
    assert difference.finding.actual == "di_one, di_two"


@pytest.mark.mission("ORD-4")
def test_of_two_subscriptions_the_recorded_one_stays_although_it_is_the_younger(bench: Bench) -> None:
    order = bench.sold()
    other = bench.stripe.twin(order.stripe_subscription_id)
    bench.stripe.terms[other].created = 0
    (difference,) = bench.found()
    assert (difference.finding.kind, difference.finding.subscription_id) == (DifferenceKind.DOUBLED, other)
    bench.repaired(difference)
    assert bench.stripe.live[order.stripe_subscription_id].status == "active"


@pytest.mark.mission("ORD-4")
def test_an_order_that_is_blocked_is_looked_at_too(bench: Bench) -> None:
    order = bench.desk.executed()
    bench.stripe.likelihood = {Mishap.REFUSED: 1.0}
    assert bench.desk.run_until_it_waits(order.id).status is OrderStatus.BLOCKED
    bench.stripe.likelihood = {}
    bench.clock.advance(hours=2)
    (difference,) = bench.found()
    finding = difference.finding
    assert (finding.kind, finding.order_id, finding.action.kind) == (DifferenceKind.MISSING, order.id, "resume_order")


def test_a_discount_of_the_order_form_is_in_its_price(bench: Bench) -> None:
    bench.sold(discount_percent="10")
    assert bench.found() == []


@pytest.mark.parametrize(
    ("exact", "minor"),
    [("5/2", 3), ("-5/2", -3), ("7/3", 2), ("-7/3", -2), ("1/3", 0), ("-1/3", 0), ("8/3", 3), ("-4", -4), ("0", 0)],
)
def test_an_effect_is_whole_minor_units_and_half_of_one_goes_up_in_size(exact: str, minor: int) -> None:
    """Of any currency: a yen is a minor unit as a cent is."""
    assert Effect(currency="JPY", exact=exact).minor == minor
    told = {"kind": "price", "severity": "high", "currency": "JPY", "count": 1, "exact": exact}
    assert TotalView.of(Total.model_validate(told)).minor == minor

"""STR-2: the listed precedence, case by case."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from revops.billing import MembershipPolicy, membership_status
from revops.billing.model import (
    AssetApproval,
    BillingFacts,
    InvoiceFact,
    PaymentFact,
    SubscriptionFact,
    merged_facts,
)
from revops.billing.policies import leading_subscription, link_status
from tests.builders.billing import PAYER, START, invoice, payment, subscription

pytestmark = pytest.mark.mission("STR-2")

NOW = START + timedelta(days=10)
STRICT, LENIENT = MembershipPolicy(), MembershipPolicy(grace_days=14)


def _facts(
    *subscriptions: SubscriptionFact,
    unpaid: tuple[InvoiceFact, ...] = (),
    payments: tuple[PaymentFact, ...] = (),
    deleted: bool = False,
) -> BillingFacts:
    return BillingFacts(PAYER, deleted=deleted, subscriptions=subscriptions, unpaid=unpaid, payments=payments)


_BY_HAND = invoice(automatic=False, attempted=False, due_date=NOW - timedelta(days=1))
_LATER = NOW + timedelta(days=3)

CASES = {
    "nothing": (_facts(), "inactive"),
    "active": (_facts(subscription()), "active"),
    "trialing": (_facts(subscription("trialing")), "active"),
    "past_due": (_facts(subscription("past_due"), unpaid=(invoice(),)), "suspended"),
    "past_due without its invoice": (_facts(subscription("past_due")), "suspended"),
    "unpaid": (_facts(subscription("unpaid")), "suspended"),
    "paused": (_facts(subscription("paused")), "suspended"),
    "canceled": (_facts(subscription("canceled")), "inactive"),
    "canceled, still owing": (_facts(subscription("canceled"), unpaid=(invoice(),)), "inactive"),
    "canceled, then a single payment": (_facts(subscription("canceled"), payments=(payment(True),)), "inactive"),
    "first payment open": (_facts(subscription("incomplete"), unpaid=(invoice(attempted=False),)), "inactive"),
    "first payment failed": (_facts(subscription("incomplete"), unpaid=(invoice(),)), "suspended"),
    "first payment never came": (_facts(subscription("incomplete_expired")), "inactive"),
    "ends with the period": (_facts(subscription(cancel_at=_LATER)), "active"),
    "announced end is past": (_facts(subscription(cancel_at=NOW)), "inactive"),
    "one canceled, one active": (_facts(subscription("canceled"), subscription(id_="sub_two")), "active"),
    "one paused, one active": (_facts(subscription("paused"), subscription(id_="sub_two")), "active"),
    "one unpaid, one active": (_facts(subscription("unpaid"), subscription(id_="sub_two")), "suspended"),
    "one past due, one active": (
        _facts(subscription("past_due"), subscription(id_="sub_two"), unpaid=(invoice(),)),
        "suspended",
    ),
    "buying more fails": (
        _facts(subscription("incomplete"), subscription(id_="sub_two"), unpaid=(invoice(),)),
        "active",
    ),
    "fresh invoice, not tried yet": (_facts(subscription(), unpaid=(invoice(attempted=False),)), "active"),
    "by hand, overdue": (_facts(subscription(), unpaid=(_BY_HAND,)), "suspended"),
    "by hand, not due yet": (
        _facts(subscription(), unpaid=(invoice(automatic=False, due_date=_LATER),)),
        "active",
    ),
    "single invoice failed": (_facts(unpaid=(invoice(subscription_id=""),)), "suspended"),
    "single payment succeeded": (_facts(payments=(payment(True),)), "active"),
    "single payment failed": (_facts(payments=(payment(False),)), "suspended"),
    "failed, then paid": (_facts(payments=(payment(False), payment(True, "pi_two", NOW))), "active"),
    "paid, then failed": (_facts(payments=(payment(True), payment(False, "pi_two", NOW))), "suspended"),
    "paid and failed in one second": (_facts(payments=(payment(False, "pi_z"), payment(True, "pi_a"))), "active"),
    "deleted": (_facts(subscription(), deleted=True), "inactive"),
}


def test_a_customer_of_two_payers_outlives_one_of_them() -> None:
    gone, there = _facts(deleted=True), _facts(subscription())
    assert membership_status(merged_facts((gone, there)), NOW, STRICT).status == "active"
    assert membership_status(merged_facts((gone, gone)), NOW, STRICT).status == "inactive"


def test_the_grace_of_a_past_due_subscription_is_that_of_its_invoice() -> None:
    """An upgrade is invoiced in the middle of a period: what failed two days ago did not fail when the period began."""
    fresh = invoice(finalized=NOW - timedelta(days=2))
    running = subscription("past_due", period_start=NOW - timedelta(days=20))
    decision = membership_status(_facts(running, unpaid=(fresh,)), NOW, LENIENT)
    assert (decision.status, decision.until) == ("past_due", fresh.finalized + timedelta(days=14))
    assert membership_status(_facts(running), NOW, LENIENT).status == "suspended"


@pytest.mark.parametrize(("facts", "expected"), CASES.values(), ids=CASES.keys())
def test_without_a_grace(facts: BillingFacts, expected: str) -> None:
    decision = membership_status(facts, NOW, STRICT)
    assert decision.status == expected
    assert decision.reason


@pytest.mark.parametrize(
    "facts",
    [
        _facts(subscription("past_due"), unpaid=(invoice(),)),
        _facts(subscription(), unpaid=(_BY_HAND,)),
        _facts(payments=(payment(False),)),
        _facts(subscription("past_due")),
    ],
)
def test_a_failure_within_the_grace_is_past_due_until_it_ends(facts: BillingFacts) -> None:
    decision = membership_status(facts, NOW, LENIENT)
    assert decision.status == "past_due"
    assert decision.until is not None
    assert membership_status(facts, decision.until, LENIENT).status == "suspended"


def test_the_oldest_failure_ends_the_grace() -> None:
    young = invoice("in_two", finalized=NOW)
    facts = _facts(subscription("past_due"), unpaid=(young, invoice()))
    assert membership_status(facts, NOW, LENIENT).until == START + timedelta(days=14)


def test_what_is_paid_by_hand_waits_for_its_due_date_then_for_the_grace() -> None:
    due = NOW + timedelta(days=2)
    facts = _facts(subscription(), unpaid=(invoice(automatic=False, due_date=due),))
    assert membership_status(facts, NOW, STRICT).until == due
    assert membership_status(facts, due, LENIENT).until == due + timedelta(days=14)


def test_a_failure_ahead_of_our_clock_is_a_failure() -> None:
    facts = _facts(subscription("past_due"), unpaid=(invoice(finalized=NOW + timedelta(days=30)),))
    assert membership_status(facts, NOW, STRICT).status == "suspended"


def test_the_announced_end_comes_by_the_clock() -> None:
    decision = membership_status(_facts(subscription(cancel_at=_LATER)), NOW, STRICT)
    assert decision.until == _LATER


def test_the_profile_shows_the_healthiest_then_the_newest_subscription() -> None:
    newer = subscription(id_="sub_new", created=NOW)
    facts = _facts(subscription("canceled", "sub_old"), subscription("past_due", "sub_due"), subscription(), newer)
    assert leading_subscription(facts, NOW) == newer
    assert leading_subscription(_facts(), NOW) is None


def test_the_file_holds_the_defaults() -> None:
    path = Path(__file__).parents[3] / "config" / "membership.json"
    assert MembershipPolicy.model_validate(json.loads(path.read_text())) == STRICT


@pytest.mark.mission("STR-4")
def test_link_status_of_an_asset() -> None:
    assert {approval.value: link_status(approval).value for approval in AssetApproval} == {
        "approved": "active",
        "pending": "pending",
        "rejected": "inactive",
    }

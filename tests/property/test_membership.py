"""I2: CRM status is a function of Stripe's current objects, the clock and the policy, whatever happens on the way.

The truth moves through a life of a customer; every step leaves an event. The events arrive in any order, repeated,
some with another id, and while the worker is between its fetch and its commit the truth moves on or another worker
commits. In the end the profile, the log and the notes are the same as if all had come in order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from unittest import mock

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from revops.billing import MembershipPolicy, membership_status
from revops.billing import service as billing_service
from revops.billing.model import BillingFacts, MembershipStatus, SubscriptionStatus
from revops.billing.store import FENCE, fence_key
from revops.table import ANYTHING, Row, Transaction
from tests.builders.billing import (
    PAYER,
    START,
    BillingBench,
    event_body,
    invoice,
    payment,
    subscription,
)

pytestmark = [pytest.mark.mission("STR-2", "STR-3"), pytest.mark.fault("R1", "R2")]

_SUB: dict[str, object] = {"id": "sub_one", "object": "subscription", "customer": PAYER}
_IN: dict[str, object] = {
    "id": "in_one",
    "object": "invoice",
    "customer": PAYER,
    "currency": "eur",
    "amount_remaining": 12900,
}
_PI: dict[str, object] = {
    "id": "pi_one",
    "object": "payment_intent",
    "customer": PAYER,
    "currency": "eur",
    "amount": 12900,
}
_HOUR = timedelta(hours=1)

_ACTIVE = BillingFacts(
    PAYER, currency="EUR", subscriptions=(subscription(),), lifetime={"EUR": 100}, invoice_of={"pi_one": "in_one"}
)
_FAILING = replace(_ACTIVE, subscriptions=(subscription("past_due"),), unpaid=(invoice(),))
_ENDED = replace(_ACTIVE, subscriptions=(subscription("canceled"),))

LIFE: tuple[tuple[BillingFacts, str, dict[str, object]], ...] = (
    (replace(_ACTIVE, lifetime={}), "customer.subscription.created", _SUB | {"status": "active"}),
    (_FAILING, "payment_intent.payment_failed", _PI | {"last_payment_error": {"charge": "ch_1", "message": "one"}}),
    (_FAILING, "invoice.payment_failed", _IN | {"attempt_count": 1}),
    (_FAILING, "payment_intent.payment_failed", _PI | {"last_payment_error": {"charge": "ch_2", "message": "two"}}),
    (_ACTIVE, "invoice.paid", _IN | {"amount_paid": 12900, "billing_reason": "subscription_cycle"}),
    (_ACTIVE, "customer.subscription.updated", _SUB | {"status": "active"}),
    (_ENDED, "customer.subscription.deleted", _SUB | {"status": "canceled"}),
)


def _body(step: int, event_id: str) -> str:
    _, type_, object_ = LIFE[step]
    at = START + (step // 2) * _HOUR  # ties: two steps share a second
    return event_body(event_id, type_, object_, at)


def _in_order(length: int) -> dict[str, object]:
    bench = BillingBench()
    for step in range(length):
        bench.stripe.truth[PAYER] = LIFE[step][0]
        bench.work(_body(step, f"evt_{step}"))
    return bench.end_state()


@st.composite
def _arrivals(draw: st.DrawFn) -> tuple[int, list[int]]:
    """How far life went, and the steps whose events arrive: each at least once, in any order."""
    length = draw(st.integers(2, len(LIFE)))
    repeats = draw(st.lists(st.integers(0, length - 1), max_size=4))
    return length, draw(st.permutations([*range(length), *repeats]))


@given(_arrivals())
@settings(max_examples=120, deadline=None)
def test_every_order_and_repeat_ends_the_same(arrivals: tuple[int, list[int]]) -> None:
    length, order = arrivals
    bench = BillingBench()
    bench.stripe.truth[PAYER] = LIFE[length - 1][0]
    for step in order:
        bench.work(_body(step, f"evt_{step}"))
    assert bench.end_state() == _in_order(length)


@given(_arrivals(), st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_workers_and_the_truth_in_any_interleaving(arrivals: tuple[int, list[int]], data: st.DataObject) -> None:
    length, order = arrivals
    bench = BillingBench()
    _run(bench, length, order, [data.draw(st.integers(0, 2)) for _ in order])
    assert bench.end_state() == _in_order(length)


def _run(bench: BillingBench, length: int, order: list[int], depths: list[int]) -> None:
    """Delivers events while the truth moves on. A depth > 0 makes that many of the next deliveries happen, whole,
    between one worker's fetch and its commit. An event arrives once its step has happened."""
    waiting, happened = list(order), 0

    def deliver() -> None:
        nonlocal happened
        if not waiting:
            return
        step = waiting.pop(0)
        if step >= happened:
            happened = step + 1
            bench.stripe.truth[PAYER] = LIFE[step][0]
        depth = depths.pop(0) if depths else 0

        def meanwhile() -> None:
            for _ in range(depth):
                deliver()

        bench.stripe.after_fetch = meanwhile
        bench.work(_body(step, f"evt_{step}"))

    while waiting:
        deliver()
    assert happened == length


@contextmanager
def _planted(name: str) -> Iterator[None]:
    """A convergence with a bug in its fence."""

    def not_bumped(transaction: Transaction, customer_id: str, seen: int) -> None:
        key = fence_key(customer_id)
        transaction.put(Row(pk=key.pk, sk=key.sk, kind=FENCE, version=1), seen or ANYTHING)

    def not_checked(transaction: Transaction, customer_id: str, seen: int) -> None:
        key = fence_key(customer_id)
        transaction.put(Row(pk=key.pk, sk=key.sk, kind=FENCE, version=seen + 1), ANYTHING)

    bugs = {"not bumped": not_bumped, "not checked": not_checked}
    with mock.patch.object(billing_service, "pass_fence", bugs[name]):
        yield


def _slow_worker() -> MembershipStatus:
    """Fetches a failure; before it commits the failure is over and a quick worker found nothing to change."""
    bench = BillingBench()
    bench.stripe.truth[PAYER] = _ACTIVE
    bench.work(_body(0, "evt_0"))
    customer_id = bench.profile().customer.id

    def meanwhile() -> None:
        bench.stripe.truth[PAYER] = _ACTIVE
        bench.converge.converge(customer_id, bench.call)

    bench.stripe.truth[PAYER] = _FAILING
    bench.stripe.after_fetch = meanwhile
    bench.converge.converge(customer_id, bench.call)
    return bench.profile().customer.membership_status


def test_a_fence_that_is_not_bumped_or_not_checked_is_noticed() -> None:
    assert _slow_worker() == "active"
    for bug in ("not bumped", "not checked"):
        with _planted(bug):
            assert _slow_worker() == "suspended", f"the bug '{bug}' goes unnoticed"


# -- the policy as a function -----------------------------------------------------------------------------------------

_MOMENTS = st.integers(-40, 40).map(lambda days: START + timedelta(days=days, hours=days % 7))
_SUBSCRIPTIONS = st.lists(
    st.builds(
        subscription,
        st.sampled_from([status.value for status in SubscriptionStatus]),
        st.sampled_from(["sub_a", "sub_b", "sub_c"]),
        period_start=_MOMENTS,
        cancel_at=st.none() | _MOMENTS,
    ),
    max_size=3,
    unique_by=lambda fact: fact.id,
)
_INVOICES = st.lists(
    st.builds(
        invoice,
        st.sampled_from(["in_a", "in_b", "in_c"]),
        attempted=st.booleans(),
        automatic=st.booleans(),
        finalized=_MOMENTS,
        due_date=st.none() | _MOMENTS,
        subscription_id=st.sampled_from(["sub_a", "sub_b", ""]),
    ),
    max_size=3,
    unique_by=lambda fact: fact.id,
)
_PAYMENTS = st.lists(
    st.builds(payment, st.booleans(), st.sampled_from(["pi_a", "pi_b", "pi_c"]), _MOMENTS),
    max_size=3,
    unique_by=lambda fact: fact.id,
)
_FACTS = st.builds(
    lambda subscriptions, unpaid, payments: BillingFacts(
        PAYER, subscriptions=tuple(subscriptions), unpaid=tuple(unpaid), payments=tuple(payments)
    ),
    _SUBSCRIPTIONS,
    _INVOICES,
    _PAYMENTS,
)
_POLICIES = st.builds(MembershipPolicy, grace_days=st.integers(0, 30))


@given(_FACTS, _MOMENTS, _POLICIES, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_the_order_of_the_facts_does_not_matter(
    facts: BillingFacts, now: datetime, policy: MembershipPolicy, random: Random
) -> None:
    def shuffled[T](items: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(items, len(items)))

    other = replace(
        facts,
        subscriptions=shuffled(facts.subscriptions),
        unpaid=shuffled(facts.unpaid),
        payments=shuffled(facts.payments),
    )
    assert membership_status(facts, now, policy) == membership_status(other, now, policy)


@given(_FACTS, _MOMENTS, _POLICIES, st.floats(0, 1, exclude_max=True))
@settings(max_examples=400, deadline=None)
def test_the_clock_alone_changes_nothing_before_until(
    facts: BillingFacts, now: datetime, policy: MembershipPolicy, part: float
) -> None:
    decision = membership_status(facts, now, policy)
    if decision.until is None:
        later = now + timedelta(days=400 * part)
    else:
        assert membership_status(facts, decision.until, policy).status is not decision.status
        later = now + (decision.until - now) * part
        assume(later < decision.until)
    assert membership_status(facts, later, policy).status is decision.status


@given(_FACTS, _MOMENTS)
@settings(max_examples=200, deadline=None)
def test_without_a_grace_nobody_is_past_due(facts: BillingFacts, now: datetime) -> None:
    assert membership_status(facts, now, MembershipPolicy()).status is not MembershipStatus.PAST_DUE


@given(_FACTS, _MOMENTS, st.integers(0, 29))
@settings(max_examples=200, deadline=None)
def test_a_longer_grace_never_suspends_anybody(facts: BillingFacts, now: datetime, days: int) -> None:
    strict = membership_status(facts, now, MembershipPolicy(grace_days=days)).status
    lenient = membership_status(facts, now, MembershipPolicy(grace_days=days + 1)).status
    assert lenient is strict or (strict, lenient) == (MembershipStatus.SUSPENDED, MembershipStatus.PAST_DUE)

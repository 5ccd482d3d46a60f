"""Exactly one subscription per executed order, whatever fails or repeats; and proof that the schedules would notice."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from revops.kernel import Unavailable
from revops.orders.decisions import Amendment
from revops.orders.model import OrderStatus, Step
from revops.orders.provisioning import create_once
from revops.orders.provisioning.create_once import CreateOnce, Request
from revops.orders.provisioning.creation import Creation
from revops.orders.store import CREATIONS
from revops.orders.workflow import StepTask
from revops.table import begin
from tests.builders.fake_stripe import FakeStripe, Mishap
from tests.builders.orders import REP, WORKER, Desk
from tests.builders.provisioning_schedule import run_schedule

SEEDS = 300
PLANTED = 5_000

pytestmark = pytest.mark.mission("ORD-4")


@pytest.mark.fault("R3", "R8", "R9", "R10")
@pytest.mark.parametrize("block", range(6))
def test_every_schedule_ends_with_one_subscription_per_order(block: int) -> None:
    size = SEEDS // 6
    for seed in range(block * size, (block + 1) * size):
        outcome = run_schedule(seed, orders=1 + seed % 2)
        assert not outcome.faults, outcome


def _never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStripe, "find_subscription", lambda *_: None)


def _never_looks_for_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStripe, "find_customer", lambda *_: None)


def _stays_with_a_spent_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def usable(_: CreateOnce, creation: Creation, *_rest: object) -> Creation:
        return creation

    monkeypatch.setattr(CreateOnce, "_usable_key", usable)


def _takes_a_new_key_while_a_call_may_be_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create_once, "KEY_LIFE", timedelta(0))
    monkeypatch.setattr(create_once, "LEASE", timedelta(0))


def _forgets_that_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create_once, "KEY_LIFE", timedelta(days=10_000))
    original = CreateOnce._lease

    def lease(self: CreateOnce, creation: Creation, *rest: object) -> Creation:
        return original(self, creation, *rest).model_copy(update={"tries": 1})  # type: ignore[arg-type]

    monkeypatch.setattr(CreateOnce, "_lease", lease)


def _thaws_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    original = CreateOnce.__call__

    def thawed(
        self: CreateOnce,
        identifier: str,
        key_prefix: str,
        call: object,
        *,
        freeze: Callable[[], Request],
        find: Callable[[Request], str | None],
        create: Callable[[Request, str], str],
    ) -> str:
        return original(
            self,
            identifier,
            key_prefix,
            call,  # type: ignore[arg-type]
            freeze=freeze,
            find=find,
            create=lambda _, key: create(freeze(), key),
        )

    monkeypatch.setattr(CreateOnce, "__call__", thawed)


@pytest.mark.fault("R9")
@pytest.mark.parametrize(
    "plant",
    [
        _never_looks,
        _never_looks_for_customers,
        _stays_with_a_spent_key,
        _takes_a_new_key_while_a_call_may_be_under_way,
        _forgets_that_keys_are_forgotten,
        _thaws_the_request,
    ],
)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(run_schedule(seed, orders=1 + seed % 2).faults for seed in range(PLANTED))


def test_a_failing_seed_replays_identically() -> None:
    assert run_schedule(17, orders=2) == run_schedule(17, orders=2)


@pytest.mark.fault("R8")
def test_a_lost_answer_is_repeated_with_the_same_key() -> None:
    desk = Desk()
    order = desk.executed()
    desk.stripe.likelihood = {Mishap.LOST_AFTER: 1.0}
    for _ in range(3):
        _provision(desk, order.id)
    desk.stripe.likelihood = {}
    _provision(desk, order.id)
    keys = [call for call in desk.stripe.calls if call.startswith("create_subscription")]
    assert set(keys) == {f"create_subscription of:{order.id}:v1:subscription"}
    assert len(desk.stripe.subscriptions_of(order.id)) == 1


@pytest.mark.fault("R9")
def test_a_saved_failure_leads_to_a_look_and_then_to_the_next_key() -> None:
    desk = Desk()
    order = desk.executed()
    _fail_once(desk, "create_subscription", Mishap.FAILED_BEFORE)
    _provision(desk, order.id)
    _provision(desk, order.id)
    calls = [call for call in desk.stripe.calls if "subscription" in call]
    assert calls[-3:] == [
        f"create_subscription of:{order.id}:v1:subscription",
        "find_subscription",
        f"create_subscription of:{order.id}:v2:subscription",
    ]
    assert len(desk.stripe.subscriptions_of(order.id)) == 1


@pytest.mark.fault("R9")
def test_a_saved_failure_that_did_its_work_is_found_and_not_repeated() -> None:
    desk = Desk()
    order = desk.executed()
    _fail_once(desk, "create_subscription", Mishap.FAILED_AFTER)
    _provision(desk, order.id)
    _provision(desk, order.id)
    assert not [call for call in desk.stripe.calls if ":v2:" in call]
    assert desk.order(order.id).stripe_subscription_id == desk.stripe.subscriptions_of(order.id)[0]


@pytest.mark.fault("R10")
def test_after_a_day_the_provider_is_asked_first() -> None:
    desk = Desk()
    order = desk.executed()
    _fail_once(desk, "create_subscription", Mishap.LOST_AFTER)
    _provision(desk, order.id)
    desk.clock.advance(hours=25)
    seen = len(desk.stripe.calls)
    _provision(desk, order.id)
    assert [call for call in desk.stripe.calls[seen:] if "subscription" in call] == ["find_subscription"]
    assert len(desk.stripe.subscriptions_of(order.id)) == 1


@pytest.mark.fault("R10")
@pytest.mark.parametrize(("hours", "number"), [(22, 1), (23, 2), (25, 2)])
def test_a_key_is_left_before_the_provider_forgets_it(hours: int, number: int) -> None:
    desk = Desk()
    order = desk.executed()
    _fail_once(desk, "create_subscription", Mishap.LOST_BEFORE)
    _provision(desk, order.id)
    desk.clock.advance(hours=hours)
    _provision(desk, order.id)
    assert desk.stripe.calls[-1] == f"create_subscription of:{order.id}:v{number}:subscription"
    assert len(desk.stripe.subscriptions_of(order.id)) == 1


@pytest.mark.fault("R8", "R10")
def test_nobody_takes_the_next_key_while_a_call_with_the_old_one_is_under_way() -> None:
    """The answer to a call is lost half a minute before its key grows old, and the call arrives a minute late."""
    desk = Desk()
    order = desk.executed()
    mishaps = iter([Mishap.LOST_BEFORE, Mishap.LATE])

    def between(moment: str) -> None:
        if moment == "before create_subscription":
            desk.stripe.likelihood = {mishap: 1.0 for mishap in [next(mishaps, None)] if mishap}

    desk.stripe.between = between
    desk.stripe.rng = _AsLateAsCanBe(1)
    _provision(desk, order.id)
    desk.clock.advance(hours=22, minutes=59, seconds=30)
    _provision(desk, order.id)
    desk.clock.advance(seconds=40)
    _provision(desk, order.id)
    desk.clock.advance(seconds=60)
    _provision(desk, order.id)
    assert [call for call in desk.stripe.calls if call.startswith("create_sub")] == [
        f"create_subscription of:{order.id}:v1:subscription"
    ] * 2
    assert desk.order(order.id).stripe_subscription_id == desk.stripe.subscriptions_of(order.id)[0]
    assert len(desk.stripe.subscriptions_of(order.id)) == 1


@pytest.mark.fault("R8", "R10")
def test_a_second_worker_waits_while_the_first_is_at_the_provider() -> None:
    """The key grows old while the first worker's call is on the line: a second one would take the next key."""
    desk = Desk()
    order = desk.executed()
    _fail_once(desk, "create_subscription", Mishap.LOST_BEFORE)
    _provision(desk, order.id)
    desk.clock.advance(hours=22, minutes=59, seconds=50)
    waited: list[str] = []

    def second(moment: str) -> None:
        if moment != "before create_subscription":
            return
        desk.stripe.between = lambda _: None
        desk.clock.advance(seconds=20)
        with pytest.raises(Unavailable, match="another attempt is under way") as refused:
            desk.run(StepTask(order.id, Step.PROVISION), WORKER)
        waited.append(refused.value.detail)

    desk.stripe.between, desk.stripe.likelihood = second, {}
    _provision(desk, order.id)
    assert len(waited) == 1
    assert len(desk.stripe.subscriptions_of(order.id)) == 1


@pytest.mark.fault("R9", "R10")
def test_a_key_that_was_used_before_we_knew_of_it_leads_to_a_look() -> None:
    """The table was brought back to a time before the first call: the first attempt that it knows of meets a saved
    failure, behind which the subscription stands."""
    desk = Desk()
    order = desk.executed()
    _fail_once(desk, "create_subscription", Mishap.FAILED_AFTER)
    _provision(desk, order.id)
    transaction = begin(WORKER, desk.clock.now())
    transaction.delete(CREATIONS.key(f"SUBSCRIPTION#{order.id}"))
    desk.table.commit(transaction)
    _provision(desk, order.id)
    assert desk.order(order.id).stripe_subscription_id == desk.stripe.subscriptions_of(order.id)[0]
    assert len(desk.stripe.subscriptions_of(order.id)) == 1


@pytest.mark.fault("R9")
def test_the_next_key_goes_with_the_request_as_it_is_by_then() -> None:
    """What was refused before the start is asked for after it: a start in the past would be refused for ever."""
    desk = Desk()
    order = desk.executed(start_date="2026-11-22")
    _fail_once(desk, "create_subscription", Mishap.REFUSED)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.BLOCKED
    desk.clock.advance(days=3)
    desk.resume(order.id, Amendment(), REP)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    (made,) = desk.stripe.subscriptions.values()
    assert made.starts_at == 0
    assert not desk.stripe.violations


def test_only_an_executed_order_provisions() -> None:
    desk = Desk()
    order = desk.submitted()
    for _ in range(3):
        for step in Step:
            desk.run(StepTask(order.id, step), WORKER)
    assert desk.order(order.id).status is OrderStatus.AWAITING_SIGNATURE
    assert desk.stripe.calls == []


def test_orders_of_one_account_share_its_customer() -> None:
    desk = Desk()
    first = desk.executed()
    second = desk.executed(account_id=first.account_id, contact_email="other@musterwerk.example")
    for order in (first, second):
        desk.run_until_it_waits(order.id)
    assert len(desk.stripe.customers) == 1
    assert {s.customer_id for s in desk.stripe.subscriptions.values()} == set(desk.stripe.customers)


class _AsLateAsCanBe(random.Random):
    def randint(self, a: int, b: int) -> int:
        return b


def _provision(desk: Desk, order_id: str) -> None:
    try:
        desk.run(StepTask(order_id, Step.PROVISION), WORKER)
    except Unavailable:
        return  # the execution comes again


def _fail_once(desk: Desk, name: str, mishap: Mishap) -> None:
    """The first call of a name goes wrong, all others go well."""

    def between(moment: str) -> None:
        first = sum(call.startswith(name) for call in desk.stripe.calls) == 1
        desk.stripe.likelihood = {mishap: 1.0} if moment == f"before {name}" and first else {}

    desk.stripe.between = between

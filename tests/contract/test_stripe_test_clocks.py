"""Test clocks of the Stripe simulator: customers in a time of their own, and everyone else in the simulator's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from tests.contract.stripe_harness import DAY, Bench, period_of, serving, wait_for

START = int(datetime(2020, 1, 31, 10, tzinfo=UTC).timestamp())
HOUR = 3_600


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with serving(tmp_path_factory.mktemp("stripe"), test_clock_seconds=0) as bench:
        yield bench


def _clock(bench: Bench, at: int = START, **more: Any) -> str:
    params: Any = {"frozen_time": at, **more}
    return bench.client.v1.test_helpers.test_clocks.create(params).id


def _advance(bench: Bench, clock: str, to: int) -> None:
    clocks = bench.client.v1.test_helpers.test_clocks
    started = clocks.advance(clock, {"frozen_time": to})
    assert started.status == "advancing"
    assert started.status_details.advancing is not None
    assert started.status_details.advancing.target_frozen_time == to
    there = clocks.retrieve(clock)
    assert (there.status, there.frozen_time, hasattr(there.status_details, "advancing")) == ("ready", to, False)


@contextmanager
def _slow_clocks(bench: Bench) -> Iterator[None]:
    """The simulator starts again with advances that take an hour, and afterwards with those that take no time."""
    _restart(bench, 3_600)
    try:
        yield
    finally:
        _restart(bench, 0)


def _restart(bench: Bench, seconds: int) -> None:
    bench.stop()
    bench.config["test_clock_seconds"] = seconds
    bench.start()


def _invoices(bench: Bench, customer: str) -> list[stripe.Invoice]:
    return bench.client.v1.invoices.list({"customer": customer, "limit": 100}).data[::-1]


def test_a_year_of_renewals_by_one_clock_while_another_customer_stands_still(bench: Bench) -> None:
    clock, price = _clock(bench, name="A year"), bench.price()
    clocked, other = bench.customer(test_clock=clock), bench.customer()
    subscription, still = bench.subscribe(clocked.id, price.id), bench.subscribe(other.id, price.id)
    assert (clocked.created, clocked.test_clock, subscription.test_clock) == (START, clock, clock)
    assert (other.test_clock, still.test_clock) == (None, None)
    assert abs(still.created - time.time()) < 300
    starts = [START]
    for _ in range(12):
        starts.append(period_of(bench.client.v1.subscriptions.retrieve(subscription.id))[1])
        _advance(bench, clock, starts[-1] + 2 * HOUR)
    year = [datetime.fromtimestamp(start, UTC) for start in starts]
    assert [(each.month, each.day) for each in year[:4]] == [(1, 31), (2, 29), (3, 31), (4, 30)]
    assert year[-1] == datetime(2021, 1, 31, 10, tzinfo=UTC)
    bills = _invoices(bench, clocked.id)
    assert [bill.created for bill in bills] == starts
    assert {(bill.status, bill.test_clock, bill.amount_paid) for bill in bills} == {("paid", clock, 1500)}
    assert [bill.status_transitions.paid_at for bill in bills[1:]] == [start + HOUR for start in starts[1:]]
    intents = bench.client.v1.payment_intents.list({"customer": clocked.id, "limit": 100}).data
    assert [intent.created for intent in intents[::-1]][1:] == [start + HOUR for start in starts[1:]]
    assert len(_invoices(bench, other.id)) == 1
    assert period_of(bench.client.v1.subscriptions.retrieve(still.id)) == period_of(still)
    bench.types()
    told = [event for event in bench.receiver.events if event["data"]["object"].get("customer") == clocked.id]
    renewals = [event for event in told if event["type"] == "invoice.created"]
    assert [event["created"] for event in renewals] == [event["data"]["object"]["created"] for event in renewals]
    assert [event["created"] for event in renewals] == starts


def test_the_simulators_own_time_does_not_move_a_clock(bench: Bench) -> None:
    clock, price = _clock(bench, int(time.time())), bench.price(interval="week")
    clocked, other = bench.customer(test_clock=clock), bench.customer()
    subscription, moving = bench.subscribe(clocked.id, price.id), bench.subscribe(other.id, price.id)
    bench.advance(15 * DAY)
    assert len(_invoices(bench, other.id)) == 3
    assert period_of(bench.client.v1.subscriptions.retrieve(moving.id)) != period_of(moving)
    assert len(_invoices(bench, clocked.id)) == 1
    assert period_of(bench.client.v1.subscriptions.retrieve(subscription.id)) == period_of(subscription)
    _advance(bench, clock, period_of(subscription)[1] + 2 * HOUR)
    assert (len(_invoices(bench, clocked.id)), len(_invoices(bench, other.id))) == (2, 3)


def test_drafts_and_planned_schedules_wait_for_the_clock(bench: Bench) -> None:
    clock, price, v1 = _clock(bench), bench.price(), bench.client.v1
    customer = bench.customer(test_clock=clock)
    phase: Any = {"items": [{"price": price.id}], "duration": {"interval": "month", "interval_count": 1}}
    planned = v1.subscription_schedules.create({"customer": customer.id, "start_date": START + DAY, "phases": [phase]})
    v1.invoice_items.create({"customer": customer.id, "amount": 500, "currency": "gbp"})
    draft = v1.invoices.create(
        {"customer": customer.id, "auto_advance": True, "pending_invoice_items_behavior": "include"}
    )

    def states() -> tuple[str | None, str]:
        return v1.invoices.retrieve(draft.id).status, v1.subscription_schedules.retrieve(planned.id).status

    bench.advance(5 * DAY)
    assert states() == ("draft", "not_started")
    _advance(bench, clock, START + 5 * DAY)
    assert states() == ("paid", "active")


def test_a_direct_debit_settles_by_the_clock(bench: Bench) -> None:
    clock, intents = _clock(bench), bench.client.v1.payment_intents
    debit: Any = {"amount": 900, "currency": "usd", "payment_method": "pm_usBankAccount_success", "confirm": True}
    debits = [debit | {"customer": each.id} for each in (bench.customer(test_clock=clock), bench.customer())]
    clocked, other = (intents.create(each) for each in debits)
    bench.advance(5 * DAY)
    assert [intents.retrieve(each.id).status for each in (clocked, other)] == ["processing", "succeeded"]
    _advance(bench, clock, START + 5 * DAY)
    charge = bench.client.v1.charges.retrieve(str(intents.retrieve(clocked.id).latest_charge))
    assert (charge.status, charge.created) == ("succeeded", START + 4 * DAY)


def test_dunning_runs_to_its_end_by_the_clock(bench: Bench) -> None:
    clock = _clock(bench)
    customer = bench.customer(test_clock=clock)
    subscription = bench.subscribe(customer.id, bench.price().id)
    failing = bench.client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    bench.client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": failing.id}})
    end = period_of(subscription)[1]
    _advance(bench, clock, end + 2 * HOUR)
    assert bench.client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert bench.client.v1.customers.retrieve(customer.id).delinquent is True
    assert _invoices(bench, customer.id)[-1].next_payment_attempt == end + HOUR + DAY
    _advance(bench, clock, end + 3 * DAY)
    ended = bench.client.v1.subscriptions.retrieve(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", end + HOUR + DAY)
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    bench.types()
    failures = [event["created"] for event in bench.receiver.events if event["type"] == "invoice.payment_failed"]
    assert failures == [end + HOUR, end + HOUR + DAY]


def test_a_schedule_starts_changes_phase_and_releases_by_the_clock(bench: Bench) -> None:
    clock, price = _clock(bench), bench.price()
    customer = bench.customer(test_clock=clock)
    begin = START + 10 * DAY
    month: Any = {"duration": {"interval": "month", "interval_count": 1}}
    phases: Any = [{"items": [{"price": price.id, "quantity": number}], **month} for number in (1, 4)]
    schedules = bench.client.v1.subscription_schedules
    schedule = schedules.create({"customer": customer.id, "start_date": begin, "phases": phases})
    assert (schedule.created, schedule.status, schedule.test_clock) == (START, "not_started", clock)
    _advance(bench, clock, begin + HOUR)
    running = schedules.retrieve(schedule.id)
    assert running.status == "active"
    subscription = bench.client.v1.subscriptions.retrieve(str(running.subscription))
    assert (subscription.created, subscription.test_clock) == (begin, clock)
    _advance(bench, clock, schedule.phases[0].end_date + HOUR)
    assert bench.client.v1.subscriptions.retrieve(subscription.id).items.data[0].quantity == 4
    _advance(bench, clock, schedule.phases[1].end_date + HOUR)
    over = schedules.retrieve(schedule.id)
    assert (over.status, over.released_at) == ("released", schedule.phases[1].end_date)


def test_what_is_done_for_a_clocked_customer_happens_at_its_time(bench: Bench) -> None:
    clock, price, v1 = _clock(bench), bench.price(), bench.client.v1
    customer = bench.customer(test_clock=clock)
    trial = bench.subscribe(customer.id, price.id, trial_period_days=14)
    assert trial.trial_end == START + 14 * DAY
    _advance(bench, clock, START + 14 * DAY + 2 * HOUR)
    now = START + 14 * DAY + 2 * HOUR
    assert v1.subscriptions.retrieve(trial.id).status == "active"
    changed = v1.subscription_items.update(trial.items.data[0].id, {"quantity": 3})
    assert changed.quantity == 3
    pending = v1.invoice_items.list({"customer": customer.id}).data
    assert {(item.date, item.test_clock) for item in pending} == {(now, clock)}
    item = v1.invoice_items.create({"customer": customer.id, "amount": 500, "currency": "gbp"})
    draft = v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert (item.date, draft.created, draft.test_clock) == (now, now, clock)
    paid = v1.invoices.pay(draft.id)
    assert paid.status_transitions.paid_at == now
    note = v1.credit_notes.create({"invoice": draft.id, "amount": 100, "refund_amount": 100})
    refunded = v1.refunds.retrieve(str(note.refunds[0].refund))
    intent = v1.payment_intents.create({"customer": customer.id, "amount": 700, "currency": "gbp"})
    setup = v1.setup_intents.create({"customer": customer.id})
    assert {note.created, refunded.created, intent.created, setup.created} == {now}
    cancelled = v1.payment_intents.cancel(intent.id)
    assert cancelled.canceled_at == now
    grant = v1.billing.credit_grants.create(
        {
            "customer": customer.id,
            "amount": {"type": "monetary", "monetary": {"currency": "gbp", "value": 900}},
            "applicability_config": {"scope": {"price_type": "metered"}},
        }
    )
    assert (grant.created, grant.test_clock) == (now, clock)
    preview = v1.invoices.create_preview({"customer": customer.id, "subscription": trial.id})
    assert (preview.created, preview.test_clock) == (now, clock)


def test_usage_counts_at_the_clocks_time(bench: Bench) -> None:
    clock, v1 = _clock(bench), bench.client.v1
    meter = v1.billing.meters.create(
        {"display_name": "Units", "event_name": "units", "default_aggregation": {"formula": "sum"}}
    )
    customer = bench.customer(test_clock=clock)
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    item: Any = {"price": bench.price(2, recurring=recurring).id}
    subscription = v1.subscriptions.create({"customer": customer.id, "items": [item]})
    payload = {"stripe_customer_id": customer.id, "value": "50"}
    assert v1.billing.meter_events.create({"event_name": "units", "payload": payload}).timestamp == START
    with pytest.raises(stripe.InvalidRequestError) as early:
        v1.billing.meter_events.create({"event_name": "units", "payload": payload, "timestamp": int(time.time())})
    assert early.value.code == "timestamp_in_future"
    _advance(bench, clock, period_of(subscription)[1] + 2 * HOUR)
    assert _invoices(bench, customer.id)[-1].amount_paid == 100


def test_a_clock_moves_forward_and_not_too_far(bench: Bench) -> None:
    clocks = bench.client.v1.test_helpers.test_clocks
    clock = _clock(bench)
    two_years = int(datetime(2022, 1, 31, 10, tzinfo=UTC).timestamp())
    for wrong in (START, START - DAY, two_years + 1):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            clocks.advance(clock, {"frozen_time": wrong})
        assert (refused.value.http_status, refused.value.param) == (400, "frozen_time")
    _advance(bench, clock, two_years)
    customer, yearly = bench.customer(test_clock=clock), bench.price(interval="year")
    bench.subscribe(customer.id, yearly.id)
    monthly = bench.subscribe(customer.id, bench.price().id)
    two_months = int(datetime(2022, 3, 31, 10, tzinfo=UTC).timestamp())
    with pytest.raises(stripe.InvalidRequestError) as far:
        clocks.advance(clock, {"frozen_time": two_months + 1})
    assert f"You can only advance it up to {two_months} (2022-03-31 10:00:00 UTC)" in str(far.value.user_message)
    assert clocks.retrieve(clock).frozen_time == two_years
    bench.client.v1.subscriptions.cancel(monthly.id)
    _advance(bench, clock, two_months + 1)


def test_a_clock_has_three_customers_with_three_subscriptions_each(bench: Bench) -> None:
    clock, price = _clock(bench), bench.price()
    one, *others = [bench.customer(test_clock=clock) for _ in range(3)]
    with pytest.raises(stripe.InvalidRequestError) as full:
        bench.customer(test_clock=clock)
    assert full.value.param == "test_clock"
    bench.client.v1.customers.delete(others[0].id)
    assert bench.customer(test_clock=clock).test_clock == clock
    made = [bench.subscribe(one.id, price.id) for _ in range(2)]
    phase: Any = {"items": [{"price": price.id}], "duration": {"interval": "month", "interval_count": 1}}
    planned: Any = {"customer": one.id, "start_date": START + DAY, "phases": [phase]}
    bench.client.v1.subscription_schedules.create(planned)
    with pytest.raises(stripe.InvalidRequestError):
        bench.subscribe(one.id, price.id)
    with pytest.raises(stripe.InvalidRequestError):
        bench.client.v1.subscription_schedules.create(planned)
    bench.client.v1.subscription_schedules.create({"from_subscription": made[0].id})
    _advance(bench, clock, START + 2 * DAY)
    assert len(bench.client.v1.subscriptions.list({"customer": one.id}).data) == 3


def test_only_a_clock_that_exists_can_be_named(bench: Bench) -> None:
    v1 = bench.client.v1
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        bench.customer(test_clock="clock_none")
    assert (unknown.value.code, unknown.value.param) == ("resource_missing", "test_clock")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        v1.test_helpers.test_clocks.advance("clock_none", {"frozen_time": START})
    assert missing.value.http_status == 404
    later: Any = {"test_clock": _clock(bench)}
    with pytest.raises(stripe.InvalidRequestError) as joined:
        v1.customers.update(bench.customer().id, later)
    assert joined.value.code == "parameter_unknown"


def test_nothing_of_a_clock_changes_while_it_advances(bench: Bench) -> None:
    clock, price, v1 = _clock(bench), bench.price(), bench.client.v1
    customer, other = bench.customer(test_clock=clock), bench.customer()
    subscription = bench.subscribe(customer.id, price.id)
    end = period_of(subscription)[1]
    with _slow_clocks(bench):
        v1.test_helpers.test_clocks.advance(clock, {"frozen_time": end + 2 * HOUR})
        refused: list[Any] = [
            lambda: v1.test_helpers.test_clocks.advance(clock, {"frozen_time": end + DAY}),
            lambda: v1.test_helpers.test_clocks.delete(clock),
            lambda: v1.subscriptions.update(subscription.id, {"metadata": {"seen": "1"}}),
            lambda: bench.subscribe(customer.id, price.id),
            lambda: bench.customer(test_clock=clock),
        ]
        for call in refused:
            with pytest.raises(stripe.RateLimitError) as busy:
                call()
            assert busy.value.user_message == f"Test clock advancement underway - cannot perform modifications: {clock}"
        under_way = v1.test_helpers.test_clocks.retrieve(clock)
        assert (under_way.status, under_way.frozen_time) == ("advancing", START)
        assert period_of(v1.subscriptions.retrieve(subscription.id))[0] == end
        assert bench.subscribe(other.id, price.id).status == "active"
        assert bench.types(clock).count("test_helpers.test_clock.ready") == 0
    assert v1.test_helpers.test_clocks.retrieve(clock).frozen_time == end + 2 * HOUR
    assert v1.subscriptions.update(subscription.id, {"metadata": {"seen": "1"}}).metadata["seen"] == "1"


def test_a_clock_tells_what_becomes_of_it(bench: Bench) -> None:
    clock = _clock(bench)
    bench.client.v1.test_helpers.test_clocks.advance(clock, {"frozen_time": START + DAY})
    wait_for(lambda: "test_helpers.test_clock.ready" in bench.types(clock))
    bench.client.v1.test_helpers.test_clocks.delete(clock)
    told = [f"test_helpers.test_clock.{what}" for what in ("created", "advancing", "ready", "deleted")]
    assert bench.types(clock) == told
    shown = [event["data"]["object"] for event in bench.receiver.events]
    assert [each["frozen_time"] for each in shown] == [START, START, START + DAY, START + DAY]
    assert [each["status"] for each in shown] == ["ready", "advancing", "ready", "ready"]
    assert all(abs(event["created"] - time.time()) < 300 for event in bench.receiver.events)


def test_a_deleted_clock_takes_its_customers_and_their_subscriptions_along(bench: Bench) -> None:
    clock, price, v1 = _clock(bench), bench.price(), bench.client.v1
    clocked, other = bench.customer(test_clock=clock), bench.customer()
    subscription, kept = bench.subscribe(clocked.id, price.id), bench.subscribe(other.id, price.id)
    schedule = v1.subscription_schedules.create(
        {"customer": clocked.id, "start_date": START + DAY, "phases": [{"items": [{"price": price.id}]}]}
    )
    gone = v1.test_helpers.test_clocks.delete(clock)
    assert (gone.id, gone.deleted) == (clock, True)
    assert v1.customers.retrieve(clocked.id).deleted is True
    ended = v1.subscriptions.retrieve(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", START)
    assert v1.subscription_schedules.retrieve(schedule.id).status == "canceled"
    assert v1.subscriptions.retrieve(kept.id).status == "active"
    assert v1.test_helpers.test_clocks.list().data == []
    with pytest.raises(stripe.InvalidRequestError):
        v1.test_helpers.test_clocks.retrieve(clock)


def test_a_clock_is_kept_for_thirty_days(bench: Bench) -> None:
    clock = bench.client.v1.test_helpers.test_clocks.create({"frozen_time": START})
    customer = bench.customer(test_clock=clock.id)
    assert clock.deletes_after == clock.created + 30 * DAY
    bench.advance(30 * DAY - 300)
    assert [each.id for each in bench.client.v1.test_helpers.test_clocks.list().data] == [clock.id]
    bench.advance(600)
    assert bench.client.v1.test_helpers.test_clocks.list().data == []
    assert bench.client.v1.customers.retrieve(customer.id).deleted is True


def test_lists_leave_clocked_objects_out_unless_a_parent_is_named(bench: Bench) -> None:
    clock, price, v1 = _clock(bench, START + 20 * 365 * DAY), bench.price(), bench.client.v1
    clocked, other = bench.customer(test_clock=clock), bench.customer()
    mine, theirs = bench.subscribe(clocked.id, price.id), bench.subscribe(other.id, price.id)
    assert [each.id for each in v1.customers.list().data] == [other.id]
    assert [each.id for each in v1.customers.list({"test_clock": clock}).data] == [clocked.id]
    assert [each.id for each in v1.subscriptions.list().data] == [theirs.id]
    assert [each.id for each in v1.subscriptions.list({"test_clock": clock}).data] == [mine.id]
    assert [each.id for each in v1.subscriptions.list({"customer": clocked.id}).data] == [mine.id]
    assert [each.customer for each in v1.invoices.list().data] == [other.id]
    assert [each.customer for each in v1.invoices.list({"subscription": mine.id}).data] == [clocked.id]
    found = v1.customers.search({"query": f"metadata['none']:null AND created>{START}"})
    assert {each.id for each in found.data} == {clocked.id, other.id}
    shown: Any = v1.customers.retrieve(clocked.id, {"expand": ["test_clock"]}).test_clock
    assert shown.frozen_time == START + 20 * 365 * DAY


def test_a_customer_who_lives_already_can_join_a_new_clock(bench: Bench) -> None:
    customer = bench.customer()
    subscription = bench.subscribe(customer.id, bench.price().id)
    end = period_of(subscription)[1]
    clock = _clock(bench, subscription.created + DAY, customer=customer.id)
    assert bench.client.v1.customers.retrieve(customer.id).test_clock == clock
    with pytest.raises(stripe.InvalidRequestError):
        _clock(bench, customer=customer.id)
    _advance(bench, clock, end + 2 * HOUR)
    renewed = bench.client.v1.subscriptions.retrieve(subscription.id)
    assert (renewed.test_clock, period_of(renewed)[0]) == (clock, end)
    assert [bill.test_clock for bill in _invoices(bench, customer.id)] == [clock, clock]

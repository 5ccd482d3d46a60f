"""What the Stripe simulator tells ahead of time, seen through the official client."""

from typing import Any

import pytest

from tests.contract.stripe_harness import DAY, Bench, period_of, wait_for

pytestmark = pytest.mark.usefixtures("no_violations")


def _told(bench: Bench, type_: str) -> list[dict[str, Any]]:
    wait_for(lambda: bench.sim("GET", "health")["pending_deliveries"] == 0)
    return [event["data"]["object"] for event in bench.receiver.events if event["type"] == type_]


def test_a_renewal_is_told_of_once_a_period_as_its_preview(bench: Bench) -> None:
    customer = bench.customer()
    coupon = bench.client.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    subscription = bench.subscribe(customer.id, bench.price().id, discounts=[{"coupon": coupon.id}])
    start, end = period_of(subscription)
    bench.client.v1.invoice_items.create({"customer": customer.id, "amount": 200, "currency": "gbp"})
    bench.advance_to(end - 7 * DAY - 60)
    assert _told(bench, "invoice.upcoming") == []
    bench.advance(120)
    (foretold,) = _told(bench, "invoice.upcoming")
    preview = bench.client.v1.invoices.create_preview({"subscription": subscription.id})
    assert "id" not in foretold
    assert (foretold["total"], foretold["amount_due"], foretold["status"]) == (preview.total, 1_530, "draft")
    assert sorted(line["amount"] for line in foretold["lines"]["data"]) == sorted(one.amount for one in preview.lines)
    assert foretold["parent"]["subscription_details"]["subscription"] == subscription.id
    assert (foretold["period_start"], foretold["period_end"]) == (start, end)
    assert (foretold["billing_reason"], foretold["next_payment_attempt"]) == ("upcoming", end + 3_600)
    after = bench.client.v1.subscriptions.retrieve(subscription.id)
    assert period_of(after) == (start, end), "nothing was changed by telling"
    bench.advance_to(end + 2 * 3_600)
    assert len(_told(bench, "invoice.upcoming")) == 1
    assert bench.client.v1.invoices.list({"customer": customer.id}).data[0].total == foretold["total"]
    bench.advance(31 * DAY)
    assert len(_told(bench, "invoice.upcoming")) == 2


def test_usage_so_far_and_only_what_renews_first_is_in_it(bench: Bench) -> None:
    customer = bench.customer().id
    meter = bench.client.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    metered = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    calls, seats = bench.price(10, recurring=metered), bench.price(90_000, "year")
    items: Any = [{"price": calls.id}, {"price": seats.id, "quantity": 1}]
    made = bench.client.v1.subscriptions.create({"customer": customer, "items": items})
    payload = {"stripe_customer_id": customer, "value": "30"}
    bench.client.v1.billing.meter_events.create({"event_name": "calls", "payload": payload})
    bench.advance_to(period_of(made)[1] - 6 * DAY)
    (foretold,) = _told(bench, "invoice.upcoming")
    assert [line["amount"] for line in foretold["lines"]["data"]] == [300]


@pytest.mark.parametrize(
    "change",
    [{"cancel_at_period_end": True}, {"pause_collection": {"behavior": "void"}}],
    ids=["it ends", "its collection is paused"],
)
def test_no_renewal_is_told_of(bench: Bench, change: Any) -> None:
    subscription = bench.subscribe(bench.customer().id, bench.price().id)
    bench.client.v1.subscriptions.update(subscription.id, change)
    bench.advance_to(period_of(subscription)[1] - DAY)
    assert _told(bench, "invoice.upcoming") == []


def test_a_short_period_begins_too_late_for_a_notice(bench: Bench) -> None:
    bench.subscribe(bench.customer().id, bench.price(interval="week").id)
    bench.advance(20 * DAY)
    assert _told(bench, "invoice.upcoming") == []


@pytest.mark.parametrize(("days", "times"), [(30, 1), (7, 0)])
def test_a_sent_invoice_will_be_due(bench: Bench, days: int, times: int) -> None:
    customer = bench.customer().id
    bench.client.v1.invoice_items.create({"customer": customer, "amount": 900, "currency": "gbp"})
    terms: Any = {"collection_method": "send_invoice", "days_until_due": days}
    made = bench.client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"} | terms)
    sent = bench.client.v1.invoices.finalize_invoice(made.id)
    assert sent.due_date
    bench.advance(max(days - 8, 0) * DAY)
    assert _told(bench, "invoice.will_be_due") == []
    bench.advance_to(sent.due_date + DAY)
    told = _told(bench, "invoice.will_be_due")
    assert [(one["id"], one["status"], one["amount_remaining"]) for one in told] == [(sent.id, "open", 900)] * times
    assert len(_told(bench, "invoice.overdue")) == 1


def test_a_paid_invoice_will_not_be_due(bench: Bench) -> None:
    customer = bench.customer().id
    bench.client.v1.invoice_items.create({"customer": customer, "amount": 900, "currency": "gbp"})
    terms: Any = {"collection_method": "send_invoice", "days_until_due": 30}
    made = bench.client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"} | terms)
    bench.client.v1.invoices.pay(made.id)
    bench.advance(40 * DAY)
    assert _told(bench, "invoice.will_be_due") == []


def _schedule(bench: Bench, customer: str, days: int) -> Any:
    """A schedule of one phase that begins now and ends after some days."""
    phase: Any = {
        "items": [{"price": bench.price().id, "quantity": 1}],
        "duration": {"interval": "day", "interval_count": days},
    }
    return bench.client.v1.subscription_schedules.create(
        {"customer": customer, "start_date": "now", "phases": [phase], "end_behavior": "release"}
    )


def test_a_schedule_says_once_that_it_expires(bench: Bench) -> None:
    made = _schedule(bench, bench.customer().id, 30)
    end = made.phases[0].end_date
    bench.advance_to(end - 7 * DAY - 60)
    assert _told(bench, "subscription_schedule.expiring") == []
    bench.advance(120)
    (told,) = _told(bench, "subscription_schedule.expiring")
    assert (told["id"], told["status"]) == (made.id, "active")
    bench.advance_to(end + DAY)
    assert len(_told(bench, "subscription_schedule.expiring")) == 1
    assert bench.client.v1.subscription_schedules.retrieve(made.id).status == "released"


def test_a_schedule_whose_end_is_put_off_expires_later(bench: Bench) -> None:
    made = _schedule(bench, bench.customer().id, 30)
    bench.advance(25 * DAY)
    assert len(_told(bench, "subscription_schedule.expiring")) == 1
    phase: Any = {
        "items": [{"price": str(made.phases[0].items[0].price), "quantity": 1}],
        "start_date": made.phases[0].start_date,
        "end_date": made.phases[0].end_date + 60 * DAY,
    }
    bench.client.v1.subscription_schedules.update(made.id, {"phases": [phase]})
    bench.advance(50 * DAY)
    assert len(_told(bench, "subscription_schedule.expiring")) == 1
    bench.advance(9 * DAY)
    assert len(_told(bench, "subscription_schedule.expiring")) == 2


def test_a_schedule_of_a_few_days_begins_too_late_for_a_notice(bench: Bench) -> None:
    _schedule(bench, bench.customer().id, 5)
    bench.advance(6 * DAY)
    assert _told(bench, "subscription_schedule.expiring") == []


def test_a_schedule_is_aborted_when_nobody_pays(bench: Bench) -> None:
    customer = bench.customer()
    made = _schedule(bench, customer.id, 300)
    broken = bench.client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    default: Any = {"invoice_settings": {"default_payment_method": broken.id}}
    bench.client.v1.customers.update(customer.id, default)
    bench.advance(40 * DAY)
    held = bench.client.v1.subscription_schedules.retrieve(made.id, {"expand": ["subscription"]})
    subscription: Any = held.subscription
    assert (held.status, subscription.status) == ("canceled", "canceled")
    assert [one["id"] for one in _told(bench, "subscription_schedule.aborted")] == [made.id]
    assert _told(bench, "subscription_schedule.canceled") == []


def test_a_schedule_is_cancelled_with_its_subscription(bench: Bench) -> None:
    first, second = (_schedule(bench, bench.customer().id, 300) for _ in range(2))
    bench.client.v1.subscriptions.cancel(str(first.subscription))
    bench.client.v1.subscription_schedules.cancel(second.id)
    assert [one["id"] for one in _told(bench, "subscription_schedule.canceled")] == [first.id, second.id]
    assert _told(bench, "subscription_schedule.aborted") == []
    for one in (first, second):
        assert bench.client.v1.subscription_schedules.retrieve(one.id).status == "canceled"
        assert bench.client.v1.subscriptions.retrieve(str(one.subscription)).status == "canceled"

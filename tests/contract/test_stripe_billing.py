"""The Stripe simulator's billing, seen through the official client: subscriptions, invoices, usage, time."""

import time
from decimal import Decimal
from typing import Any

import pytest
import stripe

from tests.contract.stripe_harness import DAY, Bench, period_of


def test_subscription_is_paid_and_announced(bench: Bench) -> None:
    customer = bench.customer(email="ada@example.test")
    subscription = bench.subscribe(
        customer.id, bench.price().id, metadata={"order_form": "ORD_1"}, expand=["latest_invoice.payments"]
    )
    assert subscription.status == "active"
    assert not hasattr(subscription, "current_period_end")
    start, end = period_of(subscription)
    assert 28 * DAY <= end - start <= 31 * DAY
    invoice: Any = subscription.latest_invoice
    assert (invoice.status, invoice.amount_paid, invoice.currency) == ("paid", 1500, "gbp")
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.payments.data[0].payment.type == "payment_intent"
    seen = bench.types()
    expected = {
        "customer.created",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
        "payment_intent.succeeded",
    }
    assert expected <= set(seen)
    event = next(e for e in bench.receiver.events if e["type"] == "invoice.paid")
    assert (event["api_version"], event["livemode"]) == ("2026-10-28.endive", False)
    assert bench.client.v1.events.retrieve(event["id"]).type == "invoice.paid"


@pytest.mark.parametrize(
    ("behaviour", "status"), [("allow_incomplete", "incomplete"), ("default_incomplete", "incomplete")]
)
def test_refused_first_payment_leaves_it_incomplete_until_paid(bench: Bench, behaviour: str, status: str) -> None:
    customer = bench.customer("pm_card_chargeCustomerFail")
    subscription = bench.subscribe(
        customer.id, bench.price().id, payment_behavior=behaviour, expand=["latest_invoice.payments"]
    )
    assert subscription.status == status
    invoice: Any = subscription.latest_invoice
    method = bench.client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    intent = invoice.payments.data[0].payment.payment_intent
    bench.client.v1.payment_intents.confirm(intent, {"payment_method": method.id})
    assert bench.client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert "customer.subscription.updated" in bench.types(subscription.id)


def test_error_if_incomplete_leaves_nothing(bench: Bench) -> None:
    customer = bench.customer("pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError) as refused:
        bench.subscribe(customer.id, bench.price().id, payment_behavior="error_if_incomplete")
    assert (refused.value.http_status, refused.value.code) == (402, "card_declined")
    assert bench.client.v1.subscriptions.list({"status": "all"}).data == []
    assert "customer.subscription.created" not in bench.types()


def test_time_renews_fails_and_ends(bench: Bench) -> None:
    customer = bench.customer()
    subscription = bench.subscribe(customer.id, bench.price().id)
    end = period_of(subscription)[1]
    bench.advance_to(end + 7_200)
    renewed = bench.client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    invoice: Any = renewed.latest_invoice
    assert (renewed.status, invoice.billing_reason, invoice.status) == ("active", "subscription_cycle", "paid")
    assert period_of(renewed)[0] == end
    failing = bench.client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    bench.client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": failing.id}})
    bench.advance_to(period_of(renewed)[1] + 7_200)
    assert bench.client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert bench.client.v1.customers.retrieve(customer.id).delinquent is True
    bench.advance(2 * DAY)
    ended = bench.client.v1.subscriptions.retrieve(subscription.id)
    assert ended.status == "canceled"
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    assert {"invoice.payment_failed", "customer.subscription.deleted"} <= set(bench.types(subscription.id))


def test_cancel_at_period_end_trial_and_invoice_by_mail(bench: Bench) -> None:
    customer, price = bench.customer(), bench.price()
    leaving = bench.subscribe(customer.id, price.id)
    asked = bench.client.v1.subscriptions.update(leaving.id, {"cancel_at_period_end": True})
    assert (asked.status, asked.cancel_at) == ("active", period_of(leaving)[1])
    trial = bench.subscribe(customer.id, price.id, trial_period_days=14)
    assert trial.status == "trialing"
    mailed = bench.subscribe(
        customer.id, price.id, collection_method="send_invoice", days_until_due=7, expand=["latest_invoice"]
    )
    first: Any = mailed.latest_invoice
    assert (mailed.status, first.status) == ("active", "draft")
    bench.advance(9 * DAY)
    assert bench.client.v1.subscriptions.retrieve(mailed.id).status == "past_due"
    paid = bench.client.v1.invoices.pay(first.id, {"paid_out_of_band": True})
    assert paid.status == "paid"
    assert bench.client.v1.subscriptions.retrieve(mailed.id).status == "active"
    bench.advance(23 * DAY)
    assert bench.client.v1.subscriptions.retrieve(trial.id).status == "active"
    assert bench.client.v1.subscriptions.retrieve(leaving.id).status == "canceled"
    assert "customer.subscription.trial_will_end" in bench.types(trial.id)


def test_preview_equals_the_prorated_update(bench: Bench) -> None:
    customer, price, larger = bench.customer(), bench.price(3000), bench.price(9000)
    subscription = bench.subscribe(customer.id, price.id)
    item = subscription.items.data[0]
    bench.advance(10 * DAY)
    at = item.current_period_start + 10 * DAY
    change: Any = {"items": [{"id": item.id, "price": larger.id, "quantity": 2}], "proration_date": at}
    change["proration_behavior"] = "always_invoice"
    preview = bench.client.v1.invoices.create_preview(
        {"customer": customer.id, "subscription": subscription.id, "subscription_details": change}
    )
    untouched = bench.client.v1.subscriptions.retrieve(subscription.id)
    assert untouched.items.data[0].price.id == price.id
    change["expand"] = ["latest_invoice"]
    updated = bench.client.v1.subscriptions.update(subscription.id, change)
    invoice: Any = updated.latest_invoice
    assert preview.amount_due == invoice.amount_due > 0
    assert [line.amount < 0 for line in invoice.lines.data] == [True, False]
    start, end = period_of(subscription)
    share = (end - at) / (end - start)
    assert abs(invoice.amount_due - (18_000 - 3_000) * share) <= 1


def test_metered_usage_is_counted_once_and_billed_in_tiers(bench: Bench) -> None:
    meter = bench.client.v1.billing.meters.create(
        {
            "display_name": "Verifications",
            "event_name": "verification",
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
            "value_settings": {"event_payload_key": "value"},
        }
    )
    usage = bench.client.v1.prices.create(
        {
            "currency": "gbp",
            "product_data": {"name": "Verifications"},
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [{"up_to": 100, "unit_amount": 0}, {"up_to": "inf", "unit_amount_decimal": Decimal("0.5")}],
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "expand": ["tiers"],
        }
    )
    assert usage.tiers is not None
    customer = bench.customer()
    params: Any = {"customer": customer.id, "items": [{"price": usage.id}]}
    subscription = bench.client.v1.subscriptions.create(params)
    for identifier, value in (("u1", "100"), ("u2", "51")):
        event: Any = {
            "event_name": "verification",
            "identifier": identifier,
            "payload": {"stripe_customer_id": customer.id, "value": value},
        }
        bench.client.v1.billing.meter_events.create(event)
        with pytest.raises(stripe.InvalidRequestError):
            bench.client.v1.billing.meter_events.create(event)
    late: Any = {**event, "identifier": "u3", "timestamp": 1_500_000_000}
    with pytest.raises(stripe.InvalidRequestError) as old:
        bench.client.v1.billing.meter_events.create(late)
    assert old.value.code == "timestamp_too_far_in_past"
    minute = int(time.time()) // 60 * 60
    summaries = bench.client.v1.billing.meters.event_summaries.list(
        meter.id, {"customer": customer.id, "start_time": minute - 600, "end_time": minute + 600}
    )
    assert summaries.data[0].aggregated_value == 151
    bench.advance(32 * DAY)
    billed = bench.client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (billed.total, billed.status) == (26, "paid")


def test_schedule_moves_to_its_next_phase(bench: Bench) -> None:
    customer, small, large = bench.customer(), bench.price(1000), bench.price(2000)
    month: Any = {"interval": "month"}
    phases: Any = [
        {"items": [{"price": small.id}], "duration": month},
        {"items": [{"price": large.id, "quantity": 3}], "duration": month},
    ]
    schedule = bench.client.v1.subscription_schedules.create(
        {"customer": customer.id, "start_date": "now", "phases": phases, "end_behavior": "release"}
    )
    assert schedule.status == "active"
    bench.advance(32 * DAY)
    subscription = bench.client.v1.subscriptions.retrieve(str(schedule.subscription), {"expand": ["latest_invoice"]})
    assert (subscription.items.data[0].price.id, subscription.items.data[0].quantity) == (large.id, 3)
    invoice: Any = subscription.latest_invoice
    assert invoice.total == 6000
    bench.client.v1.subscription_schedules.release(schedule.id)
    assert bench.client.v1.subscriptions.retrieve(subscription.id).schedule is None


def test_coupons_reduce_invoices_while_they_last(bench: Bench) -> None:
    coupon = bench.client.v1.coupons.create({"percent_off": 20, "duration": "once"})
    subscription = bench.subscribe(
        bench.customer().id, bench.price(5000).id, discounts=[{"coupon": coupon.id}], expand=["latest_invoice"]
    )
    first: Any = subscription.latest_invoice
    assert (first.subtotal, first.total, first.amount_paid) == (5000, 4000, 4000)
    bench.advance_to(period_of(subscription)[1] + 7_200)
    assert bench.client.v1.invoices.list({"subscription": subscription.id}).data[0].amount_paid == 5000


def test_bank_debits_settle_days_later(bench: Bench) -> None:
    customer = bench.customer("pm_usBankAccount_success")
    subscription = bench.subscribe(customer.id, bench.price().id, expand=["latest_invoice"])
    invoice: Any = subscription.latest_invoice
    assert (subscription.status, invoice.status) == ("active", "open")
    bench.advance(5 * DAY)
    assert bench.client.v1.invoices.retrieve(invoice.id).status == "paid"
    assert {"payment_intent.processing", "payment_intent.succeeded"} <= set(bench.types())


def test_items_come_and_go_with_prorations_on_the_next_invoice(bench: Bench) -> None:
    subscription = bench.subscribe(bench.customer().id, bench.price(1000).id)
    added = bench.client.v1.subscription_items.create(
        {"subscription": subscription.id, "price": bench.price(500).id, "quantity": 2}
    )
    pending = bench.client.v1.invoice_items.list({"customer": str(subscription.customer), "pending": True}).data
    assert [item.amount for item in pending] == [1000]
    bench.advance_to(period_of(subscription)[1] + 7_200)
    renewal = bench.client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert renewal.total == 1000 + 1000 + 1000
    bench.client.v1.subscription_items.delete(added.id, {"proration_behavior": "none"})
    left = bench.client.v1.subscriptions.retrieve(subscription.id)
    assert len(left.items.data) == 1


def test_cancelling_now_can_credit_unused_time(bench: Bench) -> None:
    subscription = bench.subscribe(bench.customer().id, bench.price(3000).id)
    bench.advance_to(sum(period_of(subscription)) // 2)
    ended = bench.client.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    assert ended.status == "canceled"
    credit = bench.client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert abs(credit.total + 1500) <= 1
    customer = bench.client.v1.customers.retrieve(str(subscription.customer))
    assert customer.balance == credit.total
    with pytest.raises(stripe.InvalidRequestError):
        bench.client.v1.subscriptions.cancel(subscription.id)


def test_pausing_a_subscription_and_pausing_its_collection(bench: Bench) -> None:
    customer, price = bench.customer(), bench.price()
    paused = bench.subscribe(customer.id, price.id)
    assert bench.client.v1.subscriptions.pause(paused.id, {"type": "subscription"}).status == "paused"
    held = bench.subscribe(customer.id, price.id)
    bench.client.v1.subscriptions.update(held.id, {"pause_collection": {"behavior": "void"}})
    bench.advance_to(period_of(held)[1] + 7_200)
    assert bench.client.v1.invoices.list({"subscription": held.id}).data[0].status == "void"
    assert len(bench.client.v1.invoices.list({"subscription": paused.id}).data) == 1
    assert bench.client.v1.subscriptions.resume(paused.id).status == "active"
    assert len(bench.client.v1.invoices.list({"subscription": paused.id}).data) == 2


def test_incomplete_subscriptions_expire_after_23_hours(bench: Bench) -> None:
    subscription = bench.subscribe(
        bench.customer().id,
        bench.price().id,
        payment_behavior="default_incomplete",
        expand=["latest_invoice.confirmation_secret"],
    )
    invoice: Any = subscription.latest_invoice
    assert invoice.confirmation_secret.type == "payment_intent"
    bench.advance(DAY)
    assert bench.client.v1.subscriptions.retrieve(subscription.id).status == "incomplete_expired"
    assert bench.client.v1.invoices.retrieve(invoice.id).status == "void"


def test_changing_the_interval_starts_a_new_period(bench: Bench) -> None:
    subscription = bench.subscribe(bench.customer().id, bench.price(1000).id)
    item = subscription.items.data[0]
    bench.advance(10 * DAY)
    change: Any = {"items": [{"id": item.id, "price": bench.price(10_000, "year").id}], "expand": ["latest_invoice"]}
    yearly = bench.client.v1.subscriptions.update(subscription.id, change)
    start, end = period_of(yearly)
    assert 365 * DAY <= end - start <= 366 * DAY
    invoice: Any = yearly.latest_invoice
    assert invoice.status == "paid"
    assert 9_000 < invoice.total < 10_000


def test_endpoints_of_ones_own_are_signed_with_their_own_secret(bench: Bench) -> None:
    endpoint = bench.client.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/elsewhere", "enabled_events": ["price.created"]}
    )
    assert endpoint.secret
    assert bench.client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict().get("secret") is None
    bench.price()
    elsewhere = [d for d in bench.sim("GET", "deliveries") if d["url"] == endpoint.url]
    assert [d["type"] for d in elsewhere] == ["price.created"]

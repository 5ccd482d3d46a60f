"""What changing a subscription needs of the Stripe simulator: mixed intervals, features, previews, phases."""

from typing import Any

import pytest
import stripe

from tests.contract.stripe_harness import DAY, Bench, period_of


def _metered(bench: Bench) -> stripe.Price:
    meter = bench.client.v1.billing.meters.create(
        {"display_name": "Units", "event_name": "units", "default_aggregation": {"formula": "sum"}}
    )
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    return bench.price(2, recurring=recurring)


def test_a_yearly_item_stands_beside_a_monthly_one(bench: Bench) -> None:
    customer, seats, usage = bench.customer(), bench.price(120_000, "year"), _metered(bench)
    items: Any = [{"price": seats.id, "quantity": 3}, {"price": usage.id}]
    made = bench.client.v1.subscriptions.create(
        {"customer": customer.id, "items": items, "billing_mode": {"type": "flexible"}}
    )
    yearly, monthly = made.items.data
    assert yearly.current_period_end - yearly.current_period_start >= 365 * DAY
    assert monthly.current_period_end - monthly.current_period_start <= 31 * DAY
    bench.advance_to(monthly.current_period_end + 7_200)
    later = bench.client.v1.subscriptions.retrieve(made.id)
    assert later.items.data[0].current_period_end == yearly.current_period_end
    assert later.items.data[1].current_period_start == monthly.current_period_end
    with pytest.raises(stripe.InvalidRequestError):
        bench.client.v1.subscriptions.create(
            {"customer": customer.id, "items": items, "billing_mode": {"type": "classic"}}
        )


def test_a_monthly_item_that_joins_a_yearly_one_has_months_of_its_own(bench: Bench) -> None:
    customer, seats, usage = bench.customer(), bench.price(120_000, "year"), _metered(bench)
    made = bench.subscribe(customer.id, seats.id)
    start, end = period_of(made)
    bench.advance(75 * DAY)
    changed = bench.client.v1.subscriptions.update(made.id, {"items": [{"price": usage.id}]})
    yearly, monthly = changed.items.data
    assert (yearly.current_period_start, yearly.current_period_end) == (start, end)
    assert start < monthly.current_period_start <= start + 75 * DAY < monthly.current_period_end < end


def test_a_preview_prices_seats_that_have_no_price_yet_and_keeps_nothing(bench: Bench) -> None:
    customer, price = bench.customer(), bench.price(3000)
    made = bench.subscribe(customer.id, price.id)
    start, end = period_of(made)
    at = start + (end - start) // 2
    data: Any = {"currency": "gbp", "product": price.product, "unit_amount": 9000, "recurring": {"interval": "month"}}
    item: Any = {"id": made.items.data[0].id, "price_data": data, "quantity": 2}
    before = len(bench.client.v1.prices.list({"limit": 100}).data)
    preview = bench.client.v1.invoices.create_preview(
        {
            "subscription": made.id,
            "subscription_details": {
                "items": [item],
                "proration_behavior": "always_invoice",
                "proration_date": at,
            },
        }
    )
    assert [line.amount for line in preview.lines.data] == [-1500, 9000]
    first = bench.client.v1.invoices.create_preview(
        {"currency": "gbp", "subscription_details": {"items": [{"price_data": data, "quantity": 2}]}}
    )
    assert first.total == 18_000
    assert len(bench.client.v1.prices.list({"limit": 100}).data) == before


def test_features_are_granted_by_product_and_held_by_subscription(bench: Bench) -> None:
    features, product_features = bench.client.v1.entitlements.features, bench.client.v1.products.features
    api = features.create({"lookup_key": "api", "name": "API"})
    with pytest.raises(stripe.InvalidRequestError):
        features.create({"lookup_key": "api", "name": "Again"})
    price = bench.price()
    product = str(price.product)
    held = product_features.create(product, {"entitlement_feature": api.id})
    with pytest.raises(stripe.InvalidRequestError):
        product_features.create(product, {"entitlement_feature": api.id})
    customer = bench.customer()
    assert bench.client.v1.entitlements.active_entitlements.list({"customer": customer.id}).data == []
    bench.subscribe(customer.id, price.id)
    granted = bench.client.v1.entitlements.active_entitlements.list({"customer": customer.id}).data
    assert [each.lookup_key for each in granted] == ["api"]
    features.update(api.id, {"active": False})
    assert features.list().data == []
    assert [each.id for each in features.list({"archived": True}).data] == [api.id]
    product_features.delete(product, held.id)
    assert product_features.list(product).data == []


def test_a_phase_brings_its_way_of_collecting(bench: Bench) -> None:
    customer, price = bench.customer(), bench.price()
    made = bench.subscribe(customer.id, price.id)
    end = period_of(made)[1]
    schedule = bench.client.v1.subscription_schedules.create({"from_subscription": made.id})
    item: Any = {"price": price.id, "quantity": 1}
    later: Any = {
        "items": [{**item, "quantity": 4}],
        "duration": {"interval": "month", "interval_count": 1},
        "collection_method": "send_invoice",
        "invoice_settings": {"days_until_due": 14},
        "metadata": {"revision": "ORD_2"},
    }
    start = schedule.phases[0].start_date
    present: Any = {"items": [item], "start_date": start, "end_date": end}
    bench.client.v1.subscription_schedules.update(schedule.id, {"phases": [present, later]})
    bench.advance_to(end + 60)
    moved = bench.client.v1.subscriptions.retrieve(made.id)
    assert (moved.collection_method, moved.days_until_due) == ("send_invoice", 14)
    assert (moved.items.data[0].quantity, moved.metadata["revision"]) == (4, "ORD_2")

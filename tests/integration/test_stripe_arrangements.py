"""Credit, alerts, cash, entitlements, meter errors and cancellations through the official library and the simulator,
whose requests and answers are held against Stripe's contract: what is consumed is what Stripe sends."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from revops.adapters.stripe_cancellation import StripeCancellations
from revops.adapters.stripe_gateway import StripeReads
from revops.billing.cancellation import Mode
from revops.billing.meters import METER_REPORTS
from revops.billing.ports import StripeRefused
from tests.builders.billing import BillingBench
from tests.builders.customers import wish_of
from tests.integration.stripe_simulator import RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with running_simulator(Path(tmp_path_factory.mktemp("stripe"))) as running:
        yield running
        assert running.control("GET", "violations") == []


class Shop:
    """A customer at the simulator, and the billing slice that hears of them."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self.simulator = simulator
        self.v1 = simulator.client().v1
        self.payer = self.v1.customers.create({"name": "Ada Lind", "email": "ada@example.com"}).id
        method = self.v1.payment_methods.attach("pm_card_visa", {"customer": self.payer}).id
        self.v1.customers.update(self.payer, {"invoice_settings": {"default_payment_method": method}})
        simulator.settled()
        simulator.received.clear()
        self.bench = BillingBench(stripe=StripeReads(simulator.client))
        self.bench.clock.moment = datetime.now(UTC)

    def subscribe(self, product: str = "") -> str:
        product = product or self.v1.products.create({"name": "Professional"}).id
        price = self.v1.prices.create(
            {"currency": "eur", "unit_amount": 4900, "recurring": {"interval": "month"}, "product": product}
        ).id
        return self.v1.subscriptions.create({"customer": self.payer, "items": [{"price": price}]}).id

    def hear(self) -> list[str]:
        """Works through every event so far; their types."""
        bodies = [one.body.decode() for one in self.simulator.settled()]
        self.simulator.received.clear()
        for body in bodies:
            self.bench.work(body)
        return [json.loads(body)["type"] for body in bodies]

    def told(self) -> dict[str, dict[str, Any]]:
        profile = self.bench.profile(self.payer)
        return {entry.type.value: entry.metadata.model_dump(mode="json") for entry in profile.activity}


@pytest.fixture
def shop(simulator: RunningSimulator) -> Shop:
    return Shop(simulator)


@pytest.mark.mission("STR-1", "STR-3")
def test_credit_that_is_granted_and_taken_back(shop: Shop) -> None:
    amount = {"type": "monetary", "monetary": {"value": 2500, "currency": "eur"}}
    scope = {"scope": {"price_type": "metered"}}
    grant = shop.v1.billing.credit_grants.create(
        {"customer": shop.payer, "amount": amount, "applicability_config": scope, "category": "promotional"}  # type: ignore[typeddict-item]
    )
    shop.v1.billing.credit_grants.void_grant(grant.id)
    types = shop.hear()
    assert types.count("billing.credit_balance_transaction.created") == 2
    told = shop.told()
    assert told["credit_granted"]["amount"] == {"minor": 2500, "currency": "EUR"}
    assert told["credit_changed"]["status"] == "voided"
    assert told["credit_moved"]["status"] in ("credits_granted", "credits_voided")


@pytest.mark.mission("STR-1", "STR-3")
def test_wired_money_arrives(shop: Shop, simulator: RunningSimulator) -> None:
    helpers = simulator.client().v1.test_helpers
    helpers.customers.fund_cash_balance(shop.payer, {"amount": 9900, "currency": "eur"})
    assert shop.hear() == ["customer_cash_balance_transaction.created", "cash_balance.funds_available"]
    moved = shop.told()["cash_balance_moved"]
    assert (moved["status"], moved["amount"]) == ("funded", {"minor": 9900, "currency": "EUR"})


@pytest.mark.mission("STR-1", "STR-3")
def test_features_follow_the_subscription(shop: Shop) -> None:
    product = shop.v1.products.create({"name": "Enterprise"}).id
    feature = shop.v1.entitlements.features.create({"name": "Single sign-on", "lookup_key": f"sso_{shop.payer}"})
    shop.v1.products.features.create(product, {"entitlement_feature": feature.id})
    subscription = shop.subscribe(product)
    assert "entitlements.active_entitlement_summary.updated" in shop.hear()
    assert shop.bench.profile(shop.payer).customer.features == (feature.lookup_key,)
    assert shop.told()["entitlements_changed"]["features"] == [feature.lookup_key]
    shop.v1.subscriptions.cancel(subscription)
    shop.hear()
    assert shop.bench.profile(shop.payer).customer.features == ()


@pytest.mark.mission("STR-1")
def test_usage_passes_an_alert_and_usage_of_nobody_is_reported(shop: Shop, simulator: RunningSimulator) -> None:
    meter = shop.v1.billing.meters.create(
        {
            "display_name": "API calls",
            "event_name": f"calls_{shop.payer}",
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
            "value_settings": {"event_payload_key": "value"},
        }
    )
    threshold = {"meter": meter.id, "gte": 100, "recurrence": "one_time"}
    shop.v1.billing.alerts.create(
        {"alert_type": "usage_threshold", "title": "Many calls", "usage_threshold": threshold}  # type: ignore[typeddict-item]
    )
    for value in ("60", "60", "60"):
        payload = {"stripe_customer_id": shop.payer, "value": value}
        shop.v1.billing.meter_events.create({"event_name": meter.event_name, "payload": payload})
    nobody = {"stripe_customer_id": "cus_nobody", "value": "1"}
    shop.v1.billing.meter_events.create({"event_name": meter.event_name, "payload": nobody, "identifier": "lost-1"})
    simulator.control("POST", "meter-errors", {"meter": None, "code": "no_meter", "count": 4})
    types = shop.hear()
    assert types.count("billing.alert.triggered") == 1
    assert shop.told()["billing_alert"]["status"] == "120"
    reports = [METER_REPORTS.load(row) for row in shop.bench.table.rows.values() if row.kind == METER_REPORTS.kind]
    assert sorted((report.meter_id, report.error_count, report.codes, report.samples) for report in reports) == [
        ("", 4, {"no_meter": 4}, ()),
        (meter.id, 1, {"meter_event_customer_not_found": 1}, ("lost-1",)),
    ]


# -- cancellations -----------------------------------------------------------------------------------------------------


@pytest.mark.mission("STR-5")
@pytest.mark.fault("R8")
def test_an_end_is_announced_taken_back_and_brought_about_once(shop: Shop, simulator: RunningSimulator) -> None:
    gateway, subscription = StripeCancellations(simulator.client), shop.subscribe()
    payers = (shop.payer,)

    def writes() -> int:
        requests = simulator.control("GET", "requests")
        return sum(each["method"] != "GET" and subscription in each["path"] for each in requests)

    scheduled = gateway.bring(wish_of(subscription, Mode.PERIOD_END), payers)
    assert (scheduled.ended, scheduled.ends_at is not None) == (False, True)
    assert gateway.bring(wish_of(subscription, Mode.PERIOD_END), payers) == scheduled
    assert writes() == 1
    held = shop.v1.subscriptions.retrieve(subscription).to_dict()
    assert held["cancellation_details"]["comment"] == "moves away"
    kept = gateway.bring(wish_of(subscription, Mode.KEEP), payers)
    assert (kept.ended, kept.ends_at) == (False, None)
    gateway.bring(wish_of(subscription, Mode.KEEP), payers)
    assert writes() == 2
    ended = gateway.bring(wish_of(subscription, Mode.NOW), payers)
    assert ended.ended
    assert gateway.bring(wish_of(subscription, Mode.NOW), payers) == ended
    assert gateway.bring(wish_of(subscription, Mode.KEEP), payers) == ended
    assert writes() == 3
    shop.hear()
    assert shop.bench.profile(shop.payer).customer.membership_status == "inactive"


@pytest.mark.mission("STR-5")
def test_a_schedule_is_released_before_an_end_is_announced(shop: Shop, simulator: RunningSimulator) -> None:
    subscription = shop.subscribe()
    schedule = shop.v1.subscription_schedules.create({"from_subscription": subscription})
    standing = StripeCancellations(simulator.client).bring(wish_of(subscription, Mode.PERIOD_END), (shop.payer,))
    assert (standing.ended, standing.ends_at is not None) == (False, True)
    assert shop.v1.subscription_schedules.retrieve(schedule.id).status == "released"
    shop.hear()
    assert shop.told()["subscription_schedule_ended"]["status"] == "released"


@pytest.mark.mission("STR-5")
@pytest.mark.fault("S1")
def test_nobody_elses_subscription_is_touched(shop: Shop, simulator: RunningSimulator) -> None:
    gateway, subscription = StripeCancellations(simulator.client), shop.subscribe()
    with pytest.raises(StripeRefused, match="not this customer's"):
        gateway.bring(wish_of(subscription, Mode.NOW), ("cus_other",))
    assert shop.v1.subscriptions.retrieve(subscription).status == "active"
    with pytest.raises(StripeRefused, match="resource_missing"):
        gateway.bring(wish_of("sub_missing", Mode.NOW), (shop.payer,))


@pytest.mark.mission("STR-5")
@pytest.mark.fault("R2")
@pytest.mark.parametrize("mode", [Mode.PERIOD_END, Mode.KEEP])
def test_a_schedule_that_comes_between_look_and_act_is_released(
    shop: Shop, simulator: RunningSimulator, mode: Mode
) -> None:
    """Stripe takes no word about the end of what a schedule manages; a change was planned just before it came."""
    subscription = shop.subscribe()
    if mode is Mode.KEEP:
        shop.v1.subscriptions.update(subscription, {"cancel_at_period_end": True})
    v1 = simulator.client().v1
    others = iter([subscription])

    def update(*arguments: Any) -> Any:
        for planned in others:
            shop.v1.subscription_schedules.create({"from_subscription": planned})
        return v1.subscriptions.update(*arguments)

    subscriptions = SimpleNamespace(retrieve=v1.subscriptions.retrieve, update=update)
    beside = SimpleNamespace(subscriptions=subscriptions, subscription_schedules=v1.subscription_schedules)
    client: Any = SimpleNamespace(v1=beside)
    standing = StripeCancellations(lambda: client).bring(wish_of(subscription, mode), (shop.payer,))
    assert (standing.ends_at is not None) is (mode is Mode.PERIOD_END)
    held = shop.v1.subscriptions.retrieve(subscription)
    assert (held.schedule, held.cancel_at_period_end) == (None, mode is Mode.PERIOD_END)


@pytest.mark.mission("STR-1", "STR-3")
def test_a_renewal_is_heard_of_before_it_comes(shop: Shop, simulator: RunningSimulator) -> None:
    """The event's invoice has no id: the subscription and the period say what it is about."""
    subscription = shop.subscribe()
    ends = shop.v1.subscriptions.retrieve(subscription).items.data[0].current_period_end
    now = simulator.control("GET", "clock")["now"]
    simulator.control("POST", "clock", {"advance_seconds": ends - now - 6 * 86_400})
    assert "invoice.upcoming" in shop.hear()
    told = shop.told()["invoice_upcoming"]
    assert (told["subscription_id"], told["amount"]) == (subscription, {"minor": 4900, "currency": "EUR"})
    assert datetime.fromisoformat(told["due_at"]).timestamp() == ends + 3_600


@pytest.mark.mission("STR-1", "STR-3")
def test_credit_that_an_invoice_takes(shop: Shop, simulator: RunningSimulator) -> None:
    name = f"tokens_{shop.payer}"
    meter = shop.v1.billing.meters.create(
        {"display_name": "Tokens", "event_name": name, "default_aggregation": {"formula": "sum"}}
    )
    product = shop.v1.products.create({"name": "Tokens"}).id
    recurring: Any = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    price = shop.v1.prices.create({"currency": "eur", "unit_amount": 5, "recurring": recurring, "product": product}).id
    subscription = shop.v1.subscriptions.create({"customer": shop.payer, "items": [{"price": price}]})
    amount: Any = {"type": "monetary", "monetary": {"value": 2500, "currency": "eur"}}
    scope: Any = {"scope": {"price_type": "metered"}}
    shop.v1.billing.credit_grants.create({"customer": shop.payer, "amount": amount, "applicability_config": scope})
    payload = {"stripe_customer_id": shop.payer, "value": "60"}
    shop.v1.billing.meter_events.create({"event_name": name, "payload": payload})
    shop.hear()
    ends = subscription.items.data[0].current_period_end
    now = simulator.control("GET", "clock")["now"]
    simulator.control("POST", "clock", {"advance_seconds": ends - now + 2 * 3_600})
    assert "billing.credit_balance_transaction.created" in shop.hear()
    activity = shop.bench.profile(shop.payer).activity
    told = [entry.metadata.model_dump(mode="json") for entry in activity if entry.type.value == "credit_moved"]
    moved = {entry["status"]: entry for entry in told}
    assert moved.keys() == {"credits_granted", "credits_applied"}
    assert moved["credits_applied"]["amount"] == {"minor": 300, "currency": "EUR"}
    invoice = shop.v1.invoices.retrieve(moved["credits_applied"]["invoice_id"])
    assert (invoice.subtotal, invoice.total, invoice.status) == (300, 0, "paid")

"""Changes of a subscription and the catalogue, through the real SDK against the Stripe simulator and its clock.

Every request is checked against Stripe's own contract where that is at hand; a violation fails the test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest

from revops.access import Policy
from revops.adapters.stripe_catalogue import StripeCatalogue
from revops.adapters.stripe_provisioning import StripeProvisioning
from revops.adapters.usage_history import CountedUsage
from revops.kernel import Unavailable, add_months
from revops.orders.decisions import Amendment
from revops.orders.model import OrderForm, OrderKind, OrderStatus
from revops.orders.policies.calendar import midnight, opening
from revops.orders.policies.expected import expected_subscription
from revops.orders.policies.pricing import PlanCatalogue, seat_price
from revops.orders.policies.proration import Period, Priced, explain, prorate
from revops.orders.policies.trial import WhatIf
from revops.orders.provisioning.catalogue import Action, SyncCatalogue
from revops.orders.what_if import TryTerms
from revops.settings import SettingsReader
from tests.builders.clock import ManualClock
from tests.builders.orders import REP, Desk
from tests.integration.stripe_simulator import RunningSimulator, running_simulator
from tests.unit.orders.test_changing import amended

pytestmark = pytest.mark.mission("ORD-5")

ZONE = "Europe/Berlin"
DAY = 86_400


@dataclass
class Shop:
    """A desk whose provider is the simulator, both on one clock."""

    simulator: RunningSimulator
    desk: Desk
    gateway: StripeProvisioning

    def get(self, path: str, **query: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.simulator.api_key}"}
        answer = httpx.get(f"{self.simulator.url}{path}", headers=headers, params=query)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def subscription(self, order: OrderForm) -> dict[str, Any]:
        return self.get(f"/v1/subscriptions/{order.stripe_subscription_id}")

    def subscriptions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/v1/subscriptions", status="all", limit="100")["data"]
        return found

    def invoices(self, order: OrderForm) -> list[dict[str, Any]]:
        found = self.get("/v1/invoices", subscription=order.stripe_subscription_id, limit="100")["data"]
        return sorted(found, key=lambda invoice: int(invoice["created"]))

    def now(self) -> int:
        return int(self.desk.clock.now().timestamp())

    def advance_to(self, instant: int) -> None:
        seconds = instant - int(self.simulator.control("GET", "clock")["now"])
        self.simulator.control("POST", "clock", {"advance_seconds": seconds})
        self.desk.clock.advance(seconds=instant - self.now())

    def sold(self, **terms: Any) -> OrderForm:
        """An order that begins at midnight of the next month's first day in Berlin, and has begun."""
        start = add_months(self.desk.clock.now().date().replace(day=1), 1)
        agreed = {"start_date": start.isoformat(), "renewal_date": add_months(start, 12).isoformat(), **terms}
        order = self.desk.run_until_it_waits(self.desk.executed(**agreed).id)
        assert order.status is OrderStatus.ACTIVE, order.block
        self.advance_to(opening(start, ZONE) + 60)
        return order

    def quantities(self, order: OrderForm) -> list[int | None]:
        return [item.get("quantity") for item in self.subscription(order)["items"]["data"]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with running_simulator(tmp_path_factory.mktemp("stripe")) as simulator:
        yield simulator


@pytest.fixture
def shop(running: RunningSimulator) -> Iterator[Shop]:
    running.control("DELETE", "faults")
    running.control("POST", "reset", {})
    client = running.client()
    gateway = StripeProvisioning(lambda: client)
    now = datetime.fromtimestamp(int(running.control("GET", "clock")["now"]), UTC)
    yield Shop(running, Desk(clock=ManualClock(now), gateway=gateway), gateway)
    assert running.control("GET", "violations") == []


def catalogue_of(shop: Shop) -> SyncCatalogue:
    client = shop.simulator.client()
    settings = SettingsReader(shop.desk.table, ttl=0)
    return SyncCatalogue(shop.desk.table, shop.desk.clock, StripeCatalogue(lambda: client), settings)


def terms_tried(shop: Shop) -> TryTerms:
    return TryTerms(
        shop.desk.table,
        shop.desk.clock,
        shop.desk.crm,
        Policy(),
        SettingsReader(shop.desk.table, ttl=0),
        CountedUsage(shop.desk.table),
        lambda: shop.gateway,
        shop.desk.read,
    )


# -- changes -----------------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-4")
@pytest.mark.parametrize("cycle", ["Monthly", "Annual"])
def test_an_upgrade_mid_term_costs_what_the_days_say(shop: Shop, cycle: str) -> None:
    order = shop.sold(billing_cycle=cycle, plan="Starter", list_price=2900)
    effective = shop.desk.clock.now().date() + timedelta(days=9)
    shop.advance_to(midnight(effective, ZONE) + 13 * 3600)
    live = shop.gateway.subscription(order.stripe_subscription_id)
    assert live.seat is not None
    period = Period(live.seat.period_start, live.seat.period_end, midnight(effective, ZONE), ZONE)
    months = 1 if cycle == "Monthly" else 12
    ours = prorate(
        Priced("Starter", Fraction(2900 * months), 25), Priced("Enterprise", Fraction(9900 * months), 40), period
    )
    change = amended(shop.desk, order, plan="Enterprise", list_price=9900, seats=40, start_date=effective.isoformat())
    seat = seat_price(change.terms, PlanCatalogue())
    catalogue_of(shop).apply()
    preview = shop.gateway.preview(live, seat, 40, midnight(effective, ZONE))
    assert shop.desk.run_until_it_waits(change.id).status is OrderStatus.ACTIVE
    made = shop.invoices(order)[-1]
    assert [line["amount"] for line in made["lines"]["data"]] == [line.minor for line in preview.lines]
    compared = explain(ours, preview)
    assert len(compared) == 2
    assert all(line.explained for line in compared), compared
    assert abs(ours.total - made["total"]) <= (
        abs(ours.total) // 100 if period.share_of_days != period.share_of_seconds else 1
    )
    assert len(shop.subscriptions()) == 1
    assert shop.subscription(order)["metadata"]["revision"] == change.id
    expected = expected_subscription(change.terms, PlanCatalogue())
    standing = {item["price"]["lookup_key"]: item.get("quantity") for item in shop.subscription(order)["items"]["data"]}
    assert standing == dict(expected.items)


def test_a_scheduled_downgrade_comes_at_midnight_of_its_day(shop: Shop) -> None:
    order = shop.sold(seats=50)
    later = add_months(shop.desk.clock.now().date().replace(day=1), 2)
    change = amended(shop.desk, order, seats=5, start_date=later.isoformat())
    assert shop.desk.run_until_it_waits(change.id).status is OrderStatus.ACTIVE
    assert shop.quantities(order) == [50, None]
    shop.advance_to(opening(later, ZONE) - 60)
    assert shop.quantities(order) == [50, None]
    shop.advance_to(opening(later, ZONE) + 60)
    assert shop.quantities(order) == [5, None]
    assert shop.subscription(order)["metadata"]["revision"] == change.id
    shop.advance_to(midnight(add_months(later, 3), ZONE))
    assert shop.subscription(order)["status"] in {"active", "past_due"}  # it goes on after its schedule
    assert shop.subscription(order)["schedule"] is None
    assert len(shop.subscriptions()) == 1


def test_a_seat_change_now_keeps_what_is_planned(shop: Shop) -> None:
    order = shop.sold(auto_renewal=False)
    renews = order.terms.renewal_date
    renewal = amended(
        shop.desk,
        order,
        OrderKind.RENEWAL,
        start_date=renews.isoformat(),
        renewal_date=add_months(renews, 12).isoformat(),
        list_price=6100,
    )
    assert shop.desk.run_until_it_waits(renewal.id).status is OrderStatus.ACTIVE
    today = shop.desk.clock.now().date() + timedelta(days=4)
    shop.advance_to(midnight(today, ZONE) + 9 * 3600)
    change = amended(shop.desk, order, seats=31, start_date=today.isoformat())
    assert shop.desk.run_until_it_waits(change.id).status is OrderStatus.ACTIVE
    assert shop.quantities(order) == [31, None]
    schedule = shop.get(f"/v1/subscription_schedules/{shop.subscription(order)['schedule']}")
    assert [phase["metadata"].get("revision") for phase in schedule["phases"]] == [None, renewal.id]
    assert schedule["phases"][-1]["end_date"] == opening(add_months(renews, 12), ZONE)
    assert schedule["end_behavior"] == "cancel"


def test_a_year_of_renewals_is_charged_once_a_month(shop: Shop) -> None:
    order = shop.sold(auto_renewal=False)
    start, renews = order.terms.start_date, order.terms.renewal_date
    renewal = amended(
        shop.desk,
        order,
        OrderKind.RENEWAL,
        start_date=renews.isoformat(),
        renewal_date=add_months(renews, 2).isoformat(),
        list_price=6100,
        auto_renewal=False,
    )
    shop.desk.run_until_it_waits(renewal.id)
    for month in range(1, 16):
        shop.advance_to(opening(add_months(start, month), ZONE) + 7_200)
    charged = [
        (invoice["lines"]["data"][0]["period"]["start"], [line["amount"] for line in invoice["lines"]["data"]])
        for invoice in shop.invoices(order)
        if invoice["total"]
    ]
    months = [opening(add_months(start, month), ZONE) for month in range(14)]
    prices = [5900] * 12 + [6100] * 2
    assert [at for at, _ in charged] == months
    assert [sum(amounts) for _, amounts in charged] == [25 * price for price in prices]
    ended = shop.subscription(order)
    assert (ended["status"], len(shop.subscriptions())) == ("canceled", 1)
    assert ended["ended_at"] == opening(add_months(renews, 2), ZONE)


def test_non_renewal_ends_it_with_the_term_and_can_be_taken_back(shop: Shop) -> None:
    order = shop.sold()
    today = shop.desk.clock.now().astimezone().date().isoformat()
    leaving = amended(shop.desk, order, auto_renewal=False, start_date=today)
    shop.desk.run_until_it_waits(leaving.id)
    assert shop.subscription(order)["cancel_at"] == opening(order.terms.renewal_date, ZONE)
    shop.desk.run_until_it_waits(amended(shop.desk, order, auto_renewal=True, seats=25, start_date=today).id)
    assert shop.subscription(order)["cancel_at"] is None


@pytest.mark.fault("R8", "R9")
@pytest.mark.parametrize(
    ("path", "do", "more"),
    [
        ("/v1/subscriptions/sub_", "lose_response", {}),
        ("/v1/subscriptions/sub_", "status", {"status": 500, "after_work": True}),
        ("/v1/subscriptions/sub_", "status", {"status": 500}),
        ("/v1/subscription_schedules", "lose_response", {}),
    ],
)
def test_a_lost_answer_costs_no_second_change(shop: Shop, path: str, do: str, more: dict[str, Any]) -> None:
    order = shop.sold()
    before = len(shop.invoices(order))
    today = shop.desk.clock.now().date() + timedelta(days=3)
    shop.advance_to(midnight(today, ZONE) + 3600)
    now = amended(shop.desk, order, seats=60, start_date=today.isoformat())
    later = amended(shop.desk, order, seats=10, start_date=add_months(today, 2).isoformat())
    rule = {"on": "request", "do": do, "match": {"method": "POST", "path": path}, "times": 1, **more}
    shop.simulator.control("POST", "faults", [rule])
    for change in (now, later):
        for _ in range(4):
            if shop.desk.order(change.id).status is OrderStatus.EXECUTED:
                attempt(shop, change)
    assert shop.desk.order(later.id).status is not OrderStatus.EXECUTED
    assert shop.quantities(order) == [60, None]
    prorated = [invoice for invoice in shop.invoices(order)[before:] if invoice["total"]]
    assert len(prorated) == 1
    assert shop.subscription(order)["schedule"]


def attempt(shop: Shop, order: OrderForm) -> None:
    try:
        shop.desk.run_until_it_waits(order.id)
    except Unavailable:
        shop.desk.clock.advance(seconds=1)


@pytest.mark.mission("ORD-6")
def test_what_a_change_would_cost_is_what_it_then_costs(shop: Shop) -> None:
    catalogue_of(shop).apply()
    order = shop.sold(billing_cycle="Annual", seats=30)
    try_terms = terms_tried(shop)
    shop.advance_to(shop.now() + 100 * DAY + 5 * 3600)
    prices = len(shop.get("/v1/prices", limit="100")["data"])
    answer = try_terms.live(order.id, WhatIf(seats=47, discount_percent=Decimal("3.25")), REP)
    assert len(shop.get("/v1/prices", limit="100")["data"]) == prices
    assert [line.explained for line in answer.at_once.lines] == [True, True]
    assert all("Stripe counts" in line.reason for line in answer.at_once.lines if line.reason)
    day = answer.at_once.effective_date.isoformat()
    change = amended(shop.desk, order, seats=47, discount_percent=Decimal("3.25"), start_date=day)
    assert shop.desk.run_until_it_waits(change.id).status is OrderStatus.ACTIVE
    assert answer.at_once.provider is not None
    assert shop.invoices(order)[-1]["total"] == answer.at_once.provider.minor
    # midnight in Berlin is an hour before the day opens in UTC: less than an hour in a year
    assert abs(answer.at_once.ours.minor - answer.at_once.provider.minor) * 24 * 364 <= 2 * 47 * 5900 * 12
    unsold = WhatIf.model_validate({"plan": "Starter", "currency": "GBP", "billing_cycle": "Annual", "seats": 7})
    first = try_terms.new(unsold, REP)
    assert (first.at_once.ours, first.at_once.no_preview) == (first.at_once.provider, "")


# -- the catalogue -----------------------------------------------------------------------------------------------------


def test_the_catalogue_is_made_once_and_found_right(shop: Shop) -> None:
    sync = catalogue_of(shop)
    planned = sync.plan()
    assert {change.what for change in planned} == {"product", "price", "meter", "feature", "grant"}
    assert not any(change.drift for change in planned)
    assert {change.key for change in sync.apply()} >= {change.key for change in planned}
    assert sync.plan() == ()
    assert sync.apply() == ()
    granted = shop.get("/v1/products/revops_enterprise/features", limit="100")["data"]
    assert {each["entitlement_feature"]["lookup_key"] for each in granted} == {
        "api",
        "signatures",
        "single_sign_on",
        "verifications",
    }
    order = shop.desk.run_until_it_waits(shop.desk.executed(start_date="2026-11-20").id)
    used = {item["price"]["lookup_key"] for item in shop.subscription(order)["items"]["data"]}
    assert used & {change.key for change in planned}


def test_a_price_changed_behind_our_back_is_found_refused_and_mended(shop: Shop) -> None:
    sync, client = catalogue_of(shop), shop.simulator.client()
    sync.apply()
    key = "revops:revops_professional:seat:eur:monthly:5900"
    other = client.v1.prices.create(
        {
            "product": "revops_professional",
            "currency": "eur",
            "unit_amount": 590,
            "recurring": {"interval": "month"},
            "lookup_key": key,
            "transfer_lookup_key": True,
        }
    )
    archived = client.v1.prices.list({"lookup_keys": ["revops:revops_starter:seat:eur:monthly:2900"]}).data[0]
    client.v1.prices.update(archived.id, {"active": False})
    assert sync.check("2026-11-20") == {"drifted": 2, "missing": 0}
    assert {(change.action, change.key.split(":")[1]) for change in sync.plan()} == {
        (Action.ACTIVATE, "revops_starter"),
        (Action.REPLACE, "revops_professional"),
    }
    order = shop.desk.executed()
    blocked = shop.desk.run_until_it_waits(order.id)
    assert blocked.status is OrderStatus.BLOCKED
    assert blocked.block is not None
    assert "amount is 590, not 5900" in blocked.block.reason
    assert "make catalogue" in blocked.block.reason
    assert shop.subscriptions() == []
    sync.apply()
    assert sync.check("2026-11-21") == {"drifted": 0, "missing": 0}
    assert client.v1.prices.list({"lookup_keys": [key]}).data[0].id != other.id
    shop.desk.resume(order.id, Amendment(), REP)
    assert shop.desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE


def test_a_feature_taken_from_a_plan_or_added_by_hand_is_seen(shop: Shop) -> None:
    sync, client = catalogue_of(shop), shop.simulator.client()
    sync.apply()
    granted = client.v1.products.features.list("revops_starter").data
    client.v1.products.features.delete("revops_starter", granted[0].id)
    extra = client.v1.entitlements.features.list({"lookup_key": "single_sign_on"}).data[0]
    client.v1.products.features.create("revops_starter", {"entitlement_feature": extra.id})
    meter = next(each for each in client.v1.billing.meters.list().data if each.event_name == "revops_units")
    client.v1.billing.meters.deactivate(meter.id)
    assert {(change.what, change.action, change.drift) for change in sync.plan()} == {
        ("grant", Action.CREATE, False),
        ("grant", Action.DETACH, True),
        ("meter", Action.ACTIVATE, True),
    }
    sync.apply()
    assert sync.plan() == ()


@pytest.mark.parametrize(
    ("currency", "country", "transfer"),
    [
        ("EUR", "DE", {"type": "eu_bank_transfer", "eu_bank_transfer": {"country": "DE"}}),
        ("EUR", "FI", {"type": "eu_bank_transfer", "eu_bank_transfer": {"country": "IE"}}),
        ("GBP", "GB", {"type": "gb_bank_transfer"}),
    ],
)
def test_a_wire_transfer_goes_where_the_currency_says(
    shop: Shop, currency: str, country: str, transfer: dict[str, Any]
) -> None:
    address = {"line1": "Street 1", "city": "Town", "postal_code": "1", "country": country}
    order = shop.desk.executed(
        currency=currency, payment_method="Wire Transfer", billing_address=address, start_date=date(2026, 11, 20)
    )
    order = shop.desk.run_until_it_waits(order.id)
    options = shop.subscription(order)["payment_settings"]["payment_method_options"]
    assert options == {"customer_balance": {"funding_type": "bank_transfer", "bank_transfer": transfer}}

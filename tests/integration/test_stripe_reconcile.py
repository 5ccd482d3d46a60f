"""Reconciling, repairing and adopting through the real SDK against the Stripe simulator.

Every request is checked against Stripe's own contract where that is at hand; a violation fails the test.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe
from stripe.params import CouponCreateParams

from revops.adapters.stripe_reconcile import StripeBooks, StripePayers, StripeRepairs, StripeSubscribed
from revops.kernel import CallContext
from revops.orders.model import OrderForm, OrderStatus
from revops.reconcile.adopting import AdoptCustomer
from revops.reconcile.adoption import CandidateState, Verdict
from revops.reconcile.model import DifferenceKind, DifferenceState
from revops.reconcile.planning import RunAdoption
from revops.reconcile.repairing import ApplyRepair
from revops.reconcile.walking import RunReconciliation
from tests.builders.clock import ManualClock
from tests.builders.orders import Desk
from tests.builders.reconcile import Bench
from tests.integration.stripe_simulator import RunningSimulator, running_simulator
from tests.unit.reconcile.test_adoption import Office, chosen

pytestmark = pytest.mark.mission("ORD-4", "ORD-7")
D, S = DifferenceKind, DifferenceState


@dataclass
class Profiles:
    """`Profiles` that notes whom it was asked about."""

    asked: list[str] = field(default_factory=list)

    def adopt(self, payer: str, call: CallContext) -> None:
        self.asked.append(payer)


@dataclass
class Shop:
    """A bench whose provider is the simulator, both on one clock."""

    bench: Bench
    client: stripe.StripeClient

    def sold(self, **terms: Any) -> OrderForm:
        order = self.bench.desk.run_until_it_waits(self.bench.desk.executed(**terms).id)
        assert order.status is OrderStatus.ACTIVE, order.block
        return order

    def items(self, order: OrderForm) -> list[tuple[str | None, int | None]]:
        held = self.client.v1.subscriptions.retrieve(order.stripe_subscription_id)
        return [(item.price.lookup_key, getattr(item, "quantity", None)) for item in held.items.data]

    def update(self, order: OrderForm, **params: Any) -> None:
        self.client.v1.subscriptions.update(order.stripe_subscription_id, params)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with running_simulator(tmp_path_factory.mktemp("stripe")) as simulator:
        yield simulator


@pytest.fixture
def shop(running: RunningSimulator) -> Iterator[Shop]:
    running.control("DELETE", "faults")
    running.control("POST", "reset", {})
    client = running.client()
    now = datetime.fromtimestamp(int(running.control("GET", "clock")["now"]), UTC)
    bench = Bench(ManualClock(now))
    gateway, books = StripeRepairs(lambda: client), StripeBooks(lambda: client)
    bench.desk = Desk(table=bench.table, clock=bench.clock, gateway=gateway)
    bench.run = RunReconciliation(bench.table, bench.clock, bench.expect, books, bench)
    bench.repair = ApplyRepair(bench.table, bench.clock, bench.expect, books, gateway, bench)
    yield Shop(bench, client)
    assert running.control("GET", "violations") == []


def test_what_provisioning_made_does_not_differ(shop: Shop) -> None:
    shop.sold()
    lines = [
        {"meter": "API Calls", "monthly_cap": 100, "overage_price": "0.01"},
        {"meter": "Signatures", "monthly_cap": 0, "overage_price": "0.0000125"},
    ]
    shop.sold(billing_cycle="Annual", usage=lines, auto_renewal=False, spend_cap=None)
    shop.sold(payment_method="Wire Transfer", discount_percent="7.25")
    assert shop.bench.found() == []


def test_drifts_are_found_and_repaired_at_stripe(shop: Shop) -> None:
    order = shop.sold()
    agreed = shop.items(order)
    held = shop.client.v1.subscriptions.retrieve(order.stripe_subscription_id)
    seats, usage = held.items.data
    price = shop.client.v1.prices.create(
        {"currency": "eur", "unit_amount": 100, "product": "revops_professional", "recurring": {"interval": "month"}}
    )
    more = shop.client.v1.prices.create(
        {"currency": "eur", "unit_amount": 900, "product_data": {"name": "More"}, "recurring": {"interval": "month"}}
    )
    shop.update(
        order,
        items=[
            {"id": seats.id, "price": price.id, "quantity": 30},
            {"id": usage.id, "deleted": True},
            {"price": more.id, "quantity": 2},
        ],
        proration_behavior="none",
        days_until_due=45,
        cancel_at=int(shop.bench.clock.now().timestamp()) + 40 * 86_400,
        metadata={"plan": "Starter", "account_id": ""},
    )
    found = {each.finding.kind: each for each in shop.bench.found()}
    money = {kind: each.finding.effect.amount for kind, each in found.items() if each.finding.effect}
    assert money[D.QUANTITY] + money[D.PRICE] == 30 * 100 - 25 * 5900
    assert money[D.EXTRA_ITEM] == 1800
    assert money[D.MISSING_ITEM] == 0
    assert set(found) == {
        D.QUANTITY, D.PRICE, D.EXTRA_ITEM, D.MISSING_ITEM, D.COLLECTION, D.ENDING, D.METADATA,
    }  # fmt: skip
    done = shop.bench.repaired(*found.values())
    assert {each.state for each in done} == {S.REPAIRED}, [each.result for each in done]
    assert shop.bench.found() == []
    assert sorted(shop.items(order), key=str) == sorted(agreed, key=str)


def test_what_somebody_paused_or_discounted_is_seen(shop: Shop) -> None:
    order = shop.sold()
    less: CouponCreateParams = {"amount_off": 5000, "currency": "eur", "duration": "forever"}
    coupon = shop.client.v1.coupons.create(less)
    shop.update(order, pause_collection={"behavior": "void"}, discounts=[{"coupon": coupon.id}])
    found = {each.finding.kind: each.finding for each in shop.bench.found()}
    assert set(found) == {D.PAUSED, D.DISCOUNT}
    assert (found[D.PAUSED].actual, found[D.DISCOUNT].actual.startswith("di_")) == ("void", True)
    shop.update(order, pause_collection="", discounts="")
    assert shop.bench.found() == []


@pytest.mark.mission("ORD-4")
def test_a_doubled_one_is_cancelled_and_an_ended_one_is_told(shop: Shop, running: RunningSimulator) -> None:
    order = shop.sold()
    held = shop.client.v1.subscriptions.retrieve(order.stripe_subscription_id)
    twin = shop.client.v1.subscriptions.create(
        {
            "customer": order.stripe_customer_id,
            "items": [{"price": held.items.data[0].price.id, "quantity": 4}],
            "collection_method": "send_invoice",
            "days_until_due": 30,
            "metadata": {"order_form": order.id},
        }
    )
    (doubled,) = shop.bench.found()
    assert (doubled.finding.kind, doubled.finding.subscription_id) == (D.DOUBLED, twin.id)
    assert doubled.finding.effect is not None
    assert doubled.finding.effect.minor == 4 * 5900
    running.control("POST", "clock", {"advance_seconds": 3 * 86_400})
    shop.bench.clock.advance(days=3)
    assert shop.bench.repaired(doubled)[0].state is S.REPAIRED
    pending = shop.client.v1.invoice_items.list({"customer": order.stripe_customer_id, "pending": True})
    assert list(pending.auto_paging_iter()) == [], "what it billed before is credited by a person"
    assert shop.bench.found() == []
    shop.client.v1.customers.delete(order.stripe_customer_id)
    (gone,) = shop.bench.found()
    assert (gone.finding.kind, gone.finding.action.kind) == (D.CUSTOMER_DELETED, "none")
    assert [each.finding.kind for each in shop.bench.found(order.id)] == [D.CUSTOMER_DELETED]


def test_pages_of_subscriptions_of_nobody(shop: Shop) -> None:
    customer = shop.client.v1.customers.create({"name": "Before us"})
    price = shop.client.v1.prices.create(
        {"currency": "eur", "unit_amount": 100, "product_data": {"name": "Old"}, "recurring": {"interval": "year"}}
    )
    made = [
        shop.client.v1.subscriptions.create(
            {
                "customer": customer.id,
                "items": [{"price": price.id}],
                "collection_method": "send_invoice",
                "days_until_due": 7,
            }
        ).id
        for _ in range(5)
    ]
    client = shop.client
    books, seen, after = StripeBooks(lambda: client), list[str](), ""
    while True:
        page = books.page(after, 2)
        seen += [each.id for each in page.subscriptions]
        after = page.last
        if not after:
            break
    assert sorted(seen) == sorted(made)
    run = shop.bench.reconciled()
    assert (run.unclaimed, run.differences) == (5, 0)
    assert books.of_customer("cus_nobody") == ()
    assert books.one("sub_nobody") is None


@pytest.mark.mission("STR-8")
def test_customers_that_were_there_before_are_adopted(shop: Shop) -> None:
    office, client = Office(), shop.client
    nord = office.account("Nordlicht GmbH", "a@nordlicht.example")
    old = client.v1.customers.create(
        {"name": "Nordlicht", "email": "b@nordlicht.example", "address": {"city": "Kiel", "country": "DE"}}
    )
    new = client.v1.customers.create({"name": "Zeppelin", "email": "z@zeppelin.example"})
    price = client.v1.prices.create(
        {"currency": "eur", "unit_amount": 100, "product_data": {"name": "Old"}, "recurring": {"interval": "month"}}
    )
    running = client.v1.subscriptions.create(
        {
            "customer": old.id,
            "items": [{"price": price.id}],
            "collection_method": "send_invoice",
            "days_until_due": 7,
        }
    )
    payers, profiles = StripePayers(lambda: client), Profiles()
    office.run = RunAdoption(office.table, office.clock, payers, StripeSubscribed(lambda: client), office.accounts)
    office.adopt = AdoptCustomer(office.table, office.clock, payers, office.accounts, profiles)
    plan = office.planned()
    held = office.candidate(plan, old.id)
    assert (held.verdict, held.account_id, held.subscriptions) == (Verdict.CERTAIN, nord, (running.id,))
    office.approve(plan, chosen(new.id), certain=True)
    assert {each.state for each in office.all_adopted(plan)} == {CandidateState.ADOPTED}
    assert sorted(profiles.asked) == sorted([old.id, new.id])
    assert client.v1.customers.retrieve(old.id).to_dict()["metadata"] == {"account_id": nord}
    made = office.candidate(plan, new.id).account_id
    assert client.v1.customers.retrieve(new.id).to_dict()["metadata"] == {"account_id": made}
    assert payers.customer("cus_nobody") is None
    client.v1.customers.delete(new.id)
    assert payers.customer(new.id) is None

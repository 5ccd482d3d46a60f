"""Whose customers and subscriptions they are, how they end, and what is not prorated: through the real SDK against the
Stripe simulator and its clock."""

from datetime import UTC, datetime

import pytest

from revops.adapters.agreed_terms import AgreedTerms
from revops.adapters.stripe_cancellation import StripeCancellations
from revops.billing.cancellation import Mode
from revops.kernel import add_months
from revops.orders.changing import ChangeSubscription
from revops.orders.model import OrderKind, OrderStatus
from revops.orders.policies.calendar import opening
from revops.orders.policies.trial import WhatIf
from revops.settings import SettingsReader
from tests.builders.customers import wish_of
from tests.builders.orders import REP, WORKER
from tests.integration.test_stripe_changes import DAY, ZONE, Shop, attempt, running, shop, terms_tried
from tests.unit.orders.test_changing import amended

__all__ = ["running", "shop"]

pytestmark = pytest.mark.mission("ORD-5")


def agreed_of(shop: Shop) -> AgreedTerms:
    settings = SettingsReader(shop.desk.table, ttl=0)
    change = ChangeSubscription(shop.desk.table, shop.desk.clock, shop.gateway, settings, shop.desk.wishes)
    return AgreedTerms(shop.desk.table, lambda: shop.gateway, lambda: change)


@pytest.mark.mission("STR-5")
def test_a_year_paid_for_is_had_and_what_is_kept_goes_on_as_signed(shop: Shop) -> None:
    """Seats by the year and usage by the month on one subscription: it ends with the year, not with the month. A signed
    renewal that the end takes away is planned again when the end is taken back."""
    order = shop.sold(billing_cycle="Annual", auto_renewal=False)
    renews = order.terms.renewal_date
    ends = {"start_date": renews.isoformat(), "renewal_date": add_months(renews, 12).isoformat()}
    shop.desk.run_until_it_waits(amended(shop.desk, order, OrderKind.RENEWAL, **ends, seats=31).id)
    planned = shop.get(f"/v1/subscription_schedules/{shop.subscription(order)['schedule']}")["phases"]
    assert len({item["current_period_end"] for item in shop.subscription(order)["items"]["data"]}) == 2

    stripe, agreed = StripeCancellations(shop.simulator.client), agreed_of(shop)
    payers = (order.stripe_customer_id,)
    year = max(item["current_period_end"] for item in shop.subscription(order)["items"]["data"])
    for _ in range(2):
        standing = stripe.bring(wish_of(order.stripe_subscription_id, Mode.PERIOD_END), payers)
        assert (standing.ended, standing.ends_at) == (False, datetime.fromtimestamp(year, UTC))
    held = shop.subscription(order)
    assert (held["cancel_at"], held["schedule"]) == (year, None)
    assert agreed(order.stripe_subscription_id, WORKER) == ""
    assert shop.subscription(order) == held, "it is to end: nothing agreed is put beside that"

    stripe.bring(wish_of(order.stripe_subscription_id, Mode.KEEP), payers)
    assert (shop.subscription(order)["cancel_at"], shop.subscription(order)["metadata"].get("ending")) == (None, None)
    assert agreed(order.stripe_subscription_id, WORKER) == ""
    again = shop.get(f"/v1/subscription_schedules/{shop.subscription(order)['schedule']}")["phases"]
    told = ("start_date", "end_date", "metadata")
    assert [[each[name] for name in told] for each in again[1:]] == [
        [each[name] for name in told] for each in planned[1:]
    ]
    assert [item.get("quantity") for item in again[1]["items"]] == [31, None]

    stripe.bring(wish_of(order.stripe_subscription_id, Mode.PERIOD_END), payers)
    shop.advance_to(opening(add_months(renews, -10), ZONE))
    assert shop.subscription(order)["status"] == "active"
    shop.advance_to(year + DAY)
    assert shop.subscription(order)["ended_at"] == year


@pytest.mark.mission("STR-5")
def test_an_end_with_the_period_that_somebody_undid_at_stripe_is_none(shop: Shop) -> None:
    """What says that it was asked for is left behind; the signed end is no end with the period."""
    order = shop.sold(billing_cycle="Annual", auto_renewal=False)
    signed = shop.subscription(order)["cancel_at"]
    stripe, payers = StripeCancellations(shop.simulator.client), (order.stripe_customer_id,)
    for _ in range(2):
        stripe.bring(wish_of(order.stripe_subscription_id, Mode.PERIOD_END), payers)
        assert shop.gateway.subscription(order.stripe_subscription_id).cancel_at_period_end
        shop.simulator.client().v1.subscriptions.update(order.stripe_subscription_id, {"cancel_at": ""})
        assert not shop.gateway.subscription(order.stripe_subscription_id).cancel_at_period_end
    agreed_of(shop)(order.stripe_subscription_id, WORKER)
    live = shop.gateway.subscription(order.stripe_subscription_id)
    assert (live.cancel_at, live.cancel_at_period_end) == (signed, False)


@pytest.mark.fault("S9")
@pytest.mark.parametrize(
    ("account", "deleted", "reason"), [("ACC_OTHER", False, "belongs to another account"), ("", True, "was deleted")]
)
@pytest.mark.parametrize("method", ["Credit Card", "Invoice"])
def test_a_customer_of_somebody_else_or_of_nobody_is_not_billed(
    shop: Shop, account: str, deleted: bool, reason: str, method: str
) -> None:
    v1 = shop.simulator.client().v1
    named = v1.customers.create({"name": "Other", "metadata": {"account_id": account} if account else {}}).id
    if deleted:
        v1.customers.delete(named)
    blocked = shop.desk.run_until_it_waits(
        shop.desk.executed(stripe_customer_id=named, payment_method=method, start_date="2026-11-20").id
    )
    assert (blocked.status, shop.subscriptions()) == (OrderStatus.BLOCKED, [])
    assert blocked.block is not None
    assert reason in blocked.block.reason


@pytest.mark.mission("ORD-4")
@pytest.mark.fault("R8", "R9")
def test_the_subscription_of_another_order_of_the_customer_is_not_taken_for_its_own(shop: Shop) -> None:
    first = shop.sold()
    second = shop.desk.executed(account_id=first.account_id, start_date="2026-11-20")
    creating = {"method": "POST", "path": "/v1/subscriptions"}
    rule = {"on": "request", "do": "status", "match": creating, "times": 1, "status": 500}
    shop.simulator.control("POST", "faults", [rule])
    for _ in range(3):
        attempt(shop, second)
    made = shop.desk.order(second.id)
    assert made.status is OrderStatus.ACTIVE
    assert made.stripe_customer_id == first.stripe_customer_id
    assert made.stripe_subscription_id != first.stripe_subscription_id
    assert len(shop.subscriptions()) == 2


@pytest.mark.mission("ORD-4")
@pytest.mark.fault("R8", "R9")
def test_what_was_made_and_ended_before_its_answer_came_is_not_made_again(shop: Shop) -> None:
    order = shop.desk.executed(start_date="2026-11-20")
    creating = {"method": "POST", "path": "/v1/subscriptions"}
    rule = {"on": "request", "do": "status", "match": creating, "times": 1, "status": 500, "after_work": True}
    shop.simulator.control("POST", "faults", [rule])
    attempt(shop, order)
    (made,) = shop.subscriptions()
    shop.simulator.client().v1.subscriptions.cancel(made["id"])
    attempt(shop, order)
    assert shop.desk.order(order.id).stripe_subscription_id == made["id"]
    assert [each["id"] for each in shop.subscriptions()] == [made["id"]]


@pytest.mark.mission("ORD-4")
@pytest.mark.fault("R9", "S9")
def test_another_account_with_the_same_mail_address_has_a_customer_of_its_own(shop: Shop) -> None:
    first = shop.sold()
    second = shop.desk.executed(legal_entity_name="Nachbar GmbH", start_date="2026-11-20")
    assert (second.terms.contact_email, second.account_id == first.account_id) == (first.terms.contact_email, False)
    creating = {"method": "POST", "path": "/v1/customers"}
    rule = {"on": "request", "do": "status", "match": creating, "times": 1, "status": 500}
    shop.simulator.control("POST", "faults", [rule])
    for _ in range(3):
        attempt(shop, second)
    made = shop.desk.order(second.id)
    assert made.status is OrderStatus.ACTIVE
    assert made.stripe_customer_id != first.stripe_customer_id


@pytest.mark.mission("ORD-6")
def test_a_new_cycle_is_charged_whole_where_nothing_is_prorated(shop: Shop) -> None:
    order = shop.sold(proration=False)
    shop.advance_to(shop.now() + 10 * DAY)
    answer = terms_tried(shop).live(order.id, WhatIf.model_validate({"billing_cycle": "Annual"}), REP)
    day = answer.at_once.effective_date.isoformat()
    change = amended(shop.desk, order, billing_cycle="Annual", start_date=day)
    assert shop.desk.run_until_it_waits(change.id).status is OrderStatus.ACTIVE
    assert answer.at_once.ours == answer.at_once.provider
    assert shop.invoices(order)[-1]["total"] == answer.at_once.ours.minor == 12 * 25 * 5900


@pytest.mark.mission("ORD-4")
@pytest.mark.fault("R8", "R9")
def test_a_key_that_stands_for_another_request_gives_way_to_the_next(shop: Shop) -> None:
    """An earlier release sent other parameters under it: nobody has to resume the order for that."""
    order = shop.desk.executed(start_date="2026-11-20")
    key = f"of:{order.id}:v1:subscription"
    shop.simulator.client().v1.customers.create({"name": "Something else"}, {"idempotency_key": key})
    assert shop.desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    assert len(shop.subscriptions()) == 1


def test_what_is_planned_before_the_start_leaves_the_start_where_it_is(shop: Shop) -> None:
    """Until then nothing is charged: a phase that did not say so would begin the billing at once."""
    start = add_months(shop.desk.clock.now().date().replace(day=1), 2)
    order = shop.desk.run_until_it_waits(
        shop.desk.executed(start_date=start.isoformat(), renewal_date=add_months(start, 12).isoformat()).id
    )
    trial_end = shop.subscription(order)["trial_end"]
    shop.desk.run_until_it_waits(amended(shop.desk, order, seats=40, start_date=add_months(start, 2).isoformat()).id)
    first, later = shop.get(f"/v1/subscription_schedules/{shop.subscription(order)['schedule']}")["phases"]
    assert (first["trial_end"], later["trial_end"]) == (trial_end, None)
    assert shop.subscription(order)["status"] == "trialing"
    assert not any(invoice["total"] for invoice in shop.invoices(order))

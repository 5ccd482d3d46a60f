"""A subscription that runs is changed by executed forms about it, and by nothing else (ORD-5, ORD-6)."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from local.aws import wiring_of
from revops.kernel import add_months
from tests.acceptance import orders
from tests.acceptance.stack import Json, Stack, eventually, fresh

DAY = 86_400


@pytest.fixture(scope="module", autouse=True)
def catalogue(stack: Stack) -> None:
    """What `make catalogue APPLY=1` does, once."""
    wiring_of(stack.told).sync_catalogue().apply()


def _amended(stack: Stack, order: Json, kind: str = "Amendment", **agreed: Any) -> Json:
    """An executed form about the subscription of an order, once it is active. What it does not say stays."""
    day = {} if kind == "Renewal" else {"start_date": orders.today().isoformat()}
    form = {"kind": kind, "amends": order["id"], **day, **agreed}
    headers = {"Idempotency-Key": fresh()}
    made = stack.ok("POST", "/api/v1/orders", expect=201, user="rep", json=form, headers=headers)
    orders.sign(stack, made["id"])
    orders.reached(stack, made["id"], "Active")
    result: Json = stack.ok("GET", f"/api/v1/orders/{made['id']}", user="rep")
    return result


def _subscription(stack: Stack, order: Json) -> Json:
    (found,) = orders.subscriptions_of(stack, order["id"])
    return found


def _items(subscription: Json) -> list[tuple[str, int | None]]:
    return [(item["price"]["lookup_key"], item.get("quantity")) for item in subscription["items"]["data"]]


def _schedule(stack: Stack, subscription: Json) -> Json:
    held = stack.held("stripe", "subscription_schedule", subscription["schedule"])
    (found,) = [each for each in held if each["id"] == subscription["schedule"]]
    result: Json = found
    return result


def _opens(day: date) -> int:
    """In Hamburg a day of billing opens at midnight UTC: that is on the same day there, winter and summer."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


@pytest.mark.mission("ORD-4", "ORD-5", "ORD-6")
def test_an_upgrade_mid_term_costs_what_was_answered_before(stack: Stack) -> None:
    order = orders.active(stack, plan="Starter", billing_cycle="Annual", seats=10, spend_cap=None)
    before = _subscription(stack, order)
    assert len(before["items"]["data"]) == 2
    trial: Json = {"plan": "Enterprise", "seats": 12}
    answer = stack.ok("POST", f"/api/v1/orders/{order['id']}/what-if", user="rep", json=trial)
    assert answer["now"]["seats_per_month"]["minor"] == 10 * 2900
    assert answer["then"]["seats_per_month"]["minor"] == 12 * 9900
    stack.refused("POST", f"/api/v1/orders/{order['id']}/what-if", expect=404, user="rep2", json=trial)
    changed = _amended(stack, order, **trial)
    now = _subscription(stack, order)
    assert now["id"] == before["id"] == changed["stripe_subscription_id"]
    assert orders.subscriptions_of(stack, changed["id"]) == []
    assert _items(now)[0] == ("revops:revops_enterprise:seat:eur:annual:118800", 12)
    assert (now["metadata"]["revision"], now["metadata"]["order_form"]) == (changed["id"], order["id"])
    invoices = stack.held("stripe", "invoice", now["latest_invoice"])
    (prorated,) = [each for each in invoices if each["id"] == now["latest_invoice"]]
    assert [line["amount"] < 0 for line in prorated["lines"]["data"]] == [True, False]
    assert prorated["total"] == answer["at_once"]["provider"]["minor"]
    assert all(line["explained"] for line in answer["at_once"]["lines"])


@pytest.mark.mission("ORD-5")
def test_seats_and_a_usage_line_now_and_a_downgrade_later(stack: Stack) -> None:
    order = orders.active(stack, seats=20, spend_cap=None)
    usage = [{"meter": "Pooled", "monthly_cap": 9_000, "overage_price": "0.0125"}]
    more = _amended(stack, order, seats=21, usage=usage)
    assert _items(_subscription(stack, order)) == [
        ("revops:revops_professional:seat:eur:monthly:5900", 21),
        ("revops:usage_revops_units:usage:eur:9000:1.25", None),
    ]
    later = orders.today() + timedelta(days=45)
    fewer = _amended(stack, more, seats=4, start_date=later.isoformat())
    held = _subscription(stack, order)
    assert _items(held)[0][1] == 21, "nothing changes before its day"
    assert held["metadata"]["revision"] == more["id"]
    present, planned = _schedule(stack, held)["phases"]
    assert (present["end_date"], planned["start_date"]) == (_opens(later), _opens(later))
    assert [item.get("quantity") for item in planned["items"]] == [4, None]
    assert planned["metadata"]["revision"] == fewer["id"]


@pytest.mark.mission("ORD-5")
def test_non_renewal_ends_it_and_a_renewal_goes_on(stack: Stack) -> None:
    renews, again = add_months(orders.today(), 12), add_months(orders.today(), 24)
    order = orders.active(stack, renewal_date=renews.isoformat(), auto_renewal=False, spend_cap=None)
    assert _subscription(stack, order)["cancel_at"] == _opens(renews)
    renewal = _amended(stack, order, "Renewal", seats=9)
    held = _subscription(stack, order)
    assert held["cancel_at"] is None
    schedule = _schedule(stack, held)
    assert schedule["end_behavior"] == "cancel"
    assert (schedule["phases"][-1]["start_date"], schedule["phases"][-1]["end_date"]) == (_opens(renews), _opens(again))
    assert schedule["phases"][-1]["metadata"]["revision"] == renewal["id"]
    assert _items(held)[0][1] == 5


@pytest.mark.mission("ORD-6")
def test_terms_nobody_signed_are_answered_and_nothing_is_made(stack: Stack) -> None:
    customer = orders.active(stack, spend_cap=None)
    prices = len(stack.held("stripe", "price"))
    trial = {
        "account_id": customer["account_id"],
        "plan": "Professional",
        "currency": "EUR",
        "billing_cycle": "Annual",
        "seats": 33,
        "discount_percent": "3.25",
    }
    answer = stack.ok("POST", "/api/v1/orders/what-if", user="rep", json=trial)
    assert answer["now"] is None
    assert answer["then"]["seats_per_cycle"]["minor"] == answer["at_once"]["ours"]["minor"] == 2_260_467
    assert answer["at_once"]["provider"]["minor"] == 2_260_467
    stack.refused("POST", "/api/v1/orders/what-if", expect=404, user="rep2", json=trial)
    stack.refused("POST", "/api/v1/orders/what-if", expect=400, user="rep", json={"seats": 3})
    stack.refused("POST", "/api/v1/orders/what-if", expect=400, user="rep", json={**trial, "owner_id": "USR_x"})
    made = [price for price in stack.held("stripe", "price")[prices:] if price["unit_amount_decimal"] == "68499"]
    assert made == []


@pytest.mark.mission("ORD-5")
def test_a_wire_transfer_that_does_not_exist_is_told_at_review(stack: Stack) -> None:
    order = orders.submitted(stack, payment_method="Wire Transfer", currency="BRL", spend_cap=None)
    waiting = orders.reached(stack, order["id"], "InReview")
    assert ["choose Invoice" in finding for finding in waiting["findings"]] == [True]
    stack.ok("POST", f"/api/v1/orders/{order['id']}/cancel", user="rep", json={"reason": "seen"})


@pytest.mark.mission("ORD-5")
def test_a_price_changed_behind_our_back_is_found_by_the_daily_look(stack: Stack) -> None:
    orders.active(stack, plan="Starter", currency="BRL", region="BR", billing_cycle="Annual", spend_cap=None)
    key = "revops:revops_starter:seat:brl:annual:178800"
    (price,) = [each for each in stack.held("stripe", "price", key) if each["lookup_key"] == key]
    headers = {"authorization": f"Bearer {stack.told['stripe']['api_key']}"}
    stack.simulator("stripe", "POST", f"v1/prices/{price['id']}", headers=headers, data={"active": "false"})

    def look() -> Json:
        when = (datetime.now(UTC) + timedelta(seconds=int(fresh()[:6], 16))).isoformat()
        event = {"source": "aws.events", "detail-type": "Scheduled Event", "time": when}
        answer = stack.aws("lambda").invoke(FunctionName="revops-local-order-steps", Payload=json.dumps(event).encode())
        result: Json = json.loads(answer["Payload"].read())
        assert not answer.get("FunctionError"), result
        return result

    eventually("the daily look", lambda: look().get("drifted"))
    eventually("the mail about it", lambda: stack.mails(key))
    row = stack.row("CATALOGUE#stripe", "CHECK")
    assert row is not None
    assert key in row["doc"]["S"]
    blocked = orders.submitted(
        stack, plan="Starter", currency="BRL", region="BR", billing_cycle="Annual", spend_cap=None
    )
    orders.sign(stack, blocked["id"])
    assert "it is archived" in orders.reached(stack, blocked["id"], "Blocked")["reason"]
    stack.simulator("stripe", "POST", f"v1/prices/{price['id']}", headers=headers, data={"active": "true"})
    stack.ok("POST", f"/api/v1/orders/{blocked['id']}/resume", user="rep", json={})
    orders.reached(stack, blocked["id"], "Active")

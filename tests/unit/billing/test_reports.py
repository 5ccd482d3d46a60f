"""STR-7: failures and cancellations of a period, within one's scope; how each asset does."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from revops.billing.ownership import FollowOwner
from tests.builders.billing import START, event_body, subscription
from tests.builders.customers import CustomerDesk

pytestmark = pytest.mark.mission("STR-7")


@pytest.fixture
def desk() -> CustomerDesk:
    return CustomerDesk()


def _fails(desk: CustomerDesk, payer: str, number: int, at: datetime, code: str = "card_declined", **more: Any) -> None:
    error = {"code": code, "message": "declined", "charge": f"ch_{number}"}
    intent = {
        "id": f"pi_{number}",
        "object": "payment_intent",
        "customer": payer,
        "currency": "eur",
        "amount": 1000,
        "last_payment_error": error,
    }
    desk.bench.work(event_body(f"evt_f{number}", "payment_intent.payment_failed", intent | more, at))


def _cancels(desk: CustomerDesk, payer: str, subscription_id: str, at: datetime, reason: str) -> None:
    price = {
        "id": "price_pro",
        "nickname": "Professional",
        "unit_amount": 4900,
        "recurring": {"usage_type": "licensed"},
    }
    ended = {
        "id": subscription_id,
        "object": "subscription",
        "customer": payer,
        "currency": "eur",
        "status": "canceled",
        "items": {"data": [{"price": price, "quantity": 3}]},
        "cancellation_details": {"feedback": reason},
    }
    desk.bench.work(event_body(f"evt_c{subscription_id}", "customer.subscription.deleted", ended, at))


def _report(desk: CustomerDesk, path: str, user: str = "finance") -> Any:
    answer = desk.ask("GET", f"/reports/{path}", user=user)
    assert answer.status == 200, answer.body
    return answer.body


_NOVEMBER = "start=2026-11-01&end=2026-11-30"


def test_failures_by_currency_reason_and_plan(desk: CustomerDesk) -> None:
    one = desk.customer(invoice_of={"pi_1": "in_1", "pi_2": "in_2"}, subscription_of={"in_1": "sub_1"}).payers[0]
    other = desk.customer("ACC_FAR").payers[0]
    _fails(desk, one, 1, START)
    _fails(desk, one, 2, START + timedelta(days=1), "insufficient_funds")
    _fails(desk, other, 3, START + timedelta(days=2), currency="usd")
    _fails(desk, other, 4, START - timedelta(days=9))
    invoice = {"id": "in_1", "object": "invoice", "customer": one, "currency": "eur", "amount_remaining": 1000}
    desk.bench.work(event_body("evt_in", "invoice.payment_failed", invoice | {"attempt_count": 1}, START))
    overdue = invoice | {"id": "in_9", "amount_remaining": 300}
    desk.bench.work(event_body("evt_od", "invoice.overdue", overdue, START + timedelta(days=3)))
    report = _report(desk, f"payments/failures?scope=all&{_NOVEMBER}")
    assert report["total"] == {"count": 4, "amounts": {"EUR": 2300, "USD": 1000}}, "in_1 failed once, not twice"
    assert report["customers"] == 2
    assert {name: line["count"] for name, line in report["by_reason"].items()} == {
        "card_declined": 2,
        "insufficient_funds": 1,
        "overdue": 1,
    }
    assert report["by_plan"]["Professional"] == {"count": 1, "amounts": {"EUR": 1000}}
    assert len(report["entries"]) == 5
    earlier = _report(desk, "payments/failures?scope=all&start=2026-10-01&end=2026-10-31")
    assert earlier["total"]["count"] == 1


def test_cancellations_say_what_is_lost(desk: CustomerDesk) -> None:
    one, other = desk.customer().payers[0], desk.customer("ACC_REP2").payers[0]
    _cancels(desk, one, "sub_1", START, "too_expensive")
    _cancels(desk, one, "sub_9", START + timedelta(hours=1), "unused")
    _cancels(desk, other, "sub_2", START + timedelta(days=40), "unused")
    report = _report(desk, f"cancellations?scope=all&{_NOVEMBER}")
    assert report["total"] == {"count": 2, "amounts": {"EUR": 2 * 3 * 4900}}
    assert list(report["by_reason"]) == ["too_expensive", "unused"]
    assert report["by_plan"] == {"Professional": {"count": 2, "amounts": {"EUR": 29400}}}


def test_detail_in_pages(desk: CustomerDesk) -> None:
    payer = desk.customer().payers[0]
    for number in range(7):
        _fails(desk, payer, number, START + timedelta(hours=number))
    found, cursor = [], ""
    while True:
        path = f"payments/failures?scope=mine&{_NOVEMBER}&limit=3" + (f"&cursor={cursor}" if cursor else "")
        page = _report(desk, path, "rep")
        found += [entry["metadata"]["payment_intent_id"] for entry in page["entries"]]
        assert page["total"]["count"] == 7
        cursor = page["next"]
        if not cursor:
            break
    assert found == [f"pi_{number}" for number in range(6, -1, -1)]


@pytest.mark.fault("S1")
def test_a_report_reaches_as_far_as_its_reader(desk: CustomerDesk) -> None:
    for number, account in enumerate(("ACC_REP", "ACC_REP2", "ACC_FAR", "")):
        _fails(desk, desk.customer(account).payers[0], number, START)
    path = f"payments/failures?{_NOVEMBER}&scope="
    for user, scope, count in (
        ("rep", "mine", 1),
        ("manager", "team", 2),
        ("finance", "all", 4),
        ("support", "all", 4),
        ("finance", "mine", 0),
    ):
        assert _report(desk, path + scope, user)["total"]["count"] == count, user
    for user in ("sdr", "legal"):
        assert desk.ask("GET", f"/reports/{path}mine", user=user).status == 403
    assert desk.ask("GET", f"/reports/{path}all", user="rep").status == 403


@pytest.mark.fault("S4")
def test_what_is_reported_follows_the_accounts_owner(desk: CustomerDesk) -> None:
    customer = desk.customer()
    _fails(desk, customer.payers[0], 1, START)
    desk.bench.accounts.owners["ACC_REP"] = "rep2"
    follow = FollowOwner(desk.bench.table, desk.bench.clock, desk.bench.accounts)
    assert follow("ACC_REP", desk.bench.call) == 1
    assert follow("ACC_REP", desk.bench.call) == 0
    assert follow("ACC_NOBODYS", desk.bench.call) == 0
    path = f"payments/failures?scope=mine&{_NOVEMBER}"
    assert _report(desk, path, "rep")["total"]["count"] == 0
    assert _report(desk, path, "rep2")["total"]["count"] == 1
    assert [each["id"] for each in desk.ask("GET", "/customers", user="rep2").body["customers"]] == [customer.id]
    assert desk.ask("GET", "/customers", user="rep").body["customers"] == []


@pytest.mark.parametrize(
    "period", ["start=2026-11-02&end=2026-11-01", "start=2026-01-01&end=2026-11-01", "start=tomorrow"]
)
def test_a_period_that_makes_no_sense_is_refused(desk: CustomerDesk, period: str) -> None:
    assert desk.ask("GET", f"/reports/payments/failures?scope=all&{period}").status == 400
    assert desk.ask("GET", f"/reports/cancellations?scope=all&{period}").status == 400


def test_a_period_that_holds_too_much_is_refused_not_cut(desk: CustomerDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    payer = desk.customer().payers[0]
    for number in range(4):
        _fails(desk, payer, number, START)
    monkeypatch.setattr("revops.billing.reports.MAX_ENTRIES", 3)
    answer = desk.ask("GET", f"/reports/payments/failures?scope=all&{_NOVEMBER}")
    assert (answer.status, answer.fields) == (400, {"end"})


@pytest.mark.mission("STR-4")
def test_how_each_asset_does(desk: CustomerDesk) -> None:
    customer = desk.customer(invoice_of={"pi_3": "in_3"})
    payer, path = customer.payers[0], f"/customers/{customer.id}/assets"
    for asset, approval in (("flat-1", "approved"), ("flat-2", "approved"), ("flat-3", "pending")):
        desk.ask("PUT", f"{path}/{asset}", {"approval": approval}, user="rep")
    for number, asset, amount in ((1, "flat-1", 500), (2, "flat-2", 900), (3, "flat-2", 900)):
        paid: dict[str, Any] = {"id": f"pi_{number}", "object": "payment_intent", "customer": payer, "currency": "gbp"}
        paid |= {"amount": amount, "amount_received": amount, "metadata": {"asset_id": asset}}
        desk.bench.work(event_body(f"evt_p{number}", "payment_intent.succeeded", paid, START + timedelta(days=number)))
    billed = {"id": "in_3", "object": "invoice", "customer": payer, "currency": "gbp", "amount_paid": 900}
    desk.bench.work(event_body("evt_in3", "invoice.paid", billed | {"metadata": {"propertyId": "flat-2"}}, START))
    _fails(desk, payer, 9, START, metadata={"propertyId": "flat-1"})
    answer = desk.ask("GET", f"{path}?{_NOVEMBER}", user="rep").body
    assert [(each["asset"]["asset_id"], each["asset"]["link_status"]) for each in answer["assets"]] == [
        ("flat-2", "active"),
        ("flat-1", "active"),
        ("flat-3", "pending"),
    ]
    best, second, third = answer["assets"]
    assert best["paid"] == {"count": 2, "amounts": {"GBP": 1800}}, "an invoice's payment is told twice and counted once"
    assert (second["paid"]["amounts"], second["failed"]) == ({"GBP": 500}, {"count": 1, "amounts": {"EUR": 1000}})
    assert (third["paid"]["count"], third["last_paid_at"]) == (0, None)
    assert best["last_paid_at"].startswith("2026-11-03") or best["last_paid_at"].startswith("2026-11-04")
    assert desk.ask("GET", path, user="stranger").status == 404


def test_a_cancelled_customer_shows_in_the_list(desk: CustomerDesk) -> None:
    customer = desk.customer(subscriptions=(subscription("canceled"),))
    listed = desk.ask("GET", "/customers?scope=all&status=inactive").body["customers"]
    assert [each["id"] for each in listed] == [customer.id]


@pytest.mark.fault("S13")
@pytest.mark.parametrize("days", ["end=9999-12-31&start=9999-12-01", "end=0001-01-01", "start=0001-01-01"])
def test_a_day_that_no_calendar_goes_beyond_is_refused(desk: CustomerDesk, days: str) -> None:
    customer = desk.customer()
    for path in ("/reports/payments/failures?scope=all&", "/reports/cancellations?scope=all&"):
        assert desk.ask("GET", path + days, user="finance").status == 400
    assert desk.ask("GET", f"/customers/{customer.id}/assets?{days}").status == 400

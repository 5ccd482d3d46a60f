"""Customers over HTTP: lists within one's scope, the profile, the log in pages, what people may change (STR-3)."""

import pytest

from tests.builders.billing import START, event_body, invoice, subscription
from tests.builders.customers import CustomerDesk
from tests.builders.requests import ask

pytestmark = pytest.mark.mission("STR-3")


@pytest.fixture
def desk() -> CustomerDesk:
    return CustomerDesk()


def _ids(desk: CustomerDesk, path: str, user: str) -> list[str]:
    found: list[str] = []
    query, cursor = path, ""
    while True:
        answer = desk.ask("GET", query + (f"&cursor={cursor}" if cursor else ""), user=user)
        assert answer.status == 200, answer.body
        found += [each["id"] for each in answer.body["customers"]]
        cursor = answer.body["next"]
        if not cursor:
            return found


def test_lists_reach_as_far_as_the_caller(desk: CustomerDesk) -> None:
    mine = [desk.customer("ACC_REP").id]
    other = desk.customer("ACC_REP2").id
    far = desk.customer("ACC_FAR").id
    nobodys = desk.customer("").id
    assert _ids(desk, "/customers?scope=mine", "rep") == mine
    assert _ids(desk, "/customers?scope=team&limit=1", "manager") == [other, *mine]
    assert _ids(desk, "/customers?scope=all&limit=2", "finance") == [nobodys, far, other, *mine]
    assert _ids(desk, "/customers?scope=mine", "finance") == []
    assert desk.ask("GET", "/customers?scope=all", user="rep").status == 403
    assert desk.ask("GET", "/customers", user="sdr").status == 403
    assert desk.ask("GET", "/customers", user="legal").status == 403


def test_lists_by_status(desk: CustomerDesk) -> None:
    active = desk.customer().id
    failing = desk.customer("ACC_REP2", unpaid=(invoice(subscription_id="sub_2"),)).id
    gone = desk.customer("ACC_FAR", subscriptions=(subscription("canceled"),)).id
    assert _ids(desk, "/customers?scope=all&status=active", "admin") == [active]
    assert _ids(desk, "/customers?scope=all&status=suspended&status=inactive", "admin") == [gone, failing]
    assert _ids(desk, "/customers?scope=team&status=suspended", "manager") == [failing]
    assert desk.ask("GET", "/customers?status=happy").status == 400


@pytest.mark.fault("S18")
def test_a_cursor_is_its_callers_and_its_lists(desk: CustomerDesk) -> None:
    for _ in range(3):
        desk.customer("")
    cursor = desk.ask("GET", "/customers?scope=all&limit=1").body["next"]
    assert desk.ask("GET", f"/customers?scope=all&limit=1&cursor={cursor}").status == 200
    assert desk.ask("GET", f"/customers?scope=all&limit=1&cursor={cursor}", user="finance").status == 400
    assert desk.ask("GET", f"/customers?scope=all&status=active&limit=1&cursor={cursor}").status == 400


def test_the_profile_shows_features_and_is_readable_by_scope(desk: CustomerDesk) -> None:
    customer = desk.customer(features=("api", "sso"))
    statuses = {
        "rep": 200,
        "manager": 200,
        "finance": 200,
        "support": 200,
        "stranger": 404,
        "sdr": 404,
    }
    for user, status in statuses.items():
        assert desk.ask("GET", f"/customers/{customer.id}", user=user).status == status, user
    profile = desk.ask("GET", f"/customers/{customer.payers[0]}", user="rep").body
    assert profile["customer"]["features"] == ["api", "sso"]
    assert profile["customer"]["running"] == ["sub_1"]
    assert profile["customer"]["owner_id"] == "rep"
    assert ask(desk.api, "GET", f"/api/v1/customers/{customer.id}").status == 401


def test_notes_and_follow_up_are_changed_under_the_version_that_was_read(desk: CustomerDesk) -> None:
    customer = desk.customer()
    path = f"/customers/{customer.id}"
    change = {"version": customer.version, "notes": "prefers mail", "next_follow_up_at": "2026-12-01T09:00:00Z"}
    changed = desk.ask("PATCH", path, change, user="rep")
    assert (changed.status, changed.body["notes"]) == (200, "prefers mail")
    assert changed.body["next_follow_up_at"] == "2026-12-01T09:00:00Z"
    stale = desk.ask("PATCH", path, change | {"notes": "x"}, user="finance")
    assert (stale.status, stale.body["current_version"]) == (409, changed.body["version"])
    cleared = desk.ask("PATCH", path, {"version": changed.body["version"], "next_follow_up_at": None}, user="finance")
    assert cleared.body["next_follow_up_at"] is None
    assert cleared.body["notes"] == "prefers mail"
    same = desk.ask("PATCH", path, {"version": cleared.body["version"], "notes": "prefers mail"}, user="rep")
    assert same.body["version"] == cleared.body["version"]


@pytest.mark.fault("S1", "S2")
def test_who_may_not_change_a_profile_and_what_none_may(desk: CustomerDesk) -> None:
    customer = desk.customer()
    path, version = f"/customers/{customer.id}", customer.version
    assert desk.ask("PATCH", path, {"version": version, "notes": "x"}, user="stranger").status == 404
    assert desk.ask("PATCH", path, {"version": version, "notes": "x"}, user="support").status == 403
    for field in ("membership_status", "last_contact_at", "payers", "assets", "owner_id"):
        assert desk.ask("PATCH", path, {"version": version, field: "x"}, user="admin").status == 400
    assert desk.ask("PATCH", path, {"notes": "x"}, user="admin").status == 400


def test_the_log_in_pages_and_by_type(desk: CustomerDesk) -> None:
    customer = desk.customer()
    payer = customer.payers[0]
    for number in range(5):
        intent = {"id": f"pi_{number}", "object": "payment_intent", "customer": payer, "currency": "eur", "amount": 500}
        kind = "payment_intent.succeeded" if number % 2 else "payment_intent.payment_failed"
        desk.bench.work(event_body(f"evt_{number}", kind, intent, START.replace(hour=9, minute=number)))
    path, found, cursor = f"/customers/{customer.id}/activity?limit=2", [], ""
    while True:
        page = desk.ask("GET", path + (f"&cursor={cursor}" if cursor else ""), user="rep").body
        found += [entry["metadata"]["payment_intent_id"] for entry in page["activity"]]
        cursor = page["next"]
        if not cursor:
            break
    assert found == [f"pi_{number}" for number in (4, 3, 2, 1, 0)]
    failures = desk.ask("GET", f"/customers/{customer.id}/activity?type=payment_failure&limit=2", user="rep").body
    assert [entry["metadata"]["payment_intent_id"] for entry in failures["activity"]] == ["pi_4", "pi_2"]
    assert failures["next"]
    assert desk.ask("GET", f"/customers/{customer.id}/activity", user="stranger").status == 404
    last = desk.ask("GET", f"/customers/{customer.id}", user="rep").body["customer"]["last_contact_at"]
    assert last == "2026-11-01T09:04:00Z"

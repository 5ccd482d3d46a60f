"""Customers as those who look after them use them: the profile, assets, cancelling, replaying, reports (STR-3 to 7)."""

import json
from typing import Any

import pytest

from tests.acceptance.stack import Json, Stack, eventually, fresh


@pytest.fixture(scope="module")
def customer(stack: Stack, reps_order: Json) -> Json:
    """The customer of the seller's account, with the subscription of the order."""
    held: Json = _profile(stack, reps_order["stripe_customer_id"])["customer"]
    return held


def _profile(stack: Stack, payer: str, user: str = "rep") -> Json:
    def look() -> Json | None:
        answer = stack.call("GET", f"/api/v1/customers/{payer}", user=user)
        profile: Json | None = answer.json() if answer.status_code == 200 else None
        return profile if profile and profile["customer"]["owner_id"] else None

    return eventually(f"the profile of {payer}", look) or {}


@pytest.mark.mission("STR-3")
def test_the_seller_keeps_notes_and_finds_the_customer_in_lists(stack: Stack, customer: Json) -> None:
    path = f"/api/v1/customers/{customer['id']}"

    def change() -> Json | None:
        version = stack.ok("GET", path, user="rep")["customer"]["version"]
        body = {"version": version, "notes": "prefers mail", "next_follow_up_at": "2027-01-05T09:00:00Z"}
        answer = stack.call("PATCH", path, user="rep", json=body)
        changed: Json | None = answer.json() if answer.status_code == 200 else None
        return changed  # 409: Stripe's events of the order are still being worked on

    changed = eventually("the change", change) or {}
    assert (changed["notes"], changed["owner_id"]) == ("prefers mail", stack.user_id("rep"))
    stack.refused("PATCH", path, user="rep2", expect=404, json={"version": 1, "notes": "x"})
    for user, scope in (("rep", "mine"), ("finance", "all")):
        listed = stack.ok("GET", f"/api/v1/customers?scope={scope}&status=active&limit=100", user=user)
        assert customer["id"] in [each["id"] for each in listed["customers"]]
    stack.refused("GET", "/api/v1/customers?scope=all", user="rep", expect=403)
    log = stack.ok("GET", f"{path}/activity?limit=1", user="rep")
    assert (len(log["activity"]), bool(log["next"])) == (1, True)


@pytest.mark.mission("STR-4")
def test_assets_by_route_and_by_the_bus(stack: Stack, customer: Json) -> None:
    path, word = f"/api/v1/customers/{customer['id']}/assets", fresh()
    linked = stack.ok("PUT", f"{path}/{word}", user="rep", json={"approval": "approved", "name": "Harbour View"})
    assert linked["link_status"] == "active"
    detail = {"customer": customer["payers"][0], "asset_id": word, "approval": "rejected"}
    event = {
        "Source": "assets.example",
        "DetailType": "AssetApprovalChanged",
        "EventBusName": stack.told["resources"]["BusName"],
        "Detail": json.dumps(detail | {"approved_at": "2099-01-01T00:00:00Z"}),
    }
    assert stack.aws("events").put_events(Entries=[event])["FailedEntryCount"] == 0

    def inactive() -> bool:
        found = stack.ok("GET", path, user="rep")["assets"]
        return [each["asset"]["link_status"] for each in found if each["asset"]["asset_id"] == word] == ["inactive"]

    eventually("the link inactive", inactive)
    assert stack.ok("GET", f"/api/v1/customers/{customer['id']}", user="rep")["customer"]["assets"]["inactive"] >= 1


@pytest.mark.mission("STR-5", "STR-7")
def test_a_subscription_is_cancelled_and_reported(stack: Stack) -> None:
    payer = stack.stripe("POST", "customers", email=f"pay@{fresh()}.example")["id"]
    method = stack.stripe("POST", "payment_methods/pm_card_visa/attach", customer=payer)["id"]
    stack.stripe("POST", f"customers/{payer}", **{"invoice_settings[default_payment_method]": method})
    price = stack.stripe(
        "POST", "prices", currency="eur", unit_amount=4900,
        **{"recurring[interval]": "month", "product_data[name]": "Professional"},
    )["id"]  # fmt: skip
    subscription = stack.stripe("POST", "subscriptions", customer=payer, **{"items[0][price]": price})["id"]

    def read() -> Any:
        return stack.call("GET", f"/api/v1/customers/{payer}", user="finance").json()

    eventually("it runs", lambda: read().get("customer", {}).get("running") == [subscription])
    path = f"/api/v1/customers/{payer}/cancellation"
    stack.ok("POST", path, user="finance", expect=202, json={"mode": "period_end", "feedback": "unused"})
    eventually("scheduled", lambda: [each["state"] for each in read()["cancellations"]] == ["Scheduled"])
    assert stack.stripe("GET", f"subscriptions/{subscription}")["cancel_at_period_end"] is True
    stack.ok("DELETE", path, user="finance", expect=202)
    eventually("kept", lambda: [each["state"] for each in read()["cancellations"]] == ["Kept"])
    stack.ok("POST", path, user="finance", expect=202, json={"mode": "now", "feedback": "unused", "reason": "moves"})
    eventually("cancelled", lambda: [each["state"] for each in read()["cancellations"]] == ["Cancelled"])
    assert stack.stripe("GET", f"subscriptions/{subscription}")["status"] == "canceled"

    def told() -> bool:
        profile = read()
        kinds = {entry["type"] for entry in profile["activity"]}
        return (
            profile["customer"]["membership_status"] == "inactive"
            and {
                "full_sync",
                "subscription_cancelled",
            }
            <= kinds
        )

    eventually("synced and told", told)
    report = stack.ok("GET", "/api/v1/reports/cancellations?scope=all", user="finance")
    assert report["by_reason"]["unused"]["count"] >= 1
    assert report["total"]["amounts"]["EUR"] >= 4900
    stack.refused("POST", path, user="support", expect=403, json={"mode": "now"})


@pytest.mark.mission("STR-6")
def test_what_was_received_about_an_object_is_replayed(stack: Stack, customer: Json) -> None:
    body = {"provider": "stripe", "subject": customer["payers"][0]}
    counted = stack.ok("POST", "/api/v1/inbox/replay", user="admin", json=body | {"dry_run": True})
    replayed = stack.ok("POST", "/api/v1/inbox/replay", user="admin", json=body)
    assert replayed["replayed"] == counted["replayed"] > 0
    assert (replayed["failed"], replayed["more"]) == (0, False)
    stack.refused("POST", "/api/v1/inbox/replay", user="finance", expect=404, json=body)


@pytest.mark.mission("STR-7")
def test_everybody_is_synced(stack: Stack, customer: Json) -> None:
    begun = stack.ok("POST", "/api/v1/customers/resync", user="finance", expect=202, json={"per_minute": 3000})

    def done() -> Json | None:
        resync: Json = stack.ok("GET", f"/api/v1/customers/resync/{begun['id']}", user="finance")
        return resync if resync["status"] == "Done" else None

    resync = eventually("everybody synced", done) or {}
    assert resync["synced"] >= 1
    log = stack.ok("GET", f"/api/v1/customers/{customer['id']}/activity?type=full_sync", user="rep")
    assert log["activity"]
    failures = stack.ok("GET", "/api/v1/reports/payments/failures?scope=all", user="finance")
    assert set(failures) >= {"total", "by_reason", "by_plan", "entries", "next"}

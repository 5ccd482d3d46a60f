"""Conversion through the API of the deployed stack: what it makes, once whoever asks, and that it can be taken back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from revops.crm.tasks import task_id
from tests.acceptance.orders import submitted
from tests.acceptance.people import ATTRIBUTION, acted, audit_of, partner_lead, patched, person
from tests.acceptance.stack import Json, Stack, at_once, eventually, fresh

MET = {"state": "met"}
BANT = {"budget": MET, "authority": MET, "need": MET, "timeline": MET}


def ready(stack: Stack, **said: Any) -> Json:
    """A lead that the SDR brought as far as conversion."""
    lead = partner_lead(stack, authority_level="Decision Maker", **said)
    patched(stack, lead["id"], status="Contacted")
    acted(stack, lead["id"], "qualification", method="PUT", bant=BANT)
    acted(stack, lead["id"], "qualification/outcome", outcome="accepted")
    return _lead(stack, lead["id"])


def _lead(stack: Stack, lead_id: str) -> Json:
    found: Json = stack.ok("GET", f"/api/v1/leads/{lead_id}", user="admin")
    return found


def _contact_property(stack: Stack, person_id: str, name: str) -> str:
    """A property of the person's HubSpot contact."""
    vendor = stack.told["hubspot"]
    answer = stack.http.get(
        f"{vendor['simulator_url']}/crm/objects/2026-09/contacts/{person_id}",
        params={"idProperty": "revops_person_id", "properties": name},
        headers={"authorization": f"Bearer {vendor['token']}"},
    )
    return str(answer.json()["properties"].get(name, "")) if answer.status_code == 200 else ""


@pytest.mark.mission("LEAD-8", "SAFE-3", "CRM-1", "CRM-2", "CRM-3")
@pytest.mark.fault("R1", "R19")
def test_an_sdr_converts_once_however_often_it_is_asked(stack: Stack) -> None:
    lead = ready(stack, interest_product="CRM Suite", job_title="CEO")
    path = f"/api/v1/leads/{lead['id']}/conversion"
    offer = stack.ok("GET", f"{path}/proposal", user="sdr")
    assert (offer["possible"], offer["obstacles"], offer["account"]["id"]) == (True, [], "")

    def converted() -> list[Json] | None:
        version = _lead(stack, lead["id"])["version"]
        answers = at_once(
            [lambda: stack.call("POST", path, user="sdr", json={"version": version}) for _ in range(8)], 8
        )
        codes = sorted(answer.status_code for answer in answers)
        if 201 not in codes:
            return None  # the version was gone before any of them
        assert codes == [200] * 7 + [201], codes
        return [answer.json() for answer in answers]

    answers = eventually("a conversion", converted) or []
    assert len({str(sorted((each | {"created": 0}).items(), key=str)) for each in answers}) == 1
    made = answers[0]
    account = stack.ok("GET", f"/api/v1/accounts/{made['account_id']}", user="sdr")
    contact = stack.ok("GET", f"/api/v1/contacts/{made['contact_id']}", user="sdr")
    deal = stack.ok("GET", f"/api/v1/opportunities/{made['opportunity_id']}", user="sdr")
    assert (account["name"], account["active"], account["domain"]) == (
        lead["company"],
        True,
        lead["email"].split("@")[1],
    )
    assert (contact["email"], contact["role"], contact["primary"]) == (lead["email"], "Decision Maker", True)
    assert (contact["first_name"], contact["last_name"], contact["phone"]) == (
        lead["first_name"], lead["last_name"], lead["phone"],
    )  # fmt: skip
    assert (deal["value"], deal["stage"], deal["probability"]) == (
        {"minor": 1_000_000, "currency": "EUR"},
        "Qualified",
        25,
    )
    assert (deal["account_id"], deal["primary_contact_id"], deal["lead_id"]) == (
        account["id"],
        contact["id"],
        lead["id"],
    )
    assert deal["expected_close"] > datetime.now(UTC).date().isoformat()
    archived = _lead(stack, lead["id"])
    assert (archived["status"], archived["stage"], archived["score"]) == ("Converted", "Converted", lead["score"])
    trail = audit_of(stack, account["id"])["entries"][0]
    assert (trail["by"], trail["on_behalf_of"]) == ("system:conversion", lead["owner_id"])


@pytest.mark.mission("LEAD-8", "HUB-1", "HUB-2")
def test_hubspot_shows_the_conversion_and_its_edits_reach_the_contact(stack: Stack) -> None:
    lead = ready(stack)
    eventually("the contact there", lambda: stack.contact(lead["person_id"]))
    made = acted(stack, lead["id"], "conversion", user="sdr", expect=201)
    eventually(
        "the status there", lambda: _contact_property(stack, lead["person_id"], "revops_lead_status") == "Converted"
    )
    there = stack.contact(lead["person_id"]) or {}
    assert (there["properties"]["email"], there["properties"]["firstname"]) == (lead["email"], lead["first_name"])
    vendor = stack.told["hubspot"]
    answer = stack.http.patch(
        f"{vendor['simulator_url']}/crm/objects/2026-09/contacts/{there['id']}",
        json={"properties": {"firstname": "Renamed"}},
        headers={"authorization": f"Bearer {vendor['token']}"},
    )
    assert answer.is_success, answer.text[:300]

    def renamed() -> bool:
        contact = stack.ok("GET", f"/api/v1/contacts/{made['contact_id']}", user="admin")
        return bool(contact["first_name"] == "Renamed")

    eventually("the name here", renamed)
    assert _lead(stack, lead["id"])["first_name"] == lead["first_name"], "the lead is archived as it was"


@pytest.mark.mission("LEAD-8")
def test_every_condition_that_is_not_met_is_named_at_once(stack: Stack) -> None:
    lead = partner_lead(stack, phone="")
    refusal = acted(stack, lead["id"], "conversion", user="sdr", expect=409)
    named = [each["condition"] for each in refusal["obstacles"]]
    assert named == ["score", "status", "contacted", "validation", "outcome"]
    offer = stack.ok("GET", f"/api/v1/leads/{lead['id']}/conversion/proposal", user="sdr")
    assert [each["condition"] for each in offer["obstacles"]] == named
    assert _lead(stack, lead["id"])["status"] == "New"


@pytest.mark.mission("LEAD-8", "CAP-11", "CAP-12")
def test_a_colleague_joins_the_account_and_companies_that_look_alike_have_to_be_told_apart(stack: Stack) -> None:
    word = fresh()
    first = ready(stack, email=f"a@{word}.example", company=f"{word} Werke GmbH")
    made = acted(stack, first["id"], "conversion", expect=201)
    colleague = ready(stack, email=f"b@{word}.example", company=f"{word} Werke GmbH")
    assert colleague["account_id"] == made["account_id"]
    joined = acted(stack, colleague["id"], "conversion", expect=201)
    assert (joined["account_id"], joined["account_made"]) == (made["account_id"], False)
    contact = stack.ok("GET", f"/api/v1/contacts/{joined['contact_id']}", user="admin")
    assert contact["primary"] is False
    elsewhere = ready(stack, email=f"c@{word}-daughter.example", company=f"{word} Werk AG")
    unsure = acted(stack, elsewhere["id"], "conversion", expect=409)
    assert [each["account_id"] for each in unsure["candidates"]] == [made["account_id"]]
    assert 0.75 <= unsure["candidates"][0]["similarity"] < 1
    decided = acted(stack, elsewhere["id"], "conversion", new_account=True, expect=201)
    assert decided["account_made"] is True


@pytest.mark.mission("LEAD-8", "CRM-1", "SAFE-3")
def test_a_conversion_is_taken_back_while_nothing_was_built_on_it_and_can_be_made_again(stack: Stack) -> None:
    lead = ready(stack)
    made = acted(stack, lead["id"], "conversion", user="sdr", expect=201)
    back = acted(stack, lead["id"], "conversion/undo", user="sdr")
    assert (back["status"], back["stage"], back.get("conversion")) == (lead["status"], lead["stage"], None)
    for kind, name in (("accounts", "account_id"), ("contacts", "contact_id"), ("opportunities", "opportunity_id")):
        assert stack.ok("GET", f"/api/v1/{kind}/{made[name]}", user="admin")["active"] is False
    acted(stack, lead["id"], "conversion/undo", user="sdr", expect=409)
    again = acted(stack, lead["id"], "conversion", user="sdr", expect=201)
    assert again["account_id"] != made["account_id"]
    trail = audit_of(stack, made["account_id"], 2)
    assert trail["faults"] == []
    assert trail["entries"][1]["by"] == "system:conversion"
    eventually(
        "the status there", lambda: _contact_property(stack, lead["person_id"], "revops_lead_status") == "Converted"
    )


@pytest.mark.mission("LEAD-8", "ORD-2")
def test_an_order_stands_in_the_way_of_taking_back(stack: Stack) -> None:
    lead = ready(stack)
    made = acted(stack, lead["id"], "conversion", expect=201)
    order = submitted(stack, user="admin", account_id=made["account_id"], opportunity_id=made["opportunity_id"])
    refusal = acted(stack, lead["id"], "conversion/undo", expect=409)
    assert {each["condition"] for each in refusal["obstacles"]} >= {"opportunity", "account"}
    assert order["order"]["id"] in refusal["detail"] if "order" in order else order["id"] in refusal["detail"]
    assert _lead(stack, lead["id"])["status"] == "Converted"


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_a_converted_person_who_asks_again_stays_a_contact_and_the_accounts_owner_has_a_task(stack: Stack) -> None:
    lead = ready(stack)
    account = acted(stack, lead["id"], "conversion", user="sdr", expect=201)["account_id"]
    said = person(email=lead["email"], company=lead["company"], attribution=ATTRIBUTION)
    again = stack.ok(
        "POST",
        "/api/v1/partner/leads",
        expect=200,
        key="partner_api_key",
        json=said,
        headers={"Idempotency-Key": fresh()},
    )
    assert (again["id"], again["status"]) == (lead["id"], "Converted")
    today = datetime.now(UTC).date().isoformat()
    task = stack.row(f"TASK#{task_id(f'asks-again:{lead["id"]}:{account}:{today}')}", "TASK")
    assert task is not None
    assert "A customer contact asks again" in task["doc"]["S"]


@pytest.mark.mission("SAFE-1", "LEAD-8")
@pytest.mark.fault("S1")
def test_who_may_not_change_the_lead_may_neither_convert_it_nor_take_it_back(stack: Stack) -> None:
    lead = ready(stack)
    path, body = f"/api/v1/leads/{lead['id']}/conversion", {"version": lead["version"]}
    for user, status in (("rep", 404), ("legal", 404), ("finance", 404), ("support", 403)):
        stack.refused("POST", path, expect=status, user=user, json=body)
        stack.refused("POST", f"{path}/undo", expect=status, user=user, json=body)
        stack.refused("GET", f"{path}/proposal", expect=status, user=user)
    assert _lead(stack, lead["id"])["status"] == "Qualified"

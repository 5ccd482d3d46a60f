"""Qualification on the deployed stack: BANT and MEDDICC, risk, nomination, giving up and taking back."""

from typing import Any

import pytest

from revops.crm.tasks import task_id
from tests.acceptance.people import acted, audit_of, partner_lead, patched
from tests.acceptance.stack import Json, Stack, eventually, fields

MET = {"state": "met", "note": "said on the phone"}
BANT = {"budget": MET, "authority": MET, "need": MET, "timeline": MET}


def _qualification(stack: Stack, lead_id: str, user: str = "sdr") -> Json:
    found: Json = stack.ok("GET", f"/api/v1/leads/{lead_id}/qualification", user=user)
    return found


@pytest.mark.mission("LEAD-6", "SAFE-3")
def test_bant_and_meddicc_are_answered_with_their_history_and_the_outcome_recorded(stack: Stack) -> None:
    lead = partner_lead(stack)
    patched(stack, lead["id"], user="sdr", status="Contacted")
    acted(stack, lead["id"], "qualification", method="PUT", user="sdr", bant=BANT | {"timeline": {"state": "unknown"}})
    early = acted(stack, lead["id"], "qualification/outcome", user="sdr", outcome="accepted", expect=409)
    assert early["missing"] == ["timeline"]
    said = {"champion": {"state": "not met", "note": "left the company"}}
    acted(stack, lead["id"], "qualification", method="PUT", user="admin", bant={"timeline": MET}, meddicc=said)
    done = acted(stack, lead["id"], "qualification/outcome", user="sdr", outcome="accepted")
    assert (done["status"], done["outcome"]["met"], done["outcome"]["outcome"]) == ("Qualified", 4, "accepted")
    assert done == _qualification(stack, lead["id"])
    assert [entry["what"] for entry in done["history"]] == [
        "outcome", "timeline", "champion", "budget", "authority", "need", "timeline",
    ]  # fmt: skip
    timeline = [(entry["old"], entry["new"]) for entry in done["history"] if entry["what"] == "timeline"]
    assert timeline == [("unknown", "met"), ("", "unknown")]
    trail = audit_of(stack, lead["id"], done["version"])
    changed = [change["field"] for entry in trail["entries"] for change in entry["changes"]]
    assert changed.count("qualification") == 3
    assert trail["faults"] == []


@pytest.mark.mission("LEAD-7")
def test_risk_follows_bant_and_authority(stack: Stack) -> None:
    lead = partner_lead(stack)

    def level(**answers: Any) -> str:
        if answers:
            acted(stack, lead["id"], "qualification", method="PUT", user="sdr", bant=answers)
        risk = _qualification(stack, lead["id"])["risk"]
        assert f"{risk['met']} of 4" in risk["because"]
        return str(risk["level"])

    assert level() == "High"
    assert level(budget=MET, need=MET) == "High"
    assert level(timeline=MET) == "Medium"
    assert level(authority=MET) == "Medium", "4 of 4, and nobody said who decides"
    patched(stack, lead["id"], user="sdr", authority_level="Economic Buyer")
    assert level() == "Low"
    patched(stack, lead["id"], user="sdr", authority_level="Gatekeeper")
    assert level() == "High"


def _nominated(stack: Stack, lead_id: str) -> Json:
    def look() -> Json | None:
        now: Json = stack.ok("GET", f"/api/v1/leads/{lead_id}", user="admin")
        return now if now.get("nomination") else None

    return eventually("a nomination", look) or {}


@pytest.mark.mission("LEAD-6")
def test_a_score_of_seventy_nominates_and_gives_the_owner_a_task(stack: Stack) -> None:
    strong = partner_lead(stack, authority_level="Decision Maker")
    rising = partner_lead(stack)
    assert (strong["score"], rising["score"]) == (79, 54)
    patched(stack, rising["id"], user="sdr", authority_level="Decision Maker")

    def risen() -> bool:
        stack.run("score-leads")
        return bool(stack.ok("GET", f"/api/v1/leads/{rising['id']}", user="sdr")["score"] >= 70)

    eventually("a new score", risen)
    for lead in (strong, rising):
        nomination = _nominated(stack, lead["id"])["nomination"]
        assert (nomination["score"], nomination["number"], nomination["standing"]) == (79, 1, True)
        task = stack.row(f"TASK#{task_id(f'nomination:{lead["id"]}:1')}", "TASK")
        assert task is not None
        assert f'"assignee_id":"{lead["assignee_id"]}"' in task["doc"]["S"]
        assert '"status":"Open"' in task["doc"]["S"]
    assert stack.row(f"TASK#{task_id(f'nomination:{strong["id"]}:2')}", "TASK") is None


@pytest.mark.mission("LEAD-2", "LEAD-6")
def test_a_lead_is_given_up_with_a_reason_and_taken_back(stack: Stack) -> None:
    lead = partner_lead(stack)
    version = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")["version"]
    typed = stack.refused(
        "PATCH",
        f"/api/v1/leads/{lead['id']}",
        expect=409,
        user="sdr",
        json={"version": version, "status": "Disqualified"},
    )
    assert typed["route"] == "POST /api/v1/leads/{lead_id}/disqualify"
    refusal = acted(stack, lead["id"], "disqualify", user="sdr", reason="boring", expect=400)
    assert fields(refusal) == {"reason"}
    early = acted(stack, lead["id"], "recycle", user="sdr", reason="other", expect=409)
    assert early["legal"] == ["Contacted", "Unqualified", "Disqualified"]
    rejected = acted(stack, lead["id"], "qualification/outcome", user="sdr", outcome="rejected", reason="no_budget")
    assert (rejected["status"], rejected["status_reason"]["reason"]) == ("Unqualified", "no_budget")
    given_up = acted(stack, lead["id"], "disqualify", user="sdr", reason="not_a_fit", text="too small")
    assert (given_up["status"], given_up["status_reason"]["text"]) == ("Disqualified", "too small")
    back = acted(stack, lead["id"], "recycle", user="sdr", reason="asked_again")
    assert (back["status"], back.get("outcome")) == ("Recycled", None)
    assert [entry["new"] for entry in back["history"]] == ["Recycled", "Disqualified", "rejected"]


@pytest.mark.mission("SAFE-1", "LEAD-6")
@pytest.mark.fault("S1")
def test_only_who_may_change_the_lead_may_qualify_it(stack: Stack) -> None:
    lead = partner_lead(stack)
    path, body = f"/api/v1/leads/{lead['id']}/qualification", {"version": 1, "bant": {"need": MET}}
    for user in ("rep", "manager2", "legal", "finance"):
        stack.refused("GET", path, expect=404, user=user)
        stack.refused("PUT", path, expect=404, user=user, json=body)
    stack.ok("GET", path, user="support")
    stack.refused("PUT", path, expect=403, user="support", json=body)
    assert _qualification(stack, lead["id"])["bant"] == {}

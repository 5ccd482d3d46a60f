"""Tasks and activities: what is to be done and what was done, about a record, within its scope (CRM-5, CRM-6)."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.people import audit_of, partner_lead
from tests.acceptance.stack import Json, Stack, eventually, fields, fresh


def _task(stack: Stack, about: str, user: str = "sdr", **said: str) -> Json:
    due = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    body = {"title": f"Call back {fresh()}", "about": about, "due_at": due} | said
    made: Json = stack.ok("POST", "/api/v1/tasks", expect=201, user=user, json=body)
    return made


@pytest.mark.mission("CRM-6", "SAFE-1")
def test_a_task_is_made_listed_open_first_done_and_told(stack: Stack) -> None:
    lead = partner_lead(stack)
    soon, late = _task(stack, lead["id"]), _task(stack, lead["id"], due_at="2099-01-01T09:00:00Z")
    path = f"/api/v1/tasks/{soon['id']}"
    done = stack.ok("PATCH", path, user="sdr", json={"version": soon["version"], "status": "Done"})
    assert (done["status"], done["completed_by"]) == ("Done", stack.user_id("sdr"))
    about = stack.ok("GET", "/api/v1/tasks", user="sdr", params={"about": lead["id"]})["tasks"]
    ours = [task["id"] for task in about if task["id"] in {soon["id"], late["id"]}]
    assert ours == [late["id"], soon["id"]], "an open task stands before a done one, whenever it is due"
    refusal = stack.refused("PATCH", path, expect=409, user="sdr", json={"version": 1, "status": "Cancelled"})
    assert refusal["current_version"] == done["version"]
    trail = json.loads(
        eventually("the audit", lambda: stack.row(f"AUDIT#TASK#{soon['id']}|TASK", f"{2:010d}"))["doc"]["S"]  # type: ignore[index]
    )
    assert "status" in {change["field"] for change in trail["changes"]}
    for user, status in (("manager", 200), ("manager2", 404), ("rep2", 404), ("support", 200)):
        assert stack.call("GET", path, user=user).status_code == status, user
    mine = stack.ok("GET", "/api/v1/tasks", user="sdr", params={"limit": 1})
    assert mine["next"]
    stack.refused("GET", "/api/v1/tasks", expect=400, user="rep", params={"limit": 1, "cursor": mine["next"]})
    team = stack.ok("GET", "/api/v1/tasks", user="manager", params={"scope": "team", "status": "Done", "limit": 100})
    assert soon["id"] in {task["id"] for task in team["tasks"]}


@pytest.mark.mission("CRM-6")
def test_an_assignee_is_reminded_once_by_mail(stack: Stack) -> None:
    lead = partner_lead(stack)
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    task = _task(stack, lead["id"], user="manager", assignee_id=stack.user_id("sdr"), due_at=past)

    def reminded() -> list[Json]:
        stack.run("reminders")
        return stack.mails(task["id"])

    [mail] = eventually("the reminder", reminded)
    assert "sdr@example.com" in json.dumps(mail)
    stack.run("reminders")
    assert len(stack.mails(task["id"])) == 1
    now = stack.ok("GET", f"/api/v1/tasks/{task['id']}", user="sdr")
    assert now["reminded_at"]


@pytest.mark.mission("CRM-5", "CAP-14", "LEAD-2")
def test_a_call_about_a_lead_is_on_its_timeline_and_counts_as_being_in_touch(stack: Stack) -> None:
    lead = partner_lead(stack)
    tried = {"type": "call", "about": lead["id"], "subject": "No answer", "duration_seconds": 20}
    stack.ok("POST", "/api/v1/activities", expect=201, user="sdr", json=tried)
    now = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")
    assert (now["status"], now["contacted_at"]) == ("New", None)
    assert now["first_touch_at"]
    spoke = {"type": "call", "about": lead["id"], "subject": "Spoke", "duration_seconds": 300, "outcome": "Positive"}
    made = stack.ok("POST", "/api/v1/activities", expect=201, user="sdr", json=spoke)
    assert made["facts"] == {"duration_seconds": "300"}
    now = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")
    assert now["status"] == "Contacted"
    assert now["contacted_at"]
    timeline = stack.ok("GET", "/api/v1/activities", user="sdr", params={"about": lead["id"]})["activities"]
    assert [each["subject"] for each in timeline] == ["Spoke", "No answer"]
    assert audit_of(stack, lead["id"], now["version"])["faults"] == []


@pytest.mark.mission("CRM-5", "SAFE-1")
@pytest.mark.fault("S1", "S2")
def test_a_timeline_follows_its_record(stack: Stack) -> None:
    lead = partner_lead(stack)
    said = {"type": "note", "about": lead["id"], "subject": "Said by phone"}
    for user, status in (("sdr", 201), ("manager", 201), ("support", 201), ("rep2", 404), ("legal", 404)):
        assert stack.call("POST", "/api/v1/activities", user=user, json=said).status_code == status, user
        seen = stack.call("GET", "/api/v1/activities", user=user, params={"about": lead["id"]}).status_code
        assert seen == (200 if status == 201 else 404), user
    wrong = said | {"duration_seconds": 5}
    assert fields(stack.refused("POST", "/api/v1/activities", expect=400, user="sdr", json=wrong)) == {
        "duration_seconds"
    }
    stack.refused("POST", "/api/v1/activities", expect=400, user="sdr", json=said | {"owner_id": "me"})
    stack.refused("POST", "/api/v1/activities", expect=400, user="sdr", json=said | {"at": "2099-01-01T00:00:00Z"})

"""Rules as data, planned and applied; and the trail of every change, which shows when somebody touched it (SAFE-3)."""

import json

import pytest

from tests.acceptance.people import audit_of, partner_lead, patched
from tests.acceptance.stack import Json, Stack, eventually, fields

_PATH = "/api/v1/settings/scoring"


@pytest.mark.mission("LEAD-3", "SAFE-6")
def test_a_plan_shows_the_difference_and_what_it_would_have_meant_and_writes_nothing(stack: Stack) -> None:
    partner_lead(stack)
    now = stack.ok("GET", _PATH, user="admin")
    wanted = _altered(now["content"])
    plan = stack.ok("POST", f"{_PATH}/plan", user="admin", json={"content": wanted})
    assert plan["current_version"] == now["version"]
    assert plan["differences"]
    for difference in plan["differences"]:
        assert now["content"][difference["field"]] == difference["old"]
        assert wanted[difference["field"]] == difference["new"]
    assert "leads would score differently" in plan["preview"][0]
    assert len(plan["preview"]) > 1
    assert stack.ok("GET", _PATH, user="admin") == now
    assert stack.ok("POST", f"{_PATH}/plan", user="admin", json={"content": now["content"]})["differences"] == []


def _altered(content: Json) -> Json:
    """The scoring table with other points for industries."""
    text = json.dumps(content["industry"])
    assert "15" in text, text
    return content | {"industry": json.loads(text.replace("15", "3"))}


@pytest.mark.mission("LEAD-3", "SAFE-3", "SAFE-6")
@pytest.mark.fault("R19")
def test_settings_are_applied_over_the_version_that_was_read_and_audited(stack: Stack) -> None:
    path = "/api/v1/settings/membership"
    before = stack.ok("GET", path, user="admin")
    wanted = before["content"] | {"follow_up_days": (before["content"]["follow_up_days"] + 1) % 90}
    applied = stack.ok("PUT", path, user="admin", json={"content": wanted, "version": before["version"]})
    try:
        assert applied == {"name": "membership", "version": before["version"] + 1, "content": wanted}
        assert stack.ok("GET", path, user="admin") == applied
        stale = {"content": before["content"], "version": before["version"]}
        refusal = stack.refused("PUT", path, expect=409, user="admin", json=stale)
        assert refusal["current_version"] == applied["version"]
        same = stack.ok("PUT", path, user="admin", json={"content": wanted, "version": 0})
        assert same["version"] == applied["version"], "the same content again writes nothing"

        def audited() -> Json:
            row = stack.row("AUDIT#SETTINGS#membership|CURRENT", f"{applied['version']:010d}")
            return json.loads(row["doc"]["S"]) if row else {}

        entry = eventually("the audit entry", audited)
        assert entry["by"] == stack.user_id("admin")
        assert entry["changes"][0]["field"] == "content"
    finally:
        stack.ok("PUT", path, user="admin", json={"content": before["content"], "version": applied["version"]})


@pytest.mark.mission("SAFE-1", "SAFE-6")
@pytest.mark.parametrize("user", ["manager", "rep", "sdr", "support", "legal", "finance"])
def test_settings_are_not_there_for_anybody_but_admins(stack: Stack, user: str) -> None:
    content: Json = {"content": {}}
    stack.refused("GET", _PATH, expect=404, user=user)
    stack.refused("POST", f"{_PATH}/plan", expect=404, user=user, json=content)
    stack.refused("PUT", _PATH, expect=404, user=user, json=content | {"version": 1})


@pytest.mark.mission("SAFE-6")
@pytest.mark.fault("S13", "S17")
def test_a_document_that_does_not_fit_is_refused_naming_the_field(stack: Stack) -> None:
    path = "/api/v1/settings/membership"
    now = stack.ok("GET", path, user="admin")
    for broken, named in (
        ({"grace_days": 91}, "content.grace_days"),
        ({"grace_days": "x"}, "content.grace_days"),
        ({"moon": 1}, "content.moon"),
    ):
        for method, where, more in (("POST", f"{path}/plan", {}), ("PUT", path, {"version": now["version"]})):
            body = {"content": now["content"] | broken} | more
            assert fields(stack.refused(method, where, expect=400, user="admin", json=body)) == {named}
    stack.refused("GET", "/api/v1/settings/moon", expect=404, user="admin")
    stack.refused("POST", "/api/v1/settings/moon/plan", expect=404, user="admin", json={"content": {}})
    assert stack.ok("GET", path, user="admin") == now


# -- the trail --------------------------------------------------------------------------------------------------------


@pytest.mark.mission("SAFE-3")
def test_a_change_is_told_with_who_what_when_and_from_where(stack: Stack) -> None:
    lead = partner_lead(stack)
    path = f"/api/v1/leads/{lead['id']}"

    def change() -> Json | None:
        version = stack.ok("GET", path, user="sdr")["version"]
        body = {"version": version, "job_title": "CTO", "company": "Neu AG"}
        answer = stack.call("PATCH", path, user="sdr", json=body, headers={"user-agent": "acceptance/1.0"})
        done: Json = answer.json()
        return done if answer.status_code == 200 else None

    changed = eventually("the change", change) or {}
    trail = audit_of(stack, lead["id"], changed["version"])
    assert trail["faults"] == []
    first, entry = trail["entries"][0], trail["entries"][changed["version"] - 1]
    assert first["by"] == "key:partner-one"
    assert {change["field"]: change["new"] for change in first["changes"]}["email"] == lead["email"]
    assert all(change["old"] is None for change in first["changes"])
    assert (entry["by"], entry["user_agent"]) == (stack.user_id("sdr"), "acceptance/1.0")
    assert entry["ip"]
    assert entry["request_id"]
    assert entry["at"][:19] == changed["modified_at"][:19]
    told = {change["field"]: (change["old"], change["new"]) for change in entry["changes"]}
    assert len(told) == len(entry["changes"]), "every changed field once"
    assert told["job_title"] == ("", "CTO") or told["job_title"] == (None, "CTO")
    assert told["company"] == (lead["company"], "Neu AG")
    assert "last_name" not in told
    assert [each["version"] for each in trail["entries"]] == list(range(1, len(trail["entries"]) + 1))
    for before, after in zip(trail["entries"], trail["entries"][1:], strict=False):
        assert after["previous_hash"] == before["hash"]


def _key(lead_id: str, version: int) -> Json:
    return {"pk": {"S": f"AUDIT#LEAD#{lead_id}|LEAD"}, "sk": {"S": f"{version:010d}"}}


@pytest.mark.mission("SAFE-3")
@pytest.mark.fault("S22")
@pytest.mark.parametrize("tampering", ["an old value", "who", "dropped in the middle", "sealed again"])
def test_tampering_shows(stack: Stack, tampering: str) -> None:
    from revops.audit import AuditEntry, entry_hash

    lead = partner_lead(stack)
    for title in ("One", "Two"):
        lead = patched(stack, lead["id"], job_title=title)
    assert audit_of(stack, lead["id"], lead["version"])["faults"] == []
    table, key = stack.told["table_name"], _key(lead["id"], 2)
    item = stack.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    entry = json.loads(item["doc"]["S"])
    if tampering == "dropped in the middle":
        stack.dynamodb.delete_item(TableName=table, Key=key)
    else:
        if tampering == "who":
            entry["by"] = stack.user_id("manager")
        else:
            entry["changes"][0]["old"] = "Something else"
        if tampering == "sealed again":
            entry["hash"] = entry_hash(AuditEntry.model_validate(entry))
        stack.dynamodb.put_item(TableName=table, Item=item | {"doc": {"S": json.dumps(entry)}})
    faults = stack.ok("GET", f"/api/v1/audit/{lead['id']}", user="admin")["faults"]
    assert faults
    expected = (
        "version 3" if tampering in {"dropped in the middle", "sealed again"} else "version 2: the entry was altered"
    )
    assert any(fault.startswith(expected) for fault in faults), faults
    stack.dynamodb.put_item(TableName=table, Item=item)
    assert stack.ok("GET", f"/api/v1/audit/{lead['id']}", user="admin")["faults"] == []

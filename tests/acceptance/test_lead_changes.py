"""One lead, read and changed: versions, legal moves, what may not be written, whose it is not."""

import pytest

from tests.acceptance.people import audit_of, partner_lead, patched
from tests.acceptance.stack import Json, Stack, at_once, eventually, fields


def _path(lead: Json) -> str:
    return f"/api/v1/leads/{lead['id']}"


@pytest.mark.mission("LEAD-1", "LEAD-2")
def test_a_change_is_made_under_the_version_that_was_read(stack: Stack) -> None:
    lead = partner_lead(stack)
    changed = stack.ok(
        "PATCH", _path(lead), user="sdr", json={"version": lead["version"], "status": "Contacted", "job_title": "CTO"}
    )
    assert changed["version"] == lead["version"] + 1
    assert (changed["status"], changed["job_title"]) == ("Contacted", "CTO")
    assert changed["contacted_at"]
    assert stack.ok("GET", _path(lead), user="sdr") == changed


@pytest.mark.mission("LEAD-1")
@pytest.mark.fault("R19")
def test_a_version_that_is_gone_is_409_with_the_one_that_stands(stack: Stack) -> None:
    lead = patched(stack, partner_lead(stack)["id"], job_title="CFO")
    refusal = stack.refused("PATCH", _path(lead), expect=409, user="sdr", json={"version": 99, "job_title": "CEO"})
    assert refusal["current_version"] >= lead["version"]
    assert stack.ok("GET", _path(lead), user="sdr")["job_title"] == "CFO"


@pytest.mark.mission("LEAD-2", "SAFE-3")
@pytest.mark.fault("R19")
def test_of_many_changes_of_one_version_one_wins_and_the_chain_holds(stack: Stack) -> None:
    lead = partner_lead(stack)
    audit_of(stack, lead["id"])

    def settled() -> Json | None:  # its way to HubSpot may note something on it
        now: Json = stack.ok("GET", _path(lead), user="admin")
        return now if stack.contact(lead["person_id"]) else None

    version = (eventually("the contact", settled) or {})["version"]
    titles = [f"Title {number}" for number in range(8)]
    answers = at_once(
        [
            lambda title=title: stack.call(
                "PATCH", _path(lead), user="sdr", json={"version": version, "job_title": title}
            )  # type: ignore[misc]
            for title in titles
        ],
        8,
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    trail = audit_of(stack, lead["id"], version + 1)
    assert trail["faults"] == []
    assert [entry["version"] for entry in trail["entries"]] == list(range(1, len(trail["entries"]) + 1))


@pytest.mark.mission("LEAD-2")
@pytest.mark.parametrize(
    ("change", "legal"),
    [
        ({"status": "Qualified"}, ["Contacted", "Unqualified", "Disqualified"]),
        ({"status": "Converted"}, ["Contacted", "Unqualified", "Disqualified"]),
        ({"stage": "Converted"}, ["Consideration", "Decision"]),
    ],
)
def test_an_illegal_move_names_the_legal_ones(stack: Stack, change: Json, legal: list[str]) -> None:
    lead = partner_lead(stack)
    version = stack.ok("GET", _path(lead), user="sdr")["version"]
    refusal = stack.refused("PATCH", _path(lead), expect=409, user="sdr", json={"version": version} | change)
    assert refusal["legal"] == legal
    assert all(name in refusal["detail"] for name in legal)


@pytest.mark.mission("CAP-10", "LEAD-1")
@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "name", ["score", "owner_id", "person_id", "id", "created_at", "email", "account_id", "nonsense", "consents"]
)
def test_unknown_and_read_only_fields_are_refused(stack: Stack, name: str) -> None:
    lead = partner_lead(stack)
    refusal = stack.refused(
        "PATCH", _path(lead), expect=400, user="admin", json={"version": lead["version"], name: "x"}
    )
    assert fields(refusal) == {name}
    assert refusal["issues"][0]["rule"] == "unknown-or-read-only"


@pytest.mark.mission("LEAD-1")
@pytest.mark.parametrize(
    ("change", "named"),
    [({}, "version"), ({"version": "1x"}, "version"), ({"version": 1, "status": "Sold"}, "status"),
     ({"version": 1, "company": "c" * 121}, "company"), ({"version": 0}, "version")],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_named(stack: Stack, change: Json, named: str) -> None:
    lead = partner_lead(stack)
    assert fields(stack.refused("PATCH", _path(lead), expect=400, user="sdr", json=change)) == {named}


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S1")
def test_what_is_not_readable_is_not_there_and_what_is_only_readable_is_403(stack: Stack) -> None:
    lead = partner_lead(stack)
    change = {"version": lead["version"], "job_title": "Thief"}
    nowhere = "/api/v1/leads/LEAD_00000000000000000000000000"
    for user in ("rep", "rep2", "manager2", "legal", "finance"):
        hidden = stack.refused("GET", _path(lead), expect=404, user=user)
        absent = stack.refused("GET", nowhere, expect=404, user=user)
        assert hidden["detail"].replace(lead["id"], "") == absent["detail"].replace(nowhere.rpartition("/")[2], "")
        stack.refused("PATCH", _path(lead), expect=404, user=user, json=change)
    stack.ok("GET", _path(lead), user="support")
    stack.refused("PATCH", _path(lead), expect=403, user="support", json=change)
    assert stack.ok("GET", _path(lead), user="sdr")["job_title"] == ""


@pytest.mark.mission("LEAD-3", "LEAD-4")
def test_scheduled_scoring_rescores_what_changed_and_explains_every_point(stack: Stack) -> None:
    lead = partner_lead(stack)
    before = lead["score"]
    changed = patched(stack, lead["id"], user="sdr", authority_level="Decision Maker")
    assert changed["score"] == before

    def rescored() -> Json | None:
        stack.run("score-leads")
        now: Json = stack.ok("GET", _path(lead), user="sdr")
        return now if now["score"] != before else None

    after = eventually("a new score", rescored) or {}
    points = {part["factor"]: part["points"] for part in after["score_card"]["points"]}
    assert after["score"] == before + 25
    assert 25 in points.values()
    assert after["score"] == sum(points.values())
    trail = audit_of(stack, lead["id"], after["version"])
    scored = [entry for entry in trail["entries"] if "score" in {change["field"] for change in entry["changes"]}]
    assert scored[-1]["by"].startswith("system:score_leads")


@pytest.mark.mission("LEAD-4")
@pytest.mark.fault("R17")
def test_a_period_is_run_once_however_often_its_schedule_fires(stack: Stack) -> None:
    from tests.acceptance.stack import fresh

    period = f"period-{fresh()}"
    runs = at_once([lambda: stack.run("score-leads", period) for _ in range(4)], 4)
    assert sum(not run["skipped"] for run in runs) <= 1
    assert stack.run("score-leads", period)["skipped"] is True

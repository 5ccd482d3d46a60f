"""Who owns a new lead, how soon they hear of it, and what follows when they do not react (CAP-12, CAP-14)."""

import hashlib
import hmac
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.people import audit_of, partner_lead
from tests.acceptance.ruled.conftest import Rules
from tests.acceptance.stack import Json, Stack, at_once, eventually, fresh


@pytest.mark.mission("CAP-12", "SAFE-6")
def test_a_territory_shares_by_weight_to_within_one_and_passes_over_who_is_away(stack: Stack, rules: Rules) -> None:
    leads = at_once([lambda: partner_lead(stack, country=rules.country) for _ in range(18)], 6)
    owners = Counter(lead["owner_id"] for lead in leads)
    rep, rep2, manager = (rules.sellers[name] for name in ("rep", "rep2", "manager"))
    assert owners[rep2] == 0, "absent, said by their manager half a minute ago"
    assert (owners[rep], owners[manager]) == (6, 12)
    tickets = sorted(int(lead["assigned_by"].rpartition(" ")[2]) for lead in leads)
    assert tickets == list(range(18))
    assert all(rules.territory in lead["assigned_by"] for lead in leads)
    [listed] = [user for user in stack.ok("GET", "/api/v1/users", user="manager2")["users"] if user["id"] == rep2]
    assert listed["absent_until"]


@pytest.mark.mission("CAP-12")
def test_a_person_of_an_account_goes_to_its_owner(stack: Stack, rules: Rules, reps_order: Json) -> None:
    domain = reps_order["contact_email"].partition("@")[2]
    lead = partner_lead(stack, email=f"{fresh()}@{domain}", country=rules.country)
    assert (lead["owner_id"], lead["account_id"]) == (stack.user_id("rep"), reps_order["account_id"])
    assert reps_order["account_id"] in lead["assigned_by"]


@pytest.mark.mission("CAP-12", "SAFE-6")
def test_an_account_owner_who_is_away_is_passed_over(stack: Stack, rules: Rules, rep2s_order: Json) -> None:
    domain = rep2s_order["contact_email"].partition("@")[2]
    lead = partner_lead(stack, email=f"{fresh()}@{domain}", country="LI")
    assert lead["owner_id"] == stack.user_id("rep")
    assert lead["account_id"] == rep2s_order["account_id"]
    assert "whose owner is absent" in lead["assigned_by"]


@pytest.mark.mission("CAP-14", "CAP-12")
def test_a_new_owner_is_told_at_once_by_mail_and_by_a_signed_webhook(stack: Stack, rules: Rules) -> None:
    lead = partner_lead(stack, country=rules.country)
    mail = eventually("the mail to the owner", lambda: stack.mails(lead["id"]))[0]
    text = json.dumps(mail, ensure_ascii=False)
    owner = next(name for name, user_id in rules.sellers.items() if user_id == lead["owner_id"])
    assert f"{owner}@example.com" in text
    assert lead["company"] in text
    assert lead["email"] not in text, "what nobody needs to be told stays here"
    assert lead["phone"] not in text
    [message] = eventually("the webhook", lambda: rules.receiver.messages(lead["id"]))
    assert message["type"] == "lead.assigned"
    assert message["data"]["owner_id"] == lead["owner_id"]
    told = next(one for one in rules.receiver.requests if lead["id"] in one.body.decode())
    headers, body = told.headers, told.body
    secret = stack.aws("secretsmanager").get_secret_value(SecretId="revops/local/notices")["SecretString"]
    key = json.loads(secret)["signing_key"].encode()
    expected = hmac.new(key, headers["x-revops-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["x-revops-signature"] == f"v1={expected}"
    assert abs(time.time() - int(headers["x-revops-timestamp"])) < 300
    assert headers["x-revops-event-id"] == message["id"]
    for private in (lead["email"], lead["last_name"], lead["company"]):
        assert private not in body.decode()


@pytest.mark.mission("CAP-14", "CRM-6")
@pytest.mark.fault("R17")
def test_a_missed_target_escalates_once_to_the_manager(stack: Stack, rules: Rules) -> None:
    missed, touched, rep = rules.uncalled, rules.called, rules.sellers["rep"]
    assert missed["response"]["rule"] == "fair"
    assert (missed["owner_id"], touched["owner_id"]) == (rep, rep)

    def escalated() -> Json | None:
        stack.run("reminders")
        lead: Json = stack.ok("GET", f"/api/v1/leads/{missed['id']}", user="rep")
        return lead if lead["response"].get("missed_at") else None

    lead = eventually("the missed target", escalated, 150) or {}
    for _ in range(2):
        stack.run("reminders")
    tasks = stack.ok("GET", "/api/v1/tasks", user="manager", params={"about": lead["id"]})["tasks"]
    [task] = [each for each in tasks if each["type"] == "response_missed"]
    assert (task["assignee_id"], task["priority"]) == (rules.sellers["manager"], "Urgent")

    def told() -> list[Json]:
        return [mail for mail in stack.mails(lead["id"]) if "response target" in json.dumps(mail)]

    eventually("the mail to the manager", told)
    time.sleep(2)
    assert len(told()) == 1
    met = stack.ok("GET", f"/api/v1/leads/{touched['id']}", user="rep")
    assert met["status"] == "Contacted"
    assert met["response"].get("missed_at") is None
    assert 0 <= met["first_touch_seconds"] <= 60


@pytest.mark.mission("CAP-14", "SEE-5")
def test_speed_to_first_touch_is_counted(stack: Stack) -> None:
    def counted() -> Json:
        found: Json = stack.ok("GET", "/api/v1/leads/response-times", user="admin")
        return found

    before = counted()
    lead = partner_lead(stack)
    said = {"type": "email", "about": lead["id"], "subject": "Hello", "content": "A first word."}
    stack.ok("POST", "/api/v1/activities", expect=201, user="admin", json=said)
    after = eventually("the count", lambda: (now := counted())["touched"] > before["touched"] and now)
    assert after["average_seconds"] is not None
    assert stack.refused("GET", "/api/v1/leads/response-times", expect=403, user="legal")


@pytest.mark.mission("CAP-12", "SAFE-1")
def test_a_manager_hands_a_lead_over_within_the_team_with_a_reason(stack: Stack) -> None:
    lead = partner_lead(stack)
    path, rep = f"/api/v1/leads/{lead['id']}/owner", stack.user_id("rep")
    due = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    task = {"title": "Call back", "about": lead["id"], "due_at": due}
    theirs = stack.ok("POST", "/api/v1/tasks", expect=201, user="sdr", json=task)
    bosses = stack.ok("POST", "/api/v1/tasks", expect=201, user="manager", json=task)
    now = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="admin")
    wanted = {"version": now["version"], "owner_id": rep, "reason": "Speaks Hindi"}
    stack.refused("POST", path, expect=404, user="manager2", json=wanted)
    stack.refused("POST", path, expect=403, user="sdr", json=wanted)
    out_of_team = wanted | {"owner_id": stack.user_id("rep2")}
    assert stack.refused("POST", path, expect=400, user="manager", json=out_of_team)["issues"][0]["field"] == "owner_id"
    done = stack.ok("POST", path, user="manager", json=wanted)
    assert (done["owner_id"], done["assignee_id"]) == (rep, rep)
    stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="rep")
    stack.refused("GET", f"/api/v1/leads/{lead['id']}", expect=404, user="sdr")

    def to_do(user: str) -> set[str]:
        listed = stack.ok("GET", "/api/v1/tasks", user=user, params={"about": lead["id"]})["tasks"]
        return {each["id"] for each in listed if each["assignee_id"] == stack.user_id(user)}

    eventually("the task of the former owner", lambda: theirs["id"] in to_do("rep"))
    assert to_do("manager") == {bosses["id"]}
    trail = audit_of(stack, lead["id"], done["version"])
    [entry] = [each for each in trail["entries"] if each["version"] == done["version"]]
    changed = {change["field"]: change for change in entry["changes"]}
    assert changed["owner_id"]["new"] == rep
    assert "Speaks Hindi" in json.dumps(entry["changes"])
    mails = eventually(
        "a mail to the new owner", lambda: [m for m in stack.mails(lead["id"]) if "rep@" in json.dumps(m)]
    )
    assert mails


@pytest.mark.mission("SAFE-6")
def test_who_may_say_that_somebody_is_away(stack: Stack) -> None:
    path = f"/api/v1/users/{stack.user_id('rep')}/absence"
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    later = (datetime.now(UTC) + timedelta(days=31)).isoformat()
    stack.refused("PUT", path, expect=403, user="rep", json={"until": later})
    stack.refused("PUT", path, expect=404, user="manager2", json={"until": later})
    away = stack.ok("PUT", path, user="manager", json={"starts": soon, "until": later})
    assert away["absent_from"] < away["absent_until"]
    back = stack.ok("PUT", path, user="manager", json={})
    assert back["absent_until"] is None
    assert "email" not in back
    stack.refused("GET", "/api/v1/users", expect=403, user="sdr")
    everybody = {user["id"] for user in stack.ok("GET", "/api/v1/users", user="admin")["users"]}
    team = {user["id"] for user in stack.ok("GET", "/api/v1/users", user="manager")["users"]}
    assert stack.user_id("rep2") in everybody - team
    assert stack.user_id("sdr") in team

"""Nurture through its real triggers: a lead is made, mails arrive, a withdrawal stops the rest, a task appears.

Sequences are data, so here their days are seconds (LEAD-5). The stack's own settings are put back afterwards.
"""

import html
import json
import re
import time
from typing import Any

import pytest

from tests.acceptance.people import acted, fresh_phone, partner_lead, patched
from tests.acceptance.ruled.conftest import Rules
from tests.acceptance.stack import Json, Stack, eventually, fresh

TWO_CONSENTS = [
    {"channel": channel, "purpose": "marketing", "granted": True, "wording_version": "1"}
    for channel in ("email", "whatsapp")
]


@pytest.fixture
def quick(stack: Stack, rules: Rules) -> Stack:
    """The stack with a sequence of seconds."""
    return stack


def lead_of(stack: Stack, **said: Any) -> Json:
    return partner_lead(stack, **{"consent": TWO_CONSENTS} | said)


def enrolment(stack: Stack, lead: Json) -> Json:
    """The lead's enrolment, once its event made one."""

    def look() -> Json | None:
        found: list[Json] = stack.ok("GET", f"/api/v1/leads/{lead['id']}/nurture", user="admin")["enrolments"]
        return found[0] if found else None

    return eventually("an enrolment", look) or {}


def status(stack: Stack, lead: Json, name: str, wanted: str) -> Json:
    """A step, once the job has brought it there."""

    def look() -> Json | None:
        stack.run("nurture")
        found = next(each for each in enrolment(stack, lead)["steps"] if each["name"] == name)
        return found if found["status"] == wanted else None

    return eventually(f"{name} of {lead['id']} is {wanted}", look) or {}


def ended(stack: Stack, lead: Json) -> Json:
    """The lead's enrolment, once the job ended it."""

    def look() -> Json | None:
        stack.run("nurture")
        found = enrolment(stack, lead)
        return found if found["status"] == "Ended" else None

    return eventually(f"the sequence of {lead['id']} ends", look) or {}


def cut_short(stack: Stack, lead: Json, because: str) -> bool:
    """Whether the lead's sequence ended for that reason, and what was not done by then is skipped for it."""
    found = ended(stack, lead)
    done = [each for each in found["steps"] if each["status"] in ("sent", "done")]
    rest = [each for each in found["steps"] if each not in done]
    sent = [each for each in done if each["channel"] == "email"]
    assert found["ended_because"] == because
    assert {(each["status"], each["reason"]) for each in rest} == {("skipped", because)}
    assert all(each["at"] <= found["ended_at"] for each in done)
    return len(mails(stack, lead)) == len(sent)


def mails(stack: Stack, lead: Json) -> list[Json]:
    """What the lead got, oldest first."""
    answer = stack.http.get(f"{stack.told['mail']['simulator_url']}/messages", params={"to": lead["email"]}).json()
    found: list[Json] = answer["messages"]
    return found[::-1]


@pytest.mark.mission("LEAD-5", "CAP-9")
def test_a_new_lead_gets_a_mail_with_all_that_belongs_to_it_and_unsubscribes_by_one_click(quick: Stack) -> None:
    lead = lead_of(quick, first_name="राहुल")
    began = enrolment(quick, lead)
    assert (began["sequence"], began["status"]) == ("welcome", "Active")
    sent = status(quick, lead, "mail-1", "sent")
    [mail] = eventually("the mail", lambda: mails(quick, lead))
    assert mail["subject"] == "Welcome, राहुल"
    assert "राहुल" in mail["text"]
    assert "राहुल" in mail["html"]
    assert mail["tags"] == {"message_id": sent["message_id"]}
    unsubscribe = mail["headers"]["List-Unsubscribe"].strip("<>")
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert unsubscribe in html.unescape(mail["html"])
    assert unsubscribe in mail["text"]
    click = next(link for link in re.findall(r'href="([^"]+)"', mail["html"]) if "/t/click/" in link)
    led = quick.http.get(html.unescape(click), follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (302, "https://www.example.com/en?ref=nurture")
    form = {"content-type": "application/x-www-form-urlencoded"}
    left = quick.http.post(unsubscribe, content="List-Unsubscribe=One-Click", headers=form)
    assert left.is_success, left.text
    later = status(quick, lead, "mail-2", "skipped")
    assert later["reason"].startswith("consent for email withdrawn")
    quick.run("nurture")
    assert len(mails(quick, lead)) == 1


@pytest.mark.mission("LEAD-5")
def test_without_a_withdrawal_the_next_mail_and_the_task_come_in_time(quick: Stack) -> None:
    lead = lead_of(quick)
    status(quick, lead, "mail-1", "sent")
    time.sleep(20)
    assert status(quick, lead, "mail-2", "sent")["at"]
    done = status(quick, lead, "sdr-task", "done")
    row = quick.row(f"TASK#{done['task_id']}", "TASK")
    assert row is not None
    task = json.loads(row["doc"]["S"])
    assert (task["assignee_id"], task["related_to"]) == (lead["owner_id"], lead["id"])
    assert [mail["subject"].split(",")[0] for mail in mails(quick, lead)] == ["Welcome", "From lead to cash"]


@pytest.mark.mission("LEAD-5")
def test_an_engagement_brings_the_whatsapp_follow_up(quick: Stack) -> None:
    lead = lead_of(quick)
    status(quick, lead, "mail-1", "sent")
    [mail, *_] = eventually("the mail", lambda: mails(quick, lead))
    click = next(link for link in re.findall(r'href="([^"]+)"', mail["html"]) if "/t/click/" in link)
    time.sleep(3)  # a click within a moment of sending is a scanner's

    def clicked() -> bool:
        quick.http.get(html.unescape(click), follow_redirects=False, headers={"user-agent": "Mozilla/5.0 (X11; Linux)"})
        shown = quick.ok("GET", f"/api/v1/leads/{lead['id']}/nurture", user="admin")["enrolments"][0]
        return next(each for each in shown["steps"] if each["name"] == "whatsapp-1")["next_at"] is not None

    eventually("the click counts", clicked, seconds=90)
    assert status(quick, lead, "whatsapp-1", "sent")["message_id"]


@pytest.mark.mission("LEAD-5")
def test_a_reply_ends_the_sequence(quick: Stack) -> None:
    lead = lead_of(quick, phone=fresh_phone())
    status(quick, lead, "mail-1", "sent")
    time.sleep(1)  # WhatsApp tells whole seconds, and what was said before a sequence began does not end it
    said = {"text": {"body": "Please call me"}, "name": lead["first_name"]}
    quick.simulator("whatsapp", "POST", f"_sim/people/{lead['phone'].lstrip('+')}/messages", json=said)
    assert cut_short(quick, lead, "the person replied")


@pytest.mark.mission("LEAD-5", "LEAD-8")
def test_a_conversion_ends_the_sequence(quick: Stack) -> None:
    lead = lead_of(quick, authority_level="Decision Maker")
    status(quick, lead, "mail-1", "sent")
    patched(quick, lead["id"], status="Contacted")
    met = {factor: {"state": "met"} for factor in ("budget", "authority", "need", "timeline")}
    acted(quick, lead["id"], "qualification", method="PUT", bant=met)
    acted(quick, lead["id"], "qualification/outcome", outcome="accepted")
    acted(quick, lead["id"], "conversion", expect=201)
    assert cut_short(quick, lead, "the lead is Converted")


@pytest.mark.mission("LEAD-5")
def test_a_lead_without_consent_is_in_no_sequence_and_cannot_be_put_in_one(quick: Stack) -> None:
    lead = partner_lead(quick, country="US", phone="", consent=[])
    refused = quick.refused(
        "POST", f"/api/v1/leads/{lead['id']}/nurture/start", expect=409, user="admin", json={"sequence": "welcome"}
    )
    assert "consent" in refused["detail"]
    assert quick.ok("GET", f"/api/v1/leads/{lead['id']}/nurture", user="admin")["enrolments"] == []


@pytest.mark.mission("LEAD-5")
def test_its_owner_stops_it_and_nobody_else_sees_it(quick: Stack) -> None:
    lead = lead_of(quick)
    enrolment(quick, lead)
    [ended] = quick.ok("POST", f"/api/v1/leads/{lead['id']}/nurture/stop", user="admin", json={})["enrolments"]
    assert (ended["status"], ended["ended_because"]) == ("Ended", "stopped by hand")
    quick.refused("GET", f"/api/v1/leads/{lead['id']}/nurture", expect=404, user="rep2")
    quick.refused("POST", f"/api/v1/leads/{lead['id']}/nurture/stop", expect=404, user="rep2", json={})


@pytest.mark.mission("LEAD-5", "CAP-9")
def test_a_complaint_that_ses_tells_of_is_a_withdrawal(quick: Stack) -> None:
    """As the rule on the default bus hands it over: nobody but AWS may put an event of SES on a bus."""
    lead = lead_of(quick)
    sent = status(quick, lead, "mail-1", "sent")
    detail = {"eventType": "Complaint", "mail": {"messageId": "x", "tags": {"message_id": [sent["message_id"]]}}}
    event = {"source": "aws.ses", "id": fresh(), "detail-type": "Email Complaint Received", "detail": detail}
    answer = quick.aws("lambda").invoke(FunctionName="revops-local-nurture", Payload=json.dumps(event).encode())
    assert not answer.get("FunctionError"), answer["Payload"].read()

    def withdrawn() -> bool:
        consents = quick.ok("GET", f"/api/v1/leads/{lead['id']}", user="admin")["consents"]
        return any(each["channel"] == "email" and not each["granted"] for each in consents)

    eventually("the consent is withdrawn", withdrawn)


@pytest.mark.mission("LEAD-5")
def test_a_preview_shows_the_mail_and_sends_nothing(stack: Stack) -> None:
    word = fresh()
    draft = {
        "subject": "Hi {{first_name|there}}",
        "html": f'<p>{word} <a href="https://x.example">x</a></p>',
        "text": "",
    }
    shown = stack.ok("POST", "/api/v1/nurture/preview", user="admin", json={"draft": draft, "language": "en"})
    assert shown["subject"] == "Hi राहुल"
    assert word in shown["text"]
    assert word in shown["html"]
    assert "List-Unsubscribe" in shown["headers"]
    assert stack.mails(word) == []
    bad = {"draft": draft | {"subject": "{{password}}"}}
    stack.refused("POST", "/api/v1/nurture/preview", expect=400, user="admin", json=bad)
    stack.refused("POST", "/api/v1/nurture/preview", expect=404, user="admin", json={"template": "nothing"})

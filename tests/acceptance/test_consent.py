"""Consent as people give it and take it back (CAP-9): the ledger, a call, the unsubscribe link, do-not-disturb."""

from typing import Any

import pytest

from local.aws import wiring_of
from revops.crm.links import Links
from tests.acceptance.people import audit_of, partner_lead
from tests.acceptance.stack import Json, Stack, at_once, fields, fresh

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def _links(stack: Stack) -> Links:
    """Links as a message would have them: under the deployment's own key."""
    return Links("", str(wiring_of(stack.told).secrets.read("internal")["signing_key"]).encode())


def _ledger(stack: Stack, lead: Json, user: str = "admin") -> Any:
    return stack.ok("GET", f"/api/v1/leads/{lead['id']}/consents", user=user)


@pytest.mark.mission("CAP-9")
def test_the_ledger_shows_what_was_said_where_and_in_which_words(stack: Stack) -> None:
    lead = partner_lead(stack)
    ledger = _ledger(stack, lead)
    assert ledger["person_id"] == lead["person_id"]
    [said] = ledger["statements"]
    assert (said["channel"], said["purpose"], said["granted"], said["in_force"]) == ("email", "marketing", True, True)
    assert (said["wording_version"], said["source"]) == ("2026-03", "partner")
    assert said["ip"], "an Admin sees from where it was said"
    assert [each["ip"] for each in _ledger(stack, lead, "sdr")["statements"]] == [""]


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_the_link_in_a_message_asks_and_one_click_withdraws(stack: Stack) -> None:
    lead, message = partner_lead(stack), f"MSG_{fresh()}"
    link = _links(stack).unsubscribe(lead["person_id"], "email", message)
    page = stack.call("GET", link)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert lead["first_name"] not in page.text
    assert lead["email"] not in page.text
    assert _ledger(stack, lead)["statements"][0]["granted"], "scanners follow links; asking withdraws nothing"
    for _ in range(2):
        answer = stack.call("POST", link, content=ONE_CLICK, headers=FORM)
        assert (answer.status_code, "Unsubscribed" in answer.text) == (200, True)
    withdrawn, granted = _ledger(stack, lead)["statements"]
    assert (granted["granted"], granted["in_force"]) == (True, False)
    assert (withdrawn["granted"], withdrawn["in_force"]) == (False, True)
    assert (withdrawn["source"], withdrawn["evidence"]) == (
        "unsubscribe link",
        f"unsubscribe link of message {message}",
    )
    assert stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="admin")["gdpr_consent"] is False
    trail = audit_of(stack, lead["id"], 2)
    changes = {change["field"]: change for entry in trail["entries"] for change in entry["changes"]}
    assert (changes["gdpr_consent"]["old"], changes["gdpr_consent"]["new"]) == (True, False)


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("R18")
def test_sixteen_clicks_at_once_add_one_statement(stack: Stack) -> None:
    lead = partner_lead(stack)
    link = _links(stack).unsubscribe(lead["person_id"], "email", f"MSG_{fresh()}")
    answers = at_once([lambda: stack.call("POST", link, content=ONE_CLICK, headers=FORM) for _ in range(16)])
    assert {answer.status_code for answer in answers} == {200}
    assert [said["granted"] for said in _ledger(stack, lead)["statements"]] == [False, True]


@pytest.mark.mission("CAP-9")
def test_a_link_that_is_not_ours_withdraws_nothing(stack: Stack) -> None:
    lead = partner_lead(stack)
    forged = Links("", b"some other key").unsubscribe(lead["person_id"], "email", "MSG_X")
    pixel = _links(stack).pixel(lead["id"], "MSG_X").replace("/open/", "/unsubscribe/")
    for path in (forged, pixel, "/t/unsubscribe/x"):
        for method in ("GET", "POST"):
            refusal = stack.refused(method, path, expect=404, headers=FORM)
            assert lead["person_id"] not in str(refusal)
    assert [said["granted"] for said in _ledger(stack, lead)["statements"]] == [True]


@pytest.mark.mission("CAP-9")
def test_a_seller_takes_a_statement_down_and_a_stranger_may_not(stack: Stack) -> None:
    lead = partner_lead(stack)
    path = f"/api/v1/leads/{lead['id']}/consents"
    said = {
        "channel": "whatsapp",
        "granted": True,
        "wording_version": "phone-2026-03",
        "evidence": "asked on the phone",
    }
    answer = stack.ok("POST", path, user="sdr", json=said)
    assert [each["channel"] for each in answer["statements"]] == ["whatsapp", "email"]
    assert answer["statements"][0]["source"] == f"taken by {stack.user_id('sdr')}"
    taken = {"channel": "email", "granted": False, "evidence": "wants no more mails"}
    answer = stack.ok("POST", path, user="sdr", json=taken)
    assert [(each["channel"], each["granted"]) for each in answer["statements"] if each["in_force"]] == [
        ("email", False),
        ("whatsapp", True),
    ]
    assert fields(stack.refused("POST", path, expect=400, user="sdr", json=taken | {"ip": "203.0.113.1"})) == {"ip"}
    stack.refused("POST", path, expect=400, user="sdr", json=said | {"wording_version": ""})
    stack.refused("POST", path, expect=404, user="rep", json=taken)
    stack.refused("GET", path, expect=404, user="rep")


@pytest.mark.mission("CAP-9")
def test_do_not_disturb_stands_beside_what_was_said(stack: Stack) -> None:
    lead = partner_lead(stack)
    path = f"/api/v1/leads/{lead['id']}/do-not-disturb"
    answer = stack.ok("PUT", path, user="sdr", json={"do_not_disturb": True})
    assert (answer["do_not_disturb"], answer["statements"][0]["granted"]) == (True, True)
    assert stack.ok("PUT", path, user="sdr", json={"do_not_disturb": False})["do_not_disturb"] is False
    stack.refused("PUT", path, expect=404, user="rep", json={"do_not_disturb": True})


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_a_further_submission_withdraws_too(stack: Stack) -> None:
    said = {"channel": "email", "purpose": "marketing", "granted": False, "wording_version": "2026-03"}
    lead = partner_lead(stack)
    names = ("first_name", "last_name", "company", "email", "country")
    partner_lead(stack, expect=200, **{name: lead[name] for name in names}, phone="", consent=[said])
    assert [each["granted"] for each in _ledger(stack, lead)["statements"]] == [False, True]

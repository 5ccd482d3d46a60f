"""The public website form (CAP-1): always the same answer, whoever is known here, and nobody reachable is lost. The
lead is made behind the answer, so each is waited for."""

import re

import httpx
import pytest

from tests.acceptance.people import arrived, by_email, partner_lead, person
from tests.acceptance.stack import Json, Stack, fields, fresh

_RECEIPT = re.compile(r"RCP_[0-9A-Z]{26}")
_ORIGIN = "http://localhost:3000"
_SAME = ("content-type", "content-length", "connection")


def _post(stack: Stack, body: Json, **headers: str) -> httpx.Response:
    return stack.call("POST", "/api/v1/leads", json=body, headers=headers)


@pytest.mark.mission("CAP-1", "CAP-11")
@pytest.mark.fault("S19")
def test_the_receipt_tells_nobody_who_is_known(stack: Stack) -> None:
    known = partner_lead(stack)
    answers = [
        _post(stack, person()),
        _post(stack, person(email=known["email"])),
        _post(stack, person(email="", phone=known["phone"])),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert all(answer.json().keys() == {"receipt"} for answer in answers)
    assert all(_RECEIPT.fullmatch(answer.json()["receipt"]) for answer in answers)
    assert len({answer.json()["receipt"] for answer in answers}) == 3
    shapes = {tuple((name, answer.headers.get(name)) for name in _SAME) for answer in answers}
    assert len(shapes) == 1, shapes


@pytest.mark.mission("CAP-1")
def test_a_browser_may_post_from_the_companys_pages_and_from_no_other(stack: Stack) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    preflight = stack.call("OPTIONS", "/api/v1/leads", headers={"origin": _ORIGIN} | asks)
    assert preflight.status_code in {200, 204}
    assert preflight.headers["access-control-allow-origin"] == _ORIGIN
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    posted = _post(stack, person(), origin=_ORIGIN)
    assert posted.status_code == 202
    assert posted.headers["access-control-allow-origin"] == _ORIGIN
    foreign = stack.call("OPTIONS", "/api/v1/leads", headers={"origin": "https://elsewhere.example"} | asks)
    assert foreign.headers.get("access-control-allow-origin") not in {"*", "https://elsewhere.example"}


@pytest.mark.mission("CAP-10", "LEAD-1")
def test_unknown_fields_become_metadata_within_bounds(stack: Stack) -> None:
    body = person(favourite_colour="blue", long="x" * 2000, score=100, owner_id="USR_me", status="Converted")
    body |= {f"more_{number}": number for number in range(40)}
    assert _post(stack, body).status_code == 202
    lead = arrived(stack, body["email"])
    assert lead["metadata"]["favourite_colour"] == "blue"
    assert len(lead["metadata"]) <= 20
    assert all(len(value) <= 500 for value in lead["metadata"].values())
    assert lead["status"] == "New"
    assert lead["score"] < 100
    assert lead["owner_id"] == stack.user_id("sdr")


@pytest.mark.mission("CAP-1", "CAP-8")
@pytest.mark.parametrize(
    ("said", "referrer", "source", "derived"),
    [
        ({}, "", "form direct", True),
        ({}, "https://search.example/?q=crm", "search.example", True),
        ({"gclid": "Cj0KCQ", "campaignid": "77"}, "https://www.example.com/", "Google Ads", True),
        ({"fbclid": "IwAR1", "ad_id": "9", "campaign_name": "Autumn"}, "", "Meta Ads", True),
        ({}, "https://www.example.com/?utm_source=news&utm_medium=email&utm_campaign=autumn", "news", False),
        ({"utm_source": "fair", "utm_medium": "qr", "utm_campaign": "hall-7"}, "", "fair", False),
        ({"attribution": {"source": "ads", "campaign": "spring", "medium": "cpc", "term": "crm"}}, "", "ads", False),
        ({"attribution": {"source": "ads"}}, "", "ads", True),
    ],
)
def test_attribution_stands_on_every_lead(stack: Stack, said: Json, referrer: str, source: str, derived: bool) -> None:
    body = person(**said)
    assert _post(stack, body, referer=referrer).status_code == 202
    lead = arrived(stack, body["email"])
    assert (lead["attribution"]["source"], lead["attribution"]["derived"]) == (source, derived)
    assert lead["attribution"]["campaign"]
    assert lead["attribution"]["medium"]


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize("country", ["DE", "Germany", "GB", "Norway", "is"])
def test_a_lead_from_the_eu_the_eea_or_the_uk_needs_a_statement_of_consent(stack: Stack, country: str) -> None:
    body = person(country=country, consent=[])
    refusal = stack.refused("POST", "/api/v1/leads", expect=400, json=body)
    assert fields(refusal) == {"consent"}
    assert refusal["issues"][0]["rule"] == "CAP-9 consent-required-eu-eea-uk"
    assert "consent" in refusal["issues"][0]["accepted"]
    assert by_email(stack, body["email"]) == []


@pytest.mark.mission("CAP-9")
def test_a_no_is_a_statement_and_elsewhere_none_is_needed(stack: Stack) -> None:
    refused = person(consent=[{"channel": "email", "granted": False, "wording_version": "2026-03"}])
    abroad = person(country="US", phone="+12125550123", consent=[])
    for body in (refused, abroad):
        assert _post(stack, body).status_code == 202
        lead = arrived(stack, body["email"])
        assert lead["gdpr_consent"] is False
    kept = stack.ok("GET", f"/api/v1/leads/{arrived(stack, refused['email'])['id']}", user="admin")
    (statement,) = kept["consents"]
    assert (statement["granted"], statement["wording_version"], statement["source"]) == (False, "2026-03", "form")
    assert statement["at"]


@pytest.mark.mission("CAP-10")
def test_a_reachable_person_is_kept_with_what_is_missing_and_nobody_else_is(stack: Stack) -> None:
    body = {"email": f"only@{fresh()}.example", "country": "US"}
    assert _post(stack, body).status_code == 202
    lead = arrived(stack, body["email"])
    assert lead["validation_status"] == "Pending"
    assert {"first_name", "last_name", "company", "phone"} <= set(lead["missing"])
    refusal = stack.refused("POST", "/api/v1/leads", expect=400, json={"first_name": "Nobody", "country": "US"})
    assert refusal["issues"][0]["rule"] == "CAP-10 reachable"


@pytest.mark.mission("LEAD-1", "CAP-12", "LEAD-3")
def test_any_script_comes_back_as_it_was_typed_owned_and_scored(stack: Stack) -> None:
    body = person(first_name="राहुल", last_name="पाटील", company="Żółć Ελλάς 株式会社")
    assert _post(stack, body).status_code == 202
    lead = arrived(stack, body["email"])
    assert (lead["first_name"], lead["last_name"], lead["company"]) == ("राहुल", "पाटील", "Żółć Ελλάς 株式会社")
    assert lead["owner_id"] == stack.user_id("sdr")
    assert "round-robin" in lead["assigned_by"]
    points = lead["score_card"]["points"]
    assert lead["score"] == min(100, max(0, round(sum(part["points"] for part in points))))
    assert {"company_size", "industry", "budget", "timeline"} <= {part["factor"] for part in points}


@pytest.mark.mission("CAP-10")
@pytest.mark.fault("S14", "S23")
def test_what_looks_like_spam_is_kept_and_says_why(stack: Stack) -> None:
    body = person(first_name="http://win.example", honeypot="filled")
    assert _post(stack, body).status_code == 202
    lead = arrived(stack, body["email"])
    assert lead["spam_score"] == "High"
    assert "a link in a name (+30)" in lead["spam_reasons"]
    mixed = person(last_name="Раypal")
    assert _post(stack, mixed).status_code == 202
    lead = arrived(stack, mixed["email"])
    assert lead["spam_score"] != "Low"
    assert lead["spam_reasons"]


@pytest.mark.mission("CAP-11")
def test_a_fuzzy_duplicate_is_kept_as_pending_and_explained(stack: Stack) -> None:
    first = person()
    assert _post(stack, first).status_code == 202
    stood = arrived(stack, first["email"])
    alike = first | {"email": f"a.lind@{first['email'].partition('@')[2]}", "first_name": first["first_name"][:-1]}
    assert _post(stack, alike).status_code == 202
    lead = arrived(stack, alike["email"])
    assert lead["id"] != stood["id"]
    assert lead["duplicate_check"] == "Pending"
    (match,) = [each for each in lead["resembles"] if each["lead_id"] == stood["id"]]
    assert {"company", "phone", "email"} <= {part["field"] for part in match["evidence"]}
    assert all(0 <= part["similarity"] <= 1 for part in match["evidence"])

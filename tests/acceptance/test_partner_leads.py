"""Leads from partners (CAP-5): keys, idempotency, refusals that name what is wrong; one lead per person (CAP-11)."""

import secrets

import pytest

from tests.acceptance.people import ATTRIBUTION, arrived, by_email, partner_lead, person
from tests.acceptance.stack import Json, Stack, at_once, eventually, fields, fresh

_PATH = "/api/v1/partner/leads"


def _refused(stack: Stack, expect: int, body: Json, **headers: str) -> Json:
    sent = {"x-api-key": stack.told["partner_api_key"], "Idempotency-Key": fresh()} | headers
    return stack.refused("POST", _PATH, expect=expect, json=body, headers=sent)


@pytest.mark.mission("CAP-5", "CAP-11", "CAP-12")
def test_a_new_person_is_201_and_a_known_one_is_200_with_the_same_lead(stack: Stack) -> None:
    body = person(attribution=ATTRIBUTION)
    lead = partner_lead(stack, **body)
    assert lead["id"].startswith("LEAD_")
    assert lead["person_id"].startswith("PER_")
    assert lead["owner_id"] == stack.user_id("sdr")
    assert lead["attribution"] == ATTRIBUTION | {"derived": False}
    assert lead["validation_status"] == "Valid"
    again = partner_lead(stack, expect=200, **body | {"email": body["email"].upper(), "first_name": "Somebody"})
    assert again["id"] == lead["id"]
    assert again["first_name"] == lead["first_name"], "a stranger who knows an address must not rename somebody"


@pytest.mark.mission("CAP-5")
@pytest.mark.fault("R7")
def test_a_key_repeated_gives_the_same_answer_and_another_content_is_refused(stack: Stack) -> None:
    key, body = fresh(), person(attribution=ATTRIBUTION)
    lead = partner_lead(stack, key=key, **body)
    again = partner_lead(stack, expect=201, key=key, **body)
    assert again["id"] == lead["id"]
    refusal = _refused(stack, 409, body | {"first_name": "Other"}, **{"Idempotency-Key": key})
    assert "Idempotency-Key" in refusal["detail"]
    known = partner_lead(stack, expect=200, key=fresh(), **body)
    assert known["id"] == lead["id"]


@pytest.mark.mission("CAP-5")
@pytest.mark.fault("R7", "R18")
def test_one_key_many_times_at_once_makes_one_lead(stack: Stack) -> None:
    key, body = fresh(), person(attribution=ATTRIBUTION)
    leads = at_once([lambda: partner_lead(stack, key=key, **body) for _ in range(8)], 8)
    assert len({lead["id"] for lead in leads}) == 1


@pytest.mark.mission("CAP-5")
def test_only_a_key_with_the_right_gets_in(stack: Stack) -> None:
    body = person(attribution=ATTRIBUTION)
    for presented in ("", secrets.token_urlsafe(32), stack.told["partner_api_key"] + "x"):
        _refused(stack, 401, body, **{"x-api-key": presented})
    assert "leads:write" in _refused(stack, 403, body, **{"x-api-key": stack.told["usage_api_key"]})["detail"]
    stack.refused("POST", _PATH, expect=401, json=body, user="admin")
    assert by_email(stack, body["email"]) == []


@pytest.mark.mission("CAP-5")
@pytest.mark.parametrize(("key", "wrong"), [("", "missing"), ("k" * 129, "has 129 characters")])
def test_a_partner_sends_an_idempotency_key(stack: Stack, key: str, wrong: str) -> None:
    refusal = _refused(stack, 400, person(attribution=ATTRIBUTION), **{"Idempotency-Key": key})
    assert fields(refusal) == {"Idempotency-Key"}
    assert wrong in refusal["detail"]


@pytest.mark.mission("CAP-8")
def test_incomplete_attribution_is_refused_naming_each_field(stack: Stack) -> None:
    every = {"attribution.source", "attribution.campaign", "attribution.medium", "attribution.term"}
    assert fields(_refused(stack, 400, person())) == every
    partly = person(attribution={"source": "Partner One", "medium": "referral"})
    assert fields(_refused(stack, 400, partly)) == {"attribution.campaign", "attribution.term"}


@pytest.mark.mission("CAP-9")
def test_consent_is_mandatory_for_partners_too(stack: Stack) -> None:
    refusal = _refused(stack, 400, person(attribution=ATTRIBUTION, consent=[]))
    assert refusal["issues"][0]["rule"] == "CAP-9 consent-required-eu-eea-uk"


@pytest.mark.mission("CAP-10")
@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "said",
    [{"favourite_colour": "blue"}, {"score": 99}, {"owner_id": "USR_1"}, {"status": "Converted"}, {"id": "LEAD_1"},
     {"version": 7}, {"metadata": {"a": "b"}}],
)  # fmt: skip
def test_unknown_and_read_only_fields_are_refused(stack: Stack, said: Json) -> None:
    refusal = _refused(stack, 400, person(attribution=ATTRIBUTION) | said)
    assert fields(refusal) == set(said)
    assert refusal["issues"][0]["rule"] == "unknown-or-read-only"


@pytest.mark.mission("CAP-10")
def test_an_incomplete_person_is_pending_and_what_cannot_be_read_is_said_to_be(stack: Stack) -> None:
    lead = partner_lead(stack, company="", phone="")
    assert lead["validation_status"] == "Pending"
    assert {"company", "phone"} <= set(lead["missing"])
    lead = partner_lead(stack, phone="12")
    assert (lead["validation_status"], lead["missing"]) == ("Invalid", ["phone: not a telephone number in DE"])
    lead = partner_lead(stack, email="ring me instead")
    assert (lead["validation_status"], lead["missing"]) == ("Invalid", ["email: not an e-mail address"])
    refusal = _refused(stack, 400, person(attribution=ATTRIBUTION, email="ring me", phone="12"))
    assert fields(refusal) == {"email"}
    assert refusal["issues"][0]["rule"] == "CAP-10 reachable"
    assert refusal["detail"].endswith("email is not an e-mail address and phone is not a telephone number in DE")


def _referring(stack: Stack, lead_id: str) -> int:
    return len(stack.rows(f"LEAD#{lead_id}", "SUBMISSION#"))


@pytest.mark.mission("CAP-1", "CAP-11")
@pytest.mark.fault("R18")
def test_64_forms_of_one_person_make_one_lead(stack: Stack) -> None:
    body = person()
    tasks = [lambda: stack.call("POST", "/api/v1/leads", json=body).status_code for _ in range(64)]
    assert at_once(tasks, 16) == [202] * 64
    lead = arrived(stack, body["email"])
    eventually("the other 63", lambda: _referring(stack, lead["id"]) == 63)
    (only,) = by_email(stack, body["email"])
    assert only["id"] == lead["id"]


@pytest.mark.mission("CAP-1", "CAP-5", "CAP-11")
@pytest.mark.fault("R18")
def test_64_submissions_of_one_person_over_form_and_partner_make_one_lead(stack: Stack) -> None:
    body = person()

    def form() -> tuple[int, str]:
        return stack.call("POST", "/api/v1/leads", json=body).status_code, ""

    def partner() -> tuple[int, str]:
        answer = stack.call(
            "POST",
            _PATH,
            key="partner_api_key",
            json=body | {"attribution": ATTRIBUTION, "email": body["email"].title()},
            headers={"Idempotency-Key": fresh()},
        )
        return answer.status_code, answer.json()["id"]

    answers = at_once([form, partner] * 32, 16)
    assert {status for status, _ in answers} <= {200, 201, 202}
    assert [status for status, _ in answers].count(202) == 32
    (lead,) = by_email(stack, body["email"])
    assert {identifier for _, identifier in answers if identifier} == {lead["id"]}
    assert [status for status, _ in answers].count(201) <= 1
    eventually("the other 63", lambda: _referring(stack, lead["id"]) == 63)


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R18")
def test_people_without_mail_are_one_by_their_phone_and_colleagues_with_mail_are_not(stack: Stack) -> None:
    phone = person()["phone"]
    first = partner_lead(stack, email="", phone=phone)
    second = partner_lead(stack, expect=200, email="", phone=phone.replace("+49", "0049 "))
    assert second["id"] == first["id"]
    colleagues = [partner_lead(stack, phone=phone), partner_lead(stack, phone=phone)]
    assert len({lead["id"] for lead in [first, *colleagues]}) == 3

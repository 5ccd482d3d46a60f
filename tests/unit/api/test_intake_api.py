"""Leads in over HTTP: the form tells nobody who is known, and is worked on behind; a partner gets the lead."""

import json
from typing import Any

import pytest

from revops.access import HoldRate
from revops.api.intake import IntakeUseCases, add_intake_routes
from revops.crm.consent import CONSENTS
from revops.platform.http import Api
from tests.builders.channels import Channels
from tests.builders.requests import Answer, KnownCallers, ask

FORM: dict[str, Any] = {
    "first_name": "Asha",
    "last_name": "Rao",
    "company": "Nordlicht GmbH",
    "email": "asha.rao@nordlicht.example",
    "phone": "+49 30 901820",
    "country": "DE",
    "consent": [{"channel": "email", "granted": True, "wording_version": "2026-03"}],
}
PARTNER = FORM | {"attribution": {"source": "P", "campaign": "c", "medium": "m", "term": "t"}}


class Desk:
    """The intake function."""

    def __init__(self) -> None:
        self.channels = Channels()
        self.table = self.channels.table
        keys = {
            "one": frozenset({"leads:write"}),
            "two": frozenset({"leads:write"}),
            "meter": frozenset({"usage:write"}),
        }
        self.api = Api(KnownCallers(keys=keys))
        add_intake_routes(
            self.api,
            IntakeUseCases(
                self.channels.receive_form(), self.channels.submit, HoldRate(self.table, self.channels.clock)
            ),
        )

    def form(self, body: object = None, **more: Any) -> Answer:
        """The answer of the form, after the worker had what came of it."""
        answer = ask(self.api, "POST", "/api/v1/leads", FORM if body is None else body, **more)
        self.channels.work()
        return answer

    def partner(self, body: object = None, key: str = "one", idempotency: str = "k-1", **headers: str) -> Answer:
        told = {"x-api-key": key, "idempotency-key": idempotency, **headers}
        return ask(self.api, "POST", "/api/v1/partner/leads", PARTNER if body is None else body, headers=told)

    def leads(self) -> list[Any]:
        return self.channels.leads()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("CAP-1", "CAP-11")
@pytest.mark.fault("S19")
def test_the_form_answers_alike_for_the_new_and_the_known(desk: Desk) -> None:
    answers = [desk.form(), desk.form(), desk.form(FORM | {"first_name": "Other", "email": "new@nordlicht.example"})]
    assert [answer.status for answer in answers] == [202, 202, 202]
    assert {tuple(answer.body) for answer in answers} == {("receipt",)}
    assert {len(answer.body["receipt"]) for answer in answers} == {30}
    assert len({answer.body["receipt"] for answer in answers}) == 3
    assert {json.dumps(sorted(answer.headers)) for answer in answers} == {json.dumps(["content-type"])}
    assert len(desk.leads()) == 2


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize("country", ["DE", "Frankreich", "Rumanien", "Ελλάδα", "Réunion"])
def test_a_european_lead_without_consent_is_refused_and_the_rule_named(desk: Desk, country: str) -> None:
    answer = desk.form({"first_name": "Asha", "email": "asha@gmail.com", "country": country})
    assert answer.status == 400
    assert answer.body["issues"][0]["field"] == "consent"
    assert "CAP-9" in answer.body["issues"][0]["rule"]
    assert desk.leads() == []


@pytest.mark.mission("CAP-8", "CAP-10")
def test_what_the_form_does_not_know_is_kept_beside_and_the_source_is_derived(desk: Desk) -> None:
    assert desk.form(FORM | {"gclid": "abc"}, headers={"referer": "https://search.example/q"}).status == 202
    [lead] = desk.leads()
    assert lead.metadata == {"gclid": "abc"}
    stands = lead.attribution
    assert (stands.source, stands.medium, stands.campaign, stands.derived) == ("Google Ads", "cpc", "none", True)
    record = CONSENTS.require(desk.table, lead.person_id)
    assert record.entries[0].ip == "203.0.113.9"


@pytest.mark.mission("CAP-1", "CAP-8")
def test_the_address_that_is_posted_to_may_carry_the_parameters_of_the_link(desk: Desk) -> None:
    address = "/api/v1/leads?utm_source=news&utm_medium=email&utm_campaign=autumn&gclid=1"
    assert ask(desk.api, "POST", address, FORM | {"utm_source": "form"}).status == 202
    desk.channels.work()
    (lead,) = desk.leads()
    stands = lead.attribution
    assert (stands.source, stands.medium, stands.campaign, stands.derived) == ("form", "email", "autumn", False)
    assert lead.metadata["gclid"] == "1"
    assert ask(desk.api, "POST", "/api/v1/leads?surprise=1", FORM).status == 400
    assert ask(desk.api, "POST", f"/api/v1/leads?gclid={'x' * 501}", FORM).status == 400


@pytest.mark.mission("CAP-1", "CAP-8")
@pytest.mark.parametrize(
    ("query", "source", "campaign"),
    [
        ("gad_source=1&gad_campaignid=77&gbraid=0AAAA", "Google Ads", "77"),
        ("gad_source=1&wbraid=Cj8&gclid=Cj0", "Google Ads", "none"),
        ("fbclid=IwAR1&utm_id=120", "Meta", "none"),
        ("msclkid=f1", "Microsoft Ads", "none"),
    ],
)
def test_what_advertising_adds_to_every_link_loses_no_lead(desk: Desk, query: str, source: str, campaign: str) -> None:
    """A page that hands its own address on posts whatever its visitor came with."""
    assert ask(desk.api, "POST", f"/api/v1/leads?{query}", FORM).status == 202
    desk.channels.work()
    (lead,) = desk.leads()
    assert (lead.attribution.source, lead.attribution.campaign) == (source, campaign)
    assert set(lead.metadata) == {each.partition("=")[0] for each in query.split("&")}


@pytest.mark.mission("CAP-1", "CAP-8")
@pytest.mark.parametrize(
    ("said", "headers", "source", "medium"),
    [
        ({}, {"origin": "https://www.firm.example"}, "form direct", "direct"),
        ({"page_url": "https://firm.example/contact"}, {}, "form direct", "direct"),
        (
            {"referrer": "https://www.google.com/", "page_url": "https://www.firm.example/contact"},
            {"origin": "https://www.firm.example"},
            "www.google.com",
            "organic",
        ),
        ({"referrer": ["x"] * 300}, {"origin": "null"}, "www.firm.example", "referral"),
    ],
)
def test_the_page_a_form_stands_on_is_not_where_its_visitor_came_from(
    desk: Desk, said: dict[str, Any], headers: dict[str, str], source: str, medium: str
) -> None:
    """A browser names that page in `Referer`, to another origin without its path."""
    answer = desk.form(FORM | said, headers={"referer": "https://www.firm.example/"} | headers)
    assert (answer.status, tuple(answer.body)) == (202, ("receipt",))
    (lead,) = desk.leads()
    assert (lead.attribution.source, lead.attribution.medium, lead.attribution.derived) == (source, medium, True)
    assert set(lead.metadata) == set(said)


@pytest.mark.mission("CAP-5", "CAP-11")
def test_a_partner_gets_201_then_the_same_answer_for_the_key_and_200_for_the_person(desk: Desk) -> None:
    first = desk.partner()
    again = desk.partner()
    other = desk.partner(idempotency="k-2")
    assert [answer.status for answer in (first, again, other)] == [201, 201, 200]
    assert first.body["id"] == again.body["id"] == other.body["id"]
    assert first.body["score_card"]["score"] == first.body["score"]
    assert "ip" not in json.dumps(first.body["consents"])
    assert desk.partner(PARTNER | {"company": "Other"}).status == 409
    assert desk.partner(key="two").status == 200, "a key of another partner is another key"


@pytest.mark.mission("CAP-5", "CAP-8")
@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"idempotency": ""}, 400, "Idempotency-Key"),
        ({"idempotency": "x" * 129}, 400, "Idempotency-Key"),
        ({"key": "none"}, 401, ""),
        ({"key": "meter"}, 403, ""),
        ({"body": PARTNER | {"owner_id": "me"}}, 400, "owner_id"),
        ({"body": PARTNER | {"score": 1}}, 400, "score"),
        ({"body": FORM}, 400, "attribution.term"),
        ({"body": PARTNER | {"email": "", "phone": ""}}, 400, "email"),
        ({"body": PARTNER | {"consent": [{"channel": "pigeon", "granted": True}]}}, 400, "consent.0.channel"),
        ({"body": PARTNER | {"authority_level": "Boss"}}, 400, "authority_level"),
        ({"body": PARTNER | {"company": "\ufdfa" * 120}}, 400, "company"),
    ],
)
def test_a_partner_is_told_what_is_wrong(desk: Desk, more: dict[str, Any], status: int, field: str) -> None:
    answer = desk.partner(**more)
    assert answer.status == status
    if field:
        assert field in answer.fields
    assert desk.leads() == []


@pytest.mark.fault("S17")
@pytest.mark.parametrize("key", ["a#b", "a|b", "CLAIM", "k\x00one", "x" * 128])
def test_an_idempotency_key_stands_in_no_key_of_the_table(desk: Desk, key: str) -> None:
    assert desk.partner(idempotency=key).status == 201
    assert not any(key in row.pk + row.sk for row in desk.table.rows.values() if key != "CLAIM")
    assert desk.partner(idempotency=key).status == 201
    assert len(desk.leads()) == 1


@pytest.mark.fault("S13", "S15")
@pytest.mark.parametrize(
    "changes",
    [
        {"email": "a@b.example\r\nBcc: c@d.example"},
        {"first_name": "a\r\nb\x00"},
        {"phone": "9" * 40},
        {"first_name": "\u202eevil", "company": "\u200b"},
        {"attribution": {"source": "\ufdfa" * 7, "campaign": "#|", "medium": "\x00"}},
        {"country": "#"},
        {"metadata": {"a": [[[[1]]]]}},
        {"company_size": "9" * 120},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_odd_input_is_kept_tidied_or_refused_and_never_fails(desk: Desk, changes: dict[str, Any]) -> None:
    assert desk.form(FORM | changes).status in (202, 400)
    for lead in desk.leads():
        assert not any(mark in lead.first_name + lead.company for mark in "\r\n\x00\u202e\u200b")

"""The consents of a lead's person over HTTP, under the rights over the lead; and what a lead did."""

from typing import Any

import pytest

from revops.access import Policy
from revops.api.consents import add_consent_routes
from revops.api.engagement import EngagementUseCases, add_engagement_routes
from revops.crm.consent import RecordConsent
from revops.crm.consenting import LeadConsents
from revops.crm.engagement import RecordEngagement
from revops.crm.service import ReadLeads
from revops.crm.store import LEADS
from revops.crm.tracking import TrackMessage
from revops.kernel import Principal, Role
from revops.platform.http import Api
from revops.settings import SettingsReader
from revops.table import CursorSigner
from tests.builders.clock import ManualClock
from tests.builders.engagement import LEAD, MESSAGE, PERSON, PUBLIC, click_claim, consent, fetch, place_lead, record_of
from tests.builders.memory_table import MemoryTable
from tests.builders.requests import Answer, KnownCallers, ask

CONSENTS_OF = f"/api/v1/leads/{LEAD}/consents"
DISTURB = f"/api/v1/leads/{LEAD}/do-not-disturb"
SAID = {"channel": "email", "granted": False, "evidence": "said so on the phone"}


class Bench:
    def __init__(self, **lead: Any) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        place_lead(self.table, self.clock, consent(self.clock, ip="198.51.100.7"), **lead)
        callers = KnownCallers(
            Principal("admin", Role.ADMIN),
            Principal("sdr-1", Role.SDR),
            Principal("sdr-2", Role.SDR),
            Principal("boss", Role.SALES_MANAGER, members=frozenset({"sdr-1"})),
            Principal("help", Role.SUPPORT),
            Principal("money", Role.FINANCE),
        )
        self.api = Api(callers)
        record = RecordConsent(self.table, self.clock, sleep=lambda _: None)
        add_consent_routes(self.api, LeadConsents(self.table, self.clock, Policy(), record))
        add_engagement_routes(
            self.api, EngagementUseCases(self.table, ReadLeads(self.table, Policy(), lambda: CursorSigner(b"k")))
        )

    def ask(self, method: str, path: str, body: object = None, sub: str = "sdr-1") -> Answer:
        return ask(self.api, method, path, body, sub=sub)


@pytest.mark.mission("CAP-9")
def test_the_ledger_shows_all_that_was_said_newest_first_with_its_evidence() -> None:
    bench = Bench()
    bench.clock.advance(days=1)
    answer = bench.ask("POST", CONSENTS_OF, SAID)
    assert answer.status == 200
    assert answer.body == bench.ask("GET", CONSENTS_OF).body
    assert (answer.body["person_id"], answer.body["do_not_disturb"]) == (PERSON, False)
    assert [
        (said["granted"], said["in_force"], said["source"], said["evidence"], said["wording_version"])
        for said in answer.body["statements"]
    ] == [(False, True, "taken by sdr-1", "said so on the phone", ""), (True, False, "form", "", "2026-03")]
    assert not LEADS.require(bench.table, LEAD).gdpr_consent


@pytest.mark.fault("S3")
def test_only_admins_see_from_which_address_it_was_said() -> None:
    bench = Bench()
    assert [said["ip"] for said in bench.ask("GET", CONSENTS_OF, sub="admin").body["statements"]] == ["198.51.100.7"]
    for sub in ("sdr-1", "boss", "help"):
        answer = bench.ask("GET", CONSENTS_OF, sub=sub)
        assert (answer.status, [said["ip"] for said in answer.body["statements"]]) == (200, [""])


@pytest.mark.fault("S1")
@pytest.mark.parametrize(("sub", "reads", "writes"), [("sdr-2", 404, 404), ("money", 404, 404), ("help", 200, 403)])
def test_the_rights_over_the_lead_are_the_rights_over_its_consents(sub: str, reads: int, writes: int) -> None:
    bench = Bench()
    assert bench.ask("GET", CONSENTS_OF, sub=sub).status == reads
    assert bench.ask("GET", f"/api/v1/leads/{LEAD}/engagement", sub=sub).status == reads
    assert bench.ask("POST", CONSENTS_OF, SAID, sub=sub).status == writes
    assert bench.ask("PUT", DISTURB, {"do_not_disturb": True}, sub=sub).status == writes
    assert bench.ask("GET", CONSENTS_OF.replace(LEAD, "LEAD_NOBODY"), sub="admin").status == 404
    assert bench.ask("GET", CONSENTS_OF, sub="").status == 401
    assert record_of(bench.table).marketing


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"at": "2020-01-01T00:00:00Z"}, "at"),
        ({"ip": "203.0.113.1"}, "ip"),
        ({"source": "form"}, "source"),
        ({"channel": "pigeon"}, "channel"),
        ({"purpose": "anything"}, "purpose"),
        ({"evidence": ""}, "evidence"),
        ({"evidence": "two\nlines"}, "evidence"),
        ({"evidence": "x" * 201}, "evidence"),
        ({"granted": "perhaps"}, "granted"),
        ({"granted": True}, "body"),
    ],
)
def test_a_statement_that_does_not_fit_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    bench = Bench()
    answer = bench.ask("POST", CONSENTS_OF, SAID | change)
    assert (answer.status, answer.fields) == (400, {field})
    assert len(record_of(bench.table).entries) == 1


def test_a_grant_names_its_wording() -> None:
    bench = Bench()
    said = {"channel": "whatsapp", "granted": True, "wording_version": "phone-2026-03", "evidence": "asked for it"}
    answer = bench.ask("POST", CONSENTS_OF, said)
    assert (answer.status, answer.body["statements"][0]["wording_version"]) == (200, "phone-2026-03")
    assert len(bench.ask("POST", CONSENTS_OF, said).body["statements"]) == 2, "the same again adds nothing"


@pytest.mark.mission("CAP-9")
def test_do_not_disturb_is_set_and_lifted_and_leaves_what_was_said() -> None:
    bench = Bench()
    answer = bench.ask("PUT", DISTURB, {"do_not_disturb": True})
    assert (answer.status, answer.body["do_not_disturb"], len(answer.body["statements"])) == (200, True, 1)
    assert bench.ask("PUT", DISTURB, {"do_not_disturb": True}).body == answer.body
    assert bench.ask("PUT", DISTURB, {"do_not_disturb": False}).body["do_not_disturb"] is False
    assert bench.ask("PUT", DISTURB, {"do_not_disturb": True, "reason": "x"}).status == 400
    assert bench.ask("PUT", DISTURB, {}).status == 400


def test_somebody_who_never_said_anything_has_an_empty_ledger() -> None:
    bench = Bench()
    place_lead(bench.table, bench.clock, id="LEAD_CALLER", person_id="PER_CALLER", email="")
    answer = bench.ask("GET", "/api/v1/leads/LEAD_CALLER/consents")
    assert answer.body == {"person_id": "PER_CALLER", "do_not_disturb": False, "statements": []}


@pytest.mark.mission("CAP-11")
def test_what_is_said_to_a_merged_lead_is_said_at_the_one_it_is_now() -> None:
    bench = Bench(merged_into="LEAD_OTHER")
    answer = bench.ask("POST", CONSENTS_OF, SAID)
    assert (answer.status, answer.body["lead_id"]) == (409, "LEAD_OTHER")


@pytest.mark.mission("LEAD-5")
def test_what_a_lead_did_is_shown_and_what_was_not_counted_with_the_reason() -> None:
    bench = Bench()
    record = RecordEngagement(bench.table, bench.clock)
    track = TrackMessage(bench.table, bench.clock, SettingsReader(bench.table), record)
    track.opened(click_claim(bench.clock), fetch("Mozilla/5.0"), PUBLIC)
    track.clicked(click_claim(bench.clock), fetch(), PUBLIC)
    body = bench.ask("GET", f"/api/v1/leads/{LEAD}/engagement").body
    assert [(done["event"], done["ref"]) for done in body["counted"]] == [("email_click", MESSAGE)]
    assert [(done["event"], done["ref"], done["reason"]) for done in body["not_counted"]] == [
        ("email_open", MESSAGE, "fetched by a machine: Apple Mail Privacy Protection")
    ]

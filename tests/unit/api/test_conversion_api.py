"""Qualification and conversion over HTTP: what is answered, to whom, and what is refused."""

from typing import Any

import pytest

from revops.access import Policy
from revops.analytics import ReadCounts
from revops.api.conversion import ConversionUseCases, add_conversion_routes
from revops.api.leads import LeadUseCases, add_lead_routes
from revops.api.qualification import QualificationUseCases, add_qualification_routes
from revops.api.records import RecordUseCases, add_record_routes
from revops.audit import ReadAudit
from revops.crm.model import Lead
from revops.crm.service import ReadLeads
from revops.kernel import Principal, Role
from revops.platform.http import Api
from revops.table import CursorSigner
from tests.builders.conversion import Desk as Conversions
from tests.builders.requests import Answer, KnownCallers, ask

USERS = [
    Principal("admin", Role.ADMIN),
    Principal("sdr-1", Role.SDR),
    Principal("sdr-2", Role.SDR),
    Principal("rep", Role.SALES_REP),
    Principal("support", Role.SUPPORT),
    Principal("legal", Role.LEGAL),
]


class Desk(Conversions):
    """The CRM function."""

    def __init__(self) -> None:
        super().__init__()
        policy = Policy()
        self.api = Api(KnownCallers(*USERS))
        read = ReadLeads(self.table, policy, lambda: CursorSigner(b"local-signing-key"))
        counts = ReadCounts(self.table, policy)
        add_lead_routes(self.api, LeadUseCases(read, self.change, counts))
        add_qualification_routes(self.api, QualificationUseCases(self.qualify))
        add_conversion_routes(self.api, ConversionUseCases(self.convert, self.undo, read))
        records = RecordUseCases(self.table, policy, ReadAudit(self.table, policy), counts)
        add_record_routes(self.api, records)

    def ask(self, method: str, path: str, user: str = "sdr-1", **body: Any) -> Answer:
        return ask(self.api, method, f"/api/v1{path}", body or None, sub=user)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("LEAD-6", "LEAD-7")
def test_a_lead_is_qualified_step_by_step(desk: Desk) -> None:
    lead = desk.lead()
    path = f"/leads/{lead.id}/qualification"
    empty = desk.ask("GET", path)
    assert (empty.status, empty.body["bant"], len(empty.body["missing"])) == (200, {}, 11)
    assert (empty.body["risk"]["level"], empty.body["risk"]["met"]) == ("High", 0)
    desk.ask("PATCH", f"/leads/{lead.id}", version=1, status="Contacted")
    met = {"state": "met", "note": "said so"}
    put = desk.ask("PUT", path, version=2, bant={"budget": met, "authority": met, "need": met})
    assert (put.status, put.body["version"], put.body["risk"]["level"]) == (200, 3, "Medium")
    early = desk.ask("POST", f"{path}/outcome", version=3, outcome="accepted")
    assert (early.status, early.body["missing"]) == (409, ["timeline"])
    desk.ask("PUT", path, version=3, bant={"timeline": met}, meddicc={"champion": {"state": "not met"}})
    done = desk.ask("POST", f"{path}/outcome", version=4, outcome="accepted")
    assert (done.status, done.body["status"], done.body["risk"]["level"]) == (200, "Qualified", "Low")
    assert done.body["outcome"]["by"] == "sdr-1"
    assert done.body["history"][0]["what"] == "outcome"
    assert done.body["meddicc"]["champion"]["state"] == "not met"


@pytest.mark.mission("LEAD-6", "LEAD-2")
def test_giving_up_and_taking_back(desk: Desk) -> None:
    lead = desk.lead()
    path = f"/leads/{lead.id}"
    typed = desk.ask("PATCH", path, version=1, status="Disqualified")
    assert (typed.status, typed.body["route"]) == (409, "POST /api/v1/leads/{lead_id}/disqualify")
    bad = desk.ask("POST", f"{path}/disqualify", version=1, reason="boring")
    assert (bad.status, bad.fields) == (400, {"reason"})
    assert "not_a_fit" in bad.body["issues"][0]["accepted"]
    given = desk.ask("POST", f"{path}/disqualify", version=1, reason="not_a_fit", text="too small")
    assert (given.status, given.body["status"], given.body["status_reason"]["text"]) == (
        200,
        "Disqualified",
        "too small",
    )
    back = desk.ask("POST", f"{path}/recycle", version=2, reason="wrong_time")
    assert (back.status, back.body["status"]) == (200, "Recycled")
    again = desk.ask("POST", f"{path}/recycle", version=3, reason="wrong_time")
    assert (again.status, again.body["legal"]) == (409, ["Contacted", "Unqualified", "Disqualified"])


@pytest.mark.mission("LEAD-8")
def test_converted_seen_and_taken_back(desk: Desk) -> None:
    lead = desk.ready()
    path = f"/leads/{lead.id}/conversion"
    offer = desk.ask("GET", f"{path}/proposal")
    assert (offer.status, offer.body["possible"], offer.body["obstacles"]) == (200, True, [])
    assert offer.body["account"] == {"id": "", "name": "Nordlicht GmbH", "by": offer.body["account"]["by"]}
    assert offer.body["value"] == {"minor": 1_000_000, "currency": "EUR"}
    made = desk.ask("POST", path, version=lead.version)
    assert (made.status, made.body["created"], made.body["converted_by"]) == (201, True, "sdr-1")
    again = desk.ask("POST", path, version=lead.version)
    assert (again.status, again.body) == (200, made.body | {"created": False})
    for kind, name in (("accounts", "account_id"), ("contacts", "contact_id"), ("opportunities", "opportunity_id")):
        seen = desk.ask("GET", f"/{kind}/{made.body[name]}")
        assert (seen.status, seen.body["active"]) == (200, True)
    shown = desk.ask("GET", f"/leads/{lead.id}").body
    assert (shown["status"], shown["conversion"]["contact_id"]) == ("Converted", made.body["contact_id"])
    undone = desk.ask("POST", f"{path}/undo", version=made.body["version"])
    assert (undone.status, undone.body["status"], undone.body.get("conversion")) == (200, "Qualified", None)
    assert desk.ask("GET", f"/accounts/{made.body['account_id']}").body["active"] is False


@pytest.mark.mission("LEAD-8")
def test_everything_that_is_missing_is_in_the_answer(desk: Desk) -> None:
    lead = desk.lead(phone="")
    refused = desk.ask("POST", f"/leads/{lead.id}/conversion", version=1)
    assert refused.status == 409
    assert [each["condition"] for each in refused.body["obstacles"]] == ["status", "contacted", "validation", "outcome"]
    assert desk.ask("GET", f"/leads/{lead.id}/conversion/proposal").body["possible"] is False


@pytest.mark.mission("LEAD-8", "LEAD-6")
def test_what_is_not_answered_any_more_is_in_the_proposal_and_in_the_refusal(desk: Desk) -> None:
    lead = desk.ready()
    path = f"/leads/{lead.id}"
    put = desk.ask("PUT", f"{path}/qualification", version=lead.version, bant={"budget": {"state": "unknown"}})
    offer = desk.ask("GET", f"{path}/conversion/proposal").body
    assert (offer["possible"], [each["condition"] for each in offer["obstacles"]]) == (False, ["bant"])
    assert "budget" in offer["obstacles"][0]["detail"]
    refused = desk.ask("POST", f"{path}/conversion", version=put.body["version"])
    assert (refused.status, refused.body["obstacles"]) == (409, offer["obstacles"])


ROUTES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "qualification", {}),
    ("PUT", "qualification", {"version": 1}),
    ("POST", "qualification/outcome", {"version": 1, "outcome": "rejected", "reason": "no_need"}),
    ("POST", "disqualify", {"version": 1, "reason": "no_need"}),
    ("POST", "recycle", {"version": 1, "reason": "other"}),
    ("GET", "conversion/proposal", {}),
    ("POST", "conversion", {"version": 1}),
    ("POST", "conversion/undo", {"version": 1}),
)


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
@pytest.mark.parametrize(("method", "route", "body"), ROUTES)
def test_hidden_looks_like_absent_and_readable_is_403(
    desk: Desk, method: str, route: str, body: dict[str, Any]
) -> None:
    lead: Lead = desk.lead()
    nowhere = lead.id[:-1] + ("Z" if lead.id[-1] != "Z" else "Y")
    for user in ("sdr-2", "rep", "legal"):
        hidden = desk.ask(method, f"/leads/{lead.id}/{route}", user, **body)
        absent = desk.ask(method, f"/leads/{nowhere}/{route}", user, **body)
        assert (hidden.status, absent.status) == (404, 404)
        assert hidden.body["detail"] == absent.body["detail"].replace(nowhere, lead.id)
    support = desk.ask(method, f"/leads/{lead.id}/{route}", "support", **body)
    assert support.status == (200 if (method, route) == ("GET", "qualification") else 403)
    assert desk.stands(lead) == lead


@pytest.mark.fault("S2")
@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize(("method", "route", "body"), [each for each in ROUTES if each[2]])
@pytest.mark.parametrize("extra", ["score", "status", "owner", "by", "at", "created"])
def test_what_nobody_may_send_is_named(desk: Desk, method: str, route: str, body: dict[str, Any], extra: str) -> None:
    lead = desk.lead()
    answer = desk.ask(method, f"/leads/{lead.id}/{route}", **(body | {extra: "x"}))
    assert (answer.status, answer.fields) == (400, {extra})


@pytest.mark.mission("CRM-2", "SAFE-1")
@pytest.mark.fault("S1")
def test_a_contact_is_its_accounts(desk: Desk) -> None:
    lead = desk.ready()
    made = desk.ask("POST", f"/leads/{lead.id}/conversion", version=lead.version).body
    path = f"/contacts/{made['contact_id']}"
    seen = desk.ask("GET", path)
    assert (seen.status, seen.body["role"], seen.body["primary"]) == (200, "Decision Maker", True)
    assert desk.ask("GET", path, "rep").status == 404, "a rep sees the contacts of their own accounts"
    assert desk.ask("GET", "/contacts/CON_x", "admin").status == 404
    assert desk.ask("GET", path, "support").status == 200

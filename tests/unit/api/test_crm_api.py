"""The CRM over HTTP: what each role sees, what none may send, and that nothing said about a hidden record differs."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from revops.access import Policy
from revops.adapters.previews import previews
from revops.analytics import ReadCounts
from revops.api.leads import LeadUseCases, add_lead_routes
from revops.api.records import RecordUseCases, add_record_routes
from revops.api.settings import SettingsUseCases, add_settings_routes
from revops.audit import ReadAudit, WriteAudit
from revops.bootstrap.registry import settings_documents
from revops.crm.model import Account, Lead, Opportunity
from revops.crm.service import ChangeLead, ReadLeads
from revops.crm.store import ACCOUNTS, LEADS, OPPORTUNITIES
from revops.kernel import Money, Principal, Role
from revops.platform.http import Api
from revops.settings.service import ChangeSettings
from revops.table import CursorSigner, begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.requests import Answer, KnownCallers, ask

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
USERS = [
    Principal("admin", Role.ADMIN),
    Principal("manager", Role.SALES_MANAGER, members=frozenset({"manager", "sdr-1"})),
    Principal("sdr-1", Role.SDR),
    Principal("sdr-2", Role.SDR),
    Principal("rep", Role.SALES_REP),
    Principal("support", Role.SUPPORT),
    Principal("legal", Role.LEGAL),
    Principal("finance", Role.FINANCE),
]


class Desk:
    """The CRM function with one lead, one account and one deal, all of them sdr-1's."""

    def __init__(self) -> None:
        self.table, clock, policy = MemoryTable(), ManualClock(), Policy()
        self.api = Api(KnownCallers(*USERS))
        counts = ReadCounts(self.table, policy)
        read = ReadLeads(self.table, policy, lambda: CursorSigner(b"local-signing-key"))
        add_lead_routes(self.api, LeadUseCases(read, ChangeLead(self.table, clock, policy), counts))
        records = RecordUseCases(self.table, policy, ReadAudit(self.table, policy), counts)
        add_record_routes(self.api, records)
        settings = ChangeSettings(self.table, clock, policy, settings_documents(), previews(self.table, clock))
        add_settings_routes(self.api, SettingsUseCases(settings))
        self.lead: Lead = submit_lead(self.table, "sdr-1")(submission(), CALL).lead
        self.account = Account(id="ACC_1", created_at=NOW, modified_at=NOW, name="Nordlicht", owner_id="sdr-1")
        self.deal = Opportunity(
            id="OPP_1", created_at=NOW, modified_at=NOW, name="Deal", account_id="ACC_1", owner_id="sdr-1",
            value=Money(minor=100, currency="EUR"), expected_close=date(2026, 12, 1),
        )  # fmt: skip
        transaction = begin(CALL, NOW)
        ACCOUNTS.create(transaction, self.account)
        OPPORTUNITIES.create(transaction, self.deal)
        self.table.commit(transaction)
        audit = WriteAudit(self.table, clock)
        for change in list(self.table.changes):
            if change.kind in ("LEAD", "ACCOUNT", "OPPORTUNITY"):
                audit(change)

    def get(self, path: str, user: str) -> Answer:
        return ask(self.api, "GET", f"/api/v1{path}", sub=user)

    def patch(self, body: object, user: str = "sdr-1") -> Answer:
        return ask(self.api, "PATCH", f"/api/v1/leads/{self.lead.id}", body, sub=user)


@pytest.fixture
def desk() -> Desk:
    return Desk()


EVERYBODY = {user.id for user in USERS}


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    ("path", "readers"),
    [
        ("/leads/{lead}", {"admin", "manager", "sdr-1", "support"}),
        ("/accounts/ACC_1", EVERYBODY - {"rep"}),
        ("/opportunities/OPP_1", EVERYBODY - {"rep"}),
    ],
)
def test_who_sees_a_record_and_that_hidden_looks_like_absent(desk: Desk, path: str, readers: set[str]) -> None:
    real = path.format(lead=desk.lead.id)
    absent = real[:-1] + ("Z" if real[-1] != "Z" else "Y")
    for user in EVERYBODY:
        answer = desk.get(real, user)
        assert answer.status == (200 if user in readers else 404), user
        if user not in readers:
            other = desk.get(absent, user)
            assert other.status == 404
            known, unknown = real.rpartition("/")[2], absent.rpartition("/")[2]
            assert other.body | {"detail": other.body["detail"].replace(unknown, known)} == answer.body


@pytest.mark.mission("SAFE-1", "SAFE-3")
@pytest.mark.fault("S1", "S3")
def test_who_sees_an_audit_and_that_the_others_hear_the_same_of_what_is_and_is_not(desk: Desk) -> None:
    expected = {
        desk.lead.id: {"admin": 200, "manager": 200, "sdr-1": 200, "sdr-2": 404, "rep": 404, "support": 403,
                       "legal": 403, "finance": 403},
        "ACC_1": {"admin": 200, "manager": 200, "sdr-1": 403, "rep": 404, "support": 403, "legal": 403, "finance": 403},
    }  # fmt: skip
    for identifier, answers in expected.items():
        absent = identifier[:-1] + ("Z" if identifier[-1] != "Z" else "Y")
        for user, status in answers.items():
            answer = desk.get(f"/audit/{identifier}", user)
            assert answer.status == status, (identifier, user)
            if status != 200:
                other = desk.get(f"/audit/{absent}", user)
                assert other.status == status
                assert other.body["detail"].replace(absent, identifier) == answer.body["detail"], "no telling apart"
            else:
                assert answer.body["faults"] == []
                assert answer.body["entries"][0]["by"] == "user-1"
    for identifier in ("USER_1", "x", "LEAD", "APIKEY_1", "SETTINGS_scoring", "_"):
        assert desk.get(f"/audit/{identifier}", "admin").status == 404


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "field",
    ["owner_id", "score", "id", "person_id", "created_at", "validation_status", "duplicate_check", "email", "consents",
     "account_id", "score_card", "assignee_id", "metadata", "__class__", "Version"],
)  # fmt: skip
def test_read_only_and_unknown_fields_are_refused_and_nothing_is_written(desk: Desk, field: str) -> None:
    answer = desk.patch({"version": 1, "job_title": "CEO", field: "x"})
    assert answer.status == 400
    assert answer.fields == {field}
    assert LEADS.require(desk.table, desk.lead.id).version == 1


@pytest.mark.mission("LEAD-2")
def test_a_change_needs_its_version_and_a_legal_move(desk: Desk) -> None:
    assert desk.patch({"job_title": "CEO"}).fields == {"version"}
    moved = desk.patch({"version": 1, "status": "Contacted"})
    assert (moved.status, moved.body["version"], moved.body["status"]) == (200, 2, "Contacted")
    stale = desk.patch({"version": 1, "job_title": "x"})
    assert (stale.status, stale.body["current_version"]) == (409, 2)
    refused = desk.patch({"version": 2, "status": "Converted"})
    assert (refused.status, refused.body["legal"]) == (409, ["Qualified", "Unqualified", "Disqualified"])
    assert desk.patch({"version": 2, "status": "Won"}).status == 400
    assert desk.patch({"version": 2, "job_title": "x"}, "support").status == 403
    assert desk.patch({"version": 2, "job_title": "x"}, "sdr-2").status == 404


@pytest.mark.mission("LEAD-1", "SAFE-2")
def test_lists_counts_and_search_over_http(desk: Desk) -> None:
    for user, path, count in (
        ("sdr-1", "/leads", 1),
        ("sdr-2", "/leads", 0),
        ("admin", "/leads?scope=all&sort=score&status=New&status=Contacted&min_score=10", 1),
        ("admin", "/leads?scope=all&sort=score&status=Contacted", 0),
        ("manager", "/leads?scope=team", 1),
        ("sdr-1", "/leads?email=ASHA.RAO@nordlicht.example", 1),
        ("sdr-2", "/leads?email=asha.rao@nordlicht.example", 0),
    ):
        answer = desk.get(path, user)
        assert (answer.status, len(answer.body["leads"])) == (200, count), path
    for path in ("?status=New", "?limit=0", "?sort=name", "?scope=everyone", "?status=Nope&sort=score", "?owner_id=x",
                 "?cursor=xxx", "?min_score=101", f"?cursor={'x' * 9000}"):  # fmt: skip
        assert desk.get(f"/leads{path}", "admin").status == 400, path
    assert desk.get("/leads?scope=all", "sdr-1").status == 403
    assert desk.get("/leads/counts", "legal").status == 403
    assert desk.get("/leads/counts", "admin").body == {"counts": {}}
    assert desk.get("/pipeline/counts", "legal").status == 200


@pytest.mark.fault("S17", "S13")
@pytest.mark.parametrize("path", ["/leads/", "/accounts/", "/opportunities/", "/audit/LEAD_", "/settings/"])
@pytest.mark.parametrize(
    "text", ["x" * 3000, "a|b", "👍", "USER#x", "..", "ACC_1#ACCOUNT", "' or 1=1", "CUST_" + "y" * 2100]
)
def test_whatever_stands_where_an_id_should_is_not_found(desk: Desk, path: str, text: str) -> None:
    answer = desk.get(path + text, "admin")
    assert answer.status == 404
    assert len(json.dumps(answer.body)) < 1_000


@pytest.mark.mission("SAFE-1")
def test_settings_are_planned_and_applied_by_admins_and_hidden_from_all_others(desk: Desk) -> None:
    view = desk.get("/settings/scoring", "admin").body
    assert view["version"] == 0
    content: dict[str, Any] = view["content"] | {"industry": {"software": 0}}

    def send(method: str, path: str, body: object, user: str = "admin") -> Answer:
        return ask(desk.api, method, f"/api/v1/settings/{path}", body, sub=user)

    plan = send("POST", "scoring/plan", {"content": content})
    assert [each["field"] for each in plan.body["differences"]] == ["industry"]
    assert plan.body["preview"] == [
        "1 of 1 leads would score differently",
        "1 would go from hot to warm",
        "0 closed leads: not both won and lost ones, so ranks are not compared",
        f"{desk.lead.id}: score 79 → 64",
    ]  # fmt: skip
    applied = send("PUT", "scoring", {"content": content, "version": 0})
    assert (applied.status, applied.body["version"]) == (200, 1)
    assert send("PUT", "scoring", {"content": view["content"], "version": 0}).status == 409
    wrong = send("PUT", "scoring", {"content": content | {"half_life_days": 0}, "version": 1})
    assert (wrong.status, wrong.fields) == (400, {"content.half_life_days"})
    for user in EVERYBODY - {"admin"}:
        assert desk.get("/settings/scoring", user).status == 404
        assert desk.get("/settings/nothing", user).status == 404
        assert send("PUT", "scoring", {"content": content, "version": 1}, user).status == 404
        assert send("POST", "scoring/plan", {"content": content}, user).status == 404


@pytest.mark.mission("CAP-14", "LEAD-5")
@pytest.mark.fault("S13")
@pytest.mark.parametrize("clock", [540, 0.5, "09:00Z", "09:00+02:00"])
@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("response", lambda clock: {"working_hours": {"opens": clock}}, "working_hours.opens"),
        ("nurture", lambda clock: {"quiet": {"begins": clock}}, "quiet.begins"),
        ("nurture", lambda clock: {"quiet": {"begins": clock, "ends": clock}}, "quiet.begins"),
    ],
)
def test_a_time_of_day_has_no_zone_of_its_own(
    desk: Desk, name: str, content: Callable[[object], dict[str, Any]], field: str, clock: object
) -> None:
    answer = ask(desk.api, "POST", f"/api/v1/settings/{name}/plan", {"content": content(clock)}, sub="admin")
    assert answer.status == 400
    assert any(each.endswith(field) for each in answer.fields)


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S5")
@pytest.mark.parametrize(
    "path",
    ["/leads", "/leads/counts", "/leads/L", "/accounts/ACC_1", "/audit/ACC_1", "/settings/scoring"],
)
def test_nobody_in_particular_hears_nothing_but_that(desk: Desk, path: str) -> None:
    assert ask(desk.api, "GET", f"/api/v1{path}").status == 401

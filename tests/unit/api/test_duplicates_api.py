"""The review list and merging over HTTP: what is answered, to whom, and what is refused."""

from typing import Any

import pytest

from revops.access import Policy
from revops.analytics import ReadCounts
from revops.api.duplicates import DuplicateUseCases, add_duplicate_routes
from revops.api.leads import LeadUseCases, add_lead_routes
from revops.crm.duplicates import ReadDuplicates, TellApart
from revops.crm.merging import MergeLeads, UndoMerge
from revops.crm.model import Lead
from revops.crm.rechecking import RecheckLead
from revops.crm.service import ChangeLead, ReadLeads
from revops.kernel import Principal, Role
from revops.platform.http import Api
from revops.settings import SettingsReader
from revops.table import CursorSigner
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.requests import Answer, KnownCallers, ask

USERS = [
    Principal("admin", Role.ADMIN),
    Principal("a", Role.SDR),
    Principal("b", Role.SDR),
    Principal("support", Role.SUPPORT),
    Principal("legal", Role.LEGAL),
]
NOWHERE = "DUP_" + "A" * 26


class Desk:
    """The CRM function, with two leads of one person by two owners."""

    def __init__(self, *owners: str) -> None:
        self.table, self.clock, policy = MemoryTable(), ManualClock(), Policy()
        settings = SettingsReader(self.table, ttl=0)
        self.api = Api(KnownCallers(*USERS))
        read = ReadLeads(self.table, policy, lambda: CursorSigner(b"local-signing-key"))
        change = ChangeLead(self.table, self.clock, policy)
        add_lead_routes(self.api, LeadUseCases(read, change, ReadCounts(self.table, policy)))
        add_duplicate_routes(
            self.api,
            DuplicateUseCases(
                ReadDuplicates(self.table, policy, lambda: CursorSigner(b"local-signing-key")),
                TellApart(self.table, self.clock, policy),
                MergeLeads(self.table, self.clock, policy),
                UndoMerge(self.table, self.clock, policy),
            ),
        )
        self._submit = submit_lead(self.table, clock=self.clock, roster=FixedRoster(*(owners or ("a", "b"))))
        self._recheck = RecheckLead(self.table, self.clock, settings)
        self.first, self.second = self.lead(), self.lead(email="asha.rao@gmail.com", job_title="CTO")

    def lead(self, **said: Any) -> Lead:
        self.clock.advance(minutes=1)
        lead = self._submit(submission(**said), CALL).lead
        self._recheck(lead.id, "event")
        return lead

    def ask(self, method: str, path: str, user: str = "admin", **body: Any) -> Answer:
        return ask(self.api, method, f"/api/v1{path}", body or None, sub=user)

    def pairs(self, user: str = "admin") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/duplicates", user).body["pairs"]
        return found


@pytest.mark.mission("CAP-11")
def test_merged_by_decision_read_and_undone() -> None:
    desk = Desk()
    (pair,) = desk.pairs()
    assert [side["id"] for side in pair["leads"]] == [desk.second.id, desk.first.id]
    decided = desk.ask("POST", f"/duplicates/{pair['id']}/decision", decision="merge", values={"email": desk.second.id})
    assert (decided.status, decided.body["status"]) == (200, "Merged")
    merge_id = decided.body["merge_id"]
    survivor, merged = (desk.ask("GET", f"/leads/{lead.id}").body for lead in (desk.first, desk.second))
    assert (survivor["email"], survivor["job_title"], survivor["merged_from"]) == (
        "asha.rao@gmail.com", "CTO", [desk.second.id],
    )  # fmt: skip
    assert (merged["merged"], merged["merged_into"], merged["merge_id"]) == (True, desk.first.id, merge_id)
    assert desk.pairs() == []
    merge = desk.ask("GET", f"/merges/{merge_id}").body
    assert merge["differences"] == [
        {"field": "email", "kept": "asha.rao@gmail.com", "other": "asha.rao@nordlicht.example"}
    ]
    undone = desk.ask("POST", f"/merges/{merge_id}/undo")
    assert (undone.status, undone.body["undone_by"]) == (200, "admin")
    assert desk.ask("GET", f"/leads/{desk.second.id}").body["merged"] is False
    assert len(desk.pairs()) == 1


@pytest.mark.mission("CAP-11")
def test_two_leads_nobody_proposed_are_merged_by_name() -> None:
    desk = Desk()
    other = desk.lead(email="x@else.example", phone="", first_name="Bo", last_name="Lind", company="Else")
    body = {"survivor_id": other.id, "merged_id": desk.second.id}
    merged = desk.ask("POST", "/merges", **body)
    assert (merged.status, merged.body["survivor_id"], merged.body["automatic"]) == (200, other.id, False)
    assert desk.ask("POST", "/merges", **body).body == merged.body
    again = desk.ask("POST", "/merges", survivor_id=desk.first.id, merged_id=desk.second.id)
    assert (again.status, again.body["merged_into"]) == (409, other.id)
    itself = desk.ask("POST", "/merges", survivor_id=other.id, merged_id=other.id)
    assert itself.status == 409


@pytest.mark.mission("CAP-11", "SAFE-1")
@pytest.mark.fault("S1", "S19")
def test_who_may_not_read_both_learns_of_neither() -> None:
    desk = Desk()
    (pair,) = desk.pairs()
    for user in ("a", "b"):
        assert desk.pairs(user) == []
        hidden = desk.ask("POST", f"/duplicates/{pair['id']}/decision", user, decision="different")
        absent = desk.ask("POST", f"/duplicates/{NOWHERE}/decision", user, decision="different")
        assert hidden.status == absent.status == 404
        assert hidden.body["detail"].replace(pair["id"], "") == absent.body["detail"].replace(NOWHERE, "")
        merge = desk.ask("POST", "/merges", user, survivor_id=desk.first.id, merged_id=desk.second.id)
        assert merge.status == 404
    assert desk.ask("GET", "/duplicates", "legal").status == 403
    assert desk.ask("POST", f"/duplicates/{pair['id']}/decision", "support", decision="different").status == 403
    merge_id = desk.ask("POST", "/merges", survivor_id=desk.first.id, merged_id=desk.second.id).body["id"]
    told = desk.ask("GET", f"/leads/{desk.second.id}", "b").body
    assert (told["merged"], told["merged_into"], told["merge_id"]) == (True, "", ""), "it went, not where to"
    for path in (f"/merges/{merge_id}", "/merges/MRG_NOBODY"):
        assert desk.ask("GET", path, "b").status == 404
    assert desk.ask("POST", f"/merges/{merge_id}/undo", "b").status == 404
    assert desk.ask("GET", f"/merges/{merge_id}", "support").status == 200
    assert desk.ask("POST", f"/merges/{merge_id}/undo", "support").status == 403


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"decision": "perhaps"}, "decision"),
        ({"survivor_id": "x"}, "decision"),
        ({"decision": "merge", "survivor_id": "LEAD_x"}, "survivor_id"),
        ({"decision": "merge", "values": {"score": "LEAD_x"}}, "values.score"),
        ({"decision": "merge", "values": {"email": "LEAD_x"}}, "values.email"),
        ({"decision": "merge", "owner_id": "x"}, "owner_id"),
        ({"decision": "different", "survivor_id": "LEAD_x"}, "survivor_id"),
    ],
)
def test_what_does_not_fit_is_named(body: dict[str, Any], named: str) -> None:
    desk = Desk()
    (pair,) = desk.pairs()
    refusal = desk.ask("POST", f"/duplicates/{pair['id']}/decision", **body)
    assert refusal.status == 400
    assert named in {issue["field"] for issue in refusal.body["issues"]}
    assert len(desk.pairs()) == 1


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("S18")
def test_a_cursor_is_the_callers_own() -> None:
    desk = Desk("a")
    desk.lead(email="asha@gmx.de")
    first = desk.ask("GET", "/duplicates?limit=1", "admin")
    assert first.body["next"]
    stolen = desk.ask("GET", f"/duplicates?limit=1&cursor={first.body['next']}", "a")
    assert stolen.status == 400

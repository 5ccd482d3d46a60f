"""Owners, tasks, activities and users over HTTP: shapes, refusals, and what none may send."""

from datetime import UTC, datetime
from typing import Any

import pytest

from revops.access import PlaceUser, Policy, User
from revops.access.directory import ListUsers, SetAbsence
from revops.analytics import ApplyRollups, ReadCounts
from revops.api.activities import ActivityUseCases, add_activity_routes
from revops.api.assignment import AssignmentUseCases, add_assignment_routes
from revops.api.tasks import TaskUseCases, add_task_routes
from revops.api.users import UserUseCases, add_user_routes
from revops.crm.activities import LogActivity, ReadTimeline
from revops.crm.assigning import ReassignLead
from revops.crm.service import ReadLeads
from revops.crm.tasks import ChangeTasks, ReadTasks
from revops.kernel import Principal, Role
from revops.platform.http import Api
from revops.settings import SettingsReader
from revops.table import CursorSigner
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.requests import Answer, KnownCallers, ask

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
TEAM = frozenset({"manager", "sdr-1", "sdr-2"})
CALLERS = [
    Principal("admin", Role.ADMIN),
    Principal("manager", Role.SALES_MANAGER, members=TEAM),
    Principal("sdr-1", Role.SDR),
    Principal("sdr-2", Role.SDR),
    Principal("legal", Role.LEGAL),
]


class Desk:
    """The routes over one lead of sdr-1's."""

    def __init__(self) -> None:
        self.table, self.clock, policy, ids = MemoryTable(), ManualClock(NOW), Policy(), seeded_ids(8)
        table, clock = self.table, self.clock

        def cursors() -> CursorSigner:
            return CursorSigner(b"local-signing-key")

        counts, settings = ReadCounts(table, policy), SettingsReader(table, ttl=0)
        self.api = Api(KnownCallers(*CALLERS))
        reassign = ReassignLead(table, clock, policy, settings)
        add_assignment_routes(self.api, AssignmentUseCases(ReadLeads(table, policy, cursors), reassign, counts))
        change = ChangeTasks(table, clock, ids, policy)
        add_task_routes(self.api, TaskUseCases(ReadTasks(table, policy, cursors), change))
        log = LogActivity(table, clock, ids, policy)
        add_activity_routes(self.api, ActivityUseCases(log, ReadTimeline(table, policy, cursors)))
        add_user_routes(self.api, UserUseCases(ListUsers(table, policy), SetAbsence(table, clock, policy)))
        for caller in CALLERS:
            user = User(
                id=caller.id, created_at=NOW, modified_at=NOW, name=caller.id, email="x@y.example", role=caller.role,
                team_id="team",
            )  # fmt: skip
            PlaceUser(table, clock).user(user, CALL)
        self.lead = submit_lead(table, "sdr-1", clock=clock)(submission(), CALL).lead

    def ask(self, method: str, path: str, body: object = None, user: str = "sdr-1") -> Answer:
        return ask(self.api, method, f"/api/v1{path}", body, sub=user)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("CRM-6")
def test_a_task_from_making_to_done(desk: Desk) -> None:
    wanted = {"title": "Call", "about": desk.lead.id, "due_at": "2026-11-21T09:00:00Z"}
    made = desk.ask("POST", "/tasks", wanted)
    assert (made.status, made.body["about"], made.body["assignee_id"]) == (201, desk.lead.id, "sdr-1")
    path = f"/tasks/{made.body['id']}"
    assert desk.ask("GET", path).body == made.body
    assert desk.ask("PATCH", path, {"version": 1, "status": "Done"}).body["status"] == "Done"
    assert desk.ask("PATCH", path, {"version": 1, "status": "Open"}).status == 409
    listed = desk.ask("GET", f"/tasks?about={desk.lead.id}").body
    assert ([task["status"] for task in listed["tasks"]], listed["next"]) == (["Done"], "")
    assert desk.ask("GET", "/tasks?scope=team", user="manager").body["tasks"][0]["id"] == made.body["id"]
    assert desk.ask("GET", path, user="sdr-2").status == 404


@pytest.mark.mission("CRM-5", "CAP-14")
def test_an_activity_and_the_speed_it_shows(desk: Desk) -> None:
    nothing = desk.ask("GET", "/leads/response-times")
    assert nothing.body == {"touched": 0, "average_seconds": None, "in_time": 0, "missed": 0}
    desk.clock.advance(minutes=2)
    said = {"type": "call", "about": desk.lead.id, "subject": "First call", "outcome": "Positive"}
    made = desk.ask("POST", "/activities", said)
    assert (made.status, made.body["facts"], made.body["logged_by"]) == (201, {}, "sdr-1")
    timeline = desk.ask("GET", f"/activities?about={desk.lead.id}").body
    assert [each["id"] for each in timeline["activities"]] == [made.body["id"]]
    ApplyRollups(desk.table, desk.clock)(list(desk.table.changes))
    counted = {"touched": 1, "average_seconds": 120, "in_time": 1, "missed": 0}
    for user in ("sdr-1", "manager", "admin"):
        assert desk.ask("GET", "/leads/response-times", user=user).body == counted
    assert desk.ask("GET", "/leads/response-times", user="sdr-2").body["touched"] == 0
    assert desk.ask("GET", "/leads/response-times", user="legal").status == 403


@pytest.mark.mission("CAP-12", "SAFE-6")
def test_another_owner_and_somebody_away(desk: Desk) -> None:
    wanted = {"version": 1, "owner_id": "sdr-2", "reason": "Holiday"}
    given = desk.ask("POST", f"/leads/{desk.lead.id}/owner", wanted, "manager")
    assert (given.status, given.body["owner_id"]) == (200, "sdr-2")
    assert "manager: Holiday" in given.body["assigned_by"]
    assert [each["channel"] for each in given.body["consents"]] == ["email"], "the lead, whole"
    away = desk.ask("PUT", "/users/sdr-2/absence", {"until": "2026-12-01T00:00:00Z"}, "manager")
    assert (away.status, away.body["absent_until"]) == (200, "2026-12-01T00:00:00Z")
    listed = desk.ask("GET", "/users", user="manager").body["users"]
    assert [user["id"] for user in listed] == ["manager", "sdr-1", "sdr-2"]
    assert all("email" not in user for user in listed)


@pytest.mark.fault("S2", "S13")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tasks", {"title": "T", "about": "LEAD", "due_at": "2026-11-21T09:00:00Z", "owner_id": "me"}),
        ("POST", "/tasks", {"title": "", "about": "LEAD", "due_at": "2026-11-21T09:00:00Z"}),
        ("POST", "/tasks", {"title": "T", "about": "LEAD", "due_at": "2026-11-21T09:00:00"}),
        ("POST", "/activities", {"type": "call", "about": "LEAD", "subject": "S", "logged_by": "me"}),
        ("POST", "/activities", {"type": "telepathy", "about": "LEAD", "subject": "S"}),
        ("POST", "/activities", {"type": "meeting", "about": "LEAD", "subject": "S", "attendees": [""]}),
        ("POST", "/activities", {"type": "call", "about": "LEAD", "subject": "S", "duration_seconds": -1}),
        ("POST", "/leads/LEAD/owner", {"version": 1, "owner_id": "sdr-2", "reason": ""}),
        ("POST", "/leads/LEAD/owner", {"version": 1, "owner_id": "sdr-2", "reason": "R", "status": "Qualified"}),
        ("PUT", "/users/sdr-1/absence", {"until": "soon"}),
        ("PUT", "/users/sdr-1/absence", {"until": "2026-12-01T00:00:00Z", "role": "Admin"}),
        ("GET", "/tasks?scope=everybody", None),
        ("GET", "/activities", None),
        ("GET", "/activities?about=LEAD&cursor=abc", None),
    ],
)
def test_what_does_not_fit_is_refused(desk: Desk, method: str, path: str, body: Any) -> None:
    said = {name: desk.lead.id if value == "LEAD" else value for name, value in body.items()} if body else None
    answer = desk.ask(method, path.replace("LEAD", desk.lead.id), said, "admin")
    assert answer.status == 400, answer.body
    assert answer.fields


@pytest.mark.fault("S13", "R25")
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_end_of_the_calendar_is_refused(desk: Desk, moment: str) -> None:
    task = {"title": "Call", "about": desk.lead.id, "due_at": "2026-11-21T09:00:00Z"}
    made = desk.ask("POST", "/tasks", task).body
    activity = {"type": "call", "about": desk.lead.id, "subject": "Call"}
    for method, path, body, field in (
        ("POST", "/tasks", task | {"due_at": moment}, "due_at"),
        ("POST", "/tasks", task | {"remind_at": moment}, "remind_at"),
        ("PATCH", f"/tasks/{made['id']}", {"version": 1, "due_at": moment}, "due_at"),
        ("POST", "/activities", activity | {"at": moment}, "at"),
        ("PUT", "/users/sdr-1/absence", {"until": moment}, "until"),
    ):
        answer = desk.ask(method, path, body, user="manager")
        assert (answer.status, [each["field"] for each in answer.body["issues"]]) == (400, [field]), path

"""CAP-12, SAFE-6: who is there, read from the users and kept for half a minute."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from revops.access import PlaceUser, User
from revops.adapters.roster import TableRoster
from revops.analytics import ApplyRollups
from revops.kernel import Role
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Desk:
    """Users, and a roster whose own seconds are told."""

    def __init__(self) -> None:
        self.table, self.clock, self.seconds = MemoryTable(), ManualClock(NOW), 0.0
        self.roster = TableRoster(self.table, self.clock, lambda: self.seconds)

    def user(self, name: str, role: Role = Role.SALES_REP, **more: Any) -> None:
        fields = {"id": name, "created_at": NOW, "modified_at": NOW, "name": name, "email": "", "team_id": "T"}
        PlaceUser(self.table, self.clock).user(User.model_validate({**fields, "role": role, **more}), CALL)


@pytest.mark.mission("CAP-12", "SAFE-6")
def test_whoever_is_named_is_there_when_active_and_not_absent() -> None:
    desk = Desk()
    desk.user("rep")
    desk.user("gone", active=False)
    desk.user("away", absent_until=NOW + timedelta(days=1))
    desk.user("soon", absent_from=NOW + timedelta(minutes=1), absent_until=NOW + timedelta(days=1))
    named = {"rep", "gone", "away", "soon", "nobody"}
    assert desk.roster.present(named) == {"rep", "soon"}
    desk.clock.advance(minutes=2)
    assert desk.roster.present(named) == {"rep"}, "a window begins on time, whatever is kept"
    desk.user("rep", absent_until=NOW + timedelta(days=1))
    assert desk.roster.present(named) == {"rep"}
    desk.seconds = 30.0
    assert desk.roster.present(named) == set()
    assert desk.roster.present(set()) == set()
    assert desk.roster.active(named) == {"rep", "away", "soon"}, "who is absent comes back, who has left does not"


@pytest.mark.mission("LEAD-8", "CAP-12")
def test_a_seller_is_there_and_has_a_role_that_owns_leads() -> None:
    desk = Desk()
    for name, role in (("rep", Role.SALES_REP), ("sdr", Role.SDR), ("legal", Role.LEGAL), ("money", Role.FINANCE)):
        desk.user(name, role)
    desk.user("away", absent_until=NOW + timedelta(days=1))
    assert desk.roster.sellers({"rep", "sdr", "legal", "money", "away", "nobody"}) == {"rep", "sdr"}


@pytest.mark.mission("CAP-12")
def test_how_many_leads_somebody_works_on_is_read_from_the_counters() -> None:
    desk = Desk()
    submit = submit_lead(desk.table, "rep", clock=desk.clock)
    for number in range(3):
        submit(submission(email=f"p{number}@x{number}.example", phone=""), CALL)
    ApplyRollups(desk.table, desk.clock)(list(desk.table.changes))
    assert desk.roster.open_leads({"rep", "idle"}) == {"rep": 3, "idle": 0}
    submit(submission(email="p9@x9.example", phone=""), CALL)
    ApplyRollups(desk.table, desk.clock)(list(desk.table.changes))
    assert desk.roster.open_leads({"rep"}) == {"rep": 3}
    desk.seconds = 30.0
    assert desk.roster.open_leads({"rep"}) == {"rep": 4}
    assert desk.roster.open_leads(set()) == {}


@pytest.mark.mission("CAP-14")
def test_the_zone_of_an_owner() -> None:
    desk = Desk()
    desk.user("sdr", Role.SDR, time_zone="Asia/Kolkata")
    desk.user("rep", time_zone="Europe/Berlin")
    assert [desk.roster.zone(name) for name in ("sdr", "rep", "nobody")] == ["Asia/Kolkata", "Europe/Berlin", ""]
    desk.roster.sdrs()
    assert desk.roster.zone("sdr") == "Asia/Kolkata"

"""SAFE-6: who is listed to whom, who is away and says so, and who manages whom."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from revops.access import USERS, PlaceUser, Policy, Team, User
from revops.access.directory import Absence, ListUsers, SetAbsence, manager_over
from revops.kernel import CallContext, Forbidden, NotFound, Principal, Role
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ADMIN = CallContext(Principal("admin", Role.ADMIN))
BOSS = CallContext(Principal("boss", Role.SALES_MANAGER, members=frozenset({"boss", "ann", "bob"})))


class Desk:
    """Two teams under one, with their managers."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock(NOW)
        self.place = PlaceUser(self.table, self.clock)
        for team, parent in (("top", ""), ("a", "top"), ("b", "top")):
            self.place.team(Team(id=team, created_at=NOW, modified_at=NOW, name=team, parent_id=parent), CALL)
        for name, role, team in (
            ("admin", Role.ADMIN, "top"),
            ("chief", Role.SALES_MANAGER, "top"),
            ("boss", Role.SALES_MANAGER, "a"),
            ("ann", Role.SDR, "a"),
            ("bob", Role.SALES_REP, "a"),
            ("cid", Role.SDR, "b"),
        ):
            self.user(name, role, team)
        self.absence = SetAbsence(self.table, self.clock, Policy())
        self.users = ListUsers(self.table, Policy())

    def user(self, name: str, role: Role, team: str, **more: object) -> User:
        fields = {"id": name, "created_at": NOW, "modified_at": NOW, "name": name.title(), "email": "x@y.example"}
        return self.place.user(User.model_validate({**fields, "role": role, "team_id": team, **more}), CALL)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("SAFE-6", "SAFE-1")
def test_admins_list_everybody_and_managers_their_team(desk: Desk) -> None:
    desk.user("gone", Role.SDR, "a", active=False)
    assert [user.id for user in desk.users(ADMIN)] == ["admin", "ann", "bob", "boss", "chief", "cid"]
    assert [user.id for user in desk.users(BOSS)] == ["ann", "bob", "boss"]
    for role in Role:
        if role not in (Role.ADMIN, Role.SALES_MANAGER, Role.SYSTEM):
            with pytest.raises(Forbidden):
                desk.users(CallContext(Principal("x", role)))


@pytest.mark.mission("SAFE-6", "CAP-12")
def test_an_absence_is_a_window_and_ends_by_itself_or_when_told(desk: Desk) -> None:
    soon, later = NOW + timedelta(days=2), NOW + timedelta(days=5)
    away = desk.absence("ann", Absence(starts=soon, until=later), BOSS)
    assert away.version == 2
    assert [away.present(moment) for moment in (NOW, soon, later - timedelta(seconds=1), later)] == [
        True, False, False, True,
    ]  # fmt: skip
    assert desk.absence("ann", Absence(starts=soon, until=later), BOSS) == away, "the same again writes nothing"
    assert desk.absence("ann", Absence(until=later), ADMIN).present(NOW) is False
    back = desk.absence("ann", Absence(), BOSS)
    assert back.present(soon)
    assert (back.absent_from, back.absent_until) == (None, None)
    assert not desk.user("dan", Role.SDR, "a", active=False).present(NOW)


@pytest.mark.mission("SAFE-6", "SAFE-1")
@pytest.mark.fault("S1")
def test_who_may_set_whose_absence(desk: Desk) -> None:
    wanted = Absence(until=NOW + timedelta(days=1))
    with pytest.raises(NotFound):
        desk.absence("cid", wanted, BOSS)
    with pytest.raises(NotFound):
        desk.absence("nobody", wanted, ADMIN)
    with pytest.raises(Forbidden):
        desk.absence("ann", wanted, CallContext(Principal("ann", Role.SDR)))


@pytest.mark.fault("R19")
def test_an_absence_is_set_over_what_changed_meanwhile(desk: Desk) -> None:
    def interfere(_: object) -> None:
        desk.table.before_commit = lambda _: None
        desk.user("ann", Role.SALES_REP, "b")

    desk.table.before_commit = interfere
    away = desk.absence("ann", Absence(until=NOW + timedelta(days=1)), ADMIN)
    assert (away.role, away.team_id, away.version) == (Role.SALES_REP, "b", 3)
    assert USERS.require(desk.table, "ann") == away


@pytest.mark.parametrize(
    "broken",
    [
        {"starts": "2026-11-20T09:00:00Z"},
        {"starts": "2026-11-20T09:00:00Z", "until": "2026-11-20T09:00:00Z"},
        {"until": "2026-11-20T09:00:00"},
        {"until": "2026-11-21T09:00:00Z", "absent": True},
    ],
)
def test_an_absence_that_is_none_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Absence.model_validate(broken)


@pytest.mark.mission("CAP-14")
def test_the_nearest_manager_is_found_and_never_oneself(desk: Desk) -> None:
    def over(name: str, moment: datetime | None = None) -> str:
        found = manager_over(desk.table, USERS.require(desk.table, name), moment)
        return found.id if found else ""

    assert [over(name) for name in ("ann", "cid", "boss", "chief")] == ["boss", "chief", "chief", ""]
    desk.user("boss", Role.SALES_MANAGER, "a", absent_until=NOW + timedelta(days=1))
    assert over("ann", NOW) == "boss", "away, but nobody else manages the team"
    desk.user("deputy", Role.SALES_MANAGER, "a")
    assert over("ann", NOW) == "deputy"
    assert over("ann", NOW + timedelta(days=1)) == "boss"

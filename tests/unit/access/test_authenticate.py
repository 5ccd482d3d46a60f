"""Who is asking: from the table, within a minute of any change, whatever a token says (S4, S5, SAFE-6)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from revops.access import API_KEYS, Authenticate, IssueKey, PlaceUser, Policy, Resource, Team, User
from revops.access.store import key_hash, reports_of, users_with_role
from revops.kernel import CallContext, Principal, Role, Unauthenticated
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
ADMIN = CallContext(Principal("admin", Role.ADMIN))


class Desk:
    """A deployment's users and keys, and a watch that the cache goes by."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.seconds = 0.0
        self.authenticate = Authenticate(self.table, lambda: self.seconds)
        self.place = PlaceUser(self.table, ManualClock())
        self.issue = IssueKey(self.table, ManualClock())

    def user(self, identifier: str, role: Role = Role.SALES_REP, team: str = "T", **more: Any) -> User:
        wanted = User(
            id=identifier, created_at=NOW, modified_at=NOW, name=identifier, email="x@y.example", role=role,
            team_id=team, **more,
        )  # fmt: skip
        return self.place.user(wanted, ADMIN)

    def team(self, identifier: str, parent: str = "") -> None:
        self.place.team(Team(id=identifier, created_at=NOW, modified_at=NOW, name=identifier, parent_id=parent), ADMIN)

    def who(self, subject: str, **claims: str) -> Principal:
        return self.authenticate.token({"token_use": "access", "sub": subject} | claims)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S5")
@pytest.mark.parametrize("claims", [{"token_use": "id"}, {"token_use": ""}, {"token_use": "refresh"}])
def test_only_an_access_token_is_one(desk: Desk, claims: dict[str, str]) -> None:
    desk.user("u")
    with pytest.raises(Unauthenticated):
        desk.who("u", **claims)
    with pytest.raises(Unauthenticated):
        desk.authenticate.token({"sub": "u"})
    with pytest.raises(Unauthenticated):
        desk.authenticate.token({})


@pytest.mark.fault("S4")
def test_role_and_team_come_from_the_table_and_not_from_the_token(desk: Desk) -> None:
    desk.user("u", Role.SDR)
    claims = {"cognito:groups": "Admin", "role": "Admin", "custom:role": "Admin", "scope": "admin", "username": "admin"}
    principal = desk.who("u", **claims)
    assert (principal.role, principal.team, principal.scopes) == (Role.SDR, "T", frozenset())


@pytest.mark.parametrize("subject", ["", "nobody", "u ", "U", "u#x"])
def test_a_subject_that_is_nobody_here(desk: Desk, subject: str) -> None:
    desk.user("u")
    with pytest.raises(Unauthenticated):
        desk.who(subject)


@pytest.mark.mission("SAFE-6")
@pytest.mark.fault("S4")
@pytest.mark.parametrize("change", [{"active": False}, {"role": Role.SUPPORT}, {"team": "OTHER"}])
def test_a_change_of_a_user_is_in_force_within_sixty_seconds(desk: Desk, change: dict[str, Any]) -> None:
    desk.user("u")
    before = desk.who("u")
    desk.user("u", **change)
    desk.seconds = 59.9
    try:
        after: Principal | None = desk.who("u")
    except Unauthenticated:
        after = None
    assert after != before


@pytest.mark.fault("S4")
def test_whoever_was_refused_is_looked_up_again_at_once(desk: Desk) -> None:
    with pytest.raises(Unauthenticated):
        desk.who("u")
    desk.user("u")
    assert desk.who("u").id == "u"


@pytest.mark.fault("S4")
def test_a_manager_loses_a_report_that_moved_away_within_sixty_seconds(desk: Desk) -> None:
    desk.team("T")
    desk.user("m", Role.SALES_MANAGER)
    desk.user("r")
    assert "r" in desk.who("m").members
    desk.user("r", team="ELSEWHERE")
    desk.seconds = 60
    assert desk.who("m").members == {"m"}
    assert not Policy().reads(desk.who("m"), Resource.LEADS, "r")


def test_many_callers_do_not_fill_the_memory_and_are_told_apart(desk: Desk) -> None:
    for n in range(1_100):
        desk.user(f"u{n}")
        assert desk.who(f"u{n}").id == f"u{n}"
    assert desk.who("u0").id == "u0"


@pytest.mark.mission("SAFE-1")
def test_reports_at_any_depth_and_teams_that_stand_in_a_circle(desk: Desk) -> None:
    for team, parent in (("A", "D"), ("B", "A"), ("C", "B"), ("D", "C"), ("LONE", "")):
        desk.team(team, parent)
        desk.user(f"rep-{team}", team=team)
    desk.user("boss", Role.SALES_MANAGER, "B")
    assert desk.who("boss").members == {"boss", "rep-A", "rep-B", "rep-C", "rep-D"}


@pytest.mark.mission("SAFE-1")
def test_a_long_line_of_teams(desk: Desk) -> None:
    for n in range(60):
        desk.team(f"T{n}", f"T{n - 1}" if n else "")
        desk.user(f"rep-{n}", team=f"T{n}")
    assert reports_of(desk.table, "T0") == {f"rep-{n}" for n in range(60)}
    assert reports_of(desk.table, "T30") == {f"rep-{n}" for n in range(30, 60)}
    assert reports_of(desk.table, "nowhere") == frozenset()


@pytest.mark.mission("SAFE-6", "CAP-12")
def test_listings_follow_the_user_through_every_change(desk: Desk) -> None:
    def stands() -> tuple[list[str], list[str], frozenset[str], frozenset[str]]:
        return (
            list(users_with_role(desk.table, Role.SDR)),
            list(users_with_role(desk.table, Role.SALES_REP)),
            reports_of(desk.table, "T"),
            reports_of(desk.table, "S"),
        )

    u, none = frozenset({"u"}), frozenset[str]()
    desk.user("u", Role.SDR)
    assert stands() == (["u"], [], u, none)
    desk.user("u", Role.SALES_REP)
    assert stands() == ([], ["u"], u, none)
    desk.user("u", Role.SALES_REP, "S")
    assert stands() == ([], ["u"], none, u)
    desk.user("u", Role.SALES_REP, "S", active=False)
    assert stands() == ([], [], none, u), "who left is a member still: what they own is the manager's to hand out"
    desk.user("u", Role.SDR, "T", active=False)
    assert stands() == ([], [], u, none)
    desk.user("u", Role.SDR, "T")
    assert stands() == (["u"], [], u, none)


def test_a_user_as_wanted_already_is_not_written(desk: Desk) -> None:
    desk.user("u")
    written = len(desk.table.changes)
    assert desk.user("u").version == 1
    assert len(desk.table.changes) == written


@pytest.mark.mission("CAP-5")
def test_a_key_is_kept_as_its_hash_only_and_has_its_scopes(desk: Desk) -> None:
    plain = desk.issue("partner-one", frozenset({"leads:write"}), ADMIN)
    assert len(plain) >= 40
    assert not any(plain in row.pk + row.sk + row.doc for row in desk.table.rows.values())
    principal = desk.authenticate.key(plain)
    assert (principal.id, principal.role, principal.scopes) == (
        "key:partner-one", Role.INTEGRATION, frozenset({"leads:write"}),
    )  # fmt: skip
    assert Policy().writes(principal, Resource.LEADS, "anybody")
    assert not Policy().reads(principal, Resource.ACCOUNTS, "anybody")


@pytest.mark.parametrize("presented", ["", "unknown", "APIKEY#x", "\0"])
def test_a_key_that_is_none(desk: Desk, presented: str) -> None:
    with pytest.raises(Unauthenticated):
        desk.authenticate.key(presented)


@pytest.mark.mission("CAP-5")
@pytest.mark.fault("S8")
def test_a_key_is_rotated_by_issuing_another_and_revoking_the_first(desk: Desk) -> None:
    first, second = (desk.issue("partner", frozenset({"leads:write"}), ADMIN) for _ in range(2))
    assert desk.authenticate.key(first) == desk.authenticate.key(second)
    desk.issue.revoke(key_hash(first), ADMIN)
    desk.seconds = 60
    with pytest.raises(Unauthenticated):
        desk.authenticate.key(first)
    assert desk.authenticate.key(second).id == "key:partner"
    revoked = API_KEYS.require(desk.table, key_hash(first))
    assert (revoked.active, revoked.version) == (False, 2)


def test_a_key_that_exists_is_registered_once_and_stays_revoked(desk: Desk) -> None:
    for _ in range(2):
        desk.issue("partner", frozenset({"usage:write"}), ADMIN, presented="known to both")
    assert API_KEYS.require(desk.table, key_hash("known to both")).version == 1
    desk.issue.revoke(key_hash("known to both"), ADMIN)
    desk.issue("partner", frozenset({"usage:write"}), ADMIN, presented="known to both")
    with pytest.raises(Unauthenticated):
        desk.authenticate.key("known to both")


def test_a_user_and_a_key_of_one_name_are_not_mixed_up(desk: Desk) -> None:
    desk.user(key_hash("k"))
    with pytest.raises(Unauthenticated):
        desk.authenticate.key("k")

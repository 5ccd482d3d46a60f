"""SAFE-1, as an independent copy of the mission's table, and an oracle of its own that probes the policy."""

from itertools import product
from random import Random

import pytest

from revops.access import MATRIX, Policy, Resource
from revops.kernel import DomainError, Forbidden, NotFound, Principal, Role

COLUMNS = [
    Resource.LEADS, Resource.ACCOUNTS, Resource.CONTACTS, Resource.OPPORTUNITIES, Resource.ACTIVITIES, Resource.ORDERS,
    Resource.BILLING, Resource.TICKETS, Resource.SETTINGS, Resource.AUDIT,
]  # fmt: skip
TABLE = """
| Admin | full | full | full | full | full | full | full | full | full | view |
| Sales Manager | team | team | team | team | team | team | team view | team view | own team's absences | team |
| Sales Rep | own | own | own | own | own | own | own view | own view | – | own |
| SDR | own | view | view | view | view | – | – | view | – | own leads |
| Support | view | view | view | view | full | view | view | full | – | – |
| Legal | – | view | view | view | own | review | – | – | – | orders |
| Finance | – | view | view | view | own | view | full | – | – | billing |
"""
CELLS = {
    row[0]: dict(zip(COLUMNS, row[1:], strict=True))
    for line in TABLE.strip().splitlines()
    if (row := [cell.strip() for cell in line.strip("|").split("|")])
}
READS = {
    "full": "all", "view": "all", "review": "all", "orders": "all", "billing": "all", "team": "team",
    "team view": "team", "own": "own", "own view": "own", "own leads": "own", "–": "none",
    "own team's absences": "none",
}  # fmt: skip
WRITES = {"full": "all", "team": "team", "own": "own"}
POLICY = Policy()


def _within(reach: str, principal: Principal, resource: Resource, owner: str) -> bool:
    if reach == "team":
        waiting = resource is Resource.LEADS and owner == "queue:unassigned"  # CAP-12: for any team's manager to take
        return owner in principal.members or owner == principal.id or waiting
    return reach == "all" or (reach == "own" and owner == principal.id)


def _may(principal: Principal, resource: Resource, owner: str) -> tuple[bool, bool]:
    """Whether the mission lets a principal read and write: the oracle, which knows nothing of the policy's code."""
    if principal.role is Role.SYSTEM:
        return True, True
    if principal.role is Role.INTEGRATION:
        write = f"{resource.value}:write" in principal.scopes
        return write or f"{resource.value}:read" in principal.scopes, write
    cell = CELLS[principal.role.value][resource]
    write_reach = "none" if resource is Resource.AUDIT else WRITES.get(cell, "none")
    return _within(READS[cell], principal, resource, owner), _within(write_reach, principal, resource, owner)


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize(("role", "resource"), list(product(sorted(CELLS), COLUMNS)))
def test_row_by_row_as_the_mission_gives_it(role: str, resource: Resource) -> None:
    principal = Principal("me", Role(role), members=frozenset({"me", "report"}))
    for owner in ("me", "report", "stranger", "", "queue:unassigned"):
        assert (
            POLICY.reads(principal, resource, owner),
            POLICY.writes(principal, resource, owner),
        ) == _may(principal, resource, owner), owner


@pytest.mark.mission("SAFE-1")
def test_no_role_and_no_column_is_left_out() -> None:
    assert {role.value for role in MATRIX} == {*CELLS, "System"}
    assert all(set(row) == set(Resource) for row in MATRIX.values())


@pytest.mark.mission("SAFE-1")
def test_what_the_audit_shows_is_narrowed_for_some() -> None:
    seen = {role: POLICY.grant(Principal("me", role), Resource.AUDIT).of for role in MATRIX}
    assert seen[Role.SDR] == {Resource.LEADS}
    assert seen[Role.LEGAL] == {Resource.ORDERS}
    assert seen[Role.FINANCE] == {Resource.BILLING}
    assert seen[Role.SALES_MANAGER] == seen[Role.SALES_REP] == seen[Role.ADMIN] == set(Resource)


@pytest.mark.mission("SAFE-1")
def test_legal_decides_on_orders_and_changes_nothing_in_them() -> None:
    legal, rep = Principal("l", Role.LEGAL), Principal("r", Role.SALES_REP)
    POLICY.require_review(legal, Resource.ORDERS, "r")
    with pytest.raises(Forbidden):
        POLICY.require_write(legal, Resource.ORDERS, "r")
    with pytest.raises(Forbidden):
        POLICY.require_review(rep, Resource.ORDERS, "r")
    with pytest.raises(NotFound):
        POLICY.require_review(rep, Resource.ORDERS, "another")


@pytest.mark.mission("SAFE-1")
def test_absences_are_set_by_admins_and_by_the_manager_of_the_team() -> None:
    manager = Principal("m", Role.SALES_MANAGER, members=frozenset({"m", "r"}))
    assert POLICY.may_set_absence(manager, "r")
    assert not POLICY.may_set_absence(manager, "other")
    assert POLICY.may_set_absence(Principal("a", Role.ADMIN), "other")
    assert not any(
        POLICY.may_set_absence(Principal("x", role), "x")
        for role in MATRIX
        if role not in (Role.ADMIN, Role.SALES_MANAGER, Role.SYSTEM)
    )


def _somebody(random: Random, users: list[str]) -> Principal:
    role = random.choice(list(Role))
    members = (
        frozenset(random.sample(users, random.randrange(len(users)))) if role is Role.SALES_MANAGER else frozenset()
    )
    known = [f"{resource.value}:{verb}" for resource in Resource for verb in ("read", "write")]
    scopes = frozenset(random.sample(known, 3)) if role is Role.INTEGRATION else frozenset()
    return Principal(random.choice(users), role, members=members, scopes=scopes)


def _answer(act: str, principal: Principal, resource: Resource, owner: str) -> type[DomainError] | None:
    try:
        getattr(POLICY, act)(principal, resource, owner)
    except DomainError as error:
        return type(error)
    return None


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
def test_a_hundred_thousand_probes_over_random_owners_meet_the_oracle() -> None:
    random = Random(20_261_120)
    users = [f"user-{n}" for n in range(12)]
    probes = 0
    for _ in range(5_200):
        principal = _somebody(random, users)
        for resource in random.sample(COLUMNS, 4):
            owners = POLICY.readable_owners(principal, resource)
            for owner in random.choices([*users, "", "queue:unassigned", "user-1 ", "USER-1"], k=5):
                reads, writes = _may(principal, resource, owner)
                assert POLICY.reads(principal, resource, owner) is reads
                assert POLICY.writes(principal, resource, owner) is writes
                assert (owners is None or owner in owners) is reads, "a list shows what a read shows"
                assert _answer("require_read", principal, resource, owner) is (None if reads else NotFound)
                expected = None if reads and writes else Forbidden if reads else NotFound
                assert _answer("require_write", principal, resource, owner) is expected
                probes += 1
    assert probes >= 100_000


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize("role", list(MATRIX))
def test_a_list_is_open_to_whoever_may_read_anything_of_it(role: Role) -> None:
    principal = Principal("me", role)
    for resource in COLUMNS:
        nobody = POLICY.readable_owners(principal, resource) == frozenset()
        if nobody:
            with pytest.raises(Forbidden):
                POLICY.require_any(principal, resource)
        else:
            POLICY.require_any(principal, resource)

"""Counts under the policy, at the same cost whatever the size (SEE-4)."""

import pytest

from revops.access import Policy
from revops.analytics import ApplyRollups, ReadCounts
from revops.kernel import CallContext, Forbidden, Principal, Role
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable


@pytest.fixture(scope="module")
def table() -> MemoryTable:
    table = MemoryTable()
    submit = submit_lead(table, "a", "b", "c")
    for n in range(9):
        submit(submission(email=f"p{n}@x{n}.example", phone=""), CALL)
    ApplyRollups(table, ManualClock())(table.changes)
    return table


@pytest.mark.mission("SEE-4", "SAFE-2")
@pytest.mark.parametrize(
    ("principal", "count"),
    [
        (Principal("x", Role.ADMIN), 9),
        (Principal("x", Role.SUPPORT), 9),
        (Principal("m", Role.SALES_MANAGER, members=frozenset({"m", "a", "b"})), 6),
        (Principal("m", Role.SALES_MANAGER, members=frozenset({"m"})), 0),
        (Principal("a", Role.SDR), 3),
        (Principal("a", Role.SALES_REP), 3),
        (Principal("z", Role.SALES_REP), 0),
        (Principal("k", Role.INTEGRATION, scopes=frozenset({"leads:read"})), 9),
    ],
)
def test_a_count_counts_what_a_list_would_show(table: MemoryTable, principal: Principal, count: int) -> None:
    counts = ReadCounts(table, Policy()).leads_by_status(CallContext(principal))
    assert counts == ({"New": count} if count else {})


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize("role", [Role.LEGAL, Role.FINANCE, Role.INTEGRATION])
def test_whoever_may_see_no_leads_counts_none(table: MemoryTable, role: Role) -> None:
    with pytest.raises(Forbidden):
        ReadCounts(table, Policy()).leads_by_status(CallContext(Principal("x", role)))


def test_the_pipeline_of_nothing_is_empty(table: MemoryTable) -> None:
    assert ReadCounts(table, Policy()).pipeline(CALL) == {}

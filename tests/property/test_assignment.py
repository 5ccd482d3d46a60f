"""CAP-12: exactly one owner, fair to within one, absent people skipped, rules as data."""

import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revops.crm.policies.assignment import UNASSIGNED, AssignmentRules, Territory, turn_for
from revops.crm.store import LEADS
from tests.builders.clock import seeded_ids
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

PEOPLE = st.lists(st.sampled_from([f"u{n}" for n in range(12)]), min_size=1, unique=True).map(sorted)


@pytest.mark.mission("CAP-12")
@given(PEOPLE, st.integers(0, 10**6), st.integers(1, 60))
def test_any_run_of_tickets_is_fair_to_within_one(people: list[str], first: int, count: int) -> None:
    turn = turn_for("DE", AssignmentRules(), people, frozenset(people))
    assert turn is not None
    owners = Counter(turn.take(ticket).owner_id for ticket in range(first, first + count))
    shares = [owners[user] for user in people]
    assert max(shares) - min(shares) <= 1
    assert sum(shares) == count


@pytest.mark.mission("CAP-12")
@given(PEOPLE, PEOPLE, st.sampled_from(["DE", "Germany", "FR", "", "Atlantis"]), st.integers(0, 100))
def test_a_territory_comes_first_and_only_with_those_present(
    territory: list[str], sdrs: list[str], country: str, ticket: int
) -> None:
    rules = AssignmentRules(
        territories=(Territory(name="dach", countries=frozenset({"DE", "AT"}), user_ids=tuple(territory)),)
    )
    turn = turn_for(country, rules, sdrs, frozenset(sdrs))
    assert turn is not None
    present = [user for user in territory if user in sdrs]
    expected = present if present and country in ("DE", "Germany") else sdrs
    assignment = turn.take(ticket)
    assert turn.members == tuple(expected)
    assert assignment.owner_id in expected
    assert assignment.rule in assignment.explanation


@pytest.mark.mission("CAP-12")
def test_nobody_present_means_a_queue_and_not_a_loss() -> None:
    assert turn_for("DE", AssignmentRules(), [], frozenset()) is None
    lead = submit_lead(MemoryTable(), roster=FixedRoster())(submission(), CALL).lead
    assert lead.owner_id == UNASSIGNED


@pytest.mark.mission("CAP-12", "CAP-11")
@pytest.mark.fault("R18")
@pytest.mark.parametrize("people", [1, 3, 7])
def test_sixty_four_threads_share_fairly_and_each_lead_has_one_owner(people: int) -> None:
    table = MemoryTable()
    users = [f"sdr-{n}" for n in range(people)]
    barrier = threading.Barrier(64)
    failures: list[Exception] = []

    def one(n: int) -> None:
        submit = submit_lead(table, *users, ids=seeded_ids(n))
        barrier.wait()
        try:
            submit(submission(email=f"p{n}@nordlicht.example", phone="", last_name=f"Name{n}"), CALL)
        except Exception as error:  # a thread's error would go unseen
            failures.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    owners = Counter(LEADS.load(row).owner_id for row in table.rows.values() if row.kind == "LEAD")
    assert sum(owners.values()) == 64
    assert max(owners.values()) - min(owners[user] for user in users) <= 1


@given(st.lists(st.sampled_from(["DE", "FR", "IN"]), min_size=1, max_size=25))
@settings(max_examples=30)
def test_each_round_is_fair_by_itself_when_territories_and_everybody_take_turns(countries: list[str]) -> None:
    table = MemoryTable()
    submit = submit_lead(table, "a", "b", "c")
    owners = Counter(
        submit(submission(email=f"p{n}@x{n}.example", phone="", country=country), CALL).lead.owner_id
        for n, country in enumerate(countries)
    )
    assert max(owners.values()) - min(owners[user] for user in "abc") <= 1

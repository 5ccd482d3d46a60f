"""CAP-12: exactly one owner, fair to within one, absent people skipped, rules as data."""

import threading
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revops.crm.policies.assignment import UNASSIGNED, AssignmentRules, Territory, Traits, one_round, turn_for
from revops.crm.store import LEADS
from revops.crm.tickets import Pool, numbers_in, ranges_of
from tests.builders.clock import seeded_ids
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

PEOPLE = st.lists(st.sampled_from([f"u{n}" for n in range(12)]), min_size=1, unique=True).map(sorted)
GERMANY = Traits(country="DE")


@pytest.mark.mission("CAP-12")
@given(PEOPLE, st.integers(0, 10**6), st.integers(1, 60))
def test_any_run_of_tickets_is_fair_to_within_one(people: list[str], first: int, count: int) -> None:
    turn = turn_for(GERMANY, AssignmentRules(), people, frozenset(people))
    assert turn is not None
    owners = Counter(turn.take(ticket).owner_id for ticket in range(first, first + count))
    shares = [owners[user] for user in people]
    assert max(shares) - min(shares) <= 1
    assert sum(shares) == count


@pytest.mark.mission("CAP-12")
@given(st.lists(st.integers(1, 10), min_size=1, max_size=9), st.integers(1, 400))
def test_weights_hold_to_within_one_at_every_moment_and_exactly_after_a_round(weights: list[int], count: int) -> None:
    people = [f"u{n}" for n in range(len(weights))]
    rules = AssignmentRules(weights=dict(zip(people, weights, strict=True)))
    turn = turn_for(GERMANY, rules, people, frozenset(people))
    assert turn is not None
    owners = Counter(turn.take(ticket).owner_id for ticket in range(count))
    for user, weight in rules.weights.items():
        assert abs(owners[user] - Fraction(count * weight, sum(weights))) < 1
    order = one_round(turn.members, turn.weights)
    shares = {Fraction(order.count(user), weight) for user, weight in rules.weights.items()}
    assert len(shares) == 1


@pytest.mark.mission("CAP-12")
def test_weights_are_spread_and_not_given_in_blocks() -> None:
    assert one_round(("a", "b", "c"), (2, 1, 1)) in {("a", "b", "a", "c"), ("a", "b", "c", "a")}
    assert "".join(one_round(("a", "b"), (3, 3))) == "ab"
    rules = AssignmentRules(weights={"b": 0})
    turn = turn_for(GERMANY, rules, ["a", "b"], frozenset({"a", "b"}))
    assert turn is not None
    assert turn.members == ("a",)
    assert turn_for(GERMANY, rules, ["b"], frozenset({"b"})) is None


@pytest.mark.mission("CAP-12")
def test_whoever_is_full_is_passed_over_while_others_are_not() -> None:
    rules, there = AssignmentRules(capacity={"a": 5}), frozenset({"a", "b"})
    some, everybody = (turn_for(GERMANY, rules, ["a", "b"], there, full) for full in (frozenset({"a"}), there))
    assert some is not None
    assert everybody is not None
    assert (some.members, everybody.members) == (("b",), ("a", "b"))
    table, roster = MemoryTable(), FixedRoster("a", "b")
    submit = submit_lead(table, roster=roster)
    roster.working = {"a": 9}
    assert submit(submission(email="p@x.example", phone=""), CALL).lead.owner_id == "a", "no capacity is set"


@pytest.mark.mission("CAP-12")
@given(
    st.lists(st.tuples(st.integers(1, 40), PEOPLE), min_size=1, max_size=6),
)
def test_who_comes_and_goes_costs_one_each_time_and_starts_no_arrears(days: list[tuple[int, list[str]]]) -> None:
    ticket, had = 0, Counter[str]()
    for count, people in days:
        turn = turn_for(GERMANY, AssignmentRules(), people, frozenset(people))
        assert turn is not None
        for _ in range(count):
            had[turn.take(ticket).owner_id] += 1
            ticket += 1
    always = set.intersection(*(set(people) for _, people in days))
    if len(always) > 1:
        shares = [had[user] for user in always]
        assert max(shares) - min(shares) <= len(days)


@pytest.mark.mission("CAP-12")
@given(PEOPLE, PEOPLE, st.sampled_from(["DE", "Germany", "FR", "", "Atlantis"]), st.integers(0, 100))
def test_a_territory_comes_first_and_only_with_those_present(
    territory: list[str], sdrs: list[str], country: str, ticket: int
) -> None:
    rules = AssignmentRules(
        territories=(Territory(name="dach", countries=frozenset({"DE", "AT"}), user_ids=tuple(territory)),)
    )
    turn = turn_for(Traits(country=country), rules, sdrs, frozenset(sdrs))
    assert turn is not None
    present = [user for user in territory if user in sdrs]
    expected = present if present and country in ("DE", "Germany") else sdrs
    assignment = turn.take(ticket)
    assert turn.members == tuple(expected)
    assert assignment.owner_id in expected
    assert assignment.rule in assignment.explanation


@pytest.mark.mission("CAP-12")
def test_a_territory_asks_for_all_of_its_criteria_and_for_nothing_it_does_not_name() -> None:
    narrow = Territory(
        name="narrow",
        countries=frozenset({"DE"}),
        industries=frozenset({"Software"}),
        company_sizes=frozenset({"50-100"}),
        sources=frozenset({"Google Ads"}),
        languages=frozenset({"de"}),
        user_ids=("a",),
    )
    fits = Traits("Germany", "software", "50-100", "google ads", "de-AT")
    assert narrow.takes(fits)
    for field in ("country", "industry", "company_size", "source", "language"):
        other = {name: getattr(fits, name) for name in fits.__slots__} | {field: "another"}
        assert not narrow.takes(Traits(**other)), field
    assert Territory(name="any", user_ids=("a",)).takes(Traits())


@pytest.mark.mission("CAP-12")
@pytest.mark.parametrize("country", ["UK", "United Kingdom", "gb"])
@pytest.mark.parametrize("language", ["de-DE", "DE", "de_AT"])
def test_a_territory_may_be_written_as_people_write(country: str, language: str) -> None:
    territory = Territory(
        name="t",
        countries=frozenset({country}),
        industries=frozenset({" Software "}),
        languages=frozenset({language}),
        user_ids=("a",),
    )
    for said in (Traits("GB", "software ", language="de"), Traits("Great Britain", "SOFTWARE", language="de-CH")):
        assert territory.takes(said)
    assert not territory.takes(Traits("GB", "software", language="da"))
    assert not territory.takes(Traits("", "software", language="de"))


@pytest.mark.mission("CAP-12")
def test_nobody_present_means_a_queue_and_not_a_loss() -> None:
    assert turn_for(GERMANY, AssignmentRules(), [], frozenset()) is None
    lead = submit_lead(MemoryTable(), roster=FixedRoster())(submission(), CALL).lead
    assert lead.owner_id == UNASSIGNED


@pytest.mark.mission("CAP-12")
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=30))
def test_every_number_is_out_back_or_used_whatever_is_taken_and_given_back(
    steps: list[tuple[int, int]],
) -> None:
    """A pool loses no number and gives none out twice; those given back come first."""
    pool, out = Pool("sdr"), set[int]()
    for take, returned in steps:
        taken, pool = pool.take(take)
        assert not out & set(taken)
        out |= set(taken)
        back = sorted(out)[:returned]
        pool = pool.give_back(back)
        out -= set(back)
        lying = set(numbers_in(pool.back))
        assert out | lying == set(range(pool.next))
        assert not out & lying
    again, rest = pool.take(len(numbers_in(pool.back)))
    assert again == numbers_in(pool.back)
    assert rest.next == pool.next
    assert numbers_in(ranges_of(out)) == sorted(out)


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

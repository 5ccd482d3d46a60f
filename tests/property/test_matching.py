"""Who is who: the same answer from either side, between 0 and 1, and explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revops.crm.normalise import CanonicalEmail
from revops.crm.policies.matching import Features, MatchRules, compare, verdict

NAMES = st.sampled_from(["", "Asha", "Aisha", "Rao", "Raó", "Meyer", "Meier", "राहुल", "王", "O'Neill", "-", "#|", "ß"])
COMPANIES = st.sampled_from(["", "Nordlicht GmbH", "Nordlicht", "ACME Inc.", "!!!", "Alpha Beta", "Beta Alpha"])
PHONES = st.sampled_from(["", "+4930901820", "+442079460018"])
EMAILS = st.none() | st.builds(
    lambda local, domain: CanonicalEmail(f"{local}@{domain}", domain, role=False),
    st.sampled_from(["asha.rao", "a.rao", "meyer"]),
    st.sampled_from(["nordlicht.example", "acme.example"]),
)
WILD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PEOPLE = st.builds(Features, NAMES | WILD, NAMES | WILD, COMPANIES | WILD, EMAILS, PHONES)
WEIGHTS = st.floats(0, 1)
RULES = st.builds(
    MatchRules, name_weight=WEIGHTS, company_weight=WEIGHTS, phone_weight=WEIGHTS, email_weight=WEIGHTS
) | st.just(MatchRules())


@pytest.mark.mission("CAP-11")
@given(PEOPLE, PEOPLE, RULES)
def test_symmetric_bounded_and_the_weighted_sum_of_its_evidence(
    left: Features, right: Features, rules: MatchRules
) -> None:
    score, evidence = compare(left, right, rules)
    mirrored, mirror = compare(right, left, rules)
    assert score == pytest.approx(mirrored, abs=1e-3)
    assert [part.field for part in evidence] == [part.field for part in mirror]
    assert 0 <= score <= 1
    assert all(0 <= part.similarity <= 1 for part in evidence)
    weight = sum(part.weight for part in evidence)
    told = sum(part.similarity * part.weight for part in evidence) / weight if weight else 0
    assert score == pytest.approx(told, abs=1e-3)


@given(PEOPLE)
def test_everybody_resembles_themselves_wholly(person: Features) -> None:
    score, evidence = compare(person, person, MatchRules())
    assert score == (1 if evidence else 0)


@given(PEOPLE, PEOPLE)
def test_a_resemblance_is_told_only_from_the_threshold_on(left: Features, right: Features) -> None:
    rules = MatchRules()
    told = verdict("PER_1", "LEAD_1", left, right, rules)
    if told is not None:
        assert told.score >= rules.review_from
        assert told.evidence == compare(left, right, rules)[1]


@pytest.mark.fault("S17")
@given(PEOPLE)
def test_blocking_keys_show_nothing_of_the_person(person: Features) -> None:
    keys = person.blocking_keys()
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(("one", "other"), [("Meyer", "Meier"), ("Müller", "Muller"), ("Hoffmann", "Hofman")])
def test_one_surname_written_two_ways_is_compared(one: str, other: str) -> None:
    keys = [set(Features("Ann", name, "Nordlicht", None, "").blocking_keys()) for name in (one, other)]
    assert keys[0] & keys[1]

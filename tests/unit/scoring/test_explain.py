"""Explanations sum to the score, and what would change it does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from revops.scoring import LeadFacts, LearnedModel, Rules, ScoringTable, score_lead
from revops.scoring.explain import explain, what_would_change
from revops.scoring.features import FIELDS
from revops.scoring.learned import FieldWeights

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
MODEL = LearnedModel(
    base_rate=0.2,
    fields={
        "industry": FieldWeights(values={"software": 0.9, "retail": -0.7}, other=-0.1),
        "source": FieldWeights(values={"referral": 1.1, "google ads": -0.4}),
        "mail": FieldWeights(values={"company": 0.3, "free": -0.9}, other=-0.2),
    },
)
RULES = Rules(ScoringTable(), MODEL, 3, 5)


def facts(**came: str) -> LeadFacts:
    origin = tuple(came.get(name, "") for name in FIELDS)
    return LeadFacts("50-100", "Software", "10k-50k", "0-3 months", "Champion", [("form", NOW)], origin)


@pytest.mark.mission("LEAD-3")
def test_the_learned_term_is_split_into_fields_that_sum_to_it() -> None:
    lead = facts(industry="software", source="referral", mail="company")
    card = score_lead(lead, RULES, NOW)
    lines = explain(card, lead, MODEL, 5)
    learned = [line for line in lines if line.part == "learned"]
    assert [(line.factor, line.value) for line in learned] == [
        ("source", "referral"), ("industry", "software"), ("mail", "company"),
    ]  # fmt: skip
    assert sum(line.points for line in learned) == card.learned > 0
    assert sum(line.points for line in lines) == card.score


@pytest.mark.mission("LEAD-3")
def test_a_card_of_another_model_keeps_its_learned_term_in_one_line() -> None:
    lead = facts(industry="software", source="referral", mail="company")
    card = score_lead(lead, RULES, NOW)
    lines = explain(card, lead, LearnedModel(), 6)
    assert [line.value for line in lines if line.part == "learned"] == ["model 5"]
    assert sum(line.points for line in lines) == card.score


@pytest.mark.mission("LEAD-3")
def test_what_the_clamp_takes_is_a_line_of_its_own() -> None:
    best = LeadFacts("5000", "Software", "100k+", "Immediate", "Decision Maker", [("reply", NOW)] * 3)
    card = score_lead(best, RULES, NOW)
    assert [(line.part, line.points) for line in explain(card, best, MODEL, 5)][-1] == ("clamp", -45 - card.learned)
    worst = LeadFacts(origin=facts(industry="retail", source="google ads", mail="free").origin)
    card = score_lead(worst, RULES, NOW)
    assert (card.score, card.learned < 0) == (0, True)
    assert [line.points for line in explain(card, worst, MODEL, 5) if line.part == "clamp"] == [-card.learned]


@pytest.mark.mission("LEAD-3")
def test_every_way_named_would_do_what_it_says() -> None:
    lead = replace(facts(), timeline="6-12 months", authority_level="", industry="")
    ways = what_would_change(lead, RULES, NOW)
    before = score_lead(lead, RULES, NOW).score
    named = {"budget": "budget_range", "authority": "authority_level"}
    for way in ways:
        if way.how == "engagement":
            changed = replace(lead, engagement=[*lead.engagement, (way.value, NOW)])
        else:
            change: dict[str, Any] = {named.get(way.factor, way.factor): way.value}
            changed = replace(lead, **change)
        assert score_lead(changed, RULES, NOW).score == way.score == before + way.gain
        assert way.gain > 0
    assert [way.gain for way in ways] == sorted([way.gain for way in ways], reverse=True)
    assert {(way.factor, way.how) for way in ways} == {
        ("authority", "unknown"), ("industry", "unknown"), ("timeline", "may-change"), ("budget", "may-change"),
        ("engagement", "engagement"),
    }  # fmt: skip


@pytest.mark.mission("LEAD-3")
def test_a_known_company_is_what_it_is_and_a_full_score_cannot_rise() -> None:
    ways = what_would_change(facts(), RULES, NOW)
    assert not {"company_size", "industry"} & {way.factor for way in ways}
    full = LeadFacts("5000", "Software", "100k+", "Immediate", "Decision Maker")
    assert score_lead(full, Rules(ScoringTable()), NOW).score == 100
    assert what_would_change(full, Rules(ScoringTable()), NOW) == []


@pytest.mark.mission("LEAD-3")
def test_decay_goes_on_below_a_learned_term_that_hides_it() -> None:
    """Fit 3 and −12 learned: the first 9 points of engagement do not show, so nothing is due when they go."""
    cold = LeadFacts("5", origin=facts(industry="retail", source="google ads", mail="free").origin)
    hidden = score_lead(replace(cold, engagement=[("email_open", NOW)]), RULES, NOW)
    assert (hidden.score, hidden.changes_at) == (0, None)
    warm = replace(cold, engagement=[("reply", NOW), ("reply", NOW)])
    card = score_lead(warm, RULES, NOW)
    while card.changes_at is not None:
        after = score_lead(warm, RULES, card.changes_at)
        assert after.score == card.score - 1
        assert score_lead(warm, RULES, card.changes_at - timedelta(seconds=2)).score == card.score
        card = after
    assert card.score == 0
    assert card.engagement > 0


@pytest.mark.mission("LEAD-3", "LEAD-4")
@pytest.mark.parametrize(
    "done", [[("reply", 14)], [("email_open", 14), ("email_click", 14)]], ids=["one event", "two events"]
)
def test_a_sum_that_stands_at_the_half_it_was_rounded_up_from_changes_a_moment_later(
    done: list[tuple[str, int]],
) -> None:
    lead, rules = (
        LeadFacts(engagement=[(event, NOW - timedelta(days=days)) for event, days in done]),
        Rules(ScoringTable()),
    )
    card = score_lead(lead, rules, NOW)
    assert (card.score, card.changes_at) == (8, NOW + timedelta(seconds=1))
    assert score_lead(lead, rules, NOW + timedelta(seconds=1)).score == 7


@pytest.mark.mission("LEAD-3")
def test_no_line_has_more_points_than_its_bound() -> None:
    weights = {"industry": FieldWeights(values={"software": 3.0}), "country": FieldWeights(values={"de": -2.9})}
    model = LearnedModel(base_rate=0.3, fields=weights)
    lead = facts(industry="software", country="de")
    card = score_lead(lead, Rules(ScoringTable(), model, 1, 1), NOW)
    lines = explain(card, lead, model, 1)
    assert {line.factor: line.points for line in lines if line.part == "learned"} == {"industry": 30, "country": -29}
    assert all(abs(line.points) <= line.at_most for line in lines if line.at_most)
    assert {line.factor for line in lines if not line.at_most} == {"industry", "country"}

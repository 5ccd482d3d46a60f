"""The file of the scoring table says what holds before anything is applied."""

import json
from pathlib import Path

import pytest

from revops.scoring import LeadFacts, Rules, ScoringTable, score_lead
from tests.builders.clock import ManualClock

FILE = Path(__file__).parents[3] / "config" / "scoring.json"


@pytest.mark.mission("LEAD-3")
def test_the_file_is_the_defaults() -> None:
    assert ScoringTable.model_validate(json.loads(FILE.read_text("utf-8"))) == ScoringTable()


@pytest.mark.mission("LEAD-3")
def test_the_best_fit_reaches_each_bound_of_the_mission() -> None:
    best = LeadFacts("5000", "Software", "100k+", "Immediate", "Decision Maker")
    card = score_lead(best, Rules(ScoringTable()), ManualClock().now())
    assert [(part.factor, part.points) for part in card.points] == [
        ("company_size", 25),
        ("industry", 15),
        ("budget", 20),
        ("timeline", 15),
        ("authority", 25),
    ]
    assert (card.fit, card.engagement, card.learned, card.score) == (100, 0, 0, 100)


@pytest.mark.mission("LEAD-3")
def test_nothing_known_is_nothing_and_is_shown_as_such() -> None:
    card = score_lead(LeadFacts(), Rules(ScoringTable(), table_version=4), ManualClock().now())
    assert (card.score, card.table_version, card.changes_at) == (0, 4, None)
    assert {part.points for part in card.points} == {0}

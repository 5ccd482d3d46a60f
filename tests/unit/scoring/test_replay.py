"""History under other rules."""

from datetime import UTC, datetime, timedelta

import pytest

from revops.scoring import LeadFacts, Rules, ScoringTable
from revops.scoring.features import FIELDS
from revops.scoring.replay import Past, band, replay

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
RULES = Rules(ScoringTable())


def came(**values: str) -> tuple[str, ...]:
    return tuple(values.get(name, "") for name in FIELDS)


@pytest.mark.mission("LEAD-4")
def test_it_says_who_moves_and_how_conversions_rank() -> None:
    won = [
        Past(f"W{n}", LeadFacts(industry="retail", origin=came(industry="retail")), NOW, converted=True)
        for n in range(5)
    ]
    lost = [
        Past(f"L{n}", LeadFacts(industry="software", origin=came(industry="software")), NOW, converted=False)
        for n in range(20)
    ]
    hot = Past("OPEN", LeadFacts("5000", "software", "100k+", "3-6 months", "influencer"), NOW)
    wanted = Rules(ScoringTable(industry={"retail": 15, "software": 3}))
    shown = replay([*won, *lost, hot], RULES, wanted)
    assert (shown.looked_at, shown.closed, len(shown.moved)) == (26, 25, 26)
    assert shown.bands == {("hot", "warm"): 1}
    assert shown.before is not None
    assert shown.after is not None
    assert (shown.before.auc, shown.after.auc) == (0.0, 1.0)
    assert (shown.before.top_fifth, shown.after.top_fifth) == (0.0, 1.0)
    assert "AUC 0.000 → 1.000" in "\n".join(shown.lines())
    assert "1 would go from hot to warm" in shown.lines()


@pytest.mark.mission("LEAD-4")
def test_what_happened_later_is_not_looked_at() -> None:
    """A closed lead counts as it came in, and no event after its closing counts."""
    filled_in = LeadFacts("5000", "software", "100k+", "immediate", "decision maker", [("reply", NOW)], came())
    closed = Past("W", filled_in, NOW - timedelta(days=1), converted=True)
    poorer = Rules(ScoringTable(industry={}, budget={}, timeline={}, authority={}, company_size=()))
    assert replay([closed], RULES, poorer).moved == ()
    still_open = Past("O", filled_in, NOW)
    assert replay([still_open], RULES, poorer).moved == (("O", 100, 15),)


def test_the_bands() -> None:
    assert [band(score) for score in (0, 39, 40, 69, 70, 100)] == ["cold", "cold", "warm", "warm", "hot", "hot"]

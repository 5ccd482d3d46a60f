"""History under other rules: who would have stood in another band, and how conversions would have ranked (LEAD-4).

The settings plan of the scoring table and of the model shows this before either is applied.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from revops.scoring.features import FIELDS
from revops.scoring.measures import auc, found_among_best
from revops.scoring.policies import LeadFacts, Rules, score_lead

HOT, WARM = 70, 40
"""From these scores on a lead is hot (it is nominated, LEAD-6) or warm; below it is cold."""
_TOP = 0.2
_FIT = ("company_size", "industry", "budget_range", "timeline", "authority_level")


@dataclass(frozen=True, slots=True)
class Past:
    """A lead of the past or the present: its facts, and as of when. `converted` is None while it is open."""

    lead_id: str
    facts: LeadFacts
    at: datetime
    converted: bool | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """How the closed leads stood: the AUC of their scores, and the part of the conversions among the best fifth."""

    auc: float
    top_fifth: float


@dataclass(frozen=True, slots=True)
class Replay:
    """The difference. `moved` is (lead, score before, score after) by size of the step, `bands` counts those who change
    band by (from, to), `before` and `after` rank the closed leads; None when not both kinds are there."""

    looked_at: int
    closed: int
    moved: tuple[tuple[str, int, int], ...]
    bands: dict[tuple[str, str], int]
    before: Ranking | None
    after: Ranking | None

    def lines(self, most: int = 20) -> list[str]:
        """In words, for a plan."""
        said = [f"{len(self.moved)} of {self.looked_at} leads would score differently"]
        said += [f"{count} would go from {old} to {new}" for (old, new), count in sorted(self.bands.items())]
        if self.before and self.after:
            said.append(
                f"of {self.closed} closed leads: AUC {self.before.auc:.3f} → {self.after.auc:.3f}, conversions among "
                f"the best fifth {self.before.top_fifth:.0%} → {self.after.top_fifth:.0%}"
            )
        else:
            said.append(f"{self.closed} closed leads: not both won and lost ones, so ranks are not compared")
        return said + [f"{lead_id}: score {old} → {new}" for lead_id, old, new in self.moved[:most]]


def band(score: int) -> str:
    """Hot, warm or cold."""
    return "hot" if score >= HOT else "warm" if score >= WARM else "cold"


def replay(history: Sequence[Past], current: Rules, wanted: Rules) -> Replay:
    """Scores every lead under both sets of rules as of its own time; what happened later is not looked at."""
    moved: list[tuple[str, int, int]] = []
    bands: Counter[tuple[str, str]] = Counter()
    told: list[tuple[int, int, bool]] = []
    for past in history:
        facts = _known_then(past)
        old, new = score_lead(facts, current, past.at).score, score_lead(facts, wanted, past.at).score
        if old != new:
            moved.append((past.lead_id, old, new))
        if band(old) != band(new):
            bands[band(old), band(new)] += 1
        if past.converted is not None:
            told.append((old, new, past.converted))
    both = len({converted for _, _, converted in told}) > 1
    return Replay(
        looked_at=len(history),
        closed=len(told),
        moved=tuple(sorted(moved, key=lambda each: -abs(each[2] - each[1]))),
        bands=dict(bands),
        before=_ranking([(old, converted) for old, _, converted in told]) if both else None,
        after=_ranking([(new, converted) for _, new, converted in told]) if both else None,
    )


def _known_then(past: Past) -> LeadFacts:
    """The facts without what came later. A closed lead counts as it came in: who sold to it has filled in the rest
    knowing more, and ranks by that would flatter every table."""
    seen = tuple([(event, at) for event, at in past.facts.engagement if at <= past.at])
    if past.converted is None or not past.facts.origin:
        return replace(past.facts, engagement=seen)
    came = dict(zip(FIELDS, past.facts.origin, strict=True))
    fit: dict[str, Any] = {name: came[name] for name in _FIT}
    return replace(past.facts, engagement=seen, **fit)


def _ranking(outcomes: Sequence[tuple[float, bool]]) -> Ranking:
    return Ranking(auc(outcomes), found_among_best(outcomes, _TOP))

"""Why a lead has its score, line by line, and what would change it (LEAD-3)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from revops.scoring.features import company_people, folded
from revops.scoring.learned import LearnedModel
from revops.scoring.model import Points, ScoreCard
from revops.scoring.policies import LeadFacts, Rules, score_lead


class ScoreLine(BaseModel):
    """Points for one reason. The lines of an explanation sum to the score. `part` is fit, engagement, learned or clamp;
    `at_most` bounds the points either way. It is 0 for a line without a bound of its own: the clamp, and a field of the
    learned term, which is bounded as a whole (−20 to +20)."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    part: str
    factor: str = Field(examples=["budget"])
    value: str = Field(examples=["10k-50k"])
    points: int
    at_most: int


class WouldChange(BaseModel):
    """Something that would raise the score, and by how much now. `how` is `unknown` (nothing stands here yet: find
    out), `may-change` (it stands otherwise, and such things change) or `engagement` (once more)."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    factor: str = Field(examples=["timeline"])
    now: str = Field(examples=["6-12 months"])
    value: str = Field(examples=["immediate"])
    how: str = Field(examples=["may-change"])
    gain: int = Field(examples=[11])
    score: int = Field(examples=[72], description="What the score would be")


@dataclass(frozen=True, slots=True)
class _Factor:
    """A field of the facts that the table gives points for. `settled`: a fact of the company, which is known or not but
    is not brought about."""

    name: str
    field: str
    settled: bool = False


_FACTORS = (
    _Factor("company_size", "company_size", settled=True),
    _Factor("industry", "industry", settled=True),
    _Factor("budget", "budget_range"),
    _Factor("timeline", "timeline"),
    _Factor("authority", "authority_level"),
)
_PARTS = {"engagement": "engagement", "learned": "learned", "clamp": "clamp"}


def explain(card: ScoreCard, facts: LeadFacts, model: LearnedModel, model_version: int) -> list[ScoreLine]:
    """The lines of a card; they sum to its score. The learned term is split into its fields where the card was made
    with the model at hand, and one line otherwise."""
    lines: list[ScoreLine] = []
    for part in card.points:
        if part.factor == "learned" and card.model_version == model_version:
            shares = _learned(facts, model)
            if sum(line.points for line in shares) == part.points:
                lines += shares
                continue
        lines.append(_line(part))
    return lines


def _line(part: Points) -> ScoreLine:
    shown = {"factor": part.factor, "value": part.value, "points": part.points, "at_most": part.at_most}
    return ScoreLine.model_validate({"part": _PARTS.get(part.factor, "fit"), **shown})


def _learned(facts: LeadFacts, model: LearnedModel) -> list[ScoreLine]:
    return [
        ScoreLine(part="learned", factor=field, value=value or "not known", points=points, at_most=0)
        for field, value, points in model.shares(facts.origin)
    ]


def what_would_change(facts: LeadFacts, rules: Rules, now: datetime) -> list[WouldChange]:
    """Everything the table offers that would raise the score as it is now, largest gain first.

    A known company size or industry is left out: they are what they are. The learned term looks at what the lead came
    with and is moved by nothing that is learned later, so nothing here speaks of it.
    """
    before = score_lead(facts, rules, now).score
    found = []
    for factor, value, how, changed in _ways(facts, rules, now):
        after = score_lead(changed, rules, now).score
        if after > before:
            stands = "" if how == "engagement" else str(getattr(facts, factor.field))
            found.append(
                WouldChange(factor=factor.name, now=stands, value=value, how=how, gain=after - before, score=after)
            )
    return sorted(found, key=lambda each: -each.gain)


def _ways(facts: LeadFacts, rules: Rules, now: datetime) -> Iterator[tuple[_Factor, str, str, LeadFacts]]:
    table = rules.table
    offered = {
        "company_size": [str(band.at_least) for band in table.company_size],
        "industry": list(table.industry),
        "budget": list(table.budget),
        "timeline": list(table.timeline),
        "authority": list(table.authority),
    }
    for factor in _FACTORS:
        stands = str(getattr(facts, factor.field))
        known = company_people(stands) is not None if factor.name == "company_size" else bool(stands.strip())
        if known and factor.settled:
            continue
        for value in offered[factor.name]:
            if folded(value) != folded(stands):
                change: dict[str, Any] = {factor.field: value}
                yield factor, value, "may-change" if known else "unknown", replace(facts, **change)
    for event in table.engagement:
        once_more = replace(facts, engagement=(*facts.engagement, (event, now)))
        yield _Factor("engagement", ""), event, "engagement", once_more

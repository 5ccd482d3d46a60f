"""Scoring as pure functions over a table of points and a trained model (LEAD-3).

Fit: company size 0–25, industry 0–15, budget 0–20, timeline 0–15, decision maker 0–25. Engagement starts at 0, each
event is worth its points in the table and halves every `half_life_days`. The learned term is −20 to +20, and 0 until
there is a model. The sum is clamped to 0–100; what the clamp takes away is a line of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from revops.scoring.features import Origin, company_people, folded
from revops.scoring.learned import MOST, NO_MODEL, LearnedModel
from revops.scoring.model import Points, ScoreCard
from revops.settings import SettingsDocument, SettingsReader


class SizeBand(BaseModel):
    """Companies of at least this many people are worth these points."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    at_least: int = Field(ge=0)
    points: int = Field(ge=0, le=25)


def _fold_keys(worth: dict[str, int]) -> dict[str, int]:
    keyed = {folded(text): points for text, points in worth.items()}
    if len(keyed) < len(worth):
        raise ValueError("two entries are the same text")
    return keyed


_Folded = AfterValidator(_fold_keys)
UpTo15 = Annotated[int, Field(ge=0, le=15)]
UpTo20 = Annotated[int, Field(ge=0, le=20)]
UpTo25 = Annotated[int, Field(ge=0, le=25)]


class ScoringTable(SettingsDocument):
    """The points for everything; texts are compared casefolded. What is not listed is worth nothing."""

    SETTING: ClassVar[str] = "scoring"

    company_size: tuple[SizeBand, ...] = (
        SizeBand(at_least=1000, points=25),
        SizeBand(at_least=250, points=20),
        SizeBand(at_least=50, points=15),
        SizeBand(at_least=10, points=8),
        SizeBand(at_least=1, points=3),
    )
    industry: Annotated[dict[str, UpTo15], _Folded] = Field(
        default={
            "it services": 15, "software": 15, "financial services": 13, "manufacturing": 10,
            "healthcare": 10, "retail": 8, "education": 6,
        }
    )  # fmt: skip
    budget: Annotated[dict[str, UpTo20], _Folded] = Field(
        default={"100k+": 20, "50k-100k": 16, "10k-50k": 12, "1k-10k": 6, "not disclosed": 2}
    )
    timeline: Annotated[dict[str, UpTo15], _Folded] = Field(
        default={"immediate": 15, "0-3 months": 12, "3-6 months": 8, "6-12 months": 4, "12+ months": 1}
    )
    authority: Annotated[dict[str, UpTo25], _Folded] = Field(
        default={
            "decision maker": 25, "economic buyer": 25, "champion": 15, "influencer": 12, "user": 5, "gatekeeper": 3,
        }
    )  # fmt: skip
    engagement: dict[str, Annotated[int, Field(ge=0, le=100)]] = Field(
        default={
            "email_open": 5, "email_click": 10, "form": 5, "webinar_registered": 5, "webinar_attended": 15, "reply": 15,
            "page_view": 1, "pricing_view": 5, "download": 8,
        }
    )  # fmt: skip
    half_life_days: float = Field(default=14.0, ge=0.01, le=3650, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What scoring looks at: the fields as they stand, `engagement` as (event, when), and `origin`, what the lead came
    with (see `features`; nothing when it is not known)."""

    company_size: str = ""
    industry: str = ""
    budget_range: str = ""
    timeline: str = ""
    authority_level: str = ""
    engagement: Sequence[tuple[str, datetime]] = field(default_factory=tuple)
    origin: Origin = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What scores are made by: the table of points and the model, each with its version (0: none was applied)."""

    table: ScoringTable
    model: LearnedModel = NO_MODEL
    table_version: int = 0
    model_version: int = 0

    @classmethod
    def in_force(cls, settings: SettingsReader) -> "Rules":
        (table, table_version), (model, model_version) = (
            settings.versioned(ScoringTable),
            settings.versioned(LearnedModel),
        )
        return cls(table, model, table_version, model_version)


def score_lead(facts: LeadFacts, rules: Rules, now: datetime) -> ScoreCard:
    """The explained score of a lead at a time. Pure: the same facts, rules and time give the same card."""
    table = rules.table
    points = [
        _size(facts.company_size, table.company_size),
        _listed("industry", facts.industry, table.industry, 15),
        _listed("budget", facts.budget_range, table.budget, 20),
        _listed("timeline", facts.timeline, table.timeline, 15),
        _listed("authority", facts.authority_level, table.authority, 25),
    ]
    fit = sum([part.points for part in points])
    raw = _engagement(facts.engagement, table, now)
    engagement, learned = min(round(raw), 100), 0
    if engagement:
        points.append(_points("engagement", f"{len(facts.engagement)} events", engagement, 100))
    if rules.model.speaks:
        learned = rules.model.points(facts.origin)
        points.append(_points("learned", f"model {rules.model_version}", learned, MOST))
    total = fit + engagement + learned
    score = max(0, min(100, total))
    if score != total:
        points.append(_points("clamp", "scores are 0 to 100", score - total, 0))
    return ScoreCard(
        score=score,
        fit=fit,
        engagement=engagement,
        learned=learned,
        points=tuple(points),
        table_version=rules.table_version,
        model_version=rules.model_version,
        changes_at=_next_change(raw, fit + learned, now, table.half_life_days),
    )


def _size(text: str, bands: Sequence[SizeBand]) -> Points:
    people = company_people(text)
    earned = 0
    if people is not None:
        earned = max([band.points for band in bands if people >= band.at_least], default=0)
    return _points("company_size", text, earned, 25)


@lru_cache(maxsize=4096)
def _points(factor: str, value: str, points: int, at_most: int) -> Points:
    """Points are values, and a company's leads share a few hundred of them."""
    return Points(factor=factor, value=value, points=points, at_most=at_most)


def _listed(factor: str, value: str, worth: Mapping[str, int], at_most: int) -> Points:
    return _points(factor, value, worth.get(folded(value), 0), at_most)


def _engagement(events: Sequence[tuple[str, datetime]], table: ScoringTable, now: datetime) -> float:
    total, worth, half_life = 0.0, table.engagement, table.half_life_days
    for name, at in events:
        age_days = max(0.0, (now - at).total_seconds() / 86_400)
        total += worth.get(name, 0) * 0.5 ** (age_days / half_life)
    return total


def _next_change(raw: float, base: int, now: datetime, half_life_days: float) -> datetime | None:
    """When the decaying sum next rounds to one less *and* shows in the clamped score. `base` is everything that does
    not decay.

    A sum of exponentials with one half-life is one exponential, so the time is exact: raw · ½^(t/h) = k − ½. A sum that
    stands there already, and was rounded up, changes a moment later.
    """
    shown = min(round(raw), 100, 100 - base)
    threshold = shown - 0.5
    if threshold <= 0 or base + shown <= 0:
        return None
    days = half_life_days * math.log2(raw / threshold)
    return now + timedelta(days=days, seconds=1)

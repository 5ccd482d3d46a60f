"""Scoring as pure functions over a table of points (LEAD-3).

Fit: company size 0–25, industry 0–15, budget 0–20, timeline 0–15, decision maker 0–25. Engagement starts at 0, each
event is worth its points in the table and halves every `half_life_days`. The sum is clamped to 0–100.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from revops.scoring.model import Points, ScoreCard
from revops.settings import SettingsDocument


class SizeBand(BaseModel):
    """Companies of at least this many people are worth these points."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    at_least: int = Field(ge=0)
    points: int = Field(ge=0, le=25)


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    """As texts stand in the table: casefolded, with plain hyphens."""
    return re.sub(r"\s*[–—-]\s*", "-", text.strip().casefold())


def _fold_keys(worth: dict[str, int]) -> dict[str, int]:
    folded = {_folded(text): points for text, points in worth.items()}
    if len(folded) < len(worth):
        raise ValueError("two entries are the same text")
    return folded


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
        default={"email_open": 5, "email_click": 10, "form": 5, "webinar_attended": 15, "reply": 15}
    )
    half_life_days: float = Field(default=14.0, ge=0.01, le=3650, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What scoring looks at. `engagement` is a list of (event, when)."""

    company_size: str = ""
    industry: str = ""
    budget_range: str = ""
    timeline: str = ""
    authority_level: str = ""
    engagement: Sequence[tuple[str, datetime]] = field(default_factory=tuple)


def score_lead(facts: LeadFacts, table: ScoringTable, now: datetime, table_version: int = 0) -> ScoreCard:
    """The explained score of a lead at a time. Pure: the same facts, table and time give the same card."""
    points = [
        _size(facts.company_size, table.company_size),
        _listed("industry", facts.industry, table.industry, 15),
        _listed("budget", facts.budget_range, table.budget, 20),
        _listed("timeline", facts.timeline, table.timeline, 15),
        _listed("authority", facts.authority_level, table.authority, 25),
    ]
    fit = sum([part.points for part in points])
    raw = _engagement(facts.engagement, table, now)
    engagement = min(round(raw), 100)
    if engagement:
        points.append(_points("engagement", f"{len(facts.engagement)} events", engagement, 100))
    return ScoreCard(
        score=max(0, min(100, fit + engagement)),
        fit=fit,
        engagement=engagement,
        points=tuple(points),
        table_version=table_version,
        changes_at=_next_change(raw, fit, now, table.half_life_days),
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


@lru_cache(maxsize=4096)
def company_people(text: str) -> int | None:
    """The lower end of a size such as `50–100 Employees` or `1,000+`; None when it holds no number."""
    found = re.search(r"\d[\d.,' ]*", text)
    if not found:
        return None
    digits = re.sub(r"\D", "", found.group())
    return int(digits[:9])


def _listed(factor: str, value: str, worth: Mapping[str, int], at_most: int) -> Points:
    return _points(factor, value, worth.get(_folded(value), 0), at_most)


def _engagement(events: Sequence[tuple[str, datetime]], table: ScoringTable, now: datetime) -> float:
    total, worth, half_life = 0.0, table.engagement, table.half_life_days
    for name, at in events:
        age_days = max(0.0, (now - at).total_seconds() / 86_400)
        total += worth.get(name, 0) * 0.5 ** (age_days / half_life)
    return total


def _next_change(raw: float, fit: int, now: datetime, half_life_days: float) -> datetime | None:
    """When the decaying sum next rounds to one less *and* shows in the clamped score.

    A sum of exponentials with one half-life is one exponential, so the time is exact: raw · ½^(t/h) = k − ½.
    """
    shown = min(round(raw), max(0, 100 - fit))
    threshold = shown - 0.5
    if threshold <= 0 or raw <= threshold:
        return None
    days = half_life_days * math.log2(raw / threshold)
    return now + timedelta(days=days, seconds=1)

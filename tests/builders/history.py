"""Closed leads of a company that never was: seeded, from a true model that is known, with drift and with baits."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from revops.scoring.features import FIELDS

START = datetime(2024, 1, 1, 9, tzinfo=UTC)
VALUES: Mapping[str, Mapping[str, float]] = {
    "company_size": {"1": -0.9, "10": -0.2, "50": 0.5, "250": 0.7, "1000": 0.2, "": -0.3},
    "industry": {"software": 0.8, "manufacturing": 0.1, "retail": -0.6, "education": -1.0, "": -0.2},
    "budget_range": {"100k+": 0.6, "10k-50k": 0.2, "1k-10k": -0.4, "": -0.1},
    "timeline": {"immediate": 0.7, "3-6 months": 0.0, "12+ months": -0.8, "": -0.1},
    "authority_level": {"decision maker": 0.6, "user": -0.5, "": 0.0},
    "job_title": {"chief": 0.5, "head": 0.3, "manager": 0.0, "junior": -0.9, "other": -0.1, "": -0.2},
    "interest_product": {"crm": 0.1, "billing": 0.3, "": 0.0},
    "country": {"de": 0.2, "fr": 0.0, "in": 0.1, "us": -0.1},
    "channel": {"form": -0.1, "partner": 0.6, "webinar": 0.1, "import": -0.6},
    "source": {"google ads": -0.2, "referral": 0.7, "newsletter": 0.0},
    "medium": {"cpc": -0.1, "email": 0.1, "referral": 0.2},
    "mail": {"company": 0.3, "free": -0.8, "": -0.4},
}
"""Field → value → its true weight, in log odds."""


@dataclass(frozen=True)
class ClosedLead:
    """A closed lead: what it came with, what stands on it now, what became of it, and how likely that truly was."""

    came_with: Mapping[str, str]
    stands: Mapping[str, str]
    converted: bool
    closed_at: datetime
    truly: float

    def origin(self, of: str = "came_with") -> tuple[str, ...]:
        values: Mapping[str, str] = getattr(self, of)
        return tuple(values[name] for name in FIELDS)


@dataclass(frozen=True)
class Company:
    """How a company's history is made. `intercept` sets how many convert, `drift` is how far weights wander over the
    whole history, `signal` scales every weight, `bait` says whether sellers fill in the fields of won leads after the
    fact, so that what stands there gives the outcome away."""

    seed: int = 1
    intercept: float = -1.6
    drift: float = 0.0
    signal: float = 1.0
    bait: bool = True
    days: int = 700
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: VALUES)

    def history(self, count: int) -> list[ClosedLead]:
        chance = random.Random(self.seed)
        wander = {(name, value): chance.gauss(0, 1) for name, values in self.weights.items() for value in values}
        return [self._lead(chance, wander, number / count) for number in range(count)]

    def _lead(self, chance: random.Random, wander: Mapping[tuple[str, str], float], when: float) -> ClosedLead:
        came = {name: chance.choice(list(values)) for name, values in self.weights.items()}
        weights = [
            self.signal * self.weights[name][value] + self.drift * when * wander[name, value]
            for name, value in came.items()
        ]
        truly = 1 / (1 + math.exp(-(self.intercept + sum(weights))))
        converted = chance.random() < truly
        closed_at = START + timedelta(days=self.days * when, seconds=chance.randrange(86_400))
        return ClosedLead(came, self._filled_in(chance, came, converted), converted, closed_at, truly)

    def _filled_in(self, chance: random.Random, came: Mapping[str, str], converted: bool) -> Mapping[str, str]:
        """What sellers make of a lead they work on: of a won one they know budget, timeline and authority."""
        if not self.bait or not converted or chance.random() < 0.05:
            return came
        return {**came, "budget_range": "100k+", "timeline": "immediate", "authority_level": "decision maker"}

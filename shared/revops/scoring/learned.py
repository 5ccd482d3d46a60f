"""The learned term of a score: a probability of conversion as points between −20 and +20 (LEAD-3).

A model gives every value of every field a weight in log odds, already calibrated and centred on the company's own rate
of conversion. Their sum z says how much likelier than the usual lead this one is: p = σ(logit(base rate) + z). The
points are 20 · tanh(z / 2): zero at the base rate, rising with p, never beyond 20. Since they are z times one positive
number, each field's share of z is its share of the points, and the shares sum to the whole.

Plain Python: a sum of dictionary lookups.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from revops.scoring.features import FIELDS, LEARNED_FROM, Origin
from revops.settings import SettingsDocument

MOST = 20
"""The learned term is at most this many points, either way."""

LogOdds = Annotated[float, Field(ge=-20, le=20, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class FieldWeights(BaseModel):
    """A field's weights by value, in log odds; `other` is for every value that is not listed."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    values: Annotated[dict[str, LogOdds], Field(max_length=200)]
    other: LogOdds = 0.0


class Measures(BaseModel):
    """How well probabilities foretold what happened, on leads that nothing was learned from. `log_loss` and `brier` are
    the better the smaller; `auc` is the chance that a converted lead stands above another one."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    leads: int = Field(ge=0)
    conversions: int = Field(ge=0)
    auc: Rate
    brier: Rate
    log_loss: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LearnedModel(SettingsDocument):
    """A trained model, small enough to stand in the table beside the rules. Without fields it says nothing: 0 points.

    Written by the training job when it beats the model in force, versioned and audited like any other rules; an earlier
    one is taken back by applying its content again. It has no file in config/.
    """

    SETTING: ClassVar[str] = "scoring_model"
    IN_FILE: ClassVar[bool] = False

    base_rate: Rate = 0.0
    fields: dict[str, FieldWeights] = Field(default_factory=dict)
    trained_at: AwareDatetime | None = None
    learned_until: AwareDatetime | None = None
    measures: Measures | None = None

    _columns: tuple[tuple[dict[str, float], float], ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _fits(self) -> Self:
        strange = sorted(self.fields.keys() - LEARNED_FROM.keys())
        if strange:
            raise ValueError(
                f"{', '.join(strange)}: not what a lead came with; a model learns from {', '.join(FIELDS)}"
            )
        if self.fields and not 0 < self.base_rate < 1:
            raise ValueError("base_rate: a model has one between 0 and 1")
        columns = [self.fields.get(name) for name in FIELDS]
        self._columns = tuple((each.values, each.other) if each else ({}, 0.0) for each in columns)
        return self

    @property
    def speaks(self) -> bool:
        """Whether there is a model at all."""
        return bool(self.fields)

    def log_odds(self, origin: Origin) -> float:
        """How much likelier than the usual lead, in log odds. 0 for a lead nothing is known of."""
        total = 0.0
        for (weights, other), value in zip(self._columns, origin):  # noqa: B905 - no origin is nothing known
            total += weights.get(value, other)
        return total

    def probability(self, origin: Origin) -> float:
        """The probability that such a lead is converted."""
        return _sigma(math.log(self.base_rate / (1 - self.base_rate)) + self.log_odds(origin))

    def points(self, origin: Origin) -> int:
        """Whole points from −20 to +20."""
        return round(MOST * math.tanh(self.log_odds(origin) / 2))

    def shares(self, origin: Origin) -> list[tuple[str, str, int]]:
        """Field, value and its whole points, largest first; they sum to `points`. Fields of no points are left out."""
        if len(origin) != len(FIELDS):
            return []
        columns = zip(self._columns, origin, strict=True)
        weights = [column.get(value, other) for (column, other), value in columns]
        total = math.fsum(weights)
        each_is_worth = MOST / 2 if abs(total) < 1e-9 else MOST * math.tanh(total / 2) / total
        whole = _in_whole([weight * each_is_worth for weight in weights], self.points(origin))
        shares = [share for share in zip(FIELDS, origin, whole, strict=True) if share[2]]
        return sorted(shares, key=lambda share: -abs(share[2]))


def _sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def _in_whole(parts: Sequence[float], total: int) -> list[int]:
    """Parts rounded so that they sum to a whole total: what rounding loses goes where it is missed most."""
    whole = [math.floor(part) for part in parts]
    missed = sorted(range(len(parts)), key=lambda place: whole[place] - parts[place])
    for place in missed[: total - sum(whole)]:
        whole[place] += 1
    return whole


NO_MODEL = LearnedModel()
"""What holds until one was trained: the score is fit and engagement."""

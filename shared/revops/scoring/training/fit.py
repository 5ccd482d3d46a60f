"""Fitting: a regularised logistic regression over what leads came with, calibrated on later leads.

The only module that knows scikit-learn. What leaves it is plain numbers; a model is judged by the code that will score
with it (`LearnedModel`), not by the library that fitted it.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from revops.scoring.features import FIELDS, Origin
from revops.scoring.learned import FieldWeights, LearnedModel
from revops.scoring.training.model import Example

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse regularisation strengths tried; the one that serves later leads best is taken."""
MOST_VALUES = 40
"""Values of a field that get a weight of their own; all others share one."""
LEAST_LEADS = 10
"""A value seen on fewer leads than this, or on fewer than half a per cent, is one of the others."""

_Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model, the strength it was regularised with, and the slope that calibration gave its log odds (1 would
    be none; at 0 or below, later leads contradict what was learned)."""

    model: LearnedModel
    strength: float
    slope: float


@dataclass(frozen=True, slots=True)
class _Columns:
    """Field → value → column; each field's last column is for the others."""

    values: tuple[dict[str, int], ...]
    others: tuple[int, ...]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "_Columns":
        least = max(LEAST_LEADS, len(examples) // 200)
        values, others, column = [], [], 0
        for place in range(len(FIELDS)):
            seen = Counter(example.origin[place] for example in examples).most_common(MOST_VALUES)
            named = sorted(value for value, count in seen if count >= least)
            values.append({value: column + number for number, value in enumerate(named)})
            others.append(column + len(named))
            column += len(named) + 1
        return cls(tuple(values), tuple(others))

    @property
    def count(self) -> int:
        return self.others[-1] + 1

    def of_lead(self, origin: Origin) -> list[int]:
        places = zip(self.values, self.others, origin, strict=True)
        return [columns.get(value, other) for columns, other, value in places]

    def matrix(self, examples: Sequence[Example]) -> csr_matrix:
        columns = np.array([self.of_lead(example.origin) for example in examples])
        rows = np.repeat(np.arange(len(examples)), len(FIELDS))
        ones = np.ones(columns.size)
        return csr_matrix((ones, (rows, columns.ravel())), shape=(len(examples), self.count))


def fit(train: Sequence[Example], calibrate: Sequence[Example]) -> Fitted | None:
    """The model whose strength serves the calibration leads best, calibrated on them (Platt). None when later leads
    show no relation to what was learned: the slope is not above zero. Both windows hold won and lost leads."""
    columns = _Columns.of(train)
    learned, later = columns.matrix(train), columns.matrix(calibrate)
    won, won_later = _labels(train), _labels(calibrate)
    best: tuple[float, float, LogisticRegression, _Vector] | None = None
    for strength in STRENGTHS:
        regression = LogisticRegression(C=strength, max_iter=2000).fit(learned, won)
        log_odds: _Vector = regression.decision_function(later)
        loss = float(np.mean(np.logaddexp(0, np.where(won_later, -log_odds, log_odds))))
        if best is None or loss < best[0]:
            best = loss, strength, regression, log_odds
    assert best is not None  # noqa: S101 - there are strengths
    _, strength, regression, log_odds = best
    platt = LogisticRegression(C=1e6, max_iter=2000).fit(log_odds.reshape(-1, 1), won_later)
    slope, offset = float(platt.coef_[0][0]), float(platt.intercept_[0])
    if slope <= 0:
        return None
    intercept = slope * float(regression.intercept_[0]) + offset
    weights = slope * regression.coef_[0]
    base_rate = float((won.sum() + won_later.sum()) / (len(won) + len(won_later)))
    return Fitted(_centred(columns, weights, intercept, learned, base_rate), strength, slope)


def _labels(examples: Sequence[Example]) -> _Vector:
    return np.array([example.converted for example in examples], dtype=np.float64)


def _centred(columns: _Columns, weights: _Vector, intercept: float, seen: csr_matrix, base_rate: float) -> LearnedModel:
    """Weights whose sum is the distance from the base rate, in log odds: each field's mean goes out of its weights, and
    what remains of the intercept is spread over the fields evenly, so that no line of an explanation stands for
    nothing a lead has."""
    frequency = np.asarray(seen.mean(axis=0)).ravel()
    places = [[*named.values(), other] for named, other in zip(columns.values, columns.others, strict=True)]
    means = [float(sum(weights[place] * frequency[place] for place in field)) for field in places]
    spread = (intercept + sum(means) - math.log(base_rate / (1 - base_rate))) / len(FIELDS)

    def centred(place: int, mean: float) -> float:
        return max(-20.0, min(20.0, round(float(weights[place]) - mean + spread, 6)))

    def field(named: dict[str, int], other: int, mean: float) -> FieldWeights:
        values = {value: centred(place, mean) for value, place in named.items()}
        return FieldWeights(values=values, other=centred(other, mean))

    fields = starmap(field, zip(columns.values, columns.others, means, strict=True))
    return LearnedModel(base_rate=round(base_rate, 6), fields=dict(zip(FIELDS, fields, strict=True)))

"""How well probabilities, or scores, foretold what happened: plain functions over pairs of (said, happened).

They say the same as scikit-learn's; a test holds them to it. Being plain Python, they are at hand where the training
layer is not.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from revops.scoring.learned import Measures

type Outcomes = Sequence[tuple[float, bool]]
"""What was said of a lead (a probability, or any rank), and whether it was converted."""


class Bin(BaseModel):
    """Leads of which about the same was said: how many, what was said and what happened on average, and between what
    the true rate lies with 95 % confidence (Wilson)."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    leads: int
    said: float
    happened: float
    low: float
    high: float


def auc(outcomes: Outcomes) -> float:
    """The chance that a converted lead stands above another one; ties count half. 0.5 when there is nothing to tell
    apart."""
    positives = sum(happened for _, happened in outcomes)
    negatives = len(outcomes) - positives
    if not positives or not negatives:
        return 0.5
    ordered = sorted(outcomes, key=lambda each: each[0])
    ranks, start = 0.0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        ranks += (start + 1 + end) / 2 * sum(happened for _, happened in ordered[start:end])
        start = end
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def brier(outcomes: Outcomes) -> float:
    """The mean squared distance between what was said and what happened."""
    return math.fsum([(said - happened) ** 2 for said, happened in outcomes]) / len(outcomes)


def losses(outcomes: Outcomes) -> list[float]:
    """The logarithmic loss of each lead."""
    return [-math.log(max(said if happened else 1 - said, 1e-15)) for said, happened in outcomes]


def measures(outcomes: Outcomes) -> Measures:
    """All of them at once."""
    return Measures(
        leads=len(outcomes),
        conversions=sum(happened for _, happened in outcomes),
        auc=round(auc(outcomes), 6),
        brier=round(brier(outcomes), 6),
        log_loss=round(math.fsum(losses(outcomes)) / len(outcomes), 6),
    )


def calibration(outcomes: Outcomes, bins: int = 10) -> list[Bin]:
    """What was said beside what happened, in bins of equally many leads, least likely first."""
    ordered = sorted(outcomes, key=lambda each: each[0])
    edges = [round(place * len(ordered) / bins) for place in range(bins + 1)]
    return [_bin(ordered[low:high]) for low, high in pairwise(edges) if high > low]


def _bin(outcomes: Outcomes) -> Bin:
    count = len(outcomes)
    rate = sum(happened for _, happened in outcomes) / count
    low, high = wilson(rate, count)
    said = math.fsum([said for said, _ in outcomes]) / count
    return Bin(leads=count, said=round(said, 6), happened=round(rate, 6), low=round(low, 6), high=round(high, 6))


def wilson(rate: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Between what a true rate lies, with 95 % confidence, when `rate` of `count` was seen."""
    centre = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def calibration_error(bins: Sequence[Bin]) -> float:
    """The mean distance between what was said and what happened, weighed by leads."""
    leads = sum(each.leads for each in bins)
    return math.fsum([each.leads * abs(each.said - each.happened) for each in bins]) / leads if leads else 0.0


def roc(outcomes: Outcomes, points: int = 60) -> list[tuple[float, float]]:
    """The curve behind the AUC: share of other leads taken in, share of converted leads found, from the best down."""
    positives = sum(happened for _, happened in outcomes)
    negatives = len(outcomes) - positives
    ordered = sorted(outcomes, key=lambda each: -each[0])
    curve, found, wrong = [(0.0, 0.0)], 0, 0
    for place, (said, happened) in enumerate(ordered):
        found, wrong = found + happened, wrong + (not happened)
        if place + 1 == len(ordered) or ordered[place + 1][0] != said:
            curve.append((wrong / max(1, negatives), found / max(1, positives)))
    step = max(1, len(curve) // points)
    return [*curve[:-1:step], curve[-1]]


def found_among_best(outcomes: Outcomes, share: float) -> float:
    """Of all conversions, the part among the best `share` of leads; a tie at the edge counts by its own part."""
    positives = sum(happened for _, happened in outcomes)
    wanted = round(share * len(outcomes))
    if not positives or not wanted:
        return 0.0
    edge = sorted([said for said, _ in outcomes], reverse=True)[wanted - 1]
    above = [happened for said, happened in outcomes if said > edge]
    tied = [happened for said, happened in outcomes if said == edge]
    return (sum(above) + sum(tied) * (wanted - len(above)) / len(tied)) / positives

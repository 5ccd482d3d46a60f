"""Measures of what was said beside what happened. (That scikit-learn says the same, the integration suite shows.)"""

import random

import pytest

from revops.scoring.measures import auc, brier, calibration, calibration_error, found_among_best, roc, wilson

type Pairs = list[tuple[float, bool]]


def outcomes(seed: int, count: int) -> Pairs:
    chance = random.Random(seed)
    said = [chance.random() for _ in range(count)]
    return [(min(max(each, 0.01), 0.99), chance.random() < each) for each in said]


@pytest.mark.mission("LEAD-4")
def test_the_bins_hold_everybody_once_and_in_order() -> None:
    pairs = outcomes(7, 403)
    bins = calibration(pairs)
    assert (len(bins), sum(each.leads for each in bins)) == (10, 403)
    assert [each.said for each in bins] == sorted(each.said for each in bins)
    assert all(each.low <= each.happened <= each.high for each in bins)
    assert calibration_error(bins) < 0.1
    shifted = [(min(0.99, said + 0.3), happened) for said, happened in pairs]
    assert calibration_error(calibration(shifted)) > 0.15


def test_who_cannot_be_told_apart() -> None:
    assert auc([(0.3, True), (0.3, False)]) == 0.5
    assert auc([(0.3, True)]) == 0.5
    assert auc([(0.9, True), (0.1, False)]) == 1.0
    assert brier([(1.0, False)]) == 1.0
    assert len(calibration([(0.2, True)], 10)) == 1


def test_the_curve_goes_from_nobody_to_everybody() -> None:
    curve = roc(outcomes(3, 500))
    assert (curve[0], curve[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert curve == sorted(curve)
    assert len(curve) <= 130


def test_conversions_among_the_best_and_that_ties_are_shared() -> None:
    assert found_among_best([(0.9, True), (0.8, False), (0.1, True), (0.0, False)], 0.5) == 0.5
    assert found_among_best([(0.5, True), (0.5, False)] * 50, 0.2) == pytest.approx(0.2)
    assert found_among_best([(0.5, False)], 0.5) == 0


def test_intervals_are_within_bounds() -> None:
    low, high = wilson(0.0, 20)
    assert low == 0
    assert 0.1 < high < 0.2
    assert wilson(1.0, 20)[1] == 1

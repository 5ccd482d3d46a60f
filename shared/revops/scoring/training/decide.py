"""Cutting history by time, comparing who is in force with who would be, and deciding (LEAD-4). Plain and pure, but for
the fitting, which is handed in."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from revops.scoring.features import FIELDS
from revops.scoring.learned import LearnedModel
from revops.scoring.measures import calibration, calibration_error, found_among_best, losses, measures, roc
from revops.scoring.training.model import Candidate, Example, Outcome, Report, Split, Verdict, Window
from revops.scoring.training.rules import TrainingRules

_TOP = 0.2
_AUC_SLACK = 0.005
"""A challenger may rank this much worse if its probabilities are better by the margin."""


class Fitted(Protocol):
    """What fitting gives: the model, and how strongly it was regularised."""

    @property
    def model(self) -> LearnedModel: ...

    @property
    def strength(self) -> float: ...


type Fit = Callable[[Sequence[Example], Sequence[Example]], Fitted | None]


def split(examples: Sequence[Example], rules: TrainingRules) -> Split:
    """The newest closings are the test, of the rest the newest calibrate, the oldest are learned from."""
    ordered = sorted(examples, key=lambda each: each.closed_at)
    older = len(ordered) - round(len(ordered) * rules.test_share)
    oldest = older - round(older * rules.calibration_share)
    return Split(ordered[:oldest], ordered[oldest:older], ordered[older:])


def decide(
    examples: Sequence[Example], champion: LearnedModel, rules: TrainingRules, fit: Fit, now: datetime
) -> Outcome:
    """Trains on the older leads and puts the result beside the model in force on the newest ones. Without a model in
    force the base rate for everybody is what must be beaten."""
    conversions = sum(example.converted for example in examples)
    about = {"at": now, "leads": len(examples), "conversions": conversions, "needed": rules.min_conversions}
    parts = split(examples, rules)
    short = _too_few(examples, parts, rules)
    if short:
        return Outcome(Report.model_validate(about | {"verdict": Verdict.TOO_FEW, "why": short}))
    windows = [_window(name, part) for name, part in _named(parts)]
    fitted = fit(parts.train, parts.calibrate)
    base_rate = _rate([*parts.train, *parts.calibrate])
    candidates = [_candidate("none", [(base_rate, each.converted) for each in parts.test])]
    if champion.speaks:
        candidates.append(_judged("champion", champion, parts.test))
    about |= {"windows": windows, "looked_at": list(FIELDS), "champion_saw": _seen_by(champion, parts.test)}
    if fitted is None:
        why = "later leads show no relation to what was learned from earlier ones; the learned term stays as it is"
        return Outcome(
            Report.model_validate(about | {"verdict": Verdict.NO_SIGNAL, "why": why, "candidates": candidates})
        )
    challenger = fitted.model
    candidates.append(_judged("challenger", challenger, parts.test))
    taken, why = _beats(challenger, champion, base_rate, parts.test, rules.margin)
    report = Report.model_validate(
        about
        | {"verdict": Verdict.REPLACED if taken else Verdict.KEPT, "why": why, "candidates": candidates}
        | {"strength": fitted.strength, "weights": _weights(challenger)}
    )
    if not taken:
        return Outcome(report)
    known = {"trained_at": now, "learned_until": parts.calibrate[-1].closed_at, "measures": candidates[-1].measures}
    return Outcome(report, LearnedModel.model_validate(challenger.model_dump() | known))


def _too_few(examples: Sequence[Example], parts: Split, rules: TrainingRules) -> str:
    """Why there is too little to learn from, in words; empty when there is enough."""
    won = sum(example.converted for example in examples)
    lost = len(examples) - won
    if won < rules.min_conversions:
        return (
            f"too few conversions: {won} of the {rules.min_conversions} it takes; scores are fit and engagement, and "
            "the learned term is as it was (0 until a model was trained)"
        )
    if lost < rules.min_others:
        return f"too few leads that were not converted: {lost} of the {rules.min_others} it takes to tell them apart"
    for name, part in _named(parts):
        inside = sum(example.converted for example in part)
        if min(inside, len(part) - inside) < rules.min_in_test:
            return (
                f"too few to {name} on: {inside} converted and {len(part) - inside} other leads in that stretch of "
                f"time; it takes {rules.min_in_test} of each"
            )
    return ""


def _named(parts: Split) -> list[tuple[str, Sequence[Example]]]:
    return [("train", parts.train), ("calibrate", parts.calibrate), ("test", parts.test)]


def _window(name: str, part: Sequence[Example]) -> Window:
    won = sum(example.converted for example in part)
    return Window(name=name, leads=len(part), conversions=won, start=part[0].closed_at, end=part[-1].closed_at)


def _rate(examples: Sequence[Example]) -> float:
    return sum(example.converted for example in examples) / len(examples)


def _said(model: LearnedModel, test: Sequence[Example]) -> list[tuple[float, bool]]:
    return [(model.probability(each.origin), each.converted) for each in test]


def _judged(name: str, model: LearnedModel, test: Sequence[Example]) -> Candidate:
    return _candidate(name, _said(model, test))


def _candidate(name: str, outcomes: list[tuple[float, bool]]) -> Candidate:
    bins = calibration(outcomes) if name != "none" else calibration(outcomes, 1)
    return Candidate(
        name=name,
        measures=measures(outcomes),
        calibration=bins,
        calibration_error=round(calibration_error(bins), 6),
        roc=[(round(x, 4), round(y, 4)) for x, y in roc(outcomes)],
        top_fifth=round(found_among_best(outcomes, _TOP), 4),
    )


def _beats(
    challenger: LearnedModel, champion: LearnedModel, base_rate: float, test: Sequence[Example], margin: float
) -> tuple[bool, str]:
    """Whether the challenger's loss is smaller by the margin and by more than one standard error of the difference,
    lead by lead on the same test, without ranking worse; and that in words."""
    fresh = _said(challenger, test)
    standing = _said(champion, test) if champion.speaks else [(base_rate, each.converted) for each in test]
    named = "the model in force" if champion.speaks else "the base rate (no model is in force)"
    gains = [old - new for old, new in zip(losses(standing), losses(fresh), strict=True)]
    gain = math.fsum(gains) / len(gains)
    spread = math.sqrt(math.fsum([(each - gain) ** 2 for each in gains]) / max(1, len(gains) - 1) / len(gains))
    before, after = measures(standing).auc, measures(fresh).auc
    figures = (
        f"log loss is {abs(gain):.4f} ± {spread:.4f} {'better' if gain >= 0 else 'worse'} than that of {named} on the "
        f"{len(test)} newest closed leads, AUC {after:.3f} beside {before:.3f}"
    )
    if gain < margin or gain <= spread:
        return (
            False,
            f"kept what is in force: the challenger's {figures}; it takes {margin:.4f} better and more than the error",
        )
    if after < before - _AUC_SLACK:
        return False, f"kept what is in force, which ranks better: the challenger's {figures}"
    return True, f"took the challenger: its {figures}"


def _seen_by(champion: LearnedModel, test: Sequence[Example]) -> int:
    """Test leads closed before the champion's own learning ended: it has an advantage there, which is said."""
    until = champion.learned_until
    return sum(each.closed_at <= until for each in test) if until else 0


def _weights(model: LearnedModel) -> dict[str, dict[str, float]]:
    return {name: {**field.values, "(others)": field.other} for name, field in model.fields.items()}

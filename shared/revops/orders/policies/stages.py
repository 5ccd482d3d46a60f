"""The way of a review through its stages: who decides now, by when, and what follows from what they say (ORD-2).

The stages stand in the review as the rules had them when the form was looked at: a change of the rules changes no
review under way.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from revops.kernel import Role
from revops.orders.policies.review import ApprovalStage, ReviewRules
from revops.orders.reviews import Finding, Review, ReviewDecision, ReviewStage

_ALONE = ReviewStage(name="Legal", roles=(Role.LEGAL,), hours=72)
"""What a review without stages waits for: it began when there was this one and nobody counted its hours."""


def begun(findings: Sequence[Finding], rules: ReviewRules, rules_version: int, now: datetime) -> Review:
    """The review of a form, its first stage open; one that nobody has to decide has no stage."""
    stages = tuple(_stage(stage, found) for stage, found in _called_for(findings, rules.stages))
    return _opened(Review(rules_version=rules_version, findings=tuple(findings), stages=stages), now)


def current(review: Review) -> ReviewStage | None:
    """The stage that decides next; None when all have."""
    if review.decision is not None:
        return None
    if not review.stages:
        return _ALONE
    return next((stage for stage in review.stages if stage.decision is None), None)


def decided(review: Review, decision: ReviewDecision, comment: str, by: str, now: datetime) -> Review:
    """The review once its stage has spoken: the next stage is open, or the whole is decided."""
    said = {"decision": decision, "comment": comment, "decided_by": by, "decided_at": now}
    after = review.model_copy(update={"stages": _replaced(review, said)})
    if decision is ReviewDecision.APPROVE and current(after) is not None:
        return _opened(after, now)
    return after.model_copy(update=said)


def noted(review: Review, **changes: object) -> Review:
    """The review with something noted on its present stage."""
    return review.model_copy(update={"stages": _replaced(review, changes)})


def _replaced(review: Review, changes: dict[str, object]) -> tuple[ReviewStage, ...]:
    stage = current(review)
    return tuple(each.model_copy(update=changes) if each is stage else each for each in review.stages or (_ALONE,))


def _opened(review: Review, now: datetime) -> Review:
    stage = current(review) if review.stages else None
    return review if stage is None else noted(review, opened_at=now, due_at=now + timedelta(hours=stage.hours))


def _called_for(
    findings: Sequence[Finding], stages: Sequence[ApprovalStage]
) -> list[tuple[ApprovalStage, tuple[str, ...]]]:
    """The stages that the findings call for, each with the rules it decides on. What no stage names is for the one that
    names nothing, or else for the last."""
    wanted = dict.fromkeys(each.rule for each in findings if each.needs_approval)
    named = {rule for stage in stages for rule in stage.rules}
    rest = next((stage for stage in stages if not stage.rules), stages[-1])
    of = [(stage, tuple(rule for rule in wanted if _concerns(stage, rule, rest, named))) for stage in stages]
    return [(stage, rules) for stage, rules in of if rules]


def _concerns(stage: ApprovalStage, rule: str, rest: ApprovalStage, named: set[str]) -> bool:
    return rule in stage.rules or (stage is rest and rule not in named)


def _stage(stage: ApprovalStage, rules: tuple[str, ...]) -> ReviewStage:
    return ReviewStage(
        name=stage.name,
        roles=stage.roles,
        rules=rules,
        hours=stage.hours,
        remind_hours=stage.remind_hours,
        escalate_to=stage.escalate_to,
    )

"""What is kept of the review of an order form: findings, stages, decisions, and the form as it was read (ORD-2)."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from revops.kernel import Role


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Finding(_Part):
    """Why an order is not standard: the rule, the field it looked at, and both values in words. One that needs no
    approval is told and holds nothing up."""

    rule: str
    field: str
    message: str
    needs_approval: bool = True


class ReviewDecision(StrEnum):
    """What is said to an order form that is not standard (ORD-2)."""

    APPROVE = "approve"
    REJECT = "reject"
    ASK = "ask"


class ReviewStage(_Part):
    """One stage of a review: who decides, on the findings of which rules, since when, by when, and what they said.
    `told` are the users who have a task of it."""

    name: str
    roles: tuple[Role, ...]
    rules: tuple[str, ...] = ()
    hours: int
    remind_hours: int = 0
    escalate_to: tuple[Role, ...] = ()
    opened_at: AwareDatetime | None = None
    due_at: AwareDatetime | None = None
    told: tuple[str, ...] | None = None
    escalated_at: AwareDatetime | None = None
    decision: ReviewDecision | None = None
    comment: str = ""
    decided_by: str = ""
    decided_at: AwareDatetime | None = None

    @property
    def look_at(self) -> AwareDatetime | None:
        """When the schedule has something to do about it: tell its people, then tell others that it is late."""
        if self.opened_at is None or self.decision is not None or self.escalated_at is not None:
            return None
        return self.opened_at if self.told is None else self.due_at


class Review(_Part):
    """What the rules found, what each stage said to it, and what came of it."""

    rules_version: int = 0
    findings: tuple[Finding, ...] = ()
    stages: tuple[ReviewStage, ...] = ()
    decision: ReviewDecision | None = None
    comment: str = ""
    decided_by: str = ""
    decided_at: AwareDatetime | None = None


class Rendering(_Part):
    """The form of a revision as a PDF: where it lies, and its fingerprint."""

    key: str
    sha256: str
    size: int
    revision: int

"""Qualifying leads: BANT and MEDDICC, the outcome, giving up and taking back (LEAD-6, LEAD-7)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from revops.crm.factors import Answer, Bant, Meddicc, Nomination, Outcome, StatusReason
from revops.crm.model import LeadStatus
from revops.crm.policies.qualification import Risk, answers_of
from revops.crm.qualification import (
    ClosingGiven,
    HistoryEntry,
    OutcomeGiven,
    QualificationGiven,
    QualificationReport,
    QualifyLead,
)
from revops.kernel import CallContext
from revops.platform.http import Api

_PATH = "/api/v1/leads/{lead_id}"
_CHANGED = (401, 403, 404, 409, 413)


class QualificationView(BaseModel):
    """A lead's qualification: the answers as they stand, what nobody answered yet, the risk with its reason, the
    outcome, and the changes, newest first."""

    model_config = ConfigDict(defer_build=True)

    lead_id: str
    version: int = Field(description="The lead's; send it with a change")
    status: LeadStatus
    status_reason: StatusReason | None = None
    bant: dict[Bant, Answer]
    meddicc: dict[Meddicc, Answer]
    missing: list[str] = Field(examples=[["timeline", "champion"]])
    risk: Risk
    outcome: Outcome | None = None
    nomination: Nomination | None = None
    history: list[HistoryEntry]
    modified_at: datetime

    @classmethod
    def of(cls, report: QualificationReport) -> Self:
        lead, answers = report.lead, answers_of(report.lead)
        return cls(
            lead_id=lead.id,
            version=lead.version,
            status=lead.status,
            status_reason=lead.status_reason,
            bant={factor: answers[factor] for factor in Bant if factor in answers},
            meddicc={factor: answers[factor] for factor in Meddicc if factor in answers},
            missing=list(report.missing),
            risk=report.risk,
            outcome=lead.qualification.outcome if lead.qualification else None,
            nomination=lead.nomination,
            history=list(report.history),
            modified_at=lead.modified_at,
        )


@dataclass(frozen=True, slots=True)
class QualificationUseCases:
    """What the qualification routes call."""

    qualify: QualifyLead


def add_qualification_routes(api: Api, use: QualificationUseCases) -> None:
    """Registers the routes. Each that changes something answers with the qualification as it stands then."""

    def done[Asked](act: Callable[[str, Asked, CallContext], object], lead_id: str, asked: Asked) -> QualificationView:
        call = api.user_call()
        act(lead_id, asked, call)
        return QualificationView.of(use.qualify.read(lead_id, call))

    @api.get(
        f"{_PATH}/qualification",
        "A lead's BANT and MEDDICC: answers, what is missing, risk, outcome, history",
        tag="qualification",
        model=QualificationView,
        errors=(401, 404),
    )
    def get_qualification(lead_id: str) -> QualificationView:
        return QualificationView.of(use.qualify.read(lead_id, api.user_call()))

    @api.put(
        f"{_PATH}/qualification",
        "Answer some factors of BANT and MEDDICC; those that are not named stay as they are",
        tag="qualification",
        model=QualificationView,
        errors=_CHANGED,
    )
    def put_qualification(lead_id: str, body: QualificationGiven) -> QualificationView:
        return done(use.qualify.answer, lead_id, body)

    @api.post(
        f"{_PATH}/qualification/outcome",
        "Record what BANT says: accepted makes the lead Qualified, rejected makes it Unqualified with a reason",
        tag="qualification",
        model=QualificationView,
        errors=_CHANGED,
    )
    def post_outcome(lead_id: str, body: OutcomeGiven) -> QualificationView:
        return done(use.qualify.decide, lead_id, body)

    @api.post(
        f"{_PATH}/disqualify",
        "Give a lead up, with a reason of the list",
        tag="qualification",
        model=QualificationView,
        errors=_CHANGED,
    )
    def post_disqualify(lead_id: str, body: ClosingGiven) -> QualificationView:
        return done(use.qualify.disqualify, lead_id, body)

    @api.post(
        f"{_PATH}/recycle",
        "Take an unqualified or disqualified lead back into nurture, with a reason of the list",
        tag="qualification",
        model=QualificationView,
        errors=_CHANGED,
    )
    def post_recycle(lead_id: str, body: ClosingGiven) -> QualificationView:
        return done(use.qualify.recycle, lead_id, body)

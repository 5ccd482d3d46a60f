"""What a lead gets from nurture, and how a message looks before anybody gets it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from revops.nurture.model import Enrolment, EnrolmentStatus, StepChannel, StepStatus, moment
from revops.nurture.service import LeadNurture, PreviewMail
from revops.nurture.templates import MailTemplate
from revops.platform.http import Api


class StepView(BaseModel):
    """A step: what it does, when it is next looked at, what became of it and why."""

    model_config = ConfigDict(defer_build=True)

    name: str = Field(examples=["mail-1"])
    channel: StepChannel
    template: str
    status: StepStatus
    next_at: datetime | None = Field(default=None, description="Empty once it ended, or while it waits for an event")
    at: datetime | None = Field(default=None, description="When the status was reached")
    reason: str = ""
    attempts: int = 0
    message_id: str = ""
    task_id: str = ""


class EnrolmentView(BaseModel):
    """A lead's way through a sequence (LEAD-5)."""

    model_config = ConfigDict(defer_build=True)

    id: str
    sequence: str
    round: int
    status: EnrolmentStatus
    started_at: datetime
    trigger: str
    started_by: str
    ended_at: datetime | None = None
    ended_because: str = ""
    ended_by: str = ""
    steps: list[StepView]

    @classmethod
    def of(cls, enrolment: Enrolment) -> Self:
        shown = {name: getattr(enrolment, name) for name in cls.model_fields if name in Enrolment.model_fields}
        steps = [
            StepView.model_validate(
                {name: getattr(step, name) for name in StepView.model_fields if name != "next_at"}
                | {"next_at": moment(step)}
            )
            for step in enrolment.steps
        ]
        return cls.model_validate({**shown, "started_at": enrolment.created_at, "steps": steps})


class EnrolmentListView(BaseModel):
    """The enrolments of a lead, the latest first."""

    model_config = ConfigDict(defer_build=True)

    enrolments: list[EnrolmentView]


_SequenceName = Annotated[str, Field(max_length=40, examples=["welcome"])]


class NurtureStart(BaseModel):
    """Which sequence begins."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    sequence: _SequenceName


class NurtureStop(BaseModel):
    """Which sequence ends; all of them when none is named."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    sequence: _SequenceName = ""


class PreviewRequest(BaseModel):
    """A mail template by name, or a draft of one; for a lead, or for an invented one when none is named."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    template: Annotated[str, Field(max_length=40, examples=["welcome-1"])] = ""
    language: Annotated[str, Field(max_length=5, description="Empty = the lead's", examples=["de"])] = ""
    lead_id: Annotated[str, Field(max_length=60)] = ""
    draft: MailTemplate | None = None


class PreviewView(BaseModel):
    """The mail as it would be sent, but for its links, which here count nothing and unsubscribe nobody."""

    model_config = ConfigDict(defer_build=True)

    language: str
    to: str
    subject: str = Field(examples=["What Hafenlicht GmbH could do next"])
    text: str
    html: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class NurtureUseCases:
    """What the nurture routes call."""

    lead: LeadNurture
    preview: PreviewMail


def add_nurture_routes(api: Api, use: NurtureUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/leads/{lead_id}/nurture",
        "The sequences a lead is or was in: each step with its time, what became of it and why",
        tag="nurture",
        model=EnrolmentListView,
        errors=(401, 404),
    )
    def get_nurture(lead_id: str) -> EnrolmentListView:
        return _list(use.lead.read(lead_id, api.user_call()))

    @api.post(
        "/api/v1/leads/{lead_id}/nurture/start",
        "Begin a sequence for a lead; refused without consent or while it is under way",
        tag="nurture",
        status=201,
        model=EnrolmentView,
        errors=(401, 403, 404, 409, 413),
    )
    def start_nurture(lead_id: str, body: NurtureStart) -> tuple[EnrolmentView, int]:
        return EnrolmentView.of(use.lead.start(lead_id, body.sequence, api.user_call())), 201

    @api.post(
        "/api/v1/leads/{lead_id}/nurture/stop",
        "End a sequence of a lead, or all of them; answers those that ended now",
        tag="nurture",
        model=EnrolmentListView,
        errors=(401, 403, 404, 413),
    )
    def stop_nurture(lead_id: str, body: NurtureStop) -> EnrolmentListView:
        return _list(use.lead.stop(lead_id, body.sequence, api.user_call()))

    @api.post(
        "/api/v1/nurture/preview",
        "How a mail will look: subject, both parts, headers; sends nothing",
        tag="nurture",
        model=PreviewView,
        errors=(401, 403, 404, 413),
    )
    def preview_mail(body: PreviewRequest) -> PreviewView:
        made = use.preview(body.template, body.language, body.lead_id, api.user_call(), body.draft)
        mail = made.mail
        return PreviewView(
            language=made.language,
            to=mail.to,
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            headers=dict(mail.headers),
        )


def _list(enrolments: list[Enrolment]) -> EnrolmentListView:
    return EnrolmentListView(enrolments=[EnrolmentView.of(each) for each in enrolments])

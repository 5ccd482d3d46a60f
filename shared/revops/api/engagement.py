"""What a lead did, as the people who work it see it (LEAD-3, LEAD-5)."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from revops.crm.service import ReadLeads
from revops.crm.tracking import traces_of
from revops.platform.http import Api
from revops.table import Table


class EngagementView(BaseModel):
    """Something that counts, until it has decayed."""

    model_config = ConfigDict(defer_build=True)

    event: str = Field(examples=["email_open"])
    ref: str = Field(description="What it was done to, such as a message")
    at: datetime
    minutes: int | None = Field(default=None, description="How long it lasted, where somebody said so")


class UncountedView(EngagementView):
    """Something that does not count, and why."""

    reason: str = Field(examples=["fetched by a machine: Apple Mail Privacy Protection"])


class LeadEngagementView(BaseModel):
    """What a lead did, newest first."""

    model_config = ConfigDict(defer_build=True)

    lead_id: str
    counted: list[EngagementView]
    not_counted: list[UncountedView]


@dataclass(frozen=True, slots=True)
class EngagementUseCases:
    """What the engagement routes call."""

    table: Table
    read: ReadLeads


def add_engagement_routes(api: Api, use: EngagementUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/leads/{lead_id}/engagement",
        "What a lead did that counts, and what was not counted, with the reason",
        tag="engagement",
        model=LeadEngagementView,
        errors=(401, 404),
    )
    def get_engagement(lead_id: str) -> LeadEngagementView:
        lead = use.read.one(lead_id, api.user_call())
        missed = [
            UncountedView(event=each.event, ref=trace.message_id, at=each.at, reason=each.reason)
            for trace in traces_of(use.table, lead.id)
            for each in trace.uncounted
        ]
        counted = [
            EngagementView(event=done.event, ref=done.ref, at=done.at, minutes=done.minutes) for done in lead.engagement
        ]
        return LeadEngagementView(
            lead_id=lead.id,
            counted=sorted(counted, key=lambda each: each.at, reverse=True),
            not_counted=sorted(missed, key=lambda each: each.at, reverse=True),
        )

"""Whose a lead is, and how soon owners are in touch."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from revops.analytics import ReadCounts
from revops.api.views import LeadView
from revops.crm.assigning import OwnerChange, ReassignLead
from revops.crm.service import ReadLeads
from revops.platform.http import Api


class ResponseTimesView(BaseModel):
    """Speed to first touch over the leads the caller may see (CAP-14)."""

    model_config = ConfigDict(defer_build=True)

    touched: int = Field(description="Leads whose owner has been in touch")
    average_seconds: int | None = Field(
        examples=[1260], description="From creation to first touch; null when none was touched"
    )
    in_time: int = Field(description="Of the leads with a target, touched by then")
    missed: int = Field(description="Of the leads with a target, not touched by then")


@dataclass(frozen=True, slots=True)
class AssignmentUseCases:
    """What the routes call."""

    read: ReadLeads
    reassign: ReassignLead
    counts: ReadCounts


def add_assignment_routes(api: Api, use: AssignmentUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/leads/response-times",
        "How soon the owners of leads are in touch, over what the caller may see",
        tag="leads",
        model=ResponseTimesView,
        errors=(401, 403),
    )
    def get_response_times() -> ResponseTimesView:
        counted = use.counts.response_times(api.user_call())
        touched = counted.get("touched", 0)
        return ResponseTimesView(
            touched=touched,
            average_seconds=round(counted.get("seconds", 0) / touched) if touched else None,
            in_time=counted.get("in_time", 0),
            missed=counted.get("missed", 0),
        )

    @api.post(
        "/api/v1/leads/{lead_id}/owner",
        "Hand a lead to another owner, with a reason: managers within their team or from the queue, admins anywhere",
        tag="leads",
        model=LeadView,
        errors=(401, 403, 404, 409, 413),
    )
    def post_owner(lead_id: str, body: OwnerChange) -> LeadView:
        call = api.user_call()
        lead = use.reassign(lead_id, body, call)
        return LeadView.of(lead, names_others=use.read.sees_everybody(call), consents=use.read.consents(lead))

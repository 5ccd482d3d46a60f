"""Leads as the people who work them see them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query

from revops.analytics import ReadCounts
from revops.api.views import CountsView, LeadListView, LeadView
from revops.crm.model import Lead, LeadStatus
from revops.crm.service import ChangeLead, LeadChange, LeadQuery, ReadLeads
from revops.kernel import CallContext
from revops.platform.http import Api


@dataclass(frozen=True, slots=True)
class LeadUseCases:
    """What the lead routes call."""

    read: ReadLeads
    change: ChangeLead
    counts: ReadCounts


def add_lead_routes(api: Api, use: LeadUseCases) -> None:
    """Registers the routes."""

    def view(lead: Lead, call: CallContext) -> LeadView:
        """One lead, with its person's consents."""
        return LeadView.of(
            lead,
            names_others=use.read.sees_everybody(call),
            consents=use.read.consents(lead),
            successor=use.read.sees_successor(lead, call),
        )

    @api.get(
        "/api/v1/leads",
        "Leads: mine, my team's, all or unassigned; newest first or best first; or the one with an e-mail address",
        tag="leads",
        model=LeadListView,
        errors=(401, 403),
    )
    def list_leads(
        scope: Literal["mine", "team", "all", "unassigned"] = "mine",
        sort: Literal["created", "score"] = "created",
        status: Annotated[list[LeadStatus] | None, Query(description="With sort=score")] = None,
        min_score: Annotated[int, Query(ge=0, le=100, description="With sort=score")] = 0,
        email: Annotated[str, Query(max_length=320, description="Exact address")] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> LeadListView:
        query = LeadQuery(scope, sort, tuple(status or ()), min_score, email, limit, cursor)
        call = api.user_call()
        page = use.read.list(query, call)
        everybody = use.read.sees_everybody(call)
        views = [LeadView.of(lead, names_others=everybody) for lead in page.leads]
        return LeadListView(leads=views, next=page.next_cursor)

    @api.get(
        "/api/v1/leads/counts",
        "How many leads of each status the caller may see",
        tag="leads",
        model=CountsView,
        errors=(401, 403),
    )
    def count_leads() -> CountsView:
        return CountsView(counts=use.counts.leads_by_status(api.user_call()))

    @api.get("/api/v1/leads/{lead_id}", "One lead", tag="leads", model=LeadView, errors=(401, 404))
    def get_lead(lead_id: str) -> LeadView:
        call = api.user_call()
        return view(use.read.one(lead_id, call), call)

    @api.patch(
        "/api/v1/leads/{lead_id}",
        "Change a lead under the version that was read; unknown and read-only fields are refused",
        tag="leads",
        model=LeadView,
        errors=(401, 403, 404, 409, 413),
        example=None,
    )
    def patch_lead(lead_id: str, body: LeadChange) -> LeadView:
        call = api.user_call()
        return view(use.change(lead_id, body, call), call)

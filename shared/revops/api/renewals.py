"""Renewals and what more there is to sell, over HTTP (ORD-9)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from revops.api.sales_views import (
    OneRenewalView,
    RenewalListView,
    RenewalView,
    UpsellListView,
    UpsellView,
    shown,
)
from revops.kernel import Money
from revops.platform.http import Api
from revops.sales.model import RenewalStatus
from revops.sales.queries import ReadSales
from revops.sales.renewing import DecideRenewal, ReadRenewals
from revops.sales.upselling import OpenUpsell

TAG = "renewals"
_LINE = r"^[^\x00-\x1f\x7f]*$"


@dataclass(frozen=True, slots=True)
class RenewalUseCases:
    """What the routes call."""

    lists: ReadSales
    read: ReadRenewals
    decide: DecideRenewal
    upsell: OpenUpsell


class _Body(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class OutcomeRequest(_Body):
    """How a term ends. `Renewed` names the order form that renews it, unless the term renews by itself. Nothing is done
    at Stripe by it."""

    version: Annotated[int, Field(ge=1, description="The version that was read; another one stands → 409")]
    outcome: Literal["Renewed", "Lapsed", "Cancelled"] = Field(examples=["Renewed"])
    renewal_order_id: Annotated[str, Field(pattern=r"^(ORD_[0-9A-Z]{1,40})?$")] = ""
    reason: Annotated[str, Field(max_length=500, pattern=_LINE)] = ""


class UpsellRequest(_Body):
    """What a customer could use, and why."""

    offer: Annotated[str, Field(min_length=1, max_length=200, pattern=_LINE, examples=["20 more seats"])]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    value: Money


def add_renewal_routes(api: Api, use: RenewalUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/renewals",
        "Terms that end soon and are not decided: mine, my team's, everybody's; the next to end first",
        tag=TAG,
        model=RenewalListView,
        errors=(401, 403),
    )
    def list_renewals(
        scope: Literal["mine", "team", "all"] = "mine",
        days: Annotated[int, Query(ge=0, le=730, description="How far ahead; 0: as the rules say")] = 0,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> RenewalListView:
        page = use.lists.renewals(scope, days, limit, cursor, api.user_call())
        return RenewalListView(renewals=[shown(RenewalView, one) for one in page.records], next=page.next_cursor)

    @api.get(
        "/api/v1/renewals/{renewal_id}",
        "A renewal with its history, and an order form for the next term to start from",
        tag=TAG,
        model=OneRenewalView,
        errors=(401, 404),
    )
    def get_renewal(renewal_id: str) -> OneRenewalView:
        renewal = use.read(renewal_id, api.user_call())
        return shown(OneRenewalView, renewal).model_copy(update={"suggested_order": use.read.suggestion(renewal)})

    @api.post(
        "/api/v1/renewals/{renewal_id}/outcome",
        "Say how a term ends: renewed, lapsed or cancelled",
        tag=TAG,
        model=RenewalView,
        errors=(401, 403, 404, 409, 413, 415),
    )
    def post_outcome(renewal_id: str, body: OutcomeRequest) -> RenewalView:
        call, outcome = api.user_call(), RenewalStatus(body.outcome)
        decided = use.decide(renewal_id, outcome, body.version, body.renewal_order_id, body.reason, call)
        return shown(RenewalView, decided)

    @api.get(
        "/api/v1/accounts/{account_id}/upsells",
        "The deals that were opened because an account looks ready for more, newest first",
        tag=TAG,
        model=UpsellListView,
        errors=(401, 403, 404),
    )
    def list_upsells(account_id: str) -> UpsellListView:
        found = use.lists.upsells(account_id, api.user_call())
        return UpsellListView(upsells=[shown(UpsellView, one) for one in found])

    @api.post(
        "/api/v1/accounts/{account_id}/upsells",
        "Open a deal for a customer who could use more",
        tag=TAG,
        model=UpsellView,
        errors=(401, 403, 404, 413, 415),
        status=201,
    )
    def post_upsell(account_id: str, body: UpsellRequest) -> tuple[UpsellView, int]:
        made = use.upsell(account_id, body.offer, body.reason, body.value, api.user_call())
        return shown(UpsellView, made), 201

"""Customers: the profile, lists, the activity log, assets, and syncing one whole (STR-3, STR-4)."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Annotated, Literal, Self

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from revops.billing.assets import AssetChange, LinkAssets
from revops.billing.lists import ChangeCustomer, CustomerChange, CustomerQuery, ReadCustomers
from revops.billing.model import ActivityLogEntry, ActivityType, AssetLink, Customer, MembershipStatus
from revops.billing.queries import CustomerProfile, ReadCustomer
from revops.billing.reports import AssetPerformance, Line, ReadAssets
from revops.billing.resync import RequestResync, Resync
from revops.billing.rights import CustomerRights
from revops.platform.http import Api


class LineView(BaseModel):
    """How many, and what they come to."""

    model_config = ConfigDict(defer_build=True)

    count: int
    amounts: dict[str, int] = Field(description="Minor units by currency", examples=[{"EUR": 12900}])

    @classmethod
    def of(cls, line: Line) -> Self:
        return cls(count=line.count, amounts=dict(line.amounts))


class CustomerListView(BaseModel):
    """A page of customers, newest first; `next` is empty at the end."""

    model_config = ConfigDict(defer_build=True)

    customers: list[Customer]
    next: str = ""


class ActivityLogView(BaseModel):
    """A page of a customer's activity log, newest first; `next` is empty at the end."""

    model_config = ConfigDict(defer_build=True)

    activity: list[ActivityLogEntry]
    next: str = ""


class AssetView(BaseModel):
    """An asset and how it did in the period."""

    model_config = ConfigDict(defer_build=True)

    asset: AssetLink
    paid: LineView
    failed: LineView
    last_paid_at: datetime | None = None

    @classmethod
    def of(cls, found: AssetPerformance) -> Self:
        return cls(
            asset=found.link,
            paid=LineView.of(found.paid),
            failed=LineView.of(found.failed),
            last_paid_at=found.last_paid_at,
        )


class AssetsView(BaseModel):
    """A customer's assets in a period, best first by what was paid for them."""

    model_config = ConfigDict(defer_build=True)

    start: date
    end: date
    assets: list[AssetView]


class AssetSyncView(BaseModel):
    """The links of a customer after they were brought in line with their approval."""

    model_config = ConfigDict(defer_build=True)

    assets: dict[str, int] = Field(description="Links by status", examples=[{"active": 2, "pending": 1}])
    changed: int


@dataclass(frozen=True, slots=True)
class CustomerUseCases:
    """What the routes call."""

    rights: CustomerRights
    profile: ReadCustomer
    read: ReadCustomers
    change: ChangeCustomer
    link: LinkAssets
    assets: ReadAssets
    resync: RequestResync


def add_customer_routes(api: Api, use: CustomerUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/customers",
        "Customers: mine, my team's or all, by membership status; newest first",
        tag="billing",
        model=CustomerListView,
        errors=(401, 403),
    )
    def list_customers(
        scope: Literal["mine", "team", "all"] = "mine",
        status: Annotated[list[MembershipStatus] | None, Query(description="Every status if left out")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> CustomerListView:
        page = use.read.list(CustomerQuery(scope, tuple(status or ()), limit, cursor), api.user_call())
        return CustomerListView(customers=page.customers, next=page.next_cursor)

    @api.get(
        "/api/v1/customers/{customer_id}",
        "A customer by our id or the Stripe customer's: membership, features, latest activity, notes, assets",
        tag="billing",
        model=CustomerProfile,
        errors=(401, 404),
    )
    def get_customer(customer_id: str) -> CustomerProfile:
        return use.profile(use.rights.readable(customer_id, api.user_call()))

    @api.patch(
        "/api/v1/customers/{customer_id}",
        "Change the notes and the next follow-up under the version that was read; all else comes from Stripe",
        tag="billing",
        model=Customer,
        errors=(401, 403, 404, 409, 413),
    )
    def patch_customer(customer_id: str, body: CustomerChange) -> Customer:
        return use.change(customer_id, body, api.user_call())

    @api.get(
        "/api/v1/customers/{customer_id}/activity",
        "What happened with a customer at Stripe, newest first, of one type or of all",
        tag="billing",
        model=ActivityLogView,
        errors=(401, 404),
    )
    def list_customer_activity(
        customer_id: str,
        type: Annotated[ActivityType | None, Query(description="Every type if left out")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> ActivityLogView:
        page = use.read.activity(customer_id, api.user_call(), type, limit, cursor)
        return ActivityLogView(activity=page.entries, next=page.next_cursor)

    _add_asset_routes(api, use)


def _add_asset_routes(api: Api, use: CustomerUseCases) -> None:
    @api.get(
        "/api/v1/customers/{customer_id}/assets",
        "A customer's assets: whether each counts, and what was paid for it in a period (30 days if left out)",
        tag="billing",
        model=AssetsView,
        errors=(401, 404),
    )
    def list_customer_assets(customer_id: str, start: date | None = None, end: date | None = None) -> AssetsView:
        period, found = use.assets(customer_id, start, end, api.user_call())
        return AssetsView(start=period.start, end=period.end, assets=[AssetView.of(each) for each in found])

    @api.put(
        "/api/v1/customers/{customer_id}/assets/{asset_id}",
        "Register an asset or say where its approval stands: approved is active, pending pending, rejected inactive",
        tag="billing",
        model=AssetLink,
        errors=(401, 403, 404, 413),
    )
    def put_customer_asset(
        customer_id: str, asset_id: Annotated[str, Path(min_length=1, max_length=200)], body: AssetChange
    ) -> AssetLink:
        return use.link.by_hand(customer_id, asset_id, body, api.user_call())

    @api.post(
        "/api/v1/customers/{customer_id}/assets/sync",
        "Bring the links of a customer in line with their approval, alone",
        tag="billing",
        model=AssetSyncView,
        errors=(401, 403, 404),
    )
    def sync_customer_assets(customer_id: str) -> AssetSyncView:
        call = api.user_call()
        customer = use.rights.workable(customer_id, call)
        return AssetSyncView.model_validate(asdict(use.link.sync(customer.id, call)))

    @api.post(
        "/api/v1/customers/{customer_id}/sync",
        "Sync a customer whole: status from Stripe, asset links, activity log; it is queued, its progress can be read",
        tag="billing",
        status=202,
        model=Resync,
        errors=(401, 403, 404),
    )
    def sync_customer(customer_id: str) -> tuple[Resync, int]:
        call = api.user_call()
        customer = use.rights.workable(customer_id, call)
        return use.resync.one(customer.id, call), 202

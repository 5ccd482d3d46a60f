"""Reports on failures and cancellations, usage that Stripe did not take, and the resync of everybody (STR-7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict

from revops.api.customers import LineView
from revops.billing.meters import MeterReport, ReadMeterReports
from revops.billing.model import ActivityLogEntry, ActivityType
from revops.billing.reports import Line, ReadReports, Report, ReportPage, ReportQuery
from revops.billing.resync import RequestResync, Resync, ResyncRequest
from revops.platform.http import Api

Scope = Literal["mine", "team", "all"]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str, Query(max_length=8000)]
Start = Annotated[date | None, Query(description="30 days before `end` if left out")]
End = Annotated[date | None, Query(description="Included; today if left out. A period has at most 92 days")]


class ReportView(BaseModel):
    """The figures of a period, and a page of the log's entries behind them. A failure that Stripe told twice, of the
    payment and of its invoice, is counted once; the entries are all shown."""

    model_config = ConfigDict(defer_build=True)

    start: date
    end: date
    total: LineView
    customers: int
    by_reason: dict[str, LineView]
    by_plan: dict[str, LineView]
    entries: list[ActivityLogEntry]
    next: str = ""

    @classmethod
    def of(cls, report: Report, page: ReportPage) -> Self:
        return cls(
            start=report.period.start,
            end=report.period.end,
            total=LineView.of(report.total),
            customers=report.customers,
            by_reason=_lines(report.by_reason),
            by_plan=_lines(report.by_plan),
            entries=page.entries,
            next=page.next_cursor,
        )


class ResyncsView(BaseModel):
    """The resyncs of everybody, newest first."""

    model_config = ConfigDict(defer_build=True)

    resyncs: list[Resync]


class MeterReportsView(BaseModel):
    """Usage that Stripe did not take in a month, newest first."""

    model_config = ConfigDict(defer_build=True)

    reports: list[MeterReport]


@dataclass(frozen=True, slots=True)
class ReportUseCases:
    """What the routes call."""

    reports: ReadReports
    meters: ReadMeterReports
    resync: RequestResync


def add_report_routes(api: Api, use: ReportUseCases) -> None:
    """Registers the routes."""

    def report(query: ReportQuery) -> ReportView:
        call = api.user_call()
        return ReportView.of(use.reports.figures(query, call), use.reports.detail(query, call))

    @api.get(
        "/api/v1/reports/payments/failures",
        "Failed payments of a period: totals by currency, by reason, by plan, and each of them",
        tag="reports",
        model=ReportView,
        errors=(401, 403),
    )
    def report_failures(
        scope: Scope = "mine", start: Start = None, end: End = None, limit: Limit = 25, cursor: Cursor = ""
    ) -> ReportView:
        return report(ReportQuery(ActivityType.PAYMENT_FAILURE, scope, start, end, limit, cursor))

    @api.get(
        "/api/v1/reports/cancellations",
        "Cancelled subscriptions of a period: what they came to by currency, by reason, by plan, and each of them",
        tag="reports",
        model=ReportView,
        errors=(401, 403),
    )
    def report_cancellations(
        scope: Scope = "mine", start: Start = None, end: End = None, limit: Limit = 25, cursor: Cursor = ""
    ) -> ReportView:
        return report(ReportQuery(ActivityType.SUBSCRIPTION_CANCELLED, scope, start, end, limit, cursor))

    @api.get(
        "/api/v1/reports/meter-errors",
        "Usage that Stripe did not take in a month: which meter, how much, why",
        tag="reports",
        model=MeterReportsView,
        errors=(401, 404),
    )
    def report_meter_errors(
        month: Annotated[str, Query(pattern=r"^(\d{4}-\d{2})?$", description="2026-11; this month if left out")] = "",
    ) -> MeterReportsView:
        return MeterReportsView(reports=use.meters(month, api.user_call()))

    _add_resync_routes(api, use)


def _add_resync_routes(api: Api, use: ReportUseCases) -> None:
    @api.post(
        "/api/v1/customers/resync",
        "Sync every customer whole, at most so many a minute; queued and resumable, the progress can be read",
        tag="billing",
        status=202,
        model=Resync,
        errors=(401, 403, 404, 409, 413),
    )
    def post_resync(body: ResyncRequest) -> tuple[Resync, int]:
        return use.resync.everybody(body, api.user_call()), 202

    @api.get(
        "/api/v1/customers/resync",
        "The latest resyncs of everybody",
        tag="billing",
        model=ResyncsView,
        errors=(401, 404),
    )
    def list_resyncs() -> ResyncsView:
        return ResyncsView(resyncs=use.resync.latest(api.user_call()))

    @api.get(
        "/api/v1/customers/resync/{resync_id}",
        "How far a resync is: customers synced, failed and why",
        tag="billing",
        model=Resync,
        errors=(401, 404),
    )
    def get_resync(resync_id: str) -> Resync:
        return use.resync.read(resync_id, api.user_call())

    @api.post(
        "/api/v1/customers/resync/{resync_id}/cancel",
        "Stop a resync after the block it is at",
        tag="billing",
        model=Resync,
        errors=(401, 403, 404),
    )
    def cancel_resync(resync_id: str) -> Resync:
        return use.resync.cancel(resync_id, api.user_call())


def _lines(lines: Mapping[str, Line]) -> dict[str, LineView]:
    return {name: LineView.of(line) for name, line in lines.items()}

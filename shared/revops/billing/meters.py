"""Usage that Stripe did not take (STR-1): what its thin events about meters report, kept for those who operate.

| item | pk | sk | gsi1 | read by |
|---|---|---|---|---|
| meter report | METERREPORT#<id> | REPORT | METERREPORTS#<month> / time | id (repeat); month, newest first |

Stripe accepts usage at once and checks it afterwards: what it found wrong comes as an event, and the usage is not
billed until somebody mends it. A report says which meter, how much and why; the events themselves are at Stripe and in
our own usage ledger. A new report is told by mail (`MeterErrorsReported`).
"""

import hashlib
from datetime import datetime

from pydantic import AwareDatetime, Field

from revops.access import Policy, Resource
from revops.billing.ports import MeterErrors, StripeEvent
from revops.kernel import CallContext, Clock, time_text
from revops.table import Entity, EntityKind, Key, Query, Table, Transaction


class MeterReport(Entity):
    """What Stripe found wrong with usage in a window. `meter_id` is empty when no meter has the name that was sent;
    `codes` are Stripe's own with how many events each stopped; `samples` identify a few of the requests."""

    event_id: str
    meter_id: str = Field(default="", examples=["mtr_1QyB2c"])
    summary: str = ""
    window_start: AwareDatetime | None = None
    window_end: AwareDatetime | None = None
    error_count: int
    codes: dict[str, int]
    samples: tuple[str, ...] = ()


METER_REPORTS = EntityKind[MeterReport](
    kind="METER_REPORT",
    title="meter report",
    model=MeterReport,
    key=lambda identifier: Key(f"METERREPORT#{identifier}", "REPORT"),
    index=lambda report: {
        "gsi1": (
            f"METERREPORTS#{time_text(report.created_at)[:7]}",
            f"{time_text(report.created_at)}#{report.id}",
        )
    },
)


def add_meter_report(
    table: Table, transaction: Transaction, event: StripeEvent, errors: MeterErrors, now: datetime
) -> None:
    """Adds the report unless it is there: two events about one window of one meter are one report (R1)."""
    window = f"{errors.meter_id}#{errors.start or event.id}#{errors.end or ''}"
    report_id = "MTR_" + hashlib.sha256(window.encode()).hexdigest()[:26].upper()
    if METER_REPORTS.get(table, report_id) is not None:
        return
    report = MeterReport(
        id=report_id,
        created_at=now,
        modified_at=now,
        event_id=event.id,
        meter_id=errors.meter_id,
        summary=errors.summary,
        window_start=errors.start,
        window_end=errors.end,
        error_count=errors.count,
        codes=dict(errors.codes),
        samples=errors.samples,
    )
    METER_REPORTS.create(transaction, report)


class ReadMeterReports:
    """The reports of a month, for those who answer for what is billed."""

    def __init__(self, table: Table, clock: Clock, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy

    def __call__(self, month: str, call: CallContext, limit: int = 200) -> list[MeterReport]:
        """Newest first. `month` as `2026-11`, empty for the present one. Raises NotFound for anybody else."""
        self._policy.require_read(call.principal, Resource.BILLING, "", "this route")
        wanted = month or time_text(self._clock.now())[:7]
        query = Query(pk=f"METERREPORTS#{wanted}", index="gsi1", descending=True, limit=limit)
        return METER_REPORTS.load_all(list(self._table.query(query).rows))

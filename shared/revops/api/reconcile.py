"""Reconciling order forms and Stripe over HTTP (ORD-4, ORD-7). Finance and Admins start and approve; others see the
differences of their own accounts."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.platform.http import Api
from revops.reconcile.model import (
    ActionKind,
    Difference,
    DifferenceKind,
    DifferenceState,
    Effect,
    Phase,
    Reconciliation,
    RunStatus,
    Severity,
    Total,
    whole_minor,
)
from revops.reconcile.requesting import (
    ApproveRepairs,
    ReadReconciliations,
    RepairApproval,
    Report,
    StartReconciliation,
)

TAG = "reconciliation"
_READ, _WRITE = (401, 403, 404), (401, 403, 404, 409, 413, 415)


@dataclass(frozen=True, slots=True)
class ReconcileUseCases:
    """What the routes call."""

    start: StartReconciliation
    read: ReadReconciliations
    approve: ApproveRepairs


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class ReconciliationRequest(_Model):
    """What is to be compared."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"order_id": "ORD_2K7QF0X9M4T8"}]})

    order_id: Annotated[str, Field(max_length=60, description="One order form; all of them, unless given")] = ""


class EffectView(_Model):
    """Money a month: positive, too much is billed; negative, too little."""

    minor: int = Field(description="Minor units, half of one rounded up in size")
    exact: str = Field(description="The same exactly, as a whole number or a fraction", examples=["-2500/3"])
    currency: str
    from_time: int = Field(description="From when on it is so, in epoch seconds; 0: already")

    @classmethod
    def of(cls, effect: Effect) -> "EffectView":
        """The view of an effect."""
        return cls(minor=effect.minor, exact=effect.exact, currency=effect.currency, from_time=effect.from_time)


class ActionView(_Model):
    """What would be done about a difference; `none` is for a person."""

    kind: ActionKind
    words: str


class DifferenceView(_Model):
    """A difference, what it costs, what would be done, and what became of it."""

    id: str
    kind: DifferenceKind
    severity: Severity
    order_id: str
    account_id: str
    subscription_id: str
    stripe_customer_id: str
    words: str
    expected: str
    actual: str
    effect: EffectView | None = Field(description="None: it depends on what nobody knows")
    action: ActionView
    state: DifferenceState
    approved_by: str
    result: str
    settled_at: AwareDatetime | None

    @classmethod
    def of(cls, difference: Difference) -> "DifferenceView":
        """The view of a difference."""
        finding = difference.finding
        return cls(
            id=difference.id,
            kind=finding.kind,
            severity=finding.severity,
            order_id=finding.order_id,
            account_id=difference.account_id,
            subscription_id=finding.subscription_id,
            stripe_customer_id=finding.customer_id,
            words=finding.words,
            expected=finding.expected,
            actual=finding.actual,
            effect=EffectView.of(finding.effect) if finding.effect else None,
            action=ActionView(kind=finding.action.kind, words=finding.action.words),
            state=difference.state,
            approved_by=difference.approved_by,
            result=difference.result,
            settled_at=difference.settled_at,
        )


class TotalView(_Model):
    """The differences of a kind in a currency, and what they come to a month."""

    kind: DifferenceKind
    severity: Severity
    currency: str
    count: int
    minor: int
    exact: str
    unknown: int = Field(description="How many of them have an effect that nobody knows")

    @classmethod
    def of(cls, total: Total) -> "TotalView":
        """The view of a total."""
        return cls(minor=whole_minor(Fraction(total.exact)), **total.model_dump())


class ReconciliationView(_Model):
    """A run. `totals` is None for who may only read some accounts."""

    id: str = Field(examples=["REC_2K7QF0X9M4T8"])
    version: int
    created_at: AwareDatetime
    requested_by: str
    order_id: str
    status: RunStatus
    phase: Phase
    orders: int
    subscriptions: int
    unclaimed: int = Field(description="Running subscriptions that no order form made")
    differences: int | None
    worst: Severity | None
    totals: list[TotalView] | None
    problem: str
    finished_at: AwareDatetime | None

    @classmethod
    def of(cls, run: Reconciliation, everything: bool) -> "ReconciliationView":
        """The view of a run; sums over everybody's accounts only for who reads them all."""
        names = set(cls.model_fields) - {"differences", "worst", "totals"}
        return cls(
            differences=run.differences if everything else None,
            worst=run.worst if everything else None,
            totals=[TotalView.of(total) for total in run.totals] if everything else None,
            **{name: getattr(run, name) for name in names},
        )


class ReconciliationListView(_Model):
    """The latest runs, newest first."""

    reconciliations: list[ReconciliationView]


class ReportView(_Model):
    """A run with a page of its differences, the worst first."""

    reconciliation: ReconciliationView
    differences: list[DifferenceView]
    next: str

    @classmethod
    def of(cls, report: Report) -> "ReportView":
        """The view of a report."""
        return cls(
            reconciliation=ReconciliationView.of(report.run, report.totals_shown),
            differences=[DifferenceView.of(each) for each in report.differences],
            next=report.next_cursor,
        )


class RepairListView(_Model):
    """The differences that are to be repaired."""

    differences: list[DifferenceView]


def add_reconcile_routes(api: Api, use: ReconcileUseCases) -> None:
    """Registers the routes."""

    @api.post(
        "/api/v1/reconciliations",
        "Compare order forms with Stripe: all of them, or one; done behind, nothing is changed",
        tag=TAG,
        model=ReconciliationView,
        errors=_WRITE,
        status=202,
    )
    def post_reconciliation(body: ReconciliationRequest) -> tuple[ReconciliationView, int]:
        return ReconciliationView.of(use.start(body.order_id, api.user_call()), everything=True), 202

    @api.get(
        "/api/v1/reconciliations",
        "The latest reconciliations, newest first",
        tag=TAG,
        model=ReconciliationListView,
        errors=_READ,
    )
    def list_reconciliations() -> ReconciliationListView:
        call = api.user_call()
        everything = use.read.sees_everything(call)
        runs = [ReconciliationView.of(run, everything) for run in use.read.latest(call)]
        return ReconciliationListView(reconciliations=runs)

    @api.get(
        "/api/v1/reconciliations/{reconciliation_id}",
        "A reconciliation: totals by class and currency, differences by severity with what each costs a month",
        tag=TAG,
        model=ReportView,
        errors=_READ,
    )
    def get_reconciliation(
        reconciliation_id: str,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> ReportView:
        return ReportView.of(use.read.report(reconciliation_id, limit, cursor, api.user_call()))

    @api.post(
        "/api/v1/reconciliations/{reconciliation_id}/repairs",
        "Approve repairs: each is looked at once more and done once, or refused because it is another matter by now",
        tag=TAG,
        model=RepairListView,
        errors=_WRITE,
        status=202,
    )
    def post_repairs(reconciliation_id: str, body: RepairApproval) -> tuple[RepairListView, int]:
        approved = use.approve(reconciliation_id, body, api.user_call())
        return RepairListView(differences=[DifferenceView.of(each) for each in approved]), 202

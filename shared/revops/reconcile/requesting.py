"""Starting a run, by a person or the night; approving repairs; reading what was found (ORD-4, ORD-7).

Finance and Admins start and approve; who may read billing reads the differences of their own accounts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from revops.access import Policy, Reach, Resource
from revops.kernel import CallContext, Clock, FieldIssue, IdFactory, Invalid, NotFound, VersionConflict, time_text
from revops.orders.store import ORDERS
from revops.reconcile.model import (
    ActionKind,
    Difference,
    DifferenceState,
    Reconciliation,
    RunStatus,
)
from revops.reconcile.policies.rules import ReconcileRules
from revops.reconcile.ports import Owners
from revops.reconcile.store import (
    DIFFERENCES,
    RECONCILIATIONS,
    difference_partitions,
    runs_of,
    stable_id,
)
from revops.settings import SettingsReader
from revops.table import ConditionFailed, CursorSigner, Table, begin, merge_pages, present

_LATEST = 25


class RepairApproval(BaseModel):
    """Which differences are to be repaired. `version` is that of the reconciliation that was read."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"version": 2, "differences": ["DIF_2K7QF0X9M4T8"]}]},
    )

    version: Annotated[int, Field(ge=1, description="The reconciliation's version that was read")]
    differences: Annotated[
        tuple[Annotated[str, Field(max_length=80)], ...],
        Field(min_length=1, max_length=90, description="Ids of differences with an action"),
    ]


@dataclass(frozen=True, slots=True)
class Report:
    """A run with a page of its differences, the worst first. `totals_shown` is False for who reads only some of them.
    `next_cursor` is empty at the end."""

    run: Reconciliation
    differences: list[Difference]
    totals_shown: bool
    next_cursor: str


class StartReconciliation:
    """Begins a run: over everything, or over one order."""

    def __init__(self, table: Table, clock: Clock, ids: IdFactory, policy: Policy, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._settings = settings

    def __call__(self, order_id: str, call: CallContext) -> Reconciliation:
        """Raises NotFound, Forbidden."""
        require_finance(self._policy, call)
        if order_id:
            ORDERS.require(self._table, order_id)
        return self._begin(self._ids.new("REC"), order_id, call)

    def nightly(self, call: CallContext) -> int:
        """Begins the run of the day once its hour has come; how many were begun."""
        rules, now = self._settings.read(ReconcileRules), self._clock.now().astimezone(UTC)
        identifier = stable_id("REC", f"night {now:%Y-%m-%d}")
        if not rules.nightly or now.hour < rules.nightly_hour:
            return 0
        if RECONCILIATIONS.get(self._table, identifier) is not None:
            return 0
        try:
            self._begin(identifier, "", call)
        except ConditionFailed:
            return 0  # another run of the schedule was quicker
        return 1

    def _begin(self, identifier: str, order_id: str, call: CallContext) -> Reconciliation:
        now = self._clock.now()
        run = Reconciliation(
            id=identifier, created_at=now, modified_at=now, requested_by=call.principal.id, order_id=order_id
        )
        transaction = begin(call, now)
        RECONCILIATIONS.create(transaction, run)
        self._table.commit(transaction)
        return run


class ReadReconciliations:
    """Runs and differences as a principal may see them."""

    def __init__(
        self, table: Table, clock: Clock, policy: Policy, owners: Owners, cursors: Callable[[], CursorSigner]
    ) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._owners = owners
        self._cursors = cursors

    def latest(self, call: CallContext) -> list[Reconciliation]:
        """The runs of this month and the one before, newest first, at most 25. Raises Forbidden."""
        self._policy.require_any(call.principal, Resource.BILLING)
        now, found = self._clock.now(), list[Reconciliation]()
        for month in (now, now.replace(day=1) - timedelta(days=1)):
            found += RECONCILIATIONS.load_all(self._table.query(runs_of(time_text(month)[:7])).rows)
        return found[:_LATEST]

    def sees_everything(self, call: CallContext) -> bool:
        """Whether the sums over everybody's accounts may be shown."""
        return self._policy.readable_owners(call.principal, Resource.BILLING) is None

    def report(self, identifier: str, limit: int, cursor: str, call: CallContext) -> Report:
        """Raises NotFound, also for who may not read billing at all, and Invalid for another list's cursor."""
        if self._policy.grant(call.principal, Resource.BILLING).read is Reach.NONE:
            raise NotFound(RECONCILIATIONS.title, identifier)
        run = RECONCILIATIONS.require(self._table, identifier)
        owners = self._policy.readable_owners(call.principal, Resource.BILLING)
        binding = {"who": call.principal.id, "list": f"differences/{run.id}"}
        positions = self._cursors().open(cursor, binding) if cursor else {}
        partitions = difference_partitions(run.id, owners)
        rows, after = merge_pages(self._table, partitions, positions, limit) if partitions else ([], {})
        held = DIFFERENCES.load_all(present(self._table.get_many([row.key for row in rows])))
        shown = held if owners is None else self._still_readable(held, call)
        return Report(run, shown, owners is None, self._cursors().sign(after, binding) if after else "")

    def _still_readable(self, held: list[Difference], call: CallContext) -> list[Difference]:
        """Differences follow their account's owner as it is now (SAFE-1)."""
        owners = self._owners.owners_of({each.account_id for each in held})
        reads = self._policy.reads
        return [each for each in held if reads(call.principal, Resource.BILLING, owners.get(each.account_id, ""))]


class ApproveRepairs:
    """Finance says which differences are to be repaired; a worker repairs them. Nothing is repaired without."""

    def __init__(self, table: Table, clock: Clock, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy

    def __call__(self, identifier: str, approval: RepairApproval, call: CallContext) -> list[Difference]:
        """All of them or none. One that is approved already stays so. Raises NotFound, Forbidden, Invalid for one that
        has no action or is settled, VersionConflict when the run is another one by now."""
        require_finance(self._policy, call)
        run = RECONCILIATIONS.require(self._table, identifier)
        if run.status is not RunStatus.DONE:
            raise Invalid.field("version", "ORD-7 finished", f"the reconciliation is {run.status}", "a finished one")
        if run.version != approval.version:
            raise VersionConflict(f"the reconciliation {run.id} is another one by now", run.version)
        chosen = self._chosen(run, approval)
        now = self._clock.now()
        approved = [
            each.revised(now, state=DifferenceState.APPROVED, approved_by=call.principal.id, approved_at=now)
            if each.state is DifferenceState.OPEN
            else each
            for each in chosen
        ]
        transaction = begin(call, now)
        changed = [after for before, after in zip(chosen, approved, strict=True) if after is not before]
        for after in changed:
            DIFFERENCES.update(transaction, after)
        if changed:
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise VersionConflict("somebody approved one of these meanwhile; read them again", None) from error
        return approved

    def _chosen(self, run: Reconciliation, approval: RepairApproval) -> list[Difference]:
        names = list(dict.fromkeys(approval.differences))
        rows = self._table.get_many([DIFFERENCES.key(name) for name in names])
        found = {each.id: each for each in DIFFERENCES.load_all(present(rows))}
        issues = []
        for name in names:
            held = found.get(name)
            if held is None or held.reconciliation_id != run.id:
                issues.append(FieldIssue("differences", "known", f"{name} is none of this reconciliation"))
            elif held.finding.action.kind is ActionKind.NONE:
                issues.append(
                    FieldIssue("differences", "ORD-7 repairable", f"{name} has no action; a person has to look")
                )
            elif held.state not in (DifferenceState.OPEN, DifferenceState.APPROVED):
                issues.append(FieldIssue("differences", "ORD-7 open", f"{name} is {held.state}"))
        if issues:
            raise Invalid("; ".join(issue.message for issue in issues), issues)
        return [found[name] for name in names]


def require_finance(policy: Policy, call: CallContext) -> None:
    """Raises NotFound for who may not read everybody's billing, Forbidden for who may not change it."""
    policy.require_any(call.principal, Resource.BILLING)
    policy.require_any(call.principal, Resource.BILLING, write=True)
    if policy.grant(call.principal, Resource.BILLING).write is not Reach.ALL:
        raise NotFound("this route")

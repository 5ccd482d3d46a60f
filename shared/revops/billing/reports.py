"""Reports over a period (STR-7): failed payments, cancellations, and how each asset of a customer does.

They are read from the activity log, which holds what happened once whatever its events were called, so a report is
right however often Stripe repeated itself. A report reads every entry of its period: the period is bounded by a
quarter, and by `MAX_ENTRIES`, past which it is refused rather than cut short.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from revops.access import Policy, Resource
from revops.billing.lists import owners_in
from revops.billing.model import ActivityLogEntry, ActivityType, AssetLink
from revops.billing.rights import CustomerRights
from revops.billing.store import ACTIVITY_LOG, asset_activity, asset_links, place_in_list, reported_partitions
from revops.kernel import CallContext, Clock, Invalid, time_text
from revops.table import CursorSigner, Query, Row, Table, merge_pages, present, query_all

MAX_DAYS = 92
MAX_ENTRIES = 5_000
_NONE = "unknown"
_FIRST, _LAST = date(2000, 1, 1), date(2200, 1, 1)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in UTC, both included."""

    start: date
    end: date

    @property
    def bounds(self) -> tuple[str, str]:
        """As sort keys of entries: from the first moment of the first day to the last of the last."""
        low = datetime.combine(self.start, time(), UTC)
        high = datetime.combine(self.end + timedelta(days=1), time(), UTC)
        return time_text(low), time_text(high)


@dataclass(frozen=True, slots=True)
class Line:
    """How many, and what they come to: minor units by currency."""

    count: int
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period. `customers` is how many are concerned."""

    period: Period
    total: Line
    customers: int
    by_reason: Mapping[str, Line] = field(default_factory=dict)
    by_plan: Mapping[str, Line] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A page of what a report counts, newest first. `next_cursor` is empty at the end."""

    entries: list[ActivityLogEntry]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """A question for a report: what happened, whose (mine, team, all), when."""

    kind: ActivityType
    scope: str
    start: date | None = None
    end: date | None = None
    limit: int = 25
    cursor: str = ""


def _period(start: date | None, end: date | None, today: date, longest: int) -> Period:
    """The days from `start`, or thirty, to `end`, or today. Raises Invalid for none, for too many, and for days that
    nothing can have happened on."""
    last = end or today
    if not _FIRST <= last <= _LAST or not _FIRST <= (start or last) <= _LAST:
        raise Invalid.field("end", "STR-7 period", "not a day of ours", f"a day from {_FIRST} to {_LAST}")
    first = start or last - timedelta(days=29)
    if not timedelta() <= last - first < timedelta(days=longest):
        raise Invalid.field("start", "STR-7 period", "empty or too long", f"start ≤ end, at most {longest} days")
    return Period(first, last)


class ReadReports:
    """Failures and cancellations as a principal may see them."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, cursors: Callable[[], CursorSigner]) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._cursors = cursors

    def figures(self, query: ReportQuery, call: CallContext) -> Report:
        """Raises Forbidden when the scope reaches further than the caller, Invalid for a period that is empty, too long
        or holds too much."""
        period = self._period(query)
        owners = owners_in(self._policy, query.scope, call)
        entries = _counted_once(self._read(reported_partitions(query.kind, owners, *period.bounds), call))
        return Report(
            period=period,
            total=_line(entries),
            customers=len({entry.customer_id for entry in entries}),
            by_reason=_grouped(entries, reason_of),
            by_plan=_grouped(entries, lambda entry: entry.metadata.plan_name or entry.metadata.plan_id or _NONE),
        )

    def detail(self, query: ReportQuery, call: CallContext) -> ReportPage:
        """A page of the entries behind the figures. Raises as `figures` does."""
        period = self._period(query)
        owners = owners_in(self._policy, query.scope, call)
        said = f"report/{query.kind}/{query.scope}/{period.start}/{period.end}"
        binding = {"who": call.principal.id, "list": said}
        positions = self._cursors().open(query.cursor, binding) if query.cursor else {}

        def rank(row: Row) -> str:
            return place_in_list(row, owners)

        partitions = reported_partitions(query.kind, owners, *period.bounds)
        rows, after = merge_pages(self._table, partitions, positions, query.limit, rank)
        found = ACTIVITY_LOG.load_all(present(self._table.get_many([row.key for row in rows], consistent=False)))
        return ReportPage(self._seen(found, call), self._cursors().sign(after, binding) if after else "")

    def _read(self, partitions: Mapping[str, Query], call: CallContext) -> list[ActivityLogEntry]:
        entries: list[ActivityLogEntry] = []
        for query in partitions.values():
            for row in query_all(self._table, query):
                entries.append(ACTIVITY_LOG.load(row))
                if len(entries) > MAX_ENTRIES:
                    raise Invalid.field(
                        "end", "STR-7 size", f"the period holds more than {MAX_ENTRIES} entries", "a shorter period"
                    )
        return self._seen(entries, call)

    def _seen(self, entries: Iterable[ActivityLogEntry], call: CallContext) -> list[ActivityLogEntry]:
        """The index is only where to look: whose an entry is, it says itself."""
        reads = self._policy.reads
        return [entry for entry in entries if reads(call.principal, Resource.BILLING, entry.owner_id)]

    def _period(self, query: ReportQuery) -> Period:
        return _period(query.start, query.end, self._clock.now().date(), MAX_DAYS)


def _counted_once(entries: list[ActivityLogEntry]) -> list[ActivityLogEntry]:
    """A failed payment of an invoice is told by the payment, which says why, and by the invoice: it is counted by the
    payment. An invoice that failed without one counts by itself."""
    by_payment = {entry.metadata.invoice_id for entry in entries if entry.metadata.payment_intent_id is not None}
    return [
        entry
        for entry in entries
        if entry.metadata.event_type != "invoice.payment_failed" or entry.metadata.invoice_id not in by_payment
    ]


def reason_of(entry: ActivityLogEntry) -> str:
    """Why a payment failed or a subscription was cancelled, as Stripe says it in a code."""
    metadata = entry.metadata
    if entry.type is ActivityType.SUBSCRIPTION_CANCELLED:
        return metadata.cancellation_reason or _NONE
    return metadata.error_code or ("overdue" if metadata.event_type == "invoice.overdue" else _NONE)


def _line(entries: Sequence[ActivityLogEntry]) -> Line:
    amounts: Counter[str] = Counter()
    for entry in entries:
        if entry.metadata.amount is not None:
            amounts[entry.metadata.amount.currency] += entry.metadata.amount.minor
    return Line(len(entries), dict(sorted(amounts.items())))


def _grouped(entries: Sequence[ActivityLogEntry], name: Callable[[ActivityLogEntry], str]) -> dict[str, Line]:
    groups: dict[str, list[ActivityLogEntry]] = {}
    for entry in entries:
        groups.setdefault(name(entry), []).append(entry)
    return {key: _line(groups[key]) for key in sorted(groups, key=lambda each: (-len(groups[each]), each))}


# ── assets ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class AssetPerformance:
    """How an asset did in a period: what was paid for it, what failed, what came back, and when money last came."""

    link: AssetLink
    paid: Line
    failed: Line
    last_paid_at: datetime | None


class ReadAssets:
    """The assets of a customer and how they do. Payments name their asset in Stripe's metadata (`asset_id`)."""

    def __init__(self, table: Table, clock: Clock, rights: CustomerRights) -> None:
        self._table = table
        self._clock = clock
        self._rights = rights

    def __call__(
        self, identifier: str, start: date | None, end: date | None, call: CallContext
    ) -> tuple[Period, list[AssetPerformance]]:
        """Best first, by what was paid. Raises NotFound, and Invalid for an empty or too long period."""
        customer = self._rights.readable(identifier, call)
        period = _period(start, end, self._clock.now().date(), 4 * MAX_DAYS)
        found = [self._of(link, period) for link in asset_links(self._table, customer.id)]
        return period, sorted(found, key=lambda each: (-sum(each.paid.amounts.values()), each.link.asset_id))

    def _of(self, link: AssetLink, period: Period) -> AssetPerformance:
        entries = asset_activity(self._table, link.customer_id, link.asset_id, *period.bounds)
        paid = _once([entry for entry in entries if entry.type is ActivityType.PAYMENT_SUCCESS])
        failed = _counted_once([entry for entry in entries if entry.type is ActivityType.PAYMENT_FAILURE])
        last = max((entry.occurred_at for entry in paid), default=None)
        return AssetPerformance(link, _line(paid), _line(failed), last)


def _once(entries: list[ActivityLogEntry]) -> list[ActivityLogEntry]:
    """A payment of an invoice is told twice, by the intent and by the invoice; its money came once."""
    by_invoice = {entry.metadata.invoice_id for entry in entries if entry.metadata.payment_intent_id is None}
    return [
        entry
        for entry in entries
        if entry.metadata.payment_intent_id is None or entry.metadata.invoice_id not in by_invoice - {None}
    ]

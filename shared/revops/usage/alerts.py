"""Raising alerts for crossed thresholds, each once per account, cap, threshold and cycle (USE-4)."""

from collections.abc import Iterator

from revops.kernel import CallContext, Clock, IdFactory, Money, system_call
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Row, Table, begin, claim, claim_key
from revops.usage import store
from revops.usage.model import Alert, CapPlan, Line, Meter
from revops.usage.policies import ATOMS, Gauge, SpendCapRules, crossed, open_months
from revops.usage.ports import AlertNotes
from revops.usage.store import ALERTS, PLANS, active_counters, plan_id

CLAIM = "spend_cap_alert"
SPEND = "Spend"


class SweepSpendCaps:
    """Looks at every counter that usage may still move and raises the alerts nobody raised yet.

    Safe to run twice, at once or late: a claim in the alert's transaction makes each one happen once.
    """

    def __init__(
        self, table: Table, clock: Clock, ids: IdFactory, settings: SettingsReader, add_note: AlertNotes
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._add_note = add_note

    def __call__(self, period: str) -> dict[str, int]:
        """Counts of counter rows looked at and of alerts raised."""
        call = system_call("spend_cap_alerts", period)
        rules = self._settings.read(SpendCapRules)
        now = self._clock.now()
        counts = {"looked_at": 0, "raised": 0}
        for row in active_counters(self._table, open_months(now, rules), now):
            counts["looked_at"] += 1
            counts["raised"] += self._look(row, rules.thresholds_percent, call)
        return counts

    def _look(self, row: Row, thresholds: tuple[int, ...], call: CallContext) -> int:
        account_id = row.pk.removeprefix("USAGE#")
        reached = [(gauge, threshold) for gauge in gauges(row) for threshold in crossed(gauge, thresholds)]
        claims = [claim_key(CLAIM, _value(account_id, gauge, threshold)) for gauge, threshold in reached]
        held = self._table.get_many(claims) if claims else []
        missing = [pair for pair, claimed in zip(reached, held, strict=True) if claimed is None]
        if not missing:
            return 0
        plan = PLANS.require(self._table, plan_id(account_id))
        return sum(self._raise(account_id, gauge, threshold, plan, call) for gauge, threshold in missing)

    def _raise(self, account_id: str, gauge: Gauge, threshold: int, plan: CapPlan, call: CallContext) -> bool:
        now = self._clock.now()
        alert = Alert(
            id=self._ids.new("ALERT"),
            created_at=now,
            modified_at=now,
            account_id=account_id,
            cap=gauge.cap,
            threshold_percent=threshold,
            cycle=gauge.cycle,
            used=gauge.used // gauge.scale,
            limit=gauge.limit // gauge.scale,
        )
        value = _value(account_id, gauge, threshold)
        transaction = begin(call, now)
        claim(transaction, CLAIM, value, alert.id)
        ALERTS.create(transaction, alert)
        self._add_note(transaction, alert, alert_text(alert, plan.terms.currency))
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            if error.at(claim_key(CLAIM, value)) is None:
                raise
            return False  # another run raised it in this moment
        return True


def gauges(row: Row) -> Iterator[Gauge]:
    """How far the caps of a counter row are used. What is used and what is left of a cap always sum to the cap."""
    counters = row.counters
    if row.kind == store.SPEND:
        limit = counters["left"] + counters["spent"]
        if limit <= store.UNLIMITED_SPEND // 2:
            yield Gauge(SPEND, row.sk.removeprefix("SPEND#"), counters["spent"], limit, scale=ATOMS)
        return
    for line in Line:
        meters = list(Meter) if line is Line.POOLED else [Meter(line.value)]
        used = sum(counters[store.used(meter)] for meter in meters)
        stop = counters[store.room(line)] + used
        limit = counters[store.left(line)] + used if stop > store.UNLIMITED_UNITS // 2 else stop
        yield Gauge(line.value, row.sk.removeprefix("UNITS#"), used, limit)


def alert_text(alert: Alert, currency: str) -> str:
    """An alert in words, for the note."""
    if alert.cap == SPEND:
        used = str(Money(minor=alert.used, currency=currency))
        limit = str(Money(minor=alert.limit, currency=currency))
    else:
        used, limit = f"{alert.used:,}", f"{alert.limit:,} {'units' if alert.cap == Line.POOLED else alert.cap}"
    name = "Spend cap" if alert.cap == SPEND else f"Usage cap on {alert.cap}"
    return f"{name}: {alert.threshold_percent} % reached in {alert.cycle}. Used {used} of {limit}."


def _value(account_id: str, gauge: Gauge, threshold: int) -> str:
    return f"{account_id}|{gauge.cap}|{gauge.cycle}|{threshold}"

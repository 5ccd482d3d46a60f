"""An account with a plan, and everything around it that records usage and raises alerts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from revops.kernel import CapReached, system_call
from revops.settings import SettingsReader
from revops.table import Query, Table, Transaction, query_all
from revops.usage import (
    Alert,
    Allowance,
    CapTerms,
    Line,
    Meter,
    RecordUsage,
    SetCapPlan,
    SweepSpendCaps,
    UsageEvent,
    UsageReceipt,
)
from revops.usage.model import LedgerEntry
from revops.usage.store import ALERTS, load_entry, spend_key, units_key, used
from tests.builders.clock import ManualClock, seeded_ids

ACCOUNT = "ACC_7ZK3M0Q8W2XR5T9VB1N4C6D8EF"
CALL = system_call("usage_test", causation_id="req-1")
MONTH = "2026-11"


def api_calls(included: int, price: str | None = None, limit: int | None = None) -> Allowance:
    """A line for API calls."""
    return line(Line.API_CALLS, included, price, limit)


def line(which: Line, included: int, price: str | None = None, limit: int | None = None) -> Allowance:
    return Allowance.model_validate({"line": which, "included": included, "overage_price": price, "unit_limit": limit})


def terms(*allowances: Allowance, spend_cap: int | None = None, **more: Any) -> CapTerms:
    """Terms of the account, in EUR; `spend_cap` in cents."""
    return CapTerms.model_validate(
        {"account_id": ACCOUNT, "currency": "EUR", "allowances": allowances, "spend_cap": spend_cap} | more
    )


def alerts_of(table: Table, account_id: str, limit: int = 50) -> list[Alert]:
    """The latest alerts of an account, newest first."""
    query = Query(pk=f"ALERTS#{account_id}", index="gsi1", descending=True, limit=limit)
    return ALERTS.load_all(table.query(query).rows)


def ledger_of(table: Table, account_id: str, month: str) -> Iterator[LedgerEntry]:
    """The accepted usage of a month, oldest first."""
    return map(load_entry, query_all(table, Query(pk=f"USAGE#{account_id}#{month}", index="gsi1", limit=100)))


@dataclass
class UsageDesk:
    """The use cases over one table; `notes` are what was put on timelines."""

    table: Table
    clock: ManualClock = field(default_factory=ManualClock)
    seed: int = 1
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = SettingsReader(self.table)
        self.record = RecordUsage(self.table, self.clock, self.settings)
        self.set_plan = SetCapPlan(self.table, self.clock)
        self.sweep = SweepSpendCaps(self.table, self.clock, seeded_ids(self.seed), self.settings, self._add_note)
        self._sent = 0

    def _add_note(self, transaction: Transaction, alert: Alert, text: str) -> None:
        del transaction
        self.notes.append(f"{alert.account_id}: {text}")

    def plan(self, *allowances: Allowance, spend_cap: int | None = None, **more: Any) -> None:
        self.set_plan(terms(*allowances, spend_cap=spend_cap, **more), CALL)

    def use(
        self,
        quantity: int,
        meter: Meter = Meter.API_CALLS,
        *,
        event_id: str = "",
        at: datetime | None = None,
    ) -> UsageReceipt:
        self._sent += 1
        event = UsageEvent(
            id=event_id or f"evt-{self._sent}", account_id=ACCOUNT, meter=meter, quantity=quantity, occurred_at=at
        )
        return self.record(event, CALL)

    def refused(self, quantity: int, meter: Meter = Meter.API_CALLS, **more: Any) -> CapReached:
        """The refusal of an event that must be refused."""
        try:
            self.use(quantity, meter, **more)
        except CapReached as error:
            return error
        raise AssertionError("the event was accepted")

    def units(self, meter: Meter = Meter.API_CALLS, month: str = MONTH) -> int:
        row = self.table.get(units_key(ACCOUNT, month))
        return row.counters[used(meter)] if row else 0

    def spent(self, cycle: str = MONTH) -> int:
        """What was spent, in atoms."""
        row = self.table.get(spend_key(ACCOUNT, cycle))
        return row.counters["spent"] if row else 0

    def ledger(self, month: str = MONTH) -> tuple[int, int, int]:
        """Entries, units and cost of the ledger."""
        entries = list(ledger_of(self.table, ACCOUNT, month))
        return len(entries), sum(one.quantity for one in entries), sum(one.charge.cost for one in entries)

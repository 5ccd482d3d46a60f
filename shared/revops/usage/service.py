"""Recording usage within its caps (USE-1, USE-2, USE-3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from revops.kernel import CallContext, CapReached, Clock, Conflict, Invalid, Money, NotFound, Refused
from revops.settings import SettingsReader
from revops.table import ABSENT, ConditionFailed, Contention, Failure, Key, Row, Table, Transaction, begin
from revops.usage import store
from revops.usage.model import (
    Allowance,
    CapPlan,
    CapTerms,
    Charge,
    LedgerEntry,
    Meter,
    Remaining,
    UsageEvent,
    UsageReceipt,
)
from revops.usage.plans import PlanTerms
from revops.usage.policies import ATOMS, SpendCapRules, charge, major_units, month_of, refuse_untimely, spend_cycle
from revops.usage.store import PLANS

_ATTEMPTS = 8
_MONTHS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """What is believed of an account's month. Every commit checks all of it, so a wrong belief costs one more try.

    `left` is what remains of the included units: None for "enough". `opening` is the plan in force, read when a
    counter row has to be made.
    """

    version: int
    terms: CapTerms
    left: int | None = None
    units_open: bool = True
    spend_open: bool = True
    opening: CapPlan | None = None


class RecordUsage:
    """Counts one event, or refuses it, in one transaction and without reading first.

    The ledger row says each id once; the units and spend rows move by conditions, so that no concurrency passes a
    cap: the published overshoot bound is zero. An event is counted whole or refused whole.

    Ordinarily one transaction is sent. A second one is needed where an account's month begins, at the boundary
    between included and overage units, and after a change of plan; only writers racing each other across the
    boundary need more.
    """

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader, terms: PlanTerms | None = None) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings
        self._terms = terms or PlanTerms(table)
        self._months: dict[tuple[str, str], _Known] = {}

    def __call__(self, event: UsageEvent, call: CallContext) -> UsageReceipt:
        """The receipt of the event, or of its first appearance.

        Raises CapReached with the numbers, Invalid for an untimely event, NotFound for an account without a plan,
        Refused for a meter the plan does not have, Conflict for an id that named another event.
        """
        try:
            return self._record(event, call)
        except (Invalid, NotFound, Refused):
            first = self._table.get(store.ledger_key(event.id))
            if first is None:
                raise
            return self._repeat(event, first)  # what was acceptable once stays accepted

    def _record(self, event: UsageEvent, call: CallContext) -> UsageReceipt:
        now = self._clock.now()
        occurred_at = event.occurred_at or now
        refuse_untimely(occurred_at, now, self._settings.read(SpendCapRules))
        month = month_of(occurred_at)
        known = self._months.get((event.account_id, month))
        if known is None or known.terms.allowance(event.meter) is None:
            known = self._first_belief(event, month)
        for _ in range(_ATTEMPTS):
            try:
                entry = self._commit(event, occurred_at, now, month, known, call)
            except ConditionFailed as error:
                first_failure = error.at(store.ledger_key(event.id))
                if first_failure is not None and first_failure.current is not None:
                    return self._repeat(event, first_failure.current)
                known = self._corrected(event, month, known, error)
                continue
            self._remember(event.account_id, month, known, entry.charge)
            return self._receipt(entry, duplicate=False)
        raise Contention("many events of this account meet in one moment; send it again")

    def _first_belief(self, event: UsageEvent, month: str) -> _Known:
        plan = self._terms.current(event.account_id)
        if plan.terms.allowance(event.meter) is None:  # a month before it was dropped counts by the terms it had
            row = self._table.get(store.units_key(event.account_id, month))
            if row is not None:
                version = row.counters["plan"]
                return _Known(version, self._terms.of(event.account_id, version))
        return _Known(plan.version, plan.terms)

    def _remember(self, account_id: str, month: str, known: _Known, charged: Charge) -> None:
        if len(self._months) >= _MONTHS_KEPT:
            self._months.clear()
        left = 0 if charged.overage_units else None
        self._months[account_id, month] = _Known(known.version, known.terms, left)

    def _commit(
        self, event: UsageEvent, occurred_at: datetime, now: datetime, month: str, known: _Known, call: CallContext
    ) -> LedgerEntry:
        allowance = _allowance(known.terms, event.meter)
        currency = known.terms.currency
        charged = charge(allowance, currency, event.quantity, event.quantity if known.left is None else known.left)
        entry = LedgerEntry(
            event_id=event.id,
            account_id=event.account_id,
            meter=event.meter,
            quantity=event.quantity,
            occurred_at=occurred_at,
            accepted_at=now,
            month=month,
            plan_version=known.version,
            charge=charged,
            currency=currency,
        )
        transaction = begin(call, now)
        transaction.put(store.ledger_row(entry), ABSENT)
        self._move_units(transaction, event, month, known, allowance, charged)
        if charged.cost:
            self._move_spend(transaction, event, occurred_at, known, charged)
        if known.opening is not None:
            transaction.check(PLANS.key(known.opening.id), known.opening.version)
        self._table.commit(transaction)
        return entry

    def _move_units(
        self,
        transaction: Transaction,
        event: UsageEvent,
        month: str,
        known: _Known,
        allowance: Allowance,
        charged: Charge,
    ) -> None:
        line = allowance.line
        moves = store.usage_moves(event.meter, event.quantity)
        if not known.units_open:
            row = store.opened_units(known.terms, known.version, month)
            _refuse_units(event, month, row.counters, allowance)
            for name, amount in moves.items():
                row.counters[name] += amount
            transaction.put(row, ABSENT)
            return
        floors = {"plan": known.version, "unplan": -known.version, store.room(line): event.quantity}
        if not charged.overage_units:
            floors[store.left(line)] = event.quantity
        elif not charged.included_units:
            floors[store.over(line)] = 0
        else:
            floors |= {store.left(line): charged.included_units, store.over(line): -charged.included_units}
        transaction.move(store.units_key(event.account_id, month), store.UNITS, moves, floors)

    def _move_spend(
        self, transaction: Transaction, event: UsageEvent, occurred_at: datetime, known: _Known, charged: Charge
    ) -> None:
        moves = {"left": -charged.cost, "spent": charged.cost}
        if known.spend_open or known.opening is None:
            key = store.spend_key(event.account_id, spend_cycle(known.terms, occurred_at))
            transaction.move(key, store.SPEND, moves, {"left": charged.cost})
            return
        row = store.opened_spend(known.opening.terms, spend_cycle(known.opening.terms, occurred_at))
        _refuse_spend(event, row, charged, known.terms.currency)
        for name, amount in moves.items():
            row.counters[name] += amount
        transaction.put(row, ABSENT)

    def _corrected(self, event: UsageEvent, month: str, known: _Known, error: ConditionFailed) -> _Known:
        """What the rows that stood in the way say. Raises CapReached when they leave no room."""
        units = error.at(store.units_key(event.account_id, month))
        spend = _at_spend(error)
        if units is not None and units.current is not None:
            counters = units.current.counters
            version = counters["plan"]
            terms = self._terms.of(event.account_id, version)
            allowance = _allowance(terms, event.meter)
            _refuse_units(event, month, counters, allowance)
            left = counters[store.left(allowance.line)]
            known = replace(known, version=version, terms=terms, left=left, units_open=True)
        if spend is not None and spend.current is not None:
            allowance = _allowance(known.terms, event.meter)
            left = event.quantity if known.left is None else known.left
            charged = charge(allowance, known.terms.currency, event.quantity, left)
            _refuse_spend(event, spend.current, charged, known.terms.currency)
            known = replace(known, spend_open=True)
        unit_row_missing = not known.units_open or (units is not None and units.current is None)
        spend_row_missing = not known.spend_open or (spend is not None and spend.current is None)
        if not unit_row_missing and not spend_row_missing:
            return replace(known, opening=None)
        plan = self._terms.current(event.account_id)
        known = replace(known, opening=plan, spend_open=not spend_row_missing)
        if unit_row_missing:
            included = _allowance(plan.terms, event.meter).included
            known = replace(known, version=plan.version, terms=plan.terms, left=included, units_open=False)
        return known

    def _repeat(self, event: UsageEvent, row: Row) -> UsageReceipt:
        entry = store.load_entry(row)
        same = (entry.account_id, entry.meter, entry.quantity) == (event.account_id, event.meter, event.quantity)
        if not same or event.occurred_at not in (None, entry.occurred_at):
            raise Conflict(f"the id {event.id[:60]!r} names another usage event already")
        return self._receipt(entry, duplicate=True)

    def _receipt(self, entry: LedgerEntry, *, duplicate: bool) -> UsageReceipt:
        return UsageReceipt(
            event_id=entry.event_id,
            account_id=entry.account_id,
            meter=entry.meter,
            quantity=entry.quantity,
            cycle=entry.month,
            included_units=entry.charge.included_units,
            overage_units=entry.charge.overage_units,
            overage_cost=major_units(entry.charge.cost, entry.currency),
            currency=entry.currency,
            duplicate=duplicate,
            remaining=self._remaining(entry),
        )

    def _remaining(self, entry: LedgerEntry) -> Remaining:
        terms = self._terms.of(entry.account_id, entry.plan_version)
        keys = [
            store.units_key(entry.account_id, entry.month),
            store.spend_key(entry.account_id, spend_cycle(terms, entry.occurred_at)),
        ]
        units, spend = self._table.get_many(keys)
        if units is not None:
            terms = self._terms.of(entry.account_id, units.counters["plan"])
        allowance = terms.allowance(entry.meter)
        counters = units.counters if units else {}
        money = spend.counters["left"] if spend else store.spend_limit(terms)
        return Remaining(
            included=max(0, counters.get(store.left(allowance.line), 0)) if allowance else 0,
            units=_limited(counters.get(store.room(allowance.line), 0), store.UNLIMITED_UNITS) if allowance else None,
            spend=None
            if money > store.UNLIMITED_SPEND // 2
            else Money(minor=max(0, money) // ATOMS, currency=terms.currency),
        )


def _allowance(terms: CapTerms, meter: Meter) -> Allowance:
    allowance = terms.allowance(meter)
    if allowance is None:
        lines = ", ".join(one.line.value for one in terms.allowances)
        raise Refused(f"the plan of this account does not have {meter.value}; it has {lines or 'no usage lines'}")
    return allowance


def _at_spend(error: ConditionFailed) -> Failure | None:
    return next((one for one in error.failures if _is_spend(one.key)), None)


def _is_spend(key: Key) -> bool:
    return key.pk.startswith("USAGE#") and key.sk.startswith("SPEND#")


def _limited(value: int, unlimited: int) -> int | None:
    return None if value > unlimited // 2 else max(0, value)


def _refuse_units(event: UsageEvent, month: str, counters: Mapping[str, int], allowance: Allowance) -> None:
    remaining = counters[store.room(allowance.line)]
    stop = allowance.stops_at
    if stop is None or event.quantity <= remaining:
        return
    raise CapReached(
        f"the usage cap on {allowance.line.value} leaves {max(0, remaining)} of {stop} units in {month}; "
        f"{event.quantity} were asked for",
        {
            "cap": allowance.line.value,
            "cycle": month,
            "unit": "units",
            "limit": stop,
            "used": stop - remaining,
            "remaining": max(0, remaining),
            "requested": event.quantity,
        },
    )


def _refuse_spend(event: UsageEvent, row: Row, charged: Charge, currency: str) -> None:
    remaining, spent = row.counters["left"], row.counters["spent"]
    if charged.cost <= max(0, remaining):  # a cap that was lowered below what is spent still lets pass what is free
        return
    cycle = row.sk.removeprefix("SPEND#")
    numbers = {"limit": remaining + spent, "used": spent, "remaining": max(0, remaining), "requested": charged.cost}
    shown = {name: str(major_units(atoms, currency)) for name, atoms in numbers.items()}
    raise CapReached(
        f"the spend cap leaves {shown['remaining']} of {shown['limit']} {currency} in {cycle}; "
        f"{event.quantity} {event.meter.value} would cost {shown['requested']}",
        {"cap": "Spend", "cycle": cycle, "unit": currency, **shown},
    )

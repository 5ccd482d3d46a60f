"""What limits an account's usage: setting it, and the terms of every version of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.kernel import CallContext, Clock, NotFound, Refused, VersionConflict
from revops.table import ABSENT, ConditionFailed, Contention, Table, Transaction, begin
from revops.usage import store
from revops.usage.model import CapPlan, CapShare, CapTerms, SpendPeriod
from revops.usage.policies import month_of, spend_cycle
from revops.usage.store import PLANS, plan_id

_ATTEMPTS = 8
_TERMS_KEPT = 10_000
_AHEAD = timedelta(minutes=5)
"""Usage may be dated this far ahead, so the next month may have been opened already."""


class PlanTerms:
    """The terms of every version of every plan. A version never changes, so it is read once and kept."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: dict[tuple[str, int], CapTerms] = {}

    def current(self, account_id: str) -> CapPlan:
        """The plan in force, strongly consistent. Raises NotFound."""
        plan = PLANS.get(self._table, plan_id(account_id))
        if plan is None:
            raise NotFound("usage plan of account", account_id)
        self._keep(account_id, plan.version, plan.terms)
        return plan

    def of(self, account_id: str, version: int) -> CapTerms:
        """The terms of a version that some counter row was opened or changed under."""
        kept = self._kept.get((account_id, version))
        if kept is None:
            row = self._table.get(store.terms_key(account_id, version))
            if row is None:
                raise NotFound("terms of the usage plan of account", account_id)
            kept = self._keep(account_id, version, store.load_terms(row))
        return kept

    def _keep(self, account_id: str, version: int, terms: CapTerms) -> CapTerms:
        if len(self._kept) >= _TERMS_KEPT:
            self._kept.clear()
        return self._kept.setdefault((account_id, version), terms)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How a plan is to stand. `over`: the contract whose terms stood agrees on none any more."""

    terms: CapTerms
    agreed_at: datetime | None
    shares: tuple[CapShare, ...]
    over: bool = False


class SetCapPlan:
    """Sets what limits an account's usage, at once: what was used in the running cycle stays used."""

    def __init__(self, table: Table, clock: Clock, terms: PlanTerms | None = None) -> None:
        self._table = table
        self._clock = clock
        self._terms = terms or PlanTerms(table)

    def __call__(self, wanted: CapTerms, call: CallContext, agreed_at: datetime | None = None) -> CapPlan:
        """The plan as wanted; nothing is written when that is how it stands, or when what stands was agreed later
        than `agreed_at` (an event told again must not bring an older order's caps back).

        Raises VersionConflict, and Refused for another currency or spend period while a spend cycle is running.
        """

        def decide(before: CapPlan | None) -> _Wanted | None:
            if before is not None and (before.terms == wanted or _newer(before, agreed_at)):
                return None
            return _Wanted(wanted, agreed_at, before.shares if before else ())

        plan = self._settle(wanted.account_id, decide, call)
        if plan is None:
            raise NotFound("usage plan of account", wanted.account_id)
        return plan

    def share(self, account_id: str, share: CapShare, call: CallContext) -> CapPlan | None:
        """The plan with what a contract agrees on; None while no order of the account ever agreed on usage. Nothing is
        written when that is how it stands, or when the contract agreed on something else later. Raises as above."""
        return self._settle(account_id, lambda before: _with(before, share), call)

    def _settle(
        self, account_id: str, decide: Callable[[CapPlan | None], _Wanted | None], call: CallContext
    ) -> CapPlan | None:
        for _ in range(_ATTEMPTS):
            before = PLANS.get(self._table, plan_id(account_id))
            wanted = decide(before)
            if wanted is None:
                return before
            after, transaction = self._change(before, wanted, call)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                failure = error.at(PLANS.key(after.id))
                if failure is not None:
                    version = failure.current.version if failure.current else None
                    raise VersionConflict("the usage plan was changed by someone else", version) from error
                continue  # a cycle was opened in between
            return after
        raise Contention("usage of this account arrives too fast to change its plan; try again shortly")

    def _change(self, before: CapPlan | None, wanted: _Wanted, call: CallContext) -> tuple[CapPlan, Transaction]:
        now = self._clock.now()
        transaction = begin(call, now)
        agreed = {"terms": wanted.terms, "agreed_at": wanted.agreed_at, "shares": wanted.shares}
        if before is None:
            identifier = plan_id(wanted.terms.account_id)
            plan = CapPlan.model_validate({"id": identifier, "created_at": now, "modified_at": now, **agreed})
            PLANS.create(transaction, plan)
        else:
            plan = before.revised(now, **agreed)
            PLANS.update(transaction, plan)
            self._adjust_units(transaction, plan, now)
            runs_on = bool(before.terms.allowances) and not wanted.over
            self._adjust_spend(transaction, before.terms, plan.terms, now, runs_on=runs_on)
        transaction.put(store.terms_row(wanted.terms, plan.version), ABSENT)
        return plan, transaction

    def _adjust_units(self, transaction: Transaction, after: CapPlan, now: datetime) -> None:
        """Moves the running counters by the difference of the terms; rows that do not stand yet must stay away."""
        account_id = after.terms.account_id
        months = [store.units_key(account_id, month) for month in dict.fromkeys(map(month_of, (now, now + _AHEAD)))]
        for key, row in zip(months, self._table.get_many(months), strict=True):
            if row is None:
                transaction.check(key, ABSENT)
                continue
            version = row.counters["plan"]
            moves = store.terms_moves(self._terms.of(account_id, version), after.terms)
            moves |= {"plan": after.version - version, "unplan": version - after.version}
            transaction.move(key, store.UNITS, moves, {"plan": version, "unplan": -version})

    def _adjust_spend(
        self, transaction: Transaction, before: CapTerms, after: CapTerms, now: datetime, *, runs_on: bool
    ) -> None:
        """Brings what the cycles that count from now on leave to the cap of the terms; one may stand since before
        another contract's. Unless the terms before are those of a contract that `runs_on`, its cycle is left behind."""
        moments = (now, now + _AHEAD)
        running = {spend_cycle(before, moment) for moment in moments} if runs_on else set()
        cycles = sorted(running | {spend_cycle(after, moment) for moment in moments})
        keys = [store.spend_key(after.account_id, cycle) for cycle in cycles]
        for cycle, key, row in zip(cycles, keys, self._table.get_many(keys), strict=True):
            if row is None:
                transaction.check(key, ABSENT)
                continue
            moved = cycle in running and _spend_frame(before) != _spend_frame(after)
            if moved or before.currency != after.currency:
                raise Refused("currency and spend period stay as they are while a spend cycle with overage is running")
            limit = row.counters["left"] + row.counters["spent"]  # whatever is used meanwhile
            transaction.move(key, store.SPEND, {"left": store.spend_limit(after) - limit})


def _with(before: CapPlan | None, share: CapShare) -> _Wanted | None:
    """The plan with a contract's share, or None where it stays as it is. A contract that dropped its lines keeps a
    share without terms, so that an older word of it brings none back."""
    if before is None:
        return _Wanted(share.terms, share.agreed_at, (share,)) if share.terms else None
    held = {one.order_id: one for one in before.shares}
    own = held.get(share.order_id)
    if own == share or (own is None and share.terms is None):
        return None
    if own.agreed_at > share.agreed_at if own else not held and _newer(before, share.agreed_at):
        return None
    shares = tuple({**held, share.order_id: share}.values())
    latest = max((one for one in shares if one.terms), key=lambda one: one.agreed_at, default=share)
    none = before.terms.model_copy(update={"allowances": ()})
    over = share.terms is None and own is not None and own.terms == before.terms
    return _Wanted(latest.terms or none, latest.agreed_at, shares, over)


def _newer(plan: CapPlan, agreed_at: datetime | None) -> bool:
    return plan.agreed_at is not None and agreed_at is not None and plan.agreed_at > agreed_at


def _spend_frame(terms: CapTerms) -> tuple[object, ...]:
    begins = terms.starts_on if terms.spend_period is SpendPeriod.ANNUAL else None  # a month is a month
    return terms.currency, terms.spend_period, begins

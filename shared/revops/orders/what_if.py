"""What an agreement would cost, before anybody signs it: against what the customer really used, and beside the
provider's own preview, with every difference explained (ORD-6). Nothing is written anywhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Protocol

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, DomainError, Invalid, Money, Refused, add_months
from revops.orders.changing import proration_date, root_of
from revops.orders.model import Meter, OrderForm, OrderTerms
from revops.orders.policies.calendar import day_of, opening
from revops.orders.policies.pricing import PlanCatalogue, seat_price
from revops.orders.policies.proration import (
    Period,
    Priced,
    Proration,
    ProrationLine,
    explain,
    half_up,
    prorate,
)
from revops.orders.policies.trial import (
    AtOnce,
    ComparedLine,
    Tried,
    WhatIf,
    WhatIfAnswer,
    cost_of,
    months_used,
    priced,
    tried_of,
    unit_of,
)
from revops.orders.policies.usage_costs import Units, not_covered
from revops.orders.ports import CrmRecords, ProvisioningGateway
from revops.orders.provisioning.ports import LiveSubscription, Preview
from revops.orders.store import ORDERS, TIMELINES
from revops.settings import SettingsReader
from revops.table import Table

MONTHS = 12
"""How far back usage is looked at: the whole months before this one."""


class UsageHistory(Protocol):
    """What a customer used."""

    def months(self, account_id: str, months: Sequence[str]) -> Mapping[str, Units]:
        """Units by month (`2026-11`); months without any are left out."""
        ...


class TryTerms:
    """Answers what terms would cost, for somebody who may read the account's orders."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        crm: CrmRecords,
        policy: Policy,
        settings: SettingsReader,
        history: UsageHistory,
        gateway: Callable[[], ProvisioningGateway],
        read: Callable[[str, CallContext], OrderForm],
    ) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy
        self._settings = settings
        self._history = history
        self._gateway = gateway
        self._read = read

    def new(self, trial: WhatIf, call: CallContext) -> WhatIfAnswer:
        """Terms nobody has agreed on. Raises Invalid, and NotFound for an account the caller may not read."""
        self._policy.require_any(call.principal, Resource.ORDERS, write=False)
        customer_id = ""
        if trial.account_id:
            account = self._crm.account(trial.account_id)
            what = f"account {trial.account_id}"
            self._policy.require_read(call.principal, Resource.ORDERS, account.owner_id, what)
            customer_id = account.stripe_customer_id
        then = self._tried(trial, None)
        day = trial.effective_date or self._clock.now().date()
        at_once = self._first_invoice(then, day, customer_id)
        return self._answer("", trial.account_id, None, then, at_once)

    def live(self, order_id: str, trial: WhatIf, call: CallContext) -> WhatIfAnswer:
        """A change of an order. Raises NotFound, Invalid."""
        order = root_of(self._table, self._read(order_id, call))
        if trial.account_id and trial.account_id != order.account_id:
            raise Invalid.field("account_id", "account", "not the account of this order", "leave it out")
        if trial.currency and trial.currency != order.terms.currency:
            raise Invalid.field("currency", "currency", "a subscription stays in its currency", order.terms.currency)
        terms = self._terms_in_force(order)
        now, then = tried_of(terms), self._tried(trial, terms)
        if order.stripe_subscription_id:
            at_once = self._change(order, terms, then, trial.effective_date)
        else:
            account = self._crm.account(order.account_id)
            at_once = self._first_invoice(then, trial.effective_date or terms.start_date, account.stripe_customer_id)
        return self._answer(order.id, order.account_id, now, then, at_once)

    # -- the terms -------------------------------------------------------------------------------------------------

    def _terms_in_force(self, order: OrderForm) -> OrderTerms:
        timeline = TIMELINES.get(self._table, order.id)
        if timeline is None:
            return order.terms
        held = timeline.in_force(int(self._clock.now().timestamp()))
        return ORDERS.require(self._table, held.order_id).terms

    def _tried(self, trial: WhatIf, terms: OrderTerms | None) -> Tried:
        plan = trial.plan or (terms.plan if terms else None)
        currency = trial.currency or (terms.currency if terms else None)
        cycle = trial.billing_cycle or (terms.billing_cycle if terms else None)
        seats = trial.seats or (terms.seats if terms else None)
        if plan is None or currency is None or cycle is None or seats is None:
            raise Invalid.field("plan", "required", "needed where nothing runs: plan, currency, billing_cycle, seats")
        same_plan = terms is not None and plan is terms.plan
        price = trial.list_price
        if price is None:
            price = terms.list_price if terms and same_plan else self._catalogue.seat_price(plan, currency)
        if price is None:
            raise Invalid.field("list_price", "required", f"{plan} has no list price in {currency}", "minor units")
        discount = trial.discount_percent
        if discount is None:
            discount = terms.discount_percent if terms else Decimal(0)
        return Tried(
            plan=plan,
            currency=currency,
            billing_cycle=cycle,
            seats=seats,
            list_price=price,
            discount_percent=discount,
            usage=trial.usage if trial.usage is not None else terms.usage if terms else (),
            spend_cap=trial.spend_cap or (terms.spend_cap if terms else None),
        )

    @property
    def _catalogue(self) -> PlanCatalogue:
        return self._settings.read(PlanCatalogue)

    # -- what is invoiced at once ----------------------------------------------------------------------------------

    def _first_invoice(self, then: Tried, day: date, customer_id: str) -> AtOnce:
        seat = seat_price(then, self._catalogue)
        whole = half_up(cost_of(then))
        period = Period(
            opening(day, "UTC"), opening(add_months(day, then.billing_cycle.months), "UTC"), opening(day, "UTC"), "UTC"
        )
        line = ProrationLine(f"{then.seats} × {then.plan}, a whole period", whole, whole)
        ours = Proration(period, (line,))
        return self._compared(ours, day, then, lambda: self._gateway().preview_new(customer_id, seat, then.seats))

    def _change(self, order: OrderForm, terms: OrderTerms, then: Tried, day: date | None) -> AtOnce:
        zone = self._catalogue.zones.of(terms)
        day = day or day_of(int(self._clock.now().timestamp()), zone)
        gateway = self._gateway()
        try:
            live = gateway.subscription(order.stripe_subscription_id)
        except DomainError as error:
            empty = Period(opening(day, zone), opening(add_months(day, 1), zone), opening(day, zone), zone)
            return self._compared(Proration(empty, ()), day, then, partial(_raise, error))
        begun = proration_date(day, zone, live)
        at = begun if terms.proration else 0
        period = _period(live, begun or opening(day, zone), zone)
        seat = seat_price(then, self._catalogue)
        restarts = terms.billing_cycle is not then.billing_cycle
        if begun and not at and not restarts:
            nothing = Refused("nothing is prorated by the terms of this order; the next period is billed as changed")
            return self._compared(Proration(period, ()), day, then, partial(_raise, nothing))
        ours = Proration(period, ())
        if begun:
            before = Priced(str(terms.plan), unit_of(tried_of(terms)), terms.seats)
            ours = prorate(before, Priced(str(then.plan), unit_of(then), then.seats), period, restarts=restarts)
        if not at:  # a new period is charged whole all the same
            ours = replace(ours, lines=tuple(line for line in ours.lines if line.minor > 0))
        return self._compared(ours, day, then, lambda: gateway.preview(live, seat, then.seats, at))

    def _compared(self, ours: Proration, day: date, then: Tried, ask: Callable[[], Preview]) -> AtOnce:
        no_preview, preview = "", None
        try:
            preview = ask()
        except DomainError as error:
            no_preview = error.detail
        found = explain(ours, preview) if preview else ()
        lines = (
            tuple(
                ComparedLine(
                    text=each.text,
                    ours=each.ours,
                    provider=each.provider,
                    reason=each.reason,
                    explained=each.explained,
                )
                for each in found
            )
            if preview
            else tuple(
                ComparedLine(text=line.text, ours=line.minor, provider=0, reason="no preview", explained=False)
                for line in ours.lines
            )
        )
        return AtOnce(
            effective_date=day,
            days_left=ours.period.days_left,
            days=ours.period.days,
            ours=Money(minor=ours.total, currency=then.currency),
            provider=Money(minor=preview.total, currency=then.currency) if preview else None,
            lines=lines,
            no_preview=no_preview,
        )

    # -- against the history ---------------------------------------------------------------------------------------

    def _answer(self, order_id: str, account_id: str, now: Tried | None, then: Tried, at_once: AtOnce) -> WhatIfAnswer:
        used = self._used(account_id)
        history = months_used(used, now, then)
        present = priced(now, [each.overage_now.minor for each in history if each.overage_now]) if now else None
        trial = priced(then, [each.overage_then.minor for each in history])
        more = trial.total_per_month - present.total_per_month if present else trial.total_per_month
        total: dict[Meter, int] = {}
        for _, units in used:
            for meter, count in units.items():
                total[meter] = total.get(meter, 0) + count
        return WhatIfAnswer(
            order_id=order_id,
            now=present,
            then=trial,
            more_per_month=more,
            history=history,
            not_covered=not_covered(then.usage, total),
            at_once=at_once,
        )

    def _used(self, account_id: str) -> list[tuple[str, Units]]:
        """The whole months since the first one with usage, at most twelve, oldest first."""
        if not account_id:
            return []
        this_month = self._clock.now().date().replace(day=1)
        months = [f"{add_months(this_month, -back):%Y-%m}" for back in range(MONTHS, 0, -1)]
        found = self._history.months(account_id, months)
        used = [(month, found.get(month, {})) for month in months]
        while used and not any(used[0][1].values()):
            used.pop(0)
        return used


def _period(live: LiveSubscription, at: int, zone: str) -> Period:
    seat = live.seat
    if seat is None:
        return Period(at, at + 1, at, zone)
    return Period(seat.period_start, seat.period_end, at, zone)


def _raise(error: DomainError) -> Preview:
    raise error

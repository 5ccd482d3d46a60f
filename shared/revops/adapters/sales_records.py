"""Order forms, accounts, tasks, deals, customers and usage, for what follows a sale: other slices behind its ports."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from revops.billing.store import ACCOUNT, find_customer
from revops.crm.built_on import built_on_account
from revops.crm.model import STAGE_PROBABILITY, ForecastCategory, Opportunity, OpportunityStage
from revops.crm.store import ACCOUNTS, OPPORTUNITIES
from revops.crm.tasks import TaskPriority, add_once, task_of, withdraw
from revops.kernel import IdFactory, Money, add_months
from revops.kernel.money import minor_digits
from revops.orders.model import BillingCycle, OrderForm, OrderStatus
from revops.orders.policies.pricing import net_seat_price
from revops.orders.store import ORDERS
from revops.sales.model import SaleKind
from revops.sales.ports import ExecutedOrder, MonthUsage, NewDeal, NewTask, PayerRef, UsageTerm
from revops.table import Table, Transaction, holder_of
from revops.usage.alerts import gauges
from revops.usage.policies import Gauge, spend_cycle
from revops.usage.store import PLANS, plan_id, spend_key, units_key

_STANDING = frozenset({OrderStatus.PROVISIONED, OrderStatus.AWAITING_TENANT, OrderStatus.ACTIVE})


class StoredOrders:
    """`Orders` over the order forms."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def executed(self, order_id: str) -> ExecutedOrder | None:
        """None for one whose subscription does not stand; a blocked one has it if it goes on from there."""
        order = ORDERS.get(self._table, order_id)
        if order is None or not _stands(order):
            return None
        terms = order.terms
        return ExecutedOrder(
            id=order.id,
            kind=SaleKind(order.kind.value),
            amends=order.amends,
            account_id=order.account_id,
            opportunity_id=order.opportunity_id,
            payer=order.stripe_customer_id,
            subscription_id=order.stripe_subscription_id,
            plan=terms.plan.value,
            currency=terms.currency,
            seats=terms.seats,
            seat_price=net_seat_price(terms.list_price, terms.discount_percent, BillingCycle.MONTHLY),
            usage=tuple(
                UsageTerm(line.meter.value, line.monthly_cap, _minor(line.overage_price, terms.currency))
                for line in terms.usage
            ),
            term_months=terms.term_months,
            starts_on=terms.start_date,
            ends_on=terms.renewal_date,
            auto_renewal=terms.auto_renewal,
        )

    def next_form(self, order_id: str, starts_on: date, months: int) -> Mapping[str, Any]:
        order = ORDERS.require(self._table, order_id)
        terms = order.terms.model_dump(mode="json")
        return {
            **terms,
            "kind": SaleKind.RENEWAL.value,
            "amends": order.id,
            "account_id": order.account_id,
            "stripe_customer_id": order.stripe_customer_id,
            "start_date": starts_on.isoformat(),
            "term_months": months,
            "renewal_date": add_months(starts_on, months).isoformat(),
        }


def _stands(order: OrderForm) -> bool:
    status = order.block.resume_to if order.block is not None else order.status
    return status in _STANDING and bool(order.stripe_subscription_id)


def _minor(price: Decimal, currency: str) -> Decimal:
    """Minor units, exact."""
    return price.scaleb(minor_digits(currency))


class StoredDesk:
    """`CrmDesk` over the CRM's stores. Writes join the caller's transaction."""

    def __init__(self, table: Table, ids: IdFactory) -> None:
        self._table = table
        self._ids = ids

    def owner_of(self, account_id: str) -> str | None:
        account = ACCOUNTS.get(self._table, account_id)
        return account.owner_id if account else None

    def owners_of(self, account_ids: Iterable[str]) -> dict[str, str]:
        keys = [ACCOUNTS.key(identifier) for identifier in sorted(set(account_ids))]
        found = ACCOUNTS.load_all(self._table.get_many(keys)) if keys else []
        return {account.id: account.owner_id for account in found}

    def add_task(self, transaction: Transaction, now: datetime, wanted: NewTask) -> bool:
        task = task_of(
            wanted.origin,
            now,
            title=wanted.title,
            type=wanted.type,
            about=wanted.about,
            owner_id=wanted.assignee_id,
            due_at=wanted.due_at,
            priority=TaskPriority.HIGH if wanted.urgent else TaskPriority.MEDIUM,
            details=wanted.details,
        )
        return add_once(self._table, transaction, task)

    def withdraw_task(self, transaction: Transaction, now: datetime, origin: str) -> None:
        withdraw(self._table, transaction, origin, now)

    def open_deal(self, transaction: Transaction, now: datetime, wanted: NewDeal) -> str:
        stage = OpportunityStage.PROSPECT
        deal = Opportunity(
            id=self._ids.new("OPP"),
            created_at=now,
            modified_at=now,
            name=wanted.name,
            account_id=wanted.account_id,
            value=wanted.value,
            stage=stage,
            probability=STAGE_PROBABILITY[stage],
            forecast_category=ForecastCategory.BEST_CASE,
            expected_close=wanted.expected_close,
            owner_id=wanted.owner_id,
            source="Upsell",
            description=wanted.description,
        )
        OPPORTUNITIES.create(transaction, deal)
        built_on_account(self._table, wanted.account_id).add(transaction, deal.id)
        return deal.id


class StoredPayers:
    """`Payers` over billing's customers."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of_payer(self, payer: str) -> PayerRef:
        customer = find_customer(self._table, payer)
        return PayerRef(customer.id, customer.account_id) if customer else PayerRef()

    def of_account(self, account_id: str) -> str:
        return holder_of(self._table, ACCOUNT, account_id) or ""


class CountedUsage:
    """`UsageHistory` over the counters of usage."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def currency(self, account_id: str) -> str:
        plan = PLANS.get(self._table, plan_id(account_id))
        return plan.terms.currency if plan else ""

    def months(self, account_id: str, months: Sequence[str]) -> list[MonthUsage]:
        """Only of the caps that the account's plan has: a counter row counts for every line."""
        plan = PLANS.get(self._table, plan_id(account_id))
        if plan is None:
            return []
        capped = {allowance.line.value for allowance in plan.terms.allowances}
        rows = self._table.get_many([units_key(account_id, month) for month in months])
        return [
            MonthUsage(one.cap, one.cycle, one.used, one.limit, f"{one.cycle}: {one.used:,} of {one.limit:,}")
            for row in rows
            if row is not None
            for one in gauges(row)
            if one.cap in capped
        ]

    def spend(self, account_id: str, months: Sequence[str]) -> list[MonthUsage]:
        """A month of an annual spend cap is told as the cycle that its last day lies in."""
        plan = PLANS.get(self._table, plan_id(account_id))
        if plan is None:
            return []
        cycles = [spend_cycle(plan.terms, _end_of(month)) for month in months]
        rows = self._table.get_many([spend_key(account_id, cycle) for cycle in dict.fromkeys(cycles)])
        spent = {one.cycle: one for row in rows if row is not None for one in gauges(row)}
        return [
            MonthUsage(one.cap, month, one.used, one.limit, _spent(one, plan.terms.currency))
            for month, cycle in zip(months, cycles, strict=True)
            if (one := spent.get(cycle)) is not None
        ]


def _end_of(month: str) -> datetime:
    """A moment on the last day of a month."""
    first = date.fromisoformat(f"{month}-01")
    return datetime.combine(add_months(first, 1) - timedelta(days=1), time(), UTC)


def _spent(gauge: Gauge, currency: str) -> str:
    used, limit = (Money(minor=part // gauge.scale, currency=currency) for part in (gauge.used, gauge.limit))
    return f"{gauge.cycle}: {used} of {limit}"

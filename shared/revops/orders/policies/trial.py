"""What terms would cost, as data: the terms to try, their price, and the months they are held against (ORD-6)."""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from revops.kernel import Money
from revops.kernel.money import Currency, Rate
from revops.orders.model import BillingCycle, CapPeriod, Day, Meter, OrderTerms, Plan, SpendCap, UsageLine
from revops.orders.policies.pricing import net_seat_price
from revops.orders.policies.proration import half_up
from revops.orders.policies.usage_costs import Units, expected_overage, month_costs


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class WhatIf(_Part):
    """Terms to try. Of a live order, whatever is left out stays as it is; of a new one plan, currency, cycle and seats
    are needed, and `account_id` brings the usage history. `list_price` is per seat and month in minor units; without
    it the price list holds. `effective_date` is today if left out."""

    account_id: Annotated[str, Field(pattern=r"^(ACC_[0-9A-Z]{1,40})?$")] = ""
    plan: Plan | None = None
    currency: Currency | None = None
    billing_cycle: BillingCycle | None = None
    seats: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    list_price: Annotated[int, Field(ge=0, le=10**12)] | None = None
    discount_percent: Annotated[Rate, Field(ge=0, le=100, decimal_places=4)] | None = None
    usage: Annotated[tuple[UsageLine, ...], Field(max_length=len(Meter))] | None = None
    spend_cap: SpendCap | None = None
    effective_date: Day | None = None


class Price(_Part):
    """What an agreement costs. `overage_per_month` is what the history lets expect, null without any."""

    seats: int
    seats_per_month: Money
    seats_per_cycle: Money
    cycle: BillingCycle
    overage_per_month: Money | None
    total_per_month: Money


class MonthUsed(_Part):
    """A month of the history: units used, and what they would have cost beyond the included ones."""

    month: str = Field(examples=["2026-10"])
    units: Mapping[Meter, int]
    overage_now: Money | None
    overage_then: Money
    beyond_then: Mapping[Meter, int]
    stopped_then: bool = Field(description="Whether the spend cap would have stopped usage in this month")


class ComparedLine(_Part):
    """A line of ours beside the provider's. `explained` false asks for a person to look."""

    text: str
    ours: int = Field(description="Minor units, signed")
    provider: int = Field(description="Minor units, signed")
    reason: str
    explained: bool


class AtOnce(_Part):
    """What would be invoiced at once. `provider` is the provider's own preview, null where there is none and
    `no_preview` says why."""

    effective_date: date
    days_left: int
    days: int
    ours: Money
    provider: Money | None
    lines: tuple[ComparedLine, ...]
    no_preview: str = ""


class WhatIfAnswer(_Part):
    """The present beside the trial. `now` is null where nothing runs yet."""

    order_id: str
    now: Price | None
    then: Price
    more_per_month: Money = Field(description="Then less now; all of then where nothing runs yet")
    history: tuple[MonthUsed, ...]
    not_covered: tuple[Meter, ...] = Field(description="Meters that were used and that no line of the trial counts")
    at_once: AtOnce


class Tried(_Part):
    """Terms as far as they cost money."""

    plan: Plan
    currency: str
    billing_cycle: BillingCycle
    seats: int
    list_price: int
    discount_percent: Rate
    usage: tuple[UsageLine, ...]
    spend_cap: SpendCap | None


def tried_of(terms: OrderTerms) -> Tried:
    """The terms of an order as far as they cost money."""
    return Tried(
        plan=terms.plan,
        currency=terms.currency,
        billing_cycle=terms.billing_cycle,
        seats=terms.seats,
        list_price=terms.list_price,
        discount_percent=terms.discount_percent,
        usage=terms.usage,
        spend_cap=terms.spend_cap,
    )


def unit_of(tried: Tried) -> Fraction:
    """Exact minor units a seat and cycle."""
    return Fraction(net_seat_price(tried.list_price, tried.discount_percent, tried.billing_cycle))


def cost_of(tried: Tried) -> Fraction:
    """Exact minor units for all seats and a cycle."""
    return unit_of(tried) * tried.seats


def priced(tried: Tried, overage: Sequence[int]) -> Price:
    """What terms cost, with the overage of the months they are held against."""
    per_cycle = cost_of(tried)
    expected = expected_overage(overage)
    month = Money(minor=half_up(per_cycle / tried.billing_cycle.months), currency=tried.currency)
    beyond = None if expected is None else Money(minor=expected, currency=tried.currency)
    return Price(
        seats=tried.seats,
        seats_per_month=month,
        seats_per_cycle=Money(minor=half_up(per_cycle), currency=tried.currency),
        cycle=tried.billing_cycle,
        overage_per_month=beyond,
        total_per_month=month + beyond if beyond else month,
    )


def months_used(used: Sequence[tuple[str, Units]], now: Tried | None, then: Tried) -> tuple[MonthUsed, ...]:
    """Every month of the history under both terms. A yearly spend cap is spent month by month."""
    found: list[MonthUsed] = []
    spent = 0
    for month, units in used:
        costs = month_costs(then.usage, units, then.currency)
        overage = sum(cost.minor for cost in costs)
        cap = then.spend_cap
        spent = spent + overage if cap and cap.period is CapPeriod.ANNUAL else overage
        found.append(
            MonthUsed(
                month=month,
                units=dict(units),
                overage_now=_overage(now, units) if now else None,
                overage_then=Money(minor=overage, currency=then.currency),
                beyond_then={cost.meter: cost.beyond for cost in costs if cost.beyond},
                stopped_then=cap is not None and spent > cap.minor,
            )
        )
    return tuple(found)


def _overage(tried: Tried, units: Units) -> Money:
    minor = sum(cost.minor for cost in month_costs(tried.usage, units, tried.currency))
    return Money(minor=minor, currency=tried.currency)

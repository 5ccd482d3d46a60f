"""What usage costs, which cycle it falls in, and which thresholds it has crossed. Pure.

How money is held: in **atoms**, whole 10⁻¹² minor units, so that a price such as 0.0015 EUR adds up without rounding
(an overage price has at most 12 decimals). Rounding happens in one place only, on an invoice line: per line and month
once, half up, as Stripe does it. A spend cap is compared with the exact sum; remaining spend is shown rounded down.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from revops.kernel import FieldIssue, Invalid, Money, time_text
from revops.kernel.money import minor_digits
from revops.settings import SettingsDocument
from revops.usage.model import Allowance, CapTerms, Charge, SpendPeriod

ATOMS = 10**12
"""Atoms in a minor unit."""
_EXACT = Context(prec=60)


class SpendCapRules(SettingsDocument):
    """When alerts are raised, and how late or early a usage event may be."""

    SETTING: ClassVar[str] = "spend_caps"

    thresholds_percent: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(max_length=20)] = (
        50,
        80,
        100,
    )
    late_days: Annotated[int, Field(ge=1, le=35, description="Stripe meters take events of the last 35 days")] = 35
    ahead_seconds: Annotated[int, Field(ge=0, le=300)] = 300


def unit_price(allowance: Allowance, currency: str) -> int:
    """The price of one unit beyond what is included, in atoms."""
    if allowance.overage_price is None:
        return 0
    price = _EXACT.multiply(allowance.overage_price, Decimal(ATOMS).scaleb(minor_digits(currency)))
    return int(price.to_integral_exact())


def charge(allowance: Allowance, currency: str, quantity: int, left: int) -> Charge:
    """How `quantity` units are counted when `left` of the included ones remain."""
    included = max(0, min(quantity, left))
    over = quantity - included
    return Charge(included_units=included, overage_units=over, cost=over * unit_price(allowance, currency))


def invoice_amount(units: int, allowance: Allowance, currency: str) -> Money:
    """What a month's `units` of a line cost beyond the plan: rounded once, half up (USE-2)."""
    exact = charge(allowance, currency, units, allowance.included).cost
    minor = (Decimal(exact) / ATOMS).quantize(Decimal(1), ROUND_HALF_UP, context=_EXACT)
    return Money(minor=int(minor), currency=currency)


def major_units(atoms: int, currency: str) -> Decimal:
    """Atoms as an exact decimal in major units, without trailing zeros."""
    value = _EXACT.divide(Decimal(atoms), Decimal(ATOMS).scaleb(minor_digits(currency)))
    return Decimal(format(value, "f").rstrip("0").rstrip(".") if "." in format(value, "f") else format(value, "f"))


def month_of(moment: datetime) -> str:
    """The cycle of usage caps: the calendar month in UTC."""
    return time_text(moment)[:7]


def spend_cycle(terms: CapTerms, moment: datetime) -> str:
    """The cycle of the spend cap: `2026-11`, or for an annual cap `Y2026-03-15`, the day its year began.

    A year that begins on 29 February begins on the 28th where there is none.
    """
    if terms.spend_period is SpendPeriod.MONTHLY:
        return month_of(moment)
    today = moment.astimezone(UTC).date()
    start = _anniversary(terms.starts_on, today.year)
    if start > today:
        start = _anniversary(terms.starts_on, today.year - 1)
    return f"Y{start.isoformat()}"


def _anniversary(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)


def open_months(now: datetime, rules: SpendCapRules) -> list[str]:
    """The months that usage may still arrive for, newest first."""
    months = {month_of(now - timedelta(days=days)) for days in range(rules.late_days + 1)}
    return sorted(months | {month_of(now + timedelta(seconds=rules.ahead_seconds))}, reverse=True)


def refuse_untimely(occurred_at: datetime, now: datetime, rules: SpendCapRules) -> None:
    """Raises Invalid for usage that is too old to be billed, or from the future."""
    oldest, newest = now - timedelta(days=rules.late_days), now + timedelta(seconds=rules.ahead_seconds)
    if not oldest <= occurred_at <= newest:
        accepted = f"{time_text(oldest)} to {time_text(newest)}"
        message = f"usage is taken up to {rules.late_days} days late and {rules.ahead_seconds} seconds early"
        raise Invalid(f"occurred_at: {message}", [FieldIssue("occurred_at", "usage-window", message, accepted)])


@dataclass(frozen=True, slots=True)
class Gauge:
    """How far a cap is used: `used` of `limit`, in `scale`-ths of what people read (atoms for money)."""

    cap: str
    cycle: str
    used: int
    limit: int
    scale: int = 1


def crossed(gauge: Gauge, thresholds_percent: tuple[int, ...]) -> Iterator[int]:
    """The thresholds a gauge has reached, lowest first. A cap of nothing has none."""
    if gauge.limit <= 0:
        return
    for threshold in sorted(set(thresholds_percent)):
        if gauge.used * 100 >= gauge.limit * threshold:
            yield threshold

"""Daily proration: our own exact arithmetic by whole days, and why the provider's by the second may differ (ORD-5).

A billing period is a number of whole days in the contract's zone. A change takes effect at midnight of a day: what is
left of the old is credited, what is left of the new is charged, days left over days in all. Each line is worked out
exactly and rounded once, half a minor unit up in size. Stripe rounds the price of the whole period first and then takes
the share by seconds (https://docs.stripe.com/billing/subscriptions/prorations).
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from revops.orders.policies.calendar import day_of, midnight
from revops.orders.provisioning.ports import Preview, PreviewLine

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Priced:
    """So many units at a price per billing period. `unit` is exact minor units, `what` names it for people."""

    what: str
    unit: Fraction
    quantity: int

    @property
    def cost(self) -> Fraction:
        """Minor units for a whole period."""
        return self.unit * self.quantity


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period and an instant of change within it, in epoch seconds, and the zone whose days are counted."""

    starts_at: int
    ends_at: int
    at: int
    zone: str

    @property
    def first_day(self) -> date:
        return day_of(self.starts_at, self.zone)

    @property
    def days(self) -> int:
        """Whole days of the period, at least one."""
        return max((day_of(self.ends_at, self.zone) - self.first_day).days, 1)

    @property
    def days_left(self) -> int:
        """Whole days from the day of the change to the end of the period."""
        left = (day_of(self.ends_at, self.zone) - day_of(self.at, self.zone)).days
        return min(max(left, 0), self.days)

    @property
    def share_of_days(self) -> Fraction:
        return Fraction(self.days_left, self.days)

    @property
    def share_of_seconds(self) -> Fraction:
        """What the provider counts."""
        return Fraction(
            min(max(self.ends_at - self.at, 0), self.ends_at - self.starts_at), self.ends_at - self.starts_at
        )


@dataclass(frozen=True, slots=True)
class ProrationLine:
    """One credit or charge: signed whole minor units, by days and as the provider would count."""

    text: str
    minor: int
    by_seconds: int


@dataclass(frozen=True, slots=True)
class Proration:
    """What a change costs for the rest of a period. `total` is the sum of the rounded lines."""

    period: Period
    lines: tuple[ProrationLine, ...]

    @property
    def total(self) -> int:
        return sum(line.minor for line in self.lines)


def prorate(before: Priced, after: Priced | None, period: Period, *, restarts: bool = False) -> Proration:
    """The credit for the old and the charge for the new. Nothing when nothing changes; `after` None ends it. When
    `restarts`, the new one begins a period of its own and is charged whole."""
    if after is not None and (before.unit, before.quantity, restarts) == (after.unit, after.quantity, False):
        return Proration(period, ())
    lines = [_line(before, period, credit=True)]
    if after is not None and restarts:
        whole = half_up(after.cost)
        lines.append(ProrationLine(f"{after.quantity} × {after.what}, a whole new period", whole, whole))
    elif after is not None:
        lines.append(_line(after, period, credit=False))
    return Proration(period, tuple(lines))


def half_up(amount: Fraction) -> int:
    """Whole minor units; half of one goes up in size, for credits as for charges."""
    size = (abs(amount) * 2 + 1) // 2
    return size if amount >= 0 else -size


def _line(priced: Priced, period: Period, *, credit: bool) -> ProrationLine:
    sign, words = (-1, "Unused") if credit else (1, "Remaining")
    text = f"{words} {period.days_left} of {period.days} days of {priced.quantity} × {priced.what}"
    return ProrationLine(
        text,
        sign * half_up(priced.cost * period.share_of_days),
        sign * half_up(half_up(priced.cost) * period.share_of_seconds),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """A line of ours beside the provider's, and in words why they differ; `explained` False asks for a person."""

    text: str
    ours: int
    provider: int
    reason: str
    explained: bool


def explain(ours: Proration, provider: Preview) -> tuple[Difference, ...]:
    """Line by line: the provider's credit beside ours, its charge beside ours, and whatever else it would invoice."""
    left = list(provider.lines)
    found: list[Difference] = []
    for line in ours.lines:
        match = next((each for each in left if _sign(each.minor) == _sign(line.minor) and each.minor), None)
        if match is not None:
            left.remove(match)
        found.append(_compared(line, match, ours.period))
    found += [
        Difference(line.text, 0, line.minor, "waits for the next invoice whether or not this changes", True)
        if not line.proration
        else Difference(line.text, 0, line.minor, "another change that is not invoiced yet", True)
        for line in left
        if line.minor
    ]
    return tuple(found)


def _compared(line: ProrationLine, match: PreviewLine | None, period: Period) -> Difference:
    provider = match.minor if match else 0
    if provider == line.minor:
        return Difference(line.text, line.minor, provider, "", True)
    explained = provider == line.by_seconds
    reason = _by_seconds(period) if explained else "not by the count of days or seconds: a tax, a discount, a balance"
    return Difference(line.text, line.minor, provider, reason, explained)


def _by_seconds(period: Period) -> str:
    seconds, total = period.ends_at - period.at, period.ends_at - period.starts_at
    if period.share_of_days == period.share_of_seconds:
        return "Stripe rounds the price of the whole period first"
    counted = f"Stripe counts {seconds:,} of {total:,} seconds, the contract {period.days_left} of {period.days} days"
    if period.starts_at != midnight(period.first_day, period.zone):
        return f"{counted}: its period does not open at midnight in {period.zone}"
    if total != period.days * _DAY or seconds != period.days_left * _DAY:
        return f"{counted}: the clocks change within the period"
    return counted


def _sign(minor: int) -> int:
    return (minor > 0) - (minor < 0)

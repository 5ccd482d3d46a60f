"""What usage costs beyond what is included: by month, from usage that really was (ORD-6, USE-2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from revops.kernel.money import minor_digits
from revops.orders.model import Meter, UsageLine
from revops.orders.policies.proration import half_up

type Units = Mapping[Meter, int]
"""Units used of each meter; a meter that is left out was not used."""


@dataclass(frozen=True, slots=True)
class LineCost:
    """A usage line over one month: units used, units beyond the included ones, whole minor units."""

    meter: Meter
    used: int
    beyond: int
    minor: int


def month_costs(lines: Sequence[UsageLine], units: Units, currency: str) -> tuple[LineCost, ...]:
    """What a month's usage costs under some lines; each line rounded once, half a minor unit up, as it is invoiced."""
    costs: list[LineCost] = []
    for line in lines:
        used = sum(units.values()) if line.meter is Meter.POOLED else units.get(line.meter, 0)
        beyond = max(used - line.monthly_cap, 0)
        price = Fraction(line.overage_price) * 10 ** minor_digits(currency)
        costs.append(LineCost(line.meter, used, beyond, half_up(price * beyond)))
    return tuple(costs)


def not_covered(lines: Sequence[UsageLine], units: Units) -> tuple[Meter, ...]:
    """Meters that were used and that no line counts."""
    covered = {line.meter for line in lines}
    return tuple(meter for meter, count in units.items() if count and not covered & {meter, Meter.POOLED})


def expected_overage(by_month: Sequence[int]) -> int | None:
    """The mean of the months, whole minor units; None without any."""
    return half_up(Fraction(sum(by_month), len(by_month))) if by_month else None

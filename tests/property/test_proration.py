"""Daily proration against an oracle of its own: other arithmetic, another way to find midnight.

4,000 days in 24 zones, with month ends, leap days and every clock change on the way, those at midnight among them.
"""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from revops.kernel import add_months
from revops.orders.model import BillingCycle
from revops.orders.policies.calendar import day_of, midnight, opening
from revops.orders.policies.pricing import net_seat_price
from revops.orders.policies.proration import Period, Priced, half_up, prorate

FIRST = date(2015, 6, 1)
DAYS = 4_000
ZONES = (
    "UTC", "Europe/London", "Europe/Berlin", "Europe/Lisbon", "Atlantic/Azores", "America/New_York",
    "America/Los_Angeles", "America/St_Johns", "America/Sao_Paulo", "America/Asuncion", "America/Santiago",
    "America/Havana", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Gaza", "Asia/Tehran", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Tokyo", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Apia", "Pacific/Chatham",
)  # fmt: skip

pytestmark = [pytest.mark.mission("ORD-5"), pytest.mark.fault("R25")]


def first_instant(day: date, zone: ZoneInfo) -> int:
    """The oracle's midnight: the first second whose local day is this one, found by halving."""
    low = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - 16 * 3600
    high = low + 32 * 3600
    while low < high:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).date() >= day:
            high = middle
        else:
            low = middle + 1
    return low


def owed(seats: int, list_price: int, discount: Fraction, months: int, left: int, days: int) -> int:
    """The oracle's line: whole minor units, worked out in ten-thousandths of a percent, halves up."""
    scaled = int(discount * 10_000)
    numerator = seats * list_price * months * (1_000_000 - scaled) * left
    denominator = 1_000_000 * days
    return (2 * numerator + denominator) // (2 * denominator)


@pytest.mark.parametrize("name", ZONES)
def test_every_day_of_every_zone_equals_the_oracle(name: str) -> None:
    zone, rng = ZoneInfo(name), random.Random(name)
    for offset in range(DAYS):
        day = FIRST + timedelta(days=offset)
        at = first_instant(day, zone)
        assert midnight(day, name) == at
        assert day_of(at, name) == day
        assert day_of(at - 1, name) < day
        opens = opening(day, name)
        assert at <= opens
        assert day_of(opens, name) == datetime.fromtimestamp(opens, UTC).date() == day
        months = rng.choice((1, 12))
        start = add_months(day, -rng.randrange(months))
        start -= timedelta(days=rng.randrange(28))
        end = add_months(start, months)
        if not start <= day <= end:
            start, end = day, add_months(day, months)
        left, days = end.toordinal() - day.toordinal(), end.toordinal() - start.toordinal()
        old, new = _agreed(rng), _agreed(rng)
        new = new if old != new else (new[0] + 1, *new[1:])
        period = Period(midnight(start, name), midnight(end, name), at, name)
        credit, charge = -owed(*old, months, left, days), owed(*new, months, left, days)
        found = prorate(_priced(old, months), _priced(new, months), period)
        assert [line.minor for line in found.lines] == [credit, charge], (name, day)
        assert found.total == credit + charge


@pytest.mark.parametrize("name", ZONES)
def test_a_month_later_in_utc_is_a_month_later_in_the_contract(name: str) -> None:
    """The provider goes from period to period in UTC, keeping the hour and the day of the month."""
    for offset in range(0, DAYS, 7):
        day = FIRST + timedelta(days=offset)
        opens = datetime.fromtimestamp(opening(day, name), UTC)
        for months in range(1, 13):
            next_day = add_months(day, months)
            if _offset(day, name) > _offset(next_day, name):
                continue  # a country that put its clocks back for good (Chile, 2016): nobody could know
            billed = int(opens.replace(year=next_day.year, month=next_day.month, day=next_day.day).timestamp())
            assert day_of(billed, name) == next_day
            assert billed >= midnight(next_day, name)


def _offset(day: date, name: str) -> timedelta:
    """The least offset from UTC in the year of a day."""
    zone = ZoneInfo(name)
    return min(datetime(day.year, month, 15, tzinfo=zone).utcoffset() or timedelta() for month in range(1, 13))


def _agreed(rng: random.Random) -> tuple[int, int, Fraction]:
    """Seats, list price in minor units, percent off with up to four decimals."""
    return (
        rng.randint(1, 4_000),
        rng.choice((1, 99, 2_900, 5_900, rng.randint(1, 10**6))),
        Fraction(rng.choice((0, 75_000, rng.randrange(1_000_001))), 10_000),
    )


def _priced(agreed: tuple[int, int, Fraction], months: int) -> Priced:
    seats, list_price, discount = agreed
    percent = Decimal(discount.numerator) / Decimal(discount.denominator)
    cycle = BillingCycle.MONTHLY if months == 1 else BillingCycle.ANNUAL
    return Priced("seat", Fraction(net_seat_price(list_price, percent, cycle)), seats)


def test_a_change_to_the_same_costs_nothing() -> None:
    zone = "Europe/Berlin"
    period = Period(
        midnight(date(2024, 2, 1), zone), midnight(date(2024, 3, 1), zone), midnight(date(2024, 2, 29), zone), zone
    )
    same = Priced("Starter", Fraction(2_900), 7)
    assert prorate(same, same, period).lines == ()
    assert (period.days_left, period.days) == (1, 29)


def test_halves_go_up_in_size() -> None:
    halves = [Fraction(n, 2) for n in range(-5, 6)]
    assert [half_up(each) for each in halves] == [-3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("at", [-40, 0, 15, 31, 90])
def test_a_day_outside_the_period_counts_as_its_edge(at: int) -> None:
    start, end = midnight(date(2026, 1, 1), "UTC"), midnight(date(2026, 2, 1), "UTC")
    period = Period(start, end, start + at * 86_400, "UTC")
    assert period.days_left == 31 - min(max(at, 0), 31)
    assert period.share_of_seconds == period.share_of_days

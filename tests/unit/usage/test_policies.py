"""Prices, cycles and thresholds."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from revops.kernel import Money
from revops.usage import Line, Meter, SpendCapRules, UsageEvent
from revops.usage.policies import (
    ATOMS,
    Gauge,
    charge,
    crossed,
    invoice_amount,
    major_units,
    open_months,
    spend_cycle,
    unit_price,
)
from tests.builders.usage import ACCOUNT, api_calls, line, terms


@pytest.mark.mission("USE-2")
@pytest.mark.parametrize(
    ("units", "price", "currency", "minor"),
    [
        (100, "0.015", "EUR", 0),
        (101, "0.015", "EUR", 2),  # 1.5 cents, half up
        (103, "0.015", "EUR", 5),  # 4.5 cents, half up
        (110, "0.015", "EUR", 15),
        (101, "0.0049", "EUR", 0),
        (10**9 + 100, "0.000000000001", "EUR", 0),
        (10**13 + 100, "0.000000000001", "EUR", 1000),
        (103, "0.5", "JPY", 2),
        (101, "0.0015", "KWD", 2),
    ],
)
def test_an_invoice_line_is_rounded_once_half_up(units: int, price: str, currency: str, minor: int) -> None:
    assert invoice_amount(units, api_calls(100, price), currency) == Money(minor=minor, currency=currency)


def test_prices_are_exact_whatever_the_quantity() -> None:
    allowance = api_calls(0, "999999.999999999999")
    cost = charge(allowance, "EUR", 10**12, 0).cost
    assert Decimal(cost) / ATOMS / 100 == Decimal("999999.999999999999") * 10**12
    assert unit_price(api_calls(5), "EUR") == 0


@pytest.mark.parametrize(
    ("atoms", "text"), [(0, "0"), (15 * ATOMS, "0.15"), (100 * ATOMS, "1"), (1, "0.00000000000001")]
)
def test_atoms_are_shown_exactly(atoms: int, text: str) -> None:
    assert format(major_units(atoms, "EUR"), "f") == text


@pytest.mark.fault("R25")
def test_an_annual_cycle_holds_every_day_once() -> None:
    annual = terms(api_calls(1), spend_period="Annual", starts_on="2024-02-29")
    day = datetime(2024, 2, 29, tzinfo=UTC)
    seen: list[str] = []
    for offset in range(4000):
        cycle = spend_cycle(annual, day + timedelta(days=offset))
        start = date.fromisoformat(cycle[1:])
        today = (day + timedelta(days=offset)).date()
        assert start <= today < date(start.year + 1, 3, 1)
        if not seen or seen[-1] != cycle:
            seen.append(cycle)
    assert len(seen) == len(set(seen)) == 11


def test_the_months_that_are_open_cover_the_window() -> None:
    rules = SpendCapRules()
    assert open_months(datetime(2027, 3, 1, tzinfo=UTC), rules) == ["2027-03", "2027-02", "2027-01"]
    assert open_months(datetime(2026, 12, 31, 23, 58, tzinfo=UTC), rules) == ["2027-01", "2026-12", "2026-11"]


def test_thresholds_are_reached_exactly() -> None:
    def reached(used: int, limit: int) -> list[int]:
        return list(crossed(Gauge("Spend", "2026-11", used, limit), (100, 50, 80, 50)))

    assert reached(499, 1000) == []
    assert reached(500, 1000) == [50]
    assert reached(999, 1000) == [50, 80]
    assert reached(2000, 1000) == [50, 80, 100]
    assert reached(5, 0) == []


@pytest.mark.parametrize("spelling", ["API Calls", "api calls", "api_calls", "API-calls"])
def test_meters_are_read_in_any_spelling_and_written_in_one(spelling: str) -> None:
    event = UsageEvent.model_validate({"id": "1", "account_id": ACCOUNT, "meter": spelling, "quantity": 1})
    assert event.meter is Meter.API_CALLS
    assert event.model_dump(mode="json")["meter"] == "API Calls"


@pytest.mark.parametrize(
    "change",
    [
        {"meter": "logins"},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": "1"},
        {"quantity": True},
        {"quantity": 10**12 + 1},
        {"account_id": "ACC_1#x"},
        {"account_id": "LEAD_1"},
        {"id": ""},
        {"id": "x" * 201},
        {"occurred_at": "2026-11-20T10:00:00"},
        {"cost": 1},
    ],
)
def test_events_that_are_none(change: dict[str, object]) -> None:
    good = {"id": "1", "account_id": ACCOUNT, "meter": "API Calls", "quantity": 1}
    UsageEvent.model_validate(good)
    with pytest.raises(ValidationError):
        UsageEvent.model_validate(good | change)


def test_plans_that_are_none() -> None:
    with pytest.raises(ValidationError, match="once"):
        terms(api_calls(1), api_calls(2))
    with pytest.raises(ValidationError, match="alone"):
        terms(api_calls(1), line(Line.POOLED, 2))
    with pytest.raises(ValidationError):
        api_calls(1, "0.0000000000001")
    assert [terms().allowance(meter) for meter in Meter] == [None, None, None]


def test_where_units_stop() -> None:
    assert api_calls(10).stops_at == 10
    assert api_calls(10, "1").stops_at is None
    assert api_calls(10, "1", 50).stops_at == 50
    assert api_calls(10, None, 50).stops_at == 10
    assert (api_calls(10, "1").cap, api_calls(10, "1", 50).cap) == (10, 50)

"""Money is whole minor units; a rate is an exact decimal that travels as text."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from revops.kernel import Money, exact_decimal
from revops.kernel.money import Rate, minor_digits

MINOR = st.integers(-(10**15), 10**15)
CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD"])


class _Priced(BaseModel):
    price: Rate


@given(MINOR, MINOR, MINOR, CURRENCIES)
def test_amounts_add_like_whole_numbers(a: int, b: int, c: int, currency: str) -> None:
    x, y, z = (Money(minor=minor, currency=currency) for minor in (a, b, c))
    assert (x + y) + z == x + (y + z)
    assert (x + y) - y == x
    assert x + y == y + x
    assert x.times(3) == x + x + x
    assert x.times(0).minor == 0


@given(MINOR, MINOR)
def test_currencies_never_mix(a: int, b: int) -> None:
    for act in (Money.__add__, Money.__sub__):
        with pytest.raises(ValueError, match="cannot mix"):
            act(Money(minor=a, currency="EUR"), Money(minor=b, currency="USD"))


@given(MINOR, CURRENCIES)
def test_the_written_amount_is_the_amount(minor: int, currency: str) -> None:
    number, _, code = str(Money(minor=minor, currency=currency)).partition(" ")
    assert code == currency
    assert Decimal(number.replace(",", "")) * 10 ** minor_digits(currency) == minor


@pytest.mark.parametrize("currency", ["JPY", "XAF", "XOF", "XPF", "CLP"])
def test_francs_without_cents_have_none(currency: str) -> None:
    assert str(Money(minor=500, currency=currency)) == f"500 {currency}"


@pytest.mark.parametrize("minor", [1.5, "12.5", None, float("nan"), Decimal("0.1")])
def test_no_part_of_a_minor_unit(minor: Any) -> None:
    with pytest.raises(ValidationError):
        Money(minor=minor, currency="EUR")


@pytest.mark.parametrize("currency", ["eur", "EURO", "E1R", "", "EU", "EUR\n"])
def test_a_currency_is_three_capitals(currency: str) -> None:
    with pytest.raises(ValidationError):
        Money(minor=1, currency=currency)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12))
def test_a_rate_comes_back_as_it_went(rate: Decimal) -> None:
    text = format(rate, "f")
    assert exact_decimal(text) == rate
    written = _Priced.model_validate({"price": text}).model_dump_json()
    assert _Priced.model_validate_json(written).price == rate
    assert "E" not in written.upper().replace("PRICE", "")


@given(st.floats())
def test_a_float_is_no_rate(rate: float) -> None:
    with pytest.raises(ValueError):
        exact_decimal(rate)


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    "text",
    [
        "1e-999999999", "1E+999999", "1e5", "NaN", "sNaN", "Infinity", "-Infinity", "", " ", "1_000", "1,5", "0x10",
        "١٢", "１", " 1", "1\n", "--1", "1.", ".5", "9" * 41, "0." + "9" * 41, True, None, b"1", Decimal("1e-50"),
        Decimal("1e50"), Decimal("NaN"),
    ],
    ids=repr,
)  # fmt: skip
def test_only_plain_decimals_of_bounded_length_are_rates(text: Any) -> None:
    with pytest.raises(ValueError):
        exact_decimal(text)

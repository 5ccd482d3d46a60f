"""Money is a whole number of minor units and a currency; rates are exact decimals. Never a float."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_NO_MINOR = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
"""As Stripe counts them, which makes the invoices: https://docs.stripe.com/currencies#zero-decimal."""
_THREE_MINOR = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

_DIGITS = 40
_PLAIN = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)


def minor_digits(currency: str) -> int:
    """How many decimals a currency's minor unit is: 2 for EUR, 0 for JPY, 3 for KWD."""
    return 0 if currency in _NO_MINOR else 3 if currency in _THREE_MINOR else 2


def exact_decimal(value: object) -> Decimal:
    """A finite Decimal from plain text (`-12.5`), int or Decimal, of at most 40 digits on either side of the point.

    Raises ValueError for floats, NaN, infinities and exponents: `1e-999999999` is nine letters to read and a gigabyte
    to write out.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("a rate is a decimal written as text, such as '0.015'")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError("not a decimal number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not a finite number")
    exponent = number.as_tuple().exponent
    if number.adjusted() >= _DIGITS or (isinstance(exponent, int) and exponent < -_DIGITS):
        raise ValueError(f"more than {_DIGITS} digits")
    return number


Rate = Annotated[
    Decimal,
    BeforeValidator(exact_decimal),
    PlainSerializer(lambda value: format(value, "f"), return_type=str),
]
"""An exact decimal that travels as text."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code", examples=["EUR"])]


class Money(BaseModel):
    """An amount in minor units (cents) of a currency."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    minor: int = Field(description="Whole number of minor units", examples=[129900])
    currency: Currency

    def __add__(self, other: "Money") -> "Money":
        return Money(minor=self.minor + self._same(other), currency=self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(minor=self.minor - self._same(other), currency=self.currency)

    def times(self, count: int) -> "Money":
        """The amount `count` times over."""
        return Money(minor=self.minor * count, currency=self.currency)

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise ValueError(f"cannot mix {self.currency} and {other.currency}")
        return other.minor

    def __str__(self) -> str:
        digits = minor_digits(self.currency)
        return f"{Decimal(self.minor).scaleb(-digits):,.{digits}f} {self.currency}"

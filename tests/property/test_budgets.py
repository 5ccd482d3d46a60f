"""LEAD-8, LEAD-3: an amount that people write is read as it is, or not at all; never as another."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from revops.crm.policies.conversion import budget_amount
from revops.crm.policies.qualification import QualificationRules
from revops.kernel import Money
from revops.kernel.money import minor_digits
from revops.scoring.features import company_people

RULES = QualificationRules()
MORE = QualificationRules(
    default_currency="INR",
    budget_signs={**RULES.budget_signs, "aud": "AUD", "cad": "CAD", "jpy": "JPY", "kwd": "KWD"},
)
UNITS = {
    "": 1, "k": 10**3, "K": 10**3, " tsd": 10**3, " Tsd.": 10**3, " thousand": 10**3, "m": 10**6, "M": 10**6,
    "mn": 10**6, " Mio": 10**6, " Mio.": 10**6, "mln": 10**6, " million": 10**6, "bn": 10**9, " Mrd": 10**9,
    " billion": 10**9, " lakh": 10**5, " lac": 10**5, " crore": 10**7, "cr": 10**7,
}  # fmt: skip
CURRENCIES = {
    "": "", "€": "EUR", "EUR": "EUR", " eur": "EUR", "Euro": "EUR", "$": "USD", "US$": "USD", "usd": "USD",
    "£": "GBP", "₹": "INR", "Rs": "INR", "Rs.": "INR", "INR": "INR", "R$": "BRL", "CHF": "CHF", "A$": "AUD",
    "AUD": "AUD", "C$": "CAD", "JPY": "JPY", "KWD": "KWD", "¥": "?", "NZ$": "NZD",
    "SEK": "SEK", "kr": "?", "MX$": "MXN",
}  # fmt: skip
"""Ways to name a currency, and which it is; `?` is one of several."""
ONE = (
    "{c}{n}{u}", "{c} {n}{u}", "{n}{u}{c}", "{n}{u} {c}", "{n}{u}{c}+", "ca. {n}{u} {c}", "about {c}{n}{u}",
    "Budget: {n}{u} {c}", "{n}{u}{c} p.a.", "from {c} {n}{u} per year", "{n} {u} {c}", "min {c}{n}{u}",
    "{c}{n}{u}.", "we have {c}{n}{u}", "{n}{u} {c}x", "{c}{n}{u}/m",
)  # fmt: skip
RANGE = (
    "{c}{n}{u}-{c}{n2}{u}", "{n}{u} – {n2}{u} {c}", "{c}{n} - {n2}{u}", "{c}{n} - {c}{n2}{u}", "{n} to {n2}{u} {c}",
    "{n}{u} bis {n2}{u} {c}", "{n}-{n2}{u}{c}", "between {n} and {n2}{u} {c}", "{n} {c} - {n2}{u} {c}",
)  # fmt: skip


def _in_threes(whole: str, mark: str) -> str:
    return f"{int(whole):,}".replace(",", mark)


def _indian(whole: str) -> str:
    head, tail = whole[:-3], whole[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return ",".join([*reversed(pairs), tail])


GROUPINGS: dict[str, tuple[Callable[[str], str], str]] = {
    "plain": (lambda whole: whole, "."),
    "plain, comma": (lambda whole: whole, ","),
    "english": (lambda whole: _in_threes(whole, ","), "."),
    "european": (lambda whole: _in_threes(whole, "."), ","),
    "swiss": (lambda whole: _in_threes(whole, "'"), "."),
    "french": (lambda whole: _in_threes(whole, "\u202f"), ","),
    "indian": (_indian, "."),
}


def written(number: Decimal, grouping: str) -> str:
    group, point = GROUPINGS[grouping]
    whole, _, part = format(number, "f").partition(".")
    return group(whole) + (point + part if part else "")


def numbers(unit: str) -> st.SearchStrategy[Decimal]:
    """Numbers that people put before a unit: up to three decimals with one, cents without."""
    places = (0, 1, 2, 3) if unit else (0, 2)
    return st.builds(
        lambda whole, part, digits: Decimal(f"{whole}.{str(part).zfill(3)[:digits]}") if digits else Decimal(whole),
        st.one_of(st.integers(1, 999), st.integers(1000, 10**7)),
        st.integers(0, 999),
        st.sampled_from(places),
    )


def right(said: Money, amount: Decimal, currency: str) -> bool:
    """Whether an answer is the truth or 0."""
    return said.minor == 0 or (
        said.currency == currency and Decimal(said.minor).scaleb(-minor_digits(said.currency)) == amount
    )


@pytest.mark.mission("LEAD-8")
@given(st.data(), st.sampled_from([RULES, MORE]))
def test_a_budget_is_read_right_or_not_at_all(data: st.DataObject, rules: QualificationRules) -> None:
    unit, name = data.draw(st.sampled_from(sorted(UNITS))), data.draw(st.sampled_from(sorted(CURRENCIES)))
    number, grouping = data.draw(numbers(unit)), data.draw(st.sampled_from(sorted(GROUPINGS)))
    layout = data.draw(st.sampled_from(ONE))
    text = layout.format(c=name, n=written(number, grouping), u=unit)
    said = budget_amount(text, rules)
    assert right(said, number * UNITS[unit], CURRENCIES[name] or rules.default_currency), text


@pytest.mark.mission("LEAD-8")
@given(st.data(), st.sampled_from([RULES, MORE]))
def test_a_range_is_read_from_its_lower_end_or_not_at_all(data: st.DataObject, rules: QualificationRules) -> None:
    unit, name = data.draw(st.sampled_from(sorted(UNITS))), data.draw(st.sampled_from(sorted(CURRENCIES)))
    first, second = sorted((data.draw(numbers(unit)), data.draw(numbers(unit))))
    assume(first < second)
    grouping, layout = data.draw(st.sampled_from(sorted(GROUPINGS))), data.draw(st.sampled_from(RANGE))
    text = layout.format(c=name, n=written(first, grouping), n2=written(second, grouping), u=unit)
    said = budget_amount(text, rules)
    assert right(said, first * UNITS[unit], CURRENCIES[name] or rules.default_currency), text


@pytest.mark.mission("LEAD-8")
@given(
    st.integers(1, 10**6),
    st.sampled_from(["k", "K", " Tsd.", " thousand", "m", " Mio", " million", " lakh", " crore", ""]),
    st.sampled_from(["€", "EUR", "$", "US$", "£", "₹", "Rs", "CHF", "R$"]),
    st.sampled_from(
        ["{c}{n}{u}", "{c} {n}{u}", "{n}{u} {c}", "{n}{u} – {m}{u} {c}", "{c}{n} - {c}{m}{u}", "ca. {c}{n}{u}+"]
    ),
)
def test_what_is_written_plainly_is_understood(number: int, unit: str, name: str, layout: str) -> None:
    text = layout.format(c=name, n=number, m=number + 1, u=unit)
    minor = number * UNITS[unit] * 100
    assert budget_amount(text, RULES) == Money(minor=minor, currency=CURRENCIES[name])


@pytest.mark.mission("LEAD-8")
@given(
    st.lists(
        st.sampled_from(
            [*"0123456789.,'’ -–€$¥₹+kmtr½²", "eur", "lakh", "ca.", "p.a.", "per year", "A$", "to", "K", "०"]
        ),
        max_size=60,
    ).map("".join)
)
@example("9" * 4000)
def test_no_text_is_too_strange(text: str) -> None:
    said = budget_amount(text, RULES)
    assert 0 <= said.minor <= 10**17
    assert said.currency in {RULES.default_currency, *RULES.budget_signs.values()}
    people = company_people(text)
    assert people is None or 0 <= people <= 999_999_999


@pytest.mark.mission("LEAD-3")
@given(
    st.integers(1, 99_999),
    st.integers(1, 99_999),
    st.sampled_from(["", "k", "K", " thousand"]),
    st.sampled_from(sorted(GROUPINGS)),
    st.sampled_from(
        ["{n}{u}", "{n}{u}+", "{n}{u}-{m}{u}", "{n}-{m}{u}", "{n} – {m}{u} employees", "{n}, {m}{u}", "{n} {m}"]
    ),
)
def test_people_are_counted_right_or_not_at_all(first: int, more: int, unit: str, grouping: str, layout: str) -> None:
    n, m = (written(Decimal(number), grouping) for number in (first, first + more))
    people = company_people(layout.format(n=n, m=m, u=unit))
    assert people in (None, first * UNITS[unit])

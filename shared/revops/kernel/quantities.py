"""How much, as people write it: `10k–50k`, `1.000.000,50`, `10,00,000`, `100 to 500k`, `5 crore`.

A text is read as a whole, word by word: one number or one range, its units, and beside it only what the caller's
vocabulary knows. What is not surely understood is no number; a wrong one would go on into amounts and scores. Every
pattern goes over a text once, so the time is linear in its length.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

_THOUSAND, _MILLION, _BILLION = Decimal(10**3), Decimal(10**6), Decimal(10**9)
_UNITS = {
    "": Decimal(1),
    **dict.fromkeys(("k", "tsd", "tausend", "thousand"), _THOUSAND),
    **dict.fromkeys(("m", "mn", "mio", "mln", "million", "millions", "millionen"), _MILLION),
    **dict.fromkeys(("bn", "mrd", "billion", "billions", "milliard", "milliards", "milliarde", "milliarden"), _BILLION),
    **dict.fromkeys(("lakh", "lakhs", "lac", "lacs"), Decimal(10**5)),
    **dict.fromkeys(("crore", "crores", "cr"), Decimal(10**7)),
}
INDIAN_UNITS = frozenset(("lakh", "lakhs", "lac", "lacs", "crore", "crores", "cr"))
"""The units that amounts of rupees are counted in, and hardly any other."""

_BEFORE = (
    "about", "around", "roughly", "circa", "etwa", "rund", "ungefähr", "environ", "~", "≈", ":",
    "from", "starting at", "ab", "von", "min", "more than", "over", "über", ">", "≥", ">=",
)  # fmt: skip
_AFTER = ("plus", "or more", "and more", "oder mehr", "und mehr")
_EITHER = ("approx", "approx.", "approximately", "ca", "ca.", "at least", "minimum", "mindestens")
_WORDS = {
    **dict.fromkeys(_BEFORE, "B"),
    **dict.fromkeys(_AFTER, "A"),
    **dict.fromkeys(_EITHER, "E"),
    **dict.fromkeys(("-", "–", "—", "‑", "‒", "−", "to", "bis"), "T"),
    **dict.fromkeys(("between", "zwischen"), "W"),
    **dict.fromkeys(("and", "und"), "D"),
    "+": "P",
}
_GRAMMAR = re.compile(
    r"[BEC]*+"
    r"(?:NU?+[CP]*+(?:TC*+NU?+[CP]*+)?+|WC*+NU?+[CP]*+[DT]C*+NU?+[CP]*+)"
    r"[AECP]*+"
)
"""N number, U unit, C name, B, A and E words before, after and on either side, T and D from start to end, W between,
P plus. Nothing is given back once it was taken."""

_LETTER = r"[^\W\d_]|[$¢-¥₠-⃏]"
_NUMBER = re.compile(
    r"0[.,](?P<fraction>[0-9]{1,6})"
    r"|(?P<whole>[0-9]++|[1-9][0-9]{0,2}(?P<mark>[.,'’ ])[0-9]{3}(?:(?P=mark)[0-9]{3})*+"
    r"|[1-9][0-9]?(?:,[0-9]{2}(?![0-9]))++(?P<indian>,)[0-9]{3})"
    r"(?:(?!(?P=mark)|(?P=indian))[.,](?P<cents>[0-9]{1,2}))?"
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What may stand beside a number, casefolded: the names of what is counted, such as currencies, and words that say
    nothing against it, by where they may stand."""

    names: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    either: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says. `least` is its number or the start of its range, None when that is not sure; `names` and
    `units` are those that were said, understood or not; `doubtful`: three digits after its one mark are taken for
    thousands, but a writer of three decimals may mean those."""

    least: Decimal | None
    names: frozenset[str]
    units: frozenset[str]
    doubtful: bool


class _Number(NamedTuple):
    value: Decimal
    doubtful: bool


def read_quantity(text: str, vocabulary: Vocabulary) -> Reading:
    """The lower end of a quantity. A start without a unit has the unit of its end, as in `10-50k`, unless the range
    would run backwards."""
    kinds, said = "", list[str]()
    for kind, word in _tokens(text, vocabulary):
        kinds += kind
        said.append(word)
    least, doubtful = None, False
    if _GRAMMAR.fullmatch(kinds):
        numbers = [(_number(word), _unit_after(kinds, said, at)) for at, word in enumerate(said) if kinds[at] == "N"]
        least = _lower_end(*numbers)
        doubtful = any(number is not None and number.doubtful for number, _ in numbers)
    return Reading(least, _of_kind("C", kinds, said), _of_kind("U", kinds, said), doubtful)


def _of_kind(wanted: str, kinds: str, said: list[str]) -> frozenset[str]:
    return frozenset(word for kind, word in zip(kinds, said, strict=True) if kind == wanted)


def _unit_after(kinds: str, said: list[str], at: int) -> str:
    return said[at + 1] if kinds[at + 1 : at + 2] == "U" else ""


def _tokens(text: str, vocabulary: Vocabulary) -> Iterable[tuple[str, str]]:
    """The words of a text with their kinds; X is what nobody knows."""
    plain = re.sub(r"\d", lambda digit: str(int(digit.group())), " ".join(text.casefold().split()))
    kinds, pattern = _known(vocabulary)
    for found in pattern.finditer(plain.removesuffix(".")):
        word = found.group()
        if found.lastgroup == "word":
            yield from _word(word.removesuffix("."), kinds, vocabulary.names)
        else:
            yield {"number": "N", "cents": "P", "phrase": kinds.get(word, "X")}.get(found.lastgroup or "", "X"), word


def _word(word: str, kinds: dict[str, str], names: frozenset[str]) -> Iterable[tuple[str, str]]:
    """A word, or the unit and the name that are written as one: `keur`, `m€`."""
    if word in kinds:
        yield kinds[word], word
    elif word in _UNITS:
        yield "U", word
    else:
        glued = [unit for unit in _UNITS if unit and word.startswith(unit) and word.removeprefix(unit) in names]
        yield from (("U", glued[0]), ("C", word.removeprefix(glued[0]))) if len(glued) == 1 else (("X", word),)


@lru_cache(maxsize=16)
def _known(vocabulary: Vocabulary) -> tuple[dict[str, str], re.Pattern[str]]:
    """The kind of every word, and the pattern of a token: a number with the marks inside it, the dash that stands for
    no cents (`5.000,-`), what is known and more than one word or no word, a word with its currency sign, the rest. A
    dot before a digit ends no word: `eur.5` may be a half."""
    kinds = dict(_WORDS)
    for words, kind in (
        (vocabulary.before, "B"),
        (vocabulary.after, "A"),
        (vocabulary.either, "E"),
        (vocabulary.names, "C"),
    ):
        kinds |= dict.fromkeys(words, kind)
    phrases = "|".join(
        re.escape(phrase) + (rf"(?!{_LETTER})" if re.search(rf"(?:{_LETTER})\Z", phrase) else "")
        for phrase in sorted(kinds, key=len, reverse=True)
    )
    pattern = (
        r"(?P<number>[0-9]++(?:[.,'’ ][0-9]++)*+)"
        r"|(?P<cents>(?<=[0-9])[.,][-–—]{1,2}+(?! ?[0-9-–—]))"
        rf"|(?P<phrase>{phrases})"
        rf"|(?P<word>(?:{_LETTER})++(?:\.(?:{_LETTER})++)*+(?:\.(?![0-9]))?)"
        r"|(?P<other>\S)"
    )
    return kinds, re.compile(pattern)


def _number(text: str) -> _Number | None:
    """A number as it is grouped in Europe, India, Switzerland or not at all. One or two digits after the last mark are
    decimals, three are thousands, more are a slip; after a single 0 all are decimals."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    fraction = found["fraction"]
    if fraction is not None:
        return _Number(Decimal(f"0.{fraction}"), doubtful=False)
    digits = re.sub(r"[^0-9]", "", found["whole"])
    one_mark = sum(not each.isdigit() for each in text) == 1
    doubtful = found["mark"] == " " or (found["mark"] in (".", ",") and one_mark)
    return _Number(Decimal(f"{digits}.{found['cents'] or '0'}"), doubtful)


def _scaled(number: _Number | None, unit: str) -> Decimal | None:
    """A number in its unit. `1.500 Mio` is 1500 million to one and 1.5 million to another; `20 500k` may be a range."""
    return None if number is None or (unit and number.doubtful) else number.value * _UNITS[unit]


def _lower_end(start: tuple[_Number | None, str], end: tuple[_Number | None, str] | None = None) -> Decimal | None:
    number, unit = start
    first = _scaled(number, unit)
    if end is None:
        return first
    last, last_unit = _scaled(*end), end[1]
    if number is None or first is None or last is None:
        return None
    if last_unit and not unit:
        carried = number.value * _UNITS[last_unit]
        if carried < last:
            return None if number.doubtful else carried
        # "1000 - 5k" has its thousands written out; "500 - 1m" may mean either.
        return first if _UNITS[last_unit] == _THOUSAND <= first <= last else None
    if not unit and 0 < first * _THOUSAND < last:
        return None  # "5 - 10,000" may mean five thousand
    return first if first <= last else None

"""How alike two names, companies, numbers and addresses are, 0–1, the same from either side; and which addresses are
two mailboxes however alike they are."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from revops.crm.free_mail import FREE_MAIL
from revops.crm.policies.linkage import Compare
from revops.crm.scripts import latin

Address = Sequence[str]
"""The local part of an e-mail address and its domain, both canonical."""
_SLIP = 0.9
"""From which likeness an address is the same with a slip."""
_WORD = re.compile(r"[^\W\d_]+")


class Comparisons(NamedTuple):
    """One comparison per kind of field, over the values that `matching.Matcher` makes."""

    first_name: Compare
    last_name: Compare
    company: Compare
    number: Compare
    email: Compare


@cache
def comparisons() -> Comparisons:
    """Made when two people are first compared: rapidfuzz is dear at a cold start, and most requests compare nobody."""
    from rapidfuzz.distance import OSA, JaroWinkler
    from rapidfuzz.fuzz import ratio

    alike, apart = JaroWinkler.similarity, OSA.distance

    def first_name(one: Any, other: Any) -> float:
        """1 equal, .96 a nickname or one of several names, .88 an initial; a likeness of letters stays below .95,
        because Jan and Jana are two."""
        a, b = one[0], other[0]
        if a == b:
            return 1.0
        groups = one[1]
        if groups and other[1] and not groups.isdisjoint(other[1]):
            return 0.96
        if len(a) == 1 or len(b) == 1:
            return 0.88 if a[0] == b[0] else 0.0
        if b in one[2] or a in other[2]:
            return 0.96
        return min(0.94, alike(a, b))

    def last_name(one: Any, other: Any) -> float:
        """.93 when one name is among the other's."""
        a, b = one[0], other[0]
        words, others = one[2], other[2]
        if (words or others) and ((words or {a}) <= (others or {b}) or (others or {b}) <= (words or {a})):
            return 0.93
        return alike(a, b)

    def company(one: Any, other: Any) -> float:
        """.97 when only the gaps differ, .85 a name within another's (a subsidiary, a group) or its initials."""
        if one[0] == other[0]:
            return 1.0
        if one[0].replace(" ", "") == other[0].replace(" ", ""):
            return 0.97
        if one[1] <= other[1] or other[1] <= one[1] or one[0] == other[2] or other[0] == one[2]:
            return 0.85
        return ratio(one[0], other[0]) / 100

    def number(one: Any, other: Any) -> float:
        """.8 one digit wrong or two turned round."""
        return 0.8 if apart(one, other, score_cutoff=1) <= 1 else 0.0

    def email(one: Any, other: Any) -> float:
        """.95 a slip: one letter wrong past the first (a digit or a dot more is another mailbox), .5 the same name at
        another domain, .3 another name at the same domain."""
        a, b = one[0], other[0]
        if one[1] == other[1]:
            slip = a[0] == b[0] and apart(a, b, score_cutoff=1) <= 1 and min(len(a), len(b)) > 4
            return 0.95 if slip and _letters(a) != _letters(b) else 0.3
        if a != b:
            return 0.0
        return 0.95 if apart(one[1], other[1], score_cutoff=2) <= 2 else 0.5

    return Comparisons(first_name, last_name, company, number, email)


def two_mailboxes(one: Address, other: Address, surnames: Sequence[tuple[str, str]], *, named: bool) -> tuple[str, ...]:
    """Why two unequal addresses belong to two people although they are a slip apart (CAP-11). `surnames` are the folded
    names that stand against each other; `named` says that neither side lacks a first name or a surname, without which
    nothing but the slip tells Mario from Maria."""
    (local, domain), (another, elsewhere) = one, other
    found = []
    if domain == elsewhere and (not named or comparisons().email(one, other) < _SLIP):
        found.append("two addresses of one company")
    if domain != elsewhere and {domain, elsewhere} <= FREE_MAIL:
        found.append("addresses at two mail providers")
    if _of_two_countries(domain, elsewhere):
        found.append("addresses of two countries")
    if any(mine != theirs and _two_spelt(mine, local, theirs, another) for mine, theirs in surnames):
        found.append("surnames differ, in the addresses too")
    return tuple(found)


def _of_two_countries(domain: str, other: str) -> bool:
    """Whether one name stands under the endings of two countries: an ending of two letters is a country's (RFC 1591,
    section 2)."""
    (name, _, end), (same, _, another) = domain.rpartition("."), other.rpartition(".")
    return name == same and end != another and len(end) == len(another) == 2


def _two_spelt(mine: str, local: str, theirs: str, another: str) -> bool:
    """Whether either address has its own surname, and they write it differently. Müller and Mueller at two addresses
    with `mueller` are one name."""
    here, there = _spelt(mine, local), _spelt(theirs, another)
    return bool(here and there) and here != there


def _spelt(surname: str, local: str) -> list[str]:
    """The words of a local part that hold a word of a surname, as they are written there: of `muller` in `h.mueller`
    it is `mueller`. One letter, as in O'Neill, is in too many words to be looked for."""
    sought = [latin(word) for word in _WORD.findall(surname) if len(word) > 1]
    return [word for word in _WORD.findall(local) if any(part in latin(word) for part in sought)]


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalpha())

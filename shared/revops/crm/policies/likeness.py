"""How alike two names, companies, numbers and addresses are, 0–1, the same from either side."""

from functools import cache
from typing import Any, NamedTuple

from revops.crm.policies.linkage import Compare


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


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalpha())

"""Who is who: how alike two people are, field by field, and what follows (CAP-11).

An equal e-mail decides by a claim before this is asked. What is compared here is everything that is only evidence.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import ClassVar

from pydantic import Field

from revops.crm.model import MatchEvidence, MatchVerdict
from revops.crm.normalise import CanonicalEmail, company_core, fold, mixed_script
from revops.settings import SettingsDocument


class MatchRules(SettingsDocument):
    """Weights of the compared fields and the score from which a person looks like another."""

    SETTING: ClassVar[str] = "matching"

    name_weight: float = Field(default=0.40, ge=0)
    company_weight: float = Field(default=0.25, ge=0)
    phone_weight: float = Field(default=0.20, ge=0)
    email_weight: float = Field(default=0.15, ge=0)
    review_from: float = Field(default=0.80, gt=0, le=1)
    max_candidates: int = Field(default=200, ge=1, le=200)


class Features:
    """The canonical forms of one person that matching looks at."""

    __slots__ = ("company", "email", "first", "last", "mixed", "phone")

    def __init__(self, first: str, last: str, company: str, email: CanonicalEmail | None, phone: str) -> None:
        self.first = fold(first)
        self.last = fold(last)
        self.company = company_core(company)
        self.email = email
        self.phone = phone
        self.mixed = mixed_script(f"{first} {last} {company}")

    def blocking_keys(self) -> list[str]:
        """Under which keys lookalikes are found, hashed: an equal phone, the same surname at the same company, the
        same surname behind the same mail domain. Two people that share none are never compared."""
        keys = []
        if self.phone:
            keys.append(f"phone:{self.phone}")
        initial = self.first[:1]
        if self.last and self.company:
            keys.append(f"company:{self.company.split()[0]}:{_sound(self.last)}:{initial}")
        if self.last and self.email:
            keys.append(f"domain:{self.email.domain}:{_sound(self.last)}")
        return [hashlib.sha256(key.encode()).hexdigest()[:32] for key in keys]


def _sound(surname: str) -> str:
    """A rough sound of a surname: its first letter and consonants, doubled letters once. `Meyer`, `Meier` → `mr`."""
    kept = [surname[0]]
    for char in surname[1:]:
        if char not in "aeiouyhw- '" and char != kept[-1]:
            kept.append(char)
    return "".join(kept[:6])


def compare(left: Features, right: Features, rules: MatchRules) -> tuple[float, tuple[MatchEvidence, ...]]:
    """How alike two people are, 0–1, and the evidence. Fields that one side lacks are left out of the weighing."""
    jaro_winkler, token_sort = _metrics()
    found: list[MatchEvidence] = []
    if left.last and right.last:
        forward = jaro_winkler(left.first, right.first) * 0.5 + jaro_winkler(left.last, right.last) * 0.5
        crossed = jaro_winkler(left.first, right.last) * 0.5 + jaro_winkler(left.last, right.first) * 0.5
        found.append(_evidence("name", max(forward, crossed), rules.name_weight))
    if left.company and right.company:
        found.append(_evidence("company", token_sort(left.company, right.company) / 100, rules.company_weight))
    if left.phone and right.phone:
        found.append(_evidence("phone", float(left.phone == right.phone), rules.phone_weight))
    if left.email and right.email:
        found.append(_evidence("email", _email_likeness(left.email, right.email), rules.email_weight))
    weight = sum(part.weight for part in found)
    score = sum(part.similarity * part.weight for part in found) / weight if weight else 0.0
    return round(score, 4), tuple(found)


def verdict(person_id: str, lead_id: str, left: Features, right: Features, rules: MatchRules) -> MatchVerdict | None:
    """The explained resemblance of a submission to a person, or None when it is too small to mention."""
    score, evidence = compare(left, right, rules)
    names_agree = any(part.field == "name" and part.similarity >= 0.85 for part in evidence)
    if score < rules.review_from or not names_agree:
        return None
    return MatchVerdict(person_id=person_id, lead_id=lead_id, score=score, evidence=evidence)


def _email_likeness(left: CanonicalEmail, right: CanonicalEmail) -> float:
    if left.domain != right.domain:
        return 0.0
    jaro_winkler, _ = _metrics()
    return jaro_winkler(left.address.partition("@")[0], right.address.partition("@")[0])


@cache
def _metrics() -> tuple[Callable[[str, str], float], Callable[[str, str], float]]:
    """Jaro-Winkler (0–1) and token sort ratio (0–100). Loaded when two people are first compared: they are dear at a
    cold start, and most requests compare nobody."""
    from rapidfuzz.distance import JaroWinkler
    from rapidfuzz.fuzz import token_sort_ratio

    return JaroWinkler.similarity, token_sort_ratio


def _evidence(field: str, similarity: float, weight: float) -> MatchEvidence:
    return MatchEvidence(field=field, similarity=round(similarity, 4), weight=weight)

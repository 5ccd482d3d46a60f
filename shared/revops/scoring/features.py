"""What the learned term may look at, and in which form (LEAD-3).

An allow-list. A lead is judged by what it came with: who the person is, what company, by which way it came. What a
salesperson sets afterwards (status, contact time, owner, qualification, notes) knows the outcome and would teach a
model to read it off. A field of this list that is filled in or corrected later counts as it was when the lead was
created (`kept_first`), in training and in scoring alike.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """As texts stand in tables of points: casefolded, with plain hyphens."""
    return re.sub(r"\s*[–—-]\s*", "-", text.strip().casefold())


@lru_cache(maxsize=4096)
def company_people(text: str) -> int | None:
    """The lower end of a size such as `50–100 Employees` or `1,000+`; None when it holds no number."""
    found = re.search(r"\d[\d.,' ]*", text)
    if not found:
        return None
    digits = re.sub(r"\D", "", found.group())
    return int(digits[:9])


_BANDS = (1000, 250, 50, 10, 1)
_LEVELS = (
    ("chief", r"chief|c[etfoimp]o|ciso|founder|owner|president|partner|gesch[aä]ftsf[uü]hrer\w*|inhaber\w*|pdg"),
    ("head", r"vp|vice|svp|evp|head|director\w*|directeur|directrice|direktor\w*|\w*leiter(?:in)?|chef"),
    ("manager", r"manager\w*|lead|supervisor|responsable"),
    ("junior", r"intern|\w*student\w*|trainee|praktikant\w*|assistant|assistenz"),
)  # fmt: skip
_LEVEL_WORDS = tuple((level, re.compile(rf"\b(?:{words})\b")) for level, words in _LEVELS)


@lru_cache(maxsize=4096)
def size_band(text: str) -> str:
    """The size of a company as the lower end of its band: 1, 10, 50, 250, 1000; "" when it is not known."""
    people = company_people(text)
    return next((str(band) for band in _BANDS if people is not None and people >= band), "")


@lru_cache(maxsize=4096)
def seniority(title: str) -> str:
    """The level a job title speaks of: chief, head, manager, junior, other; "" without a title."""
    text = title.casefold().replace("-", " ")
    if text.startswith("vice president"):
        return "head"
    return next((level for level, words in _LEVEL_WORDS if words.search(text)), "other" if text.strip() else "")


LEARNED_FROM: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "company_size": size_band,
        "industry": folded,
        "budget_range": folded,
        "timeline": folded,
        "authority_level": folded,
        "job_title": seniority,
        "interest_product": folded,
        "country": folded,
        "channel": folded,
        "source": folded,
        "medium": folded,
        "mail": folded,
    }
)
"""Field → the form in which it is learned from. `source` and `medium` are the attribution's, `mail` is the kind of
address: `company`, `free` or none. Nothing else is looked at, and a model that names anything else is refused."""

FIELDS = tuple(LEARNED_FROM)
_ENCODERS = tuple(LEARNED_FROM.values())

type Origin = tuple[str, ...]
"""What a lead came with: one encoded value per field of `FIELDS`, in that order."""


def origin_of(raw: tuple[str, ...], first: Mapping[str, str]) -> Origin:
    """What a lead came with, from its texts in the order of `FIELDS` as they stand and the first values of those that
    have changed since."""
    encoded = tuple([encode(text) for encode, text in zip(_ENCODERS, raw, strict=True)])
    if not first:
        return encoded
    return tuple([first.get(name, value) for name, value in zip(FIELDS, encoded, strict=True)])


def kept_first(first: Mapping[str, str], before: tuple[str, ...], after: tuple[str, ...]) -> dict[str, str]:
    """The first values to keep after a change: those kept so far, and the old value of every field that the change is
    the first to touch. Texts in the order of `FIELDS`; values are kept encoded."""
    kept = dict(first)
    for name, encode, old, new in zip(FIELDS, _ENCODERS, before, after, strict=True):
        if name not in kept and old != new and encode(old) != encode(new):
            kept[name] = encode(old)
    return kept

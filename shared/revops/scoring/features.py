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

from revops.kernel.quantities import Vocabulary, read_quantity


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """As texts stand in tables of points: casefolded, with plain hyphens."""
    return re.sub(r"\s*[–—-]\s*", "-", text.strip().casefold())


_COUNTED = (
    "employees employee people persons person staff team fte ftes headcount heads members worldwide globally total "
    "mitarbeiter mitarbeitende mitarbeiterinnen ma personen leute beschäftigte angestellte weltweit "
    "employés salariés personnes collaborateurs empleados personas dipendenti funcionários"
)
_COMPANY = Vocabulary(
    before=frozenset(("size", "company size", "team of", "staff of")),
    either=frozenset((*_COUNTED.split(), "in total")),
)
_UPPER = (
    "<=", "<", "≤", "under", "below", "less than", "fewer than", "up to", "at most", "max", "unter", "bis zu", "bis",
)  # fmt: skip
_LOST_DASH = re.compile(r"\d\s(?!000)\d")


@lru_cache(maxsize=4096)
def company_people(text: str) -> int | None:
    """The lower end of a size such as `50–100 Employees`, `1K-5K` or `1,000+`; 1 of one that has an upper end alone, as
    `<10`; None when it holds no number or one that is not surely understood."""
    said = folded(text)
    upper = next((word for word in _UPPER if said.startswith(word)), "")
    if _LOST_DASH.search(said):  # "51 200" is as likely a range that lost its dash
        return None
    least = read_quantity(said.removeprefix(upper), _COMPANY).least
    if least is None or least != int(least):
        return None
    return min(int(least), 1 if upper else 999_999_999)


_BANDS = (1000, 250, 50, 10, 1)
_LEVELS = (
    ("chief", r"chief|c[etfoimp]o|ciso|founder|owner|president|partner|gesch[aä]ftsf[uü]hrer\w*|inhaber\w*|pdg"),
    ("head", r"vp|vice|svp|evp|head|director\w*|directeur|directrice|direktor\w*|\w*leiter(?:in)?|chef"),
    ("manager", r"manager\w*|lead|supervisor|responsable"),
    ("junior", r"intern|\w*student\w*|trainee|praktikant\w*|assistant|assistenz|assistent(?:in)?"),
)  # fmt: skip
_LEVEL_WORDS = tuple((level, re.compile(rf"\b(?:{words})\b")) for level, words in _LEVELS)
_VICE = re.compile(r"\bvice presidents?\b")
_OWNS_NO_COMPANY = re.compile(
    r"\b(?:product|process|project|system|service|data|risk|control|application|app|platform|feature|asset|account"
    r"|budget|content|domain|technical|solution|release|backlog) owner\b"
    r"|\b(?:business|channel|alliance|delivery|technology|solutions?|talent|people|hr|client|customer|sales|strategic"
    r"|implementation|referral) partner\b"
    r"|\bpartner (?:\w+ )?(?:manager\w*|marketing|sales|success|program|development|enablement|engineer|operations"
    r"|support|lead|relations|management|director\w*|account)\b"
    r"|\bfounder['’]?s? associate\b"
)
"""Words of the highest level in the names of other work."""
_ASSISTING = re.compile(r"\b(?:assistant|assistenz|assistent(?:in)?)\b")
_ASSISTED = re.compile(r"\b(?:assistant|assistenz|assistent(?:in)?)\b(?:,| to\b| of\b| for\b| de[rs]\b| von\b).*")


@lru_cache(maxsize=4096)
def size_band(text: str) -> str:
    """The size of a company as the lower end of its band: 1, 10, 50, 250, 1000; "" when it is not known."""
    people = company_people(text)
    return next((str(band) for band in _BANDS if people is not None and people >= band), "")


@lru_cache(maxsize=4096)
def seniority(title: str) -> str:
    """The level a job title speaks of: chief, head, manager, junior, other; "" without a title."""
    text = _VICE.sub("vp", " ".join(title.casefold().replace("-", " ").split()))
    text, levels = _OWNS_NO_COMPANY.sub(_without_rank, text), _LEVEL_WORDS
    if _ASSISTING.search(text):  # whoever is assisted has a level, the assistant has another
        text, levels = _ASSISTED.sub("assistant", text), _LEVEL_WORDS[1:]
    return next((level for level, words in levels if words.search(text)), "other" if text.strip() else "")


def _without_rank(found: re.Match[str]) -> str:
    return re.sub(r"\b(?:owner|partner|founder)\b", "-", found.group())


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

"""When a lead may be converted, and what of it becomes what (LEAD-8), over the rules of qualification."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from revops.crm.factors import Bant
from revops.crm.model import (
    AuthorityLevel,
    Channel,
    ContactRole,
    DuplicateCheck,
    Influence,
    Lead,
    LeadStatus,
    PreferredChannel,
    ValidationStatus,
    Value,
)
from revops.crm.normalise import company_core
from revops.crm.policies.qualification import Authority, QualificationRules, accepted, unanswered
from revops.kernel import Money
from revops.kernel.money import minor_digits
from revops.kernel.quantities import INDIAN_UNITS, Vocabulary, read_quantity

_CONTACTED = (LeadStatus.CONTACTED, LeadStatus.QUALIFIED)
_RUPEES = ("INR", "PKR", "BDT", "LKR", "NPR")
_DOLLARS = ("USD", "AUD", "CAD", "HKD", "NZD", "SGD")
_ALSO: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("EUR",): ("euro", "euros"),
    ("USD",): ("us$", "us dollar", "us dollars"),
    ("AUD",): ("a$", "au$"),
    ("CAD",): ("c$", "ca$"),
    ("HKD",): ("hk$",),
    ("NZD",): ("nz$",),
    ("SGD",): ("s$",),
    ("CHF",): ("franken", "sfr"),
    ("GBP", "EGP"): ("pound", "pounds"),
    _DOLLARS: ("dollar", "dollars"),
    _RUPEES: ("rs", "rs.", "rupee", "rupees", "₨"),
}
"""Currencies, and other ways to write them. A way that several of the currencies of the rules may mean is none."""
_BEFORE = frozenset(("budget of", "budget is"))
_AFTER = frozenset(
    (
        "per year", "per annum", "p.a", "p.a.", "pa", "a year", "annually", "yearly", "/year", "/ year", "/yr",
        "pro jahr", "im jahr", "jährlich", "/jahr", "/ jahr",
    )
)  # fmt: skip
_EITHER = frozenset(("budget", "total", "in total", "insgesamt"))
_MOST = Decimal(10) ** 15
"""A budget above this is a slip of the hand, and counts as none."""


class Obstacle(Value):
    """A condition of conversion that a lead does not meet."""

    condition: str
    detail: str


def obstacles(lead: Lead, rules: QualificationRules) -> tuple[Obstacle, ...]:
    """Every condition that a lead does not meet, all at once; empty when it may be converted. An answer may be taken
    back after BANT was accepted: the outcome stands, and the lead waits for the answer."""
    missing = f": {', '.join(lead.missing)}" if lead.missing else ""
    unknown = ", ".join(unanswered(lead, Bant))
    open_still = f"; not answered yet: {unknown}" if unknown else ""
    checks = (
        (not lead.merged_into, "merged", f"the lead was merged into {lead.merged_into}"),
        (lead.score > rules.convert_above, "score", f"the score {lead.score} is not above {rules.convert_above}"),
        (lead.status in _CONTACTED, "status", f"the status is {lead.status}; it must be Contacted or Qualified"),
        (lead.contacted_at is not None, "contacted", "nobody has contacted the lead"),
        (
            lead.validation_status is ValidationStatus.VALID,
            "validation",
            f"the validation status is {lead.validation_status}{missing}",
        ),
        (accepted(lead), "outcome", f"the outcome of BANT is not recorded as accepted{open_still}"),
        (
            not (accepted(lead) and unknown),
            "bant",
            f"BANT was accepted and is not answered any more: {unknown}; answer it again",
        ),
        (
            lead.duplicate_check is DuplicateCheck.PASS,
            "duplicate_check",
            f"the duplicate check is {lead.duplicate_check}: the lead may be somebody known; decide that first",
        ),
    )
    return tuple(Obstacle(condition=name, detail=detail) for met, name, detail in checks if not met)


def budget_amount(text: str, rules: QualificationRules) -> Money:
    """The lower bound of a budget such as `10k-50k`, `€10,000 – 50,000`, `100k+` or `up to 5k` (which bounds nothing
    from below, so 0). What is not surely understood is 0 too: no number, an unknown word or sign beside it, a currency
    that the rules do not know, two of them. No currency is the one of the rules."""
    names = _currency_names(rules)
    reading = read_quantity(text, Vocabulary(frozenset(names), _BEFORE, _AFTER, _EITHER))
    said = {names[name] for name in reading.names}
    currency = next(iter(said)) if len(said) == 1 else rules.default_currency
    digits, amount = minor_digits(currency), reading.least
    unclear = (
        amount is None
        or amount > _MOST
        or len(said) > 1
        or any(text.casefold().lstrip().startswith(word.casefold()) for word in rules.budget_upper_words)
        # "5 crore" with no currency is rupees, whatever the rules' own currency is
        or (not said and currency not in _RUPEES and bool(reading.units & INDIAN_UNITS))
        or (digits == 3 and reading.doubtful)
    )
    minor = Decimal(0) if unclear or amount is None else amount.scaleb(digits)
    return Money(minor=int(minor) if minor == int(minor) else 0, currency=currency)


def _currency_names(rules: QualificationRules) -> dict[str, str]:
    """Every way to name a currency that the rules know, casefolded: their signs, the codes, and other ways that mean
    one of those currencies alone."""
    known = {*rules.budget_signs.values(), rules.default_currency}
    names = {code.casefold(): code for code in known}
    for currencies, ways in _ALSO.items():
        meant = known.intersection(currencies)
        if len(meant) == 1:
            names |= dict.fromkeys(ways, meant.pop())
    return names | {sign.casefold(): currency for sign, currency in rules.budget_signs.items()}


def expected_close(timeline: str, now: datetime, rules: QualificationRules) -> date:
    """When the deal is expected to close, by the timeline of the lead."""
    said = re.sub(r"\s*[–—-]\s*", "-", timeline.strip().casefold())
    days = {name.casefold(): days for name, days in rules.close_days.items()}
    return (now + timedelta(days=days.get(said, rules.close_days_otherwise))).date()


def contact_role(level: AuthorityLevel | None) -> ContactRole:
    """A contact's part in decisions, from the lead's say: the two lists have the same words."""
    return ContactRole(level.value) if level is not None else ContactRole.USER


def influence(level: AuthorityLevel | None, rules: QualificationRules) -> Influence | None:
    """How much a contact's word weighs; None when nobody said."""
    say = rules.authority.get(level, Authority.UNKNOWN) if level is not None else Authority.UNKNOWN
    return {Authority.HIGH: Influence.HIGH, Authority.MEDIUM: Influence.MEDIUM, Authority.LOW: Influence.LOW}.get(say)


def preferred_channel(lead: Lead) -> PreferredChannel:
    """How the person got in touch, as far as it can be gone on with."""
    if lead.channel is Channel.WHATSAPP:
        return PreferredChannel.WHATSAPP
    if lead.channel is Channel.CALL or not lead.email:
        return PreferredChannel.PHONE
    return PreferredChannel.EMAIL


class Candidate(Value):
    """An account that a lead's company may be, and how alike the names are (0–1)."""

    account_id: str
    name: str
    similarity: float


def candidates(company: str, accounts: Iterable[tuple[str, str]], rules: QualificationRules) -> tuple[Candidate, ...]:
    """The accounts, given as id and name, whose name is like a company's, the most alike first."""
    core, found = company_core(company), list[Candidate]()
    for account_id, name in accounts:
        similarity = _likeness(core, company_core(name))
        if similarity >= rules.account_maybe_from:
            found.append(Candidate(account_id=account_id, name=name, similarity=similarity))
    return tuple(sorted(found, key=lambda each: (-each.similarity, each.account_id)))


def the_one(found: Sequence[Candidate], rules: QualificationRules) -> Candidate | None:
    """The candidate that is surely meant: the only one, and alike enough."""
    return found[0] if len(found) == 1 and found[0].similarity >= rules.account_alike_from else None


def _likeness(left: str, right: str) -> float:
    from rapidfuzz.fuzz import token_sort_ratio  # loaded when two names are first compared

    return round(token_sort_ratio(left, right) / 100, 4)

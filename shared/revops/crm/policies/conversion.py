"""When a lead may be converted, and what of it becomes what (LEAD-8), over the rules of qualification."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

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
from revops.crm.policies.qualification import Authority, QualificationRules, accepted
from revops.kernel import Money
from revops.kernel.money import minor_digits

_CONTACTED = (LeadStatus.CONTACTED, LeadStatus.QUALIFIED)
_NUMBER = re.compile(r"(\d[\d.,' ]*\d|\d)\s*(k|m)?(?![a-z])", re.IGNORECASE)
_SCALE = {"": Decimal(1), "k": Decimal(1_000), "m": Decimal(1_000_000)}
_MOST = Decimal(10) ** 15
"""A budget above this is a slip of the hand, and counts as none."""


class Obstacle(Value):
    """A condition of conversion that a lead does not meet."""

    condition: str
    detail: str


def obstacles(lead: Lead, rules: QualificationRules) -> tuple[Obstacle, ...]:
    """Every condition that a lead does not meet, all at once; empty when it may be converted."""
    missing = f": {', '.join(lead.missing)}" if lead.missing else ""
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
        (accepted(lead), "outcome", "the outcome of BANT is not recorded as accepted"),
        (
            lead.duplicate_check is DuplicateCheck.PASS,
            "duplicate_check",
            f"the duplicate check is {lead.duplicate_check}: the lead may be somebody known; decide that first",
        ),
    )
    return tuple(Obstacle(condition=name, detail=detail) for met, name, detail in checks if not met)


def budget_amount(text: str, rules: QualificationRules) -> Money:
    """The lower bound of a budget such as `10k-50k`, `€10,000 – 50,000`, `100k+` or `up to 5k` (which bounds nothing
    from below, so 0). No number is 0; no currency is the one of the rules."""
    said = text.casefold()
    currency = _currency(said, rules.budget_signs) or rules.default_currency
    found = _NUMBER.search(said)
    if found is None or any(said.lstrip().startswith(word.casefold()) for word in rules.budget_upper_words):
        return Money(minor=0, currency=currency)
    scale = found.group(2) or ""
    if not scale:  # "10-50k": the unit stands once, at the end
        rest = _NUMBER.match(said[found.end() :].lstrip(" –—-"))
        scale = (rest.group(2) or "") if rest else ""
    amount = _plain(found.group(1)) * _SCALE[scale.casefold()]
    if amount > _MOST:
        amount = Decimal(0)
    return Money(minor=int(amount.scaleb(minor_digits(currency))), currency=currency)


def _currency(said: str, signs: Mapping[str, str]) -> str:
    """The currency whose sign a text holds; of several the longest sign, as `r$` before `$`."""
    found = [
        sign
        for sign in signs
        if (re.search(rf"(?<![a-z]){re.escape(sign.casefold())}(?![a-z])", said) if sign.isalpha() else sign in said)
    ]
    return signs[max(found, key=len)] if found else ""


def _plain(digits: str) -> Decimal:
    """A number as people write it. The last mark is a decimal point unless exactly three digits follow it."""
    kept = re.sub(r"[' ]", "", digits)
    head, mark, tail = kept.rpartition(".") if kept.rfind(".") > kept.rfind(",") else kept.rpartition(",")
    if not mark or len(tail) == 3:
        return Decimal(re.sub(r"\D", "", kept))
    return Decimal(f"{re.sub(r'\D', '', head) or '0'}.{tail}")


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

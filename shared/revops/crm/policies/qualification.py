"""When a lead is worth a look, how risky it is, what is still to be found out, and why one may be given up (LEAD-6,
LEAD-7). The rules of conversion stand in the same document: `policies.conversion` reads them.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from revops.crm.factors import Answer, AnswerState, Bant, Meddicc, Nomination, Outcome, OutcomeKind, Qualification
from revops.crm.model import AuthorityLevel, Lead, LeadStatus, Value
from revops.kernel import Invalid
from revops.kernel.money import Currency
from revops.settings import SettingsDocument

_L = AuthorityLevel
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=60)]
_WORKED_ON = frozenset({LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.QUALIFIED, LeadStatus.RECYCLED})


class Authority(StrEnum):
    """How much say an authority level stands for."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNKNOWN = "unknown"


class RiskLevel(StrEnum):
    """LEAD-7."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class QualificationRules(SettingsDocument):
    """The rules of qualification and conversion.

    `nominate_from` is the score that nominates; a nomination lapses when the score falls `nominate_again_below_by`
    points below that or the lead is given up, and only then can it be made again. `convert_above` is the score that
    conversion has to exceed. `budget_signs` are the ways a budget names its currency, `budget_upper_words` begin one
    that only says "at most", `close_days` turns a timeline into days until the deal is expected to close.
    `account_alike_from` is how alike (0–1) a company's name must be to an account's for the account to be used,
    `account_maybe_from` for it to be shown.
    """

    SETTING: ClassVar[str] = "qualification"

    nominate_from: int = Field(default=70, ge=1, le=100)
    nominate_again_below_by: int = Field(default=10, ge=0, le=100)
    follow_up_within_hours: int = Field(default=24, ge=1, le=24 * 30)
    authority: dict[AuthorityLevel, Authority] = Field(
        default={
            _L.DECISION_MAKER: Authority.HIGH, _L.ECONOMIC_BUYER: Authority.HIGH,
            _L.CHAMPION: Authority.MEDIUM, _L.INFLUENCER: Authority.MEDIUM,
            _L.USER: Authority.LOW, _L.GATEKEEPER: Authority.LOW,
        }
    )  # fmt: skip
    closing_reasons: tuple[Code, ...] = (
        "no_budget", "no_authority", "no_need", "wrong_time", "chose_competitor", "not_a_fit", "unreachable",
        "bad_data", "other",
    )  # fmt: skip
    recycle_reasons: tuple[Code, ...] = ("wrong_time", "needs_nurture", "changed_job", "asked_again", "other")
    history_shown: int = Field(default=50, ge=1, le=200)
    convert_above: int = Field(default=70, ge=0, le=99)
    default_currency: Currency = "EUR"
    budget_signs: dict[Words, Currency] = Field(
        default={
            "€": "EUR", "eur": "EUR", "r$": "BRL", "brl": "BRL", "$": "USD", "usd": "USD", "£": "GBP", "gbp": "GBP",
            "₹": "INR", "inr": "INR", "chf": "CHF",
        }
    )  # fmt: skip
    budget_upper_words: tuple[Words, ...] = ("<", "≤", "under", "below", "less than", "up to", "at most")
    close_days: dict[Words, Annotated[int, Field(ge=0, le=3650)]] = Field(
        default={"immediate": 14, "0-3 months": 90, "3-6 months": 180, "6-12 months": 365, "12+ months": 540}
    )
    close_days_otherwise: int = Field(default=90, ge=0, le=3650)
    account_alike_from: float = Field(default=0.98, gt=0, le=1)
    account_maybe_from: float = Field(default=0.75, gt=0, le=1)


class Risk(Value):
    """How risky a lead is, from how many of the four BANT factors are met and from its say; explained (LEAD-7)."""

    level: RiskLevel
    met: int
    authority: Authority
    because: str


def risk(lead: Lead, rules: QualificationRules) -> Risk:
    """Low = 4/4 and high authority; Medium = 3/4, or 4/4 with less than high authority; High = fewer, or low authority.
    An authority level that nobody stated is less than high, and not low."""
    met = met_of(lead.qualification)
    level = lead.authority_level
    say = rules.authority.get(level, Authority.UNKNOWN) if level is not None else Authority.UNKNOWN
    who = f"{level.value if level else 'nobody said who decides'}: {say.value} authority"
    because = f"{met} of 4 BANT factors met; {who}"
    if say is Authority.LOW or met < 3:
        found = RiskLevel.HIGH
    elif met == 4 and say is Authority.HIGH:
        found = RiskLevel.LOW
    else:
        found = RiskLevel.MEDIUM
    return Risk(level=found, met=met, authority=say, because=because)


def answers_of(lead: Lead) -> dict[str, Answer]:
    """The answers as they stand."""
    return dict(lead.qualification.answers) if lead.qualification else {}


def met_of(qualification: Qualification | None) -> int:
    """How many of the four BANT factors are met."""
    answers = qualification.answers if qualification else {}
    return sum(factor in answers and answers[factor].state is AnswerState.MET for factor in Bant)


def unanswered(lead: Lead, factors: Iterable[Bant | Meddicc]) -> tuple[str, ...]:
    """The factors that nobody answered, or answered with "unknown"."""
    answers = answers_of(lead)
    return tuple(
        factor.value for factor in factors if factor not in answers or answers[factor].state is AnswerState.UNKNOWN
    )


def accepted(lead: Lead) -> bool:
    """Whether the outcome of BANT that stands accepts the lead."""
    outcome: Outcome | None = lead.qualification.outcome if lead.qualification else None
    return outcome is not None and outcome.outcome is OutcomeKind.ACCEPTED


def require_reason(reason: str, allowed: tuple[str, ...]) -> None:
    """Raises Invalid for a reason that is not on the list."""
    if reason not in allowed:
        raise Invalid.field("reason", "LEAD-6 reason", "not a reason on the list", ", ".join(allowed))


def lapsed(nomination: Nomination | None) -> Nomination | None:
    """A nomination that stands no more, so that the score may nominate again."""
    if nomination is None or not nomination.standing:
        return nomination
    return nomination.model_copy(update={"standing": False})


def nominated(lead: Lead, rules: QualificationRules, now: datetime) -> Nomination | None:
    """A lead's nomination as it has to stand now: made when the score is high enough, lapsed when it has fallen well
    below or the lead was given up, else what it was. Archived leads are left as they are."""
    stands = lead.nomination
    if lead.merged_into or lead.status is LeadStatus.CONVERTED:
        return stands
    if lead.status not in _WORKED_ON:
        return lapsed(stands)
    if stands is not None and stands.standing:
        fallen = lead.score < rules.nominate_from - rules.nominate_again_below_by
        return lapsed(stands) if fallen else stands
    if lead.score < rules.nominate_from:
        return stands
    return Nomination(at=now, score=lead.score, number=stands.number + 1 if stands else 1)

"""A submission in canonical form, and what it adds to a lead that exists."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from revops.crm.model import Consent, Engagement, Lead
from revops.crm.normalise import CanonicalEmail, canonical_email, canonical_phone, tidy
from revops.crm.policies.matching import Features
from revops.crm.submission import LeadSubmission
from revops.kernel import CallContext

COPIED = (
    "first_name", "last_name", "company", "email", "phone", "country", "channel", "interest_product", "budget_range",
    "authority_level", "timeline", "job_title", "company_size", "industry",
)  # fmt: skip
"""Fields of a submission that stand on the lead as they came."""

_MAX_ENGAGEMENT = 50
_FREE_MAIL = frozenset(
    [
        "aol.com",
        "gmail.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rediffmail.com",
        "t-online.de",
        "web.de",
        "yahoo.com",
        "yandex.ru",
    ]
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A submission in canonical form. `partner_key` is the sender's idempotency key, `unusable` what cannot be read."""

    submission: LeadSubmission
    email: CanonicalEmail | None
    phone: str
    features: Features
    partner_key: str
    fingerprint: str
    unusable: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, submission: LeadSubmission, call: CallContext) -> Self:
        email = canonical_email(submission.email) if submission.email.strip() else None
        phone = canonical_phone(submission.phone, submission.country) if submission.phone.strip() else None
        unusable = {}
        if email is None:
            unusable["email"] = "not an e-mail address"
        if phone is None:
            unusable["phone"] = f"not a telephone number in {submission.country or 'any country'}"
        key = submission.idempotency_key
        return cls(
            submission=submission,
            email=email,
            phone=phone or "",
            features=Features(submission.first_name, submission.last_name, submission.company, email, phone or ""),
            partner_key=f"{call.principal.id}\0{key}" if key else "",
            fingerprint=hashlib.sha256(submission.model_dump_json().encode()).hexdigest() if key else "",
            unusable=unusable,
        )

    @property
    def address(self) -> str:
        return self.email.address if self.email else ""

    @property
    def domain(self) -> str:
        """The mail domain when it can stand for a company."""
        return self.email.domain if self.email and self.email.domain not in _FREE_MAIL else ""

    @property
    def claims(self) -> list[tuple[str, str]]:
        """The exclusive values: an e-mail that is no shared mailbox; a phone only of a person without e-mail."""
        if self.email is not None and not self.email.role:
            return [("email", self.email.address)]
        if self.email is None and self.phone:
            return [("phone", self.phone)]
        return []


def features_of(lead: Lead) -> Features:
    """The canonical forms of a lead's person."""
    email = canonical_email(lead.email) if lead.email else None
    phone = canonical_phone(lead.phone, lead.country) if lead.phone else None
    return Features(lead.first_name, lead.last_name, lead.company, email, phone or "")


def consents_of(submission: LeadSubmission, call: CallContext, now: datetime) -> tuple[Consent, ...]:
    """The statements of a submission with their evidence."""
    return tuple(
        Consent(
            channel=said.channel,
            purpose=said.purpose,
            granted=said.granted,
            at=now,
            wording_version=said.wording_version,
            source=submission.channel,
            ip=call.ip,
        )
        for said in submission.consents
    )


def news(reading: Reading, lead: Lead, call: CallContext, now: datetime) -> dict[str, Any]:
    """What a further submission adds: fields that were empty, consents that say something else, a form filled in.

    Nothing that stands is overwritten: a stranger who knows an address must not be able to rename somebody.
    """
    changes: dict[str, Any] = {}
    for name in COPIED:
        said = getattr(reading.submission, name)
        if said and not getattr(lead, name) and name not in reading.unusable:
            changes[name] = tidy(said) if isinstance(said, str) else said
    standing = {(consent.channel, consent.purpose): consent.granted for consent in lead.consents}
    fresh = tuple(
        consent
        for consent in consents_of(reading.submission, call, now)
        if standing.get((consent.channel, consent.purpose)) != consent.granted
    )
    if fresh:
        replaced = {(consent.channel, consent.purpose) for consent in fresh}
        kept = tuple(consent for consent in lead.consents if (consent.channel, consent.purpose) not in replaced)
        changes["consents"] = kept + fresh
    if changes and reading.submission.channel == "form":
        changes["engagement"] = (*lead.engagement, Engagement(event="form", at=now))[-_MAX_ENGAGEMENT:]
    if changes:
        changes["rescore_at"] = now
    return changes

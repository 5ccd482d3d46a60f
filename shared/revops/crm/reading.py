"""A submission in canonical form, and what it adds to a lead that exists."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from revops.crm.consent import BY_OTHERS, Consent, ConsentRecord, news_of
from revops.crm.countries import country_code
from revops.crm.free_mail import FREE_MAIL
from revops.crm.model import Channel, Engagement, Lead
from revops.crm.normalise import CanonicalEmail, canonical_email, canonical_phone, fold, has_extension, tidy
from revops.crm.policies.engagement import kept
from revops.crm.policies.intake import MANDATORY, completeness
from revops.crm.policies.matching import Features
from revops.crm.store import Submission, add_match_entries, remove_match_entries, vacant_keys
from revops.crm.submission import MOST_METADATA, LeadSubmission, attribution_of
from revops.kernel import CallContext
from revops.table import Table, Transaction, claim, holder_of, release

COPIED = (
    "first_name", "last_name", "company", "email", "phone", "country", "channel", "interest_product", "budget_range",
    "authority_level", "timeline", "job_title", "company_size", "industry",
)  # fmt: skip
"""Fields of a submission that stand on the lead as they came."""

_ON_TIMELINE = (Channel.EMAIL,)
"""Channels whose metadata is what the timeline shows of each message anyway."""


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
        unusable = _unusable(submission.email, email, submission.phone, phone, submission.country)
        key = submission.idempotency_key
        return cls(
            submission=submission,
            email=email,
            phone=phone or "",
            features=Features(
                submission.first_name,
                submission.last_name,
                submission.company,
                email,
                phone or "",
                submission.name_flags,
            ),
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
        return company_domain(self.email)

    @property
    def claims(self) -> list[tuple[str, str]]:
        """The exclusive values: an e-mail that is no shared mailbox; a phone only of a person without e-mail."""
        return exclusive(self.email, self.phone, self.submission.phone, self.submission.country)


def company_domain(email: CanonicalEmail | None) -> str:
    """The domain of an address when it can stand for a company: not that of a mail provider."""
    return email.domain if email and email.domain not in FREE_MAIL else ""


def _unusable(
    said_email: str, email: CanonicalEmail | None, said_phone: str, phone: str | None, country: str
) -> dict[str, str]:
    """What is said and cannot be read, and why."""
    found = {}
    if said_email.strip() and email is None:
        found["email"] = "not an e-mail address"
    if said_phone.strip() and phone is None:
        found["phone"] = f"not a telephone number {_where(country)}"
    return found


def _where(country: str) -> str:
    if country_code(country):
        return f"in {country.strip()}"
    unknown = f"{country.strip()} is no country that is known" if country.strip() else "no country is given"
    return f"with a prefix such as +44, and {unknown}"


def validity(lead: Lead, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of a lead's fields makes of its validation status, and of what is missing (CAP-10): a lead that is
    completed later is Valid from then on."""
    fields = {name: changes.get(name, getattr(lead, name)) for name in MANDATORY}
    email, phone, country = fields["email"], fields["phone"], fields["country"]
    unusable = _unusable(email, canonical_email(email), phone, canonical_phone(phone, country), country)
    status, missing = completeness(fields, unusable)
    now = {"validation_status": status, "missing": missing}
    return {name: value for name, value in now.items() if value != getattr(lead, name)}


def exclusive(email: CanonicalEmail | None, phone: str, written: str, country: str) -> list[tuple[str, str]]:
    """An e-mail that is no shared mailbox; a phone only of a person without e-mail (CAP-11), unless it is `written`
    with an extension: the number is that of a switchboard then."""
    if email is not None and not email.role:
        return [("email", email.address)]
    if email is None and phone and not has_extension(written, country):
        return [("phone", phone)]
    return []


def features_of(lead: Lead) -> Features:
    """The canonical forms of a lead's person."""
    email = canonical_email(lead.email) if lead.email else None
    phone = canonical_phone(lead.phone, lead.country) if lead.phone else None
    return Features(lead.first_name, lead.last_name, lead.company, email, phone or "", lead.name_flags)


def consents_of(submission: LeadSubmission, call: CallContext, now: datetime) -> tuple[Consent, ...]:
    """The statements of a submission with their evidence; of two about the same, the last."""
    return tuple(
        {
            (said.channel, said.purpose): Consent(
                channel=said.channel,
                purpose=said.purpose,
                granted=said.granted,
                at=now,
                wording_version=said.wording_version,
                source=submission.channel,
                ip=call.ip,
            )
            for said in submission.consents
        }.values()
    )


def fresh_consents(
    reading: Reading, record: ConsentRecord | None, call: CallContext, now: datetime
) -> tuple[Consent, ...]:
    """The statements of a further submission that change what stands. Anybody can fill in the public form with
    anybody's address, and a list does not tell when somebody agreed: either can withdraw a consent but not turn a
    recorded refusal into one."""
    fresh = news_of(record, consents_of(reading.submission, call, now))
    if reading.submission.channel not in BY_OTHERS or record is None:
        return fresh
    return tuple(said for said in fresh if not (said.granted and record.standing(said.channel, said.purpose)))


def news(reading: Reading, lead: Lead, now: datetime, *, said_more: bool) -> dict[str, Any]:
    """What a further submission adds to a lead: fields that were empty, metadata of new names, a form filled in.
    `said_more` when it adds to the consents.

    Nothing that stands is overwritten: a stranger who knows an address must not be able to rename somebody.
    """
    changes: dict[str, Any] = {}
    for name in COPIED:
        said = getattr(reading.submission, name)
        if said and not getattr(lead, name) and name not in reading.unusable:
            changes[name] = tidy(said) if isinstance(said, str) else said
    custom = {name: said for name, said in reading.submission.custom_fields.items() if name not in lead.custom_fields}
    if custom:
        changes["custom_fields"] = {**lead.custom_fields, **custom}
    if (changes or said_more) and reading.submission.channel == "form":
        changes["engagement"] = kept((*lead.engagement, Engagement(event="form", at=now)))
    if changes:
        changes |= validity(lead, changes) | {"rescore_at": now}
    beside = _beside(reading.submission, lead)
    names = [name for name in beside if name not in lead.metadata][: max(0, MOST_METADATA - len(lead.metadata))]
    if names:
        changes["metadata"] = lead.metadata | {name: beside[name] for name in names}
    return changes


def further(reading: Reading, lead: Lead, identifier: str, now: datetime) -> Submission:
    """A further submission as it stands beside the lead that it repeats: nothing of the lead is overwritten, and
    nothing that was said is lost."""
    attribution = attribution_of(reading.submission)
    return Submission(
        id=identifier,
        created_at=now,
        modified_at=now,
        lead_id=lead.id,
        channel=reading.submission.channel,
        source=attribution.source,
        campaign=attribution.campaign,
        fields=_otherwise(reading, lead),
        metadata=_beside(reading.submission, lead),
    )


def _beside(submission: LeadSubmission, lead: Lead) -> dict[str, str]:
    """What a further submission says beside the fields of a lead and does not stand on it (CAP-10)."""
    if submission.channel in _ON_TIMELINE:
        return {}
    return {name: text for name, text in submission.metadata.items() if lead.metadata.get(name) != text}


def _otherwise(reading: Reading, lead: Lead) -> dict[str, str]:
    """The fields of a lead that a further submission says otherwise than they stand."""
    said, stands = reading.submission, features_of(lead)
    same = {"channel"}
    if reading.email is not None and reading.email == stands.email:
        same.add("email")
    if reading.phone and reading.phone == stands.phone:
        same.add("phone")
    texts = {name: str(getattr(said, name) or "") for name in COPIED if name not in same}
    found = {
        name: text for name, text in texts.items() if text.strip() and fold(text) != fold(str(getattr(lead, name)))
    }
    for name, value in said.custom_fields.items():
        if value is not None and value != lead.custom_fields.get(name):
            found[f"custom_fields.{name}"] = str(value)
    return found


def claims_of(lead: Lead) -> list[tuple[str, str]]:
    """The exclusive values a lead holds."""
    features = features_of(lead)
    return exclusive(features.email, features.phone, lead.phone, lead.country)


def other_holders(table: Table, before: Lead, after: Lead) -> list[str]:
    """The ids of other leads that hold a value which a change would take."""
    fresh = [each for each in claims_of(after) if each not in claims_of(before)]
    holders = [holder_of(table, name, value) for name, value in fresh]
    return [holder for holder in holders if holder is not None and holder != after.id]


def move_identity(table: Table, transaction: Transaction, before: Lead, after: Lead) -> None:
    """Lets what a person is known by follow a change, in the transaction of the change: claims are released and made,
    match entries removed and added. A value that another lead holds stays with it; the commit fails with
    ConditionFailed when somebody takes one meanwhile."""
    held, wanted = claims_of(before), claims_of(after)
    for name, value in held:
        if (name, value) not in wanted and holder_of(table, name, value) == after.id:
            release(transaction, name, value)
    for name, value in wanted:
        if (name, value) not in held and holder_of(table, name, value) is None:
            claim(transaction, name, value, after.id)
    old, new = set(features_of(before).blocking_keys()), set(features_of(after).blocking_keys())
    fresh = sorted(new - old)
    add_match_entries(transaction, fresh, after.person_id, after.id, vacant_keys(table, fresh))
    remove_match_entries(table, transaction, sorted(old - new), after.person_id)

"""What a submission must bring, and what is noted about one that is kept (CAP-8, CAP-9, CAP-10)."""

from collections.abc import Mapping
from typing import Any

from revops.crm.countries import EU_EEA_UK, country_code
from revops.crm.model import Channel, ValidationStatus
from revops.crm.normalise import phone_country
from revops.crm.submission import LeadSubmission
from revops.kernel import FieldIssue, Invalid

COLLECTED = frozenset({Channel.FORM, Channel.PARTNER, Channel.WEBINAR, Channel.IMPORT})
"""Channels where we collect the lead; a person who writes first is kept without consent and gets no marketing."""
ATTRIBUTED = frozenset({Channel.PARTNER, Channel.WEBINAR, Channel.IMPORT})
"""Channels that must say where the lead came from."""
MANDATORY = ("first_name", "last_name", "company", "email", "phone", "country")
"""What LEAD-1 asks for; a reachable person without some of it is kept as Pending (CAP-10)."""


def require_consent(submission: LeadSubmission) -> None:
    """Refuses a lead from the EU, the EEA or the UK that we collect without a statement of consent.

    An explicit "no" is a statement: such a lead is kept and gets no marketing. Where the country is not said, or not
    recognised, the phone's country counts, else the mail's national domain.
    """
    if submission.channel not in COLLECTED or submission.consents:
        return
    code = country_code(submission.country) or _home_of(submission)
    if code in EU_EEA_UK:
        raise Invalid.field(
            "consent",
            "CAP-9 consent-required-eu-eea-uk",
            f"a lead from {code} needs a statement of consent",
            'consent: [{"channel": "email", "purpose": "marketing", "granted": true, "wording_version": "…"}]',
        )


def _home_of(submission: LeadSubmission) -> str:
    """The country that a phone's prefix or a mail's domain names, if one does."""
    ending = submission.email.strip().rpartition(".")[2]
    return phone_country(submission.phone) or (country_code(ending) if len(ending) == 2 else "")


def require_attribution(submission: LeadSubmission) -> None:
    """Refuses a lead of such a channel that does not say where it came from, naming each missing field."""
    if submission.channel not in ATTRIBUTED:
        return
    given = submission.attribution
    missing = [name for name in ("source", "campaign", "medium", "term") if not getattr(given, name, "")]
    if missing:
        raise Invalid(
            "attribution is incomplete: " + ", ".join(missing),
            [
                FieldIssue(f"attribution.{name}", "CAP-8 attribution-required", "is missing", "a non-empty text")
                for name in missing
            ],
        )


def require_reachable(email: str, phone: str, unusable: Mapping[str, str]) -> None:
    """Refuses a submission by which nobody could be reached, saying why what it has cannot be used."""
    if email or phone:
        return
    why = " and ".join(f"{name} is {reason}" for name, reason in unusable.items())
    message = f"neither a usable e-mail nor a usable phone{': ' if why else ''}{why}"
    raise Invalid.field("email", "CAP-10 reachable", message, "one of the two")


def completeness(fields: Mapping[str, Any], unusable: Mapping[str, str]) -> tuple[ValidationStatus, tuple[str, ...]]:
    """The validation status of a person's fields, and what is missing or unusable."""
    missing = tuple(name for name in MANDATORY if not fields[name].strip())
    bad = tuple(f"{name}: {why}" for name, why in unusable.items())
    if bad:
        return ValidationStatus.INVALID, missing + bad
    return (ValidationStatus.PENDING if missing else ValidationStatus.VALID), missing

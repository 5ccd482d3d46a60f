"""A lead as it comes in: every channel's adapter makes one of these, and one pipeline takes it from there."""

import json
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    model_validator,
)

from revops.crm.model import Attribution, AuthorityLevel, Channel
from revops.crm.normalise import tidy
from revops.crm.policies.attribution import trace
from revops.crm.policies.custom_fields import MAX_FIELDS, CustomFields, Given, read_custom_fields, typed
from revops.crm.scripts import unseen

_LINE = 120
MOST_METADATA = 20
"""Names in a lead's metadata."""


def _one_line(text: str) -> str:
    line = tidy(text)
    if len(line) > _LINE:  # one ligature may stand for eighteen letters
        raise ValueError(f"longer than {_LINE} characters once written out")
    return line


ShortText = Annotated[str, StringConstraints(max_length=_LINE), AfterValidator(_one_line)]
"""One line of at most 120 characters, tidied."""


class ConsentStatement(BaseModel):
    """What a person said about being contacted, in which words."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    channel: Annotated[str, Field(pattern=r"^(email|phone|whatsapp|sms|post)$", examples=["email"])]
    purpose: Annotated[str, Field(pattern=r"^(marketing|service)$", examples=["marketing"])] = "marketing"
    granted: bool
    wording_version: Annotated[str, Field(max_length=60, examples=["2026-03"])] = ""


class AttributionClaim(BaseModel):
    """Where the sender says the lead came from; may be incomplete."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    source: ShortText = ""
    campaign: ShortText = ""
    medium: ShortText = ""
    term: ShortText = ""


class LeadFields(BaseModel):
    """What a sender may say about a lead."""

    model_config = ConfigDict(defer_build=True)

    first_name: ShortText = Field(default="", examples=["राहुल"])
    last_name: ShortText = Field(default="", examples=["पाटील"])
    company: ShortText = Field(default="", examples=["Nordlicht GmbH"])
    email: Annotated[str, Field(max_length=320, examples=["rahul@nordlicht.example"])] = ""
    phone: Annotated[str, Field(max_length=40, examples=["+49 30 901820"])] = ""
    country: ShortText = Field(default="", examples=["DE"])
    interest_product: ShortText = ""
    budget_range: ShortText = Field(default="", examples=["10k-50k"])
    authority_level: AuthorityLevel | None = None
    timeline: ShortText = Field(default="", examples=["0-3 months"])
    job_title: ShortText = ""
    company_size: ShortText = Field(default="", examples=["50-100"])
    industry: ShortText = Field(default="", examples=["Software"])
    custom_fields: Annotated[
        dict[str, Given],
        Field(max_length=MAX_FIELDS, description="Declared fields by name; see the settings `custom_fields`"),
    ] = Field(default_factory=dict)
    consent: tuple[ConsentStatement, ...] = Field(default=(), max_length=10)
    attribution: AttributionClaim | None = None
    _flags: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="wrap")
    @classmethod
    def _look_before_tidying(cls, data: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """Reading the names takes out what cannot be seen; that it was there is kept (S14)."""
        made = build(data)
        if isinstance(data, dict):
            made._flags = unseen(*(str(data.get(name, "")) for name in ("first_name", "last_name", "company", "email")))
        return made

    @property
    def name_flags(self) -> tuple[str, ...]:
        """What was doubtful about the names as they were sent."""
        return self._flags


class PartnerSubmission(LeadFields):
    """A lead from a partner's system (CAP-5). Unknown and read-only fields are refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class FormSubmission(LeadFields):
    """A lead from the public form (CAP-1). What the form does not know goes to `metadata`, bounded. A field that is
    null was not filled in: a page sends one for a parameter that its address does not have."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    metadata: dict[str, str] = Field(default_factory=dict, max_length=MOST_METADATA)

    @model_validator(mode="before")
    @classmethod
    def _collect_unknown(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        said = {name: value for name, value in data.items() if value is not None}
        known = {name: value for name, value in said.items() if name in cls.model_fields and name != "metadata"}
        if isinstance(claim := known.get("attribution"), dict):
            known["attribution"] = {name: _cut(value) for name, value in claim.items() if value is not None}
        given = said.get("metadata", {})
        more = dict(given) if isinstance(given, dict) else {"metadata": given}
        more |= {name: value for name, value in said.items() if name not in cls.model_fields}
        known["metadata"] = bounded(more)
        return known


def _cut(said: Any) -> Any:
    """A text of an attribution within its line: what an address brought, no visitor can mend."""
    return tidy(said[: 2 * _LINE])[:_LINE] if isinstance(said, str) else said


def bounded(more: dict[Any, Any]) -> dict[str, str]:
    """At most 20 texts of at most 500 characters under names of at most 60; what is no text stands as JSON. What has no
    name or value, or the name of one that stands, is left out."""
    bounded: dict[str, str] = {}
    for name, value in more.items():
        short = tidy(str(name)[:60])[:60]
        if short and short not in bounded and value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            bounded[short] = tidy(text[:500])[:500]
        if len(bounded) == MOST_METADATA:
            break
    return bounded


class LeadSubmission(BaseModel):
    """One submission, whatever the channel. `referrer` helps to derive an attribution the channel did not bring;
    `told` is what the channel worked out of it from a number or an address."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    channel: Channel
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    email: str = ""
    phone: str = ""
    country: str = ""
    interest_product: str = ""
    budget_range: str = ""
    authority_level: AuthorityLevel | None = None
    timeline: str = ""
    job_title: str = ""
    company_size: str = ""
    industry: str = ""
    consents: tuple[ConsentStatement, ...] = ()
    attribution: AttributionClaim | None = None
    told: AttributionClaim | None = None
    name_flags: tuple[str, ...] = ()
    custom_fields: dict[str, Given] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    referrer: str = ""
    idempotency_key: str = ""

    @classmethod
    def of(cls, fields: LeadFields, channel: Channel, *, referrer: str = "", idempotency_key: str = "") -> Self:
        """A submission from what a sender said."""
        said = {name: getattr(fields, name) for name in LeadFields.model_fields if name != "consent"}
        return cls(
            channel=channel,
            consents=fields.consent,
            metadata=getattr(fields, "metadata", {}),
            name_flags=fields.name_flags,
            referrer=referrer,
            idempotency_key=idempotency_key,
            **said,
        )


def attribution_of(submission: LeadSubmission) -> Attribution:
    """The attribution that stands on the lead: as claimed, or derived and flagged as such (CAP-8)."""
    stated, told = (claim.model_dump() if claim else {} for claim in (submission.attribution, submission.told))
    return trace(stated, told, submission.metadata, submission.referrer, submission.channel)


def with_custom_fields(submission: LeadSubmission, declared: CustomFields) -> LeadSubmission:
    """The submission with its declared fields typed. Raises Invalid, naming each that cannot be read; but the public
    form loses no lead for one: what cannot be read stays in its metadata."""
    if submission.channel is not Channel.FORM:
        return submission.model_copy(update={"custom_fields": read_custom_fields(submission.custom_fields, declared)})
    named = {name: said for name, said in submission.metadata.items() if name in declared.lead}
    values, _ = typed({**named, **submission.custom_fields}, declared)
    unread = {name: said for name, said in submission.custom_fields.items() if name not in values}
    told = {name: said for name, said in submission.metadata.items() if name not in values}
    return submission.model_copy(update={"custom_fields": values, "metadata": bounded({**told, **unread})})

"""What the API shows of records. A view names every field it shows; what is not named is not shown."""

from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from revops.crm.consent import ConsentRecord
from revops.crm.factors import Conversion, Nomination, StatusReason
from revops.crm.model import (
    Account,
    AccountHealth,
    AccountLifecycle,
    AccountType,
    Attribution,
    AuthorityLevel,
    Channel,
    Contact,
    ContactRole,
    DuplicateCheck,
    ForecastCategory,
    Influence,
    Lead,
    LeadStage,
    LeadStatus,
    MatchVerdict,
    Opportunity,
    OpportunityStage,
    PreferredChannel,
    ResponseTarget,
    SpamScore,
    ValidationStatus,
    WinEvidence,
)
from revops.kernel import Money
from revops.scoring import ScoreCard


class ConsentView(BaseModel):
    """A consent as it stands."""

    model_config = ConfigDict(defer_build=True)

    channel: str
    purpose: str
    granted: bool
    at: datetime
    wording_version: str = ""
    source: str = ""


class LeadView(BaseModel):
    """A lead with everything that explains it (LEAD-1, LEAD-3, CAP-11, CAP-12)."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["LEAD_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    version: int = Field(examples=[1], description="Send it with a change; another one stands → 409")
    person_id: str
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    email: str = ""
    phone: str = ""
    country: str = ""
    attribution: Attribution
    channel: Channel
    owner_id: str
    assignee_id: str = ""
    assigned_by: str = Field(description="The rule that chose the owner, in words")
    account_id: str = ""
    status: LeadStatus
    stage: LeadStage
    score: int = Field(ge=0, le=100)
    score_card: ScoreCard | None = None
    gdpr_consent: bool
    consents: list[ConsentView] = Field(
        default_factory=list, description="Of one lead: the statements in force; a list shows `gdpr_consent` alone"
    )
    duplicate_check: DuplicateCheck
    resembles: tuple[MatchVerdict, ...] = ()
    merged: bool = Field(default=False, description="It is part of another lead now, and in no list")
    merged_into: str = Field(default="", description="Which one, for who may read it")
    merge_id: str = Field(default="", description="The merge, by which it can be undone")
    merged_from: tuple[str, ...] = Field(default=(), description="Leads that are part of this one")
    spam_score: SpamScore
    spam_reasons: tuple[str, ...] = ()
    validation_status: ValidationStatus
    missing: tuple[str, ...] = ()
    interest_product: str = ""
    budget_range: str = ""
    authority_level: AuthorityLevel | None = None
    timeline: str = ""
    job_title: str = ""
    company_size: str = ""
    industry: str = ""
    contacted_at: datetime | None = None
    response: ResponseTarget | None = Field(default=None, description="By when the owner is to have been in touch")
    first_touch_at: datetime | None = None
    first_touch_seconds: int | None = Field(default=None, description="From creation to the first touch")
    nomination: Nomination | None = Field(default=None, description="That its score made it worth a look")
    status_reason: StatusReason | None = Field(default=None, description="Why it was given up or taken back")
    conversion: Conversion | None = Field(default=None, description="What it became; the lead is archived")
    metadata: dict[str, str] = Field(default_factory=dict)
    custom_fields: dict[str, bool | int | str] = Field(default_factory=dict)
    created_at: datetime
    modified_at: datetime

    @classmethod
    def of(
        cls, lead: Lead, *, names_others: bool, consents: ConsentRecord | None = None, successor: bool = False
    ) -> Self:
        """The lead for a caller, with its person's consents where they were read. Whom it resembles is named only to
        those who may read everybody (`names_others`); anybody else sees how alike and why, not who (S19). The lead it
        went into is named to those who may read that one (`successor`)."""
        same = {name: getattr(lead, name) for name in cls.model_fields if name in Lead.model_fields}
        if not names_others:
            unnamed = {"person_id": "", "lead_id": ""}
            same["resembles"] = tuple(verdict.model_copy(update=unnamed) for verdict in lead.resembles)
            same["merged_from"] = ()
            if not successor:
                same |= {"merged_into": "", "merge_id": ""}
        return cls.model_validate(
            {
                **same,
                "merged": bool(lead.merged_into),
                "assigned_by": lead.assignment.explanation,
                "first_touch_seconds": lead.first_touch_seconds,
                "consents": [said.model_dump(exclude={"ip"}) for said in (consents.in_force if consents else ())],
            }
        )


class LeadListView(BaseModel):
    """A page of leads; `next` is the cursor of the following page, empty at the end."""

    model_config = ConfigDict(defer_build=True)

    leads: list[LeadView]
    next: str = ""


class CountsView(BaseModel):
    """Counts by name, of what the caller may see."""

    model_config = ConfigDict(defer_build=True)

    counts: dict[str, int] = Field(examples=[{"New": 12, "Contacted": 3}])


class ReceiptView(BaseModel):
    """The public form's answer: always the same shape, whoever is known here (CAP-11)."""

    model_config = ConfigDict(defer_build=True)

    receipt: str = Field(examples=["RCP_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])


class AccountView(BaseModel):
    """An account (CRM-1)."""

    model_config = ConfigDict(defer_build=True)

    id: str
    version: int
    name: str
    type: AccountType
    industry: str = ""
    company_size: str = ""
    annual_revenue: Money | None = None
    gstin: str = ""
    billing_address: str = ""
    domain: str = ""
    primary_person_id: str = ""
    owner_id: str
    health: AccountHealth
    lifecycle: AccountLifecycle
    active: bool
    created_at: datetime
    modified_at: datetime

    @classmethod
    def of(cls, account: Account) -> Self:
        return cls.model_validate({name: getattr(account, name) for name in cls.model_fields})


class ContactView(BaseModel):
    """A person at an account (CRM-2)."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["CON_2K7QF0X9M4T8"])
    version: int
    person_id: str
    account_id: str
    first_name: str = ""
    last_name: str = ""
    job_title: str = ""
    role: ContactRole
    email: str = ""
    phone: str = ""
    country: str = ""
    company: str = ""
    preferred_channel: PreferredChannel
    influence: Influence | None = None
    primary: bool
    active: bool
    lead_id: str = ""
    created_at: datetime
    modified_at: datetime

    @classmethod
    def of(cls, contact: Contact) -> Self:
        return cls.model_validate({name: getattr(contact, name) for name in cls.model_fields})


class OpportunityView(BaseModel):
    """A deal (CRM-3)."""

    model_config = ConfigDict(defer_build=True)

    id: str
    version: int
    name: str
    account_id: str
    primary_contact_id: str = ""
    value: Money
    stage: OpportunityStage
    probability: int
    forecast_category: ForecastCategory
    expected_close: date
    closed_at: datetime | None = None
    owner_id: str
    source: str = ""
    description: str = ""
    lead_id: str = ""
    evidence: WinEvidence | None = None
    active: bool
    created_at: datetime
    modified_at: datetime

    @classmethod
    def of(cls, deal: Opportunity) -> Self:
        return cls.model_validate({name: getattr(deal, name) for name in cls.model_fields})

"""Entities of the CRM. A person (`PER_…`) survives conversion and merge; lead and contact are roles of a person."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.crm.factors import Conversion, Nomination, Qualification, StatusReason
from revops.crm.facts import texts_of
from revops.kernel import Money
from revops.scoring.features import kept_first
from revops.scoring.model import ScoreCard
from revops.table import Entity


class LeadStatus(StrEnum):
    """How far a lead has been worked on (LEAD-2); `policies.lead_moves` says which moves are legal."""

    NEW = "New"
    CONTACTED = "Contacted"
    QUALIFIED = "Qualified"
    UNQUALIFIED = "Unqualified"
    CONVERTED = "Converted"
    RECYCLED = "Recycled"
    DISQUALIFIED = "Disqualified"


CLOSED_STATUSES = (LeadStatus.CONVERTED, LeadStatus.UNQUALIFIED, LeadStatus.DISQUALIFIED)
"""Statuses of leads that nobody works on: won or lost, what a model learns from (LEAD-4)."""


class LeadStage(StrEnum):
    """How near to a decision the person is (LEAD-2)."""

    AWARENESS = "Awareness"
    CONSIDERATION = "Consideration"
    DECISION = "Decision"
    CONVERTED = "Converted"


class DuplicateCheck(StrEnum):
    """Outcome of the comparison with who is known (CAP-10); `Pending` waits for a person's word."""

    PASS = "Pass"  # noqa: S105 - the mission's word
    FAIL = "Fail"
    PENDING = "Pending"


class SpamScore(StrEnum):
    """How much a submission looks like spam (CAP-10)."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class ValidationStatus(StrEnum):
    """Whether everything mandatory is there and right (CAP-10); conversion needs `Valid`."""

    VALID = "Valid"
    INVALID = "Invalid"
    PENDING = "Pending"


class AuthorityLevel(StrEnum):
    """A lead's say in the decision to buy (LEAD-3, LEAD-7)."""

    DECISION_MAKER = "Decision Maker"
    ECONOMIC_BUYER = "Economic Buyer"
    INFLUENCER = "Influencer"
    CHAMPION = "Champion"
    USER = "User"
    GATEKEEPER = "Gatekeeper"


class Channel(StrEnum):
    """How a lead came in (CAP-1…7), or that it came over from HubSpot."""

    FORM = "form"
    WHATSAPP = "whatsapp"
    CALL = "call"
    EMAIL = "email"
    PARTNER = "partner"
    WEBINAR = "webinar"
    IMPORT = "import"
    HUBSPOT = "hubspot"


class Value(BaseModel):
    """A frozen part of an entity."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Attribution(Value):
    """Where a lead came from (CAP-8). `derived` is set when the channel brought none and we worked it out."""

    source: str = Field(min_length=1, max_length=120, examples=["Google Ads"])
    campaign: str = Field(min_length=1, max_length=120, examples=["crm-q4"])
    medium: str = Field(min_length=1, max_length=120, examples=["cpc"])
    term: str = Field(default="", max_length=120, examples=["crm software"])
    derived: bool = False


class MatchDecision(StrEnum):
    """What follows from comparing two people (CAP-11)."""

    SAME = "same"
    REVIEW = "review"
    DIFFERENT = "different"


class MatchEvidence(Value):
    """One compared field of a match: how similar (0–1), and the points it gives for (or against) one person."""

    field: str
    similarity: float
    weight: float


class MatchVerdict(Value):
    """Whom a submission resembles and why (CAP-11). `score` is how likely the two are one; `flags` say what keeps a
    pair from being taken for one without being looked at."""

    person_id: str
    lead_id: str
    score: float
    decision: MatchDecision = MatchDecision.REVIEW
    flags: tuple[str, ...] = ()
    evidence: tuple[MatchEvidence, ...] = ()


class Assignment(Value):
    """Which rule chose the owner (CAP-12)."""

    owner_id: str
    rule: str
    explanation: str


class ResponseTarget(Value):
    """By when the owner is to have been in touch (CAP-14): `minutes` of working time from `since`, by a named rule.
    `missed_at` is when it was found missed, and escalated."""

    rule: str
    minutes: int
    since: AwareDatetime
    due_at: AwareDatetime
    missed_at: AwareDatetime | None = None


class Engagement(Value):
    """Something the person did that is worth points (LEAD-3). `ref` names what it was done to, such as a message: the
    same event about the same thing counts once. `minutes` is how long it lasted, where somebody said so."""

    event: str = Field(examples=["email_open"])
    at: AwareDatetime
    ref: str = ""
    minutes: int | None = None


class Lead(Entity):
    """A person with intent, not yet an account (LEAD-1). `gdpr_consent` says whether any marketing consent stands; what
    was said when, and how, is the person's `crm.consent.ConsentRecord`, written in the same transactions."""

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
    assignment: Assignment
    account_id: str = ""
    status: LeadStatus = LeadStatus.NEW
    stage: LeadStage = LeadStage.AWARENESS
    score: int = 0
    score_card: ScoreCard | None = None
    gdpr_consent: bool = False
    undeliverable: tuple[str, ...] = ()
    """Addresses and numbers of the person that a vendor said cannot be reached (LEAD-5)."""
    duplicate_check: DuplicateCheck = DuplicateCheck.PASS
    resembles: tuple[MatchVerdict, ...] = ()
    merged_into: str = ""
    merge_id: str = ""
    merged_from: tuple[str, ...] = ()
    name_flags: tuple[str, ...] = ()
    spam_score: SpamScore = SpamScore.LOW
    spam_reasons: tuple[str, ...] = ()
    validation_status: ValidationStatus = ValidationStatus.VALID
    missing: tuple[str, ...] = ()
    interest_product: str = ""
    budget_range: str = ""
    authority_level: AuthorityLevel | None = None
    timeline: str = ""
    job_title: str = ""
    company_size: str = ""
    industry: str = ""
    contacted_at: AwareDatetime | None = None
    response: ResponseTarget | None = None
    first_touch_at: AwareDatetime | None = None
    whatsapp_inbound_at: AwareDatetime | None = None
    qualification: Qualification | None = None
    nomination: Nomination | None = None
    status_reason: StatusReason | None = None
    conversion: Conversion | None = None
    engagement: tuple[Engagement, ...] = ()
    rescore_at: AwareDatetime | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    custom_fields: dict[str, bool | int | str] = Field(default_factory=dict)
    as_created: dict[str, str] = Field(default_factory=dict)
    """What the lead came with, of the fields that a score is learned from and that have changed since (LEAD-3)."""
    closed_at: AwareDatetime | None = None

    def revised(self, now: datetime, **changes: Any) -> Self:
        """The next version. Whoever makes it, the first value of what is learned from is kept, and when the lead was
        closed and first spoken to is noted: here, where nobody who changes a lead can forget it."""
        after = super().revised(now, **changes)
        derived: dict[str, Any] = {}
        first = kept_first(self.as_created, texts_of(self), texts_of(after))
        if first != self.as_created:
            derived["as_created"] = first
        if (after.status in CLOSED_STATUSES) != (self.status in CLOSED_STATUSES):
            derived["closed_at"] = now if after.status in CLOSED_STATUSES else None
        if after.contacted_at is not None and after.first_touch_at is None:
            derived["first_touch_at"] = after.contacted_at
        return after.model_copy(update=derived) if derived else after

    @property
    def first_touch_seconds(self) -> int | None:
        """Whole seconds from the lead's creation to the first time its owner was in touch (CAP-14)."""
        if self.first_touch_at is None:
            return None
        return max(0, round((self.first_touch_at - self.created_at).total_seconds()))


class AccountType(StrEnum):
    """What a company is to us (CRM-1)."""

    CUSTOMER = "Customer"
    PROSPECT = "Prospect"
    PARTNER = "Partner"
    COMPETITOR = "Competitor"
    RESELLER = "Reseller"


class AccountHealth(StrEnum):
    """How well an account does (CRM-1, CRM-11)."""

    GREEN = "Green"
    YELLOW = "Yellow"
    RED = "Red"
    BLACK = "Black"


class AccountLifecycle(StrEnum):
    """Where an account stands on the way to being a customer, and after (CRM-1)."""

    MQA = "MQA"
    SQA = "SQA"
    CUSTOMER = "Customer"
    CHURNED = "Churned"


class Account(Entity):
    """A company. Never deleted, only deactivated (CRM-1)."""

    name: str
    type: AccountType = AccountType.PROSPECT
    industry: str = ""
    company_size: str = ""
    annual_revenue: Money | None = None
    gstin: str = ""
    billing_address: str = ""
    owner_id: str
    health: AccountHealth = AccountHealth.GREEN
    lifecycle: AccountLifecycle = AccountLifecycle.SQA
    active: bool = True
    domain: str = ""
    primary_person_id: str = ""
    stripe_customer_id: str = ""


class ContactRole(StrEnum):
    """A contact's part in the account's decisions (CRM-2)."""

    DECISION_MAKER = "Decision Maker"
    INFLUENCER = "Influencer"
    CHAMPION = "Champion"
    USER = "User"
    GATEKEEPER = "Gatekeeper"
    ECONOMIC_BUYER = "Economic Buyer"


class PreferredChannel(StrEnum):
    """How a contact likes to be spoken to (CRM-2)."""

    EMAIL = "Email"
    WHATSAPP = "WhatsApp"
    PHONE = "Phone"
    SMS = "SMS"
    LINKEDIN = "LinkedIn"


class Influence(StrEnum):
    """How much a contact's word weighs (CRM-2)."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class Contact(Entity):
    """A person at an account (CRM-2); its scope is its account's. `company` is the company as the person writes it.
    Never deleted: one that a conversion made is deactivated when that is undone."""

    person_id: str
    account_id: str
    first_name: str = ""
    last_name: str = ""
    job_title: str = ""
    role: ContactRole = ContactRole.USER
    email: str = ""
    phone: str = ""
    country: str = ""
    company: str = ""
    preferred_channel: PreferredChannel = PreferredChannel.EMAIL
    influence: Influence | None = None
    primary: bool = False
    active: bool = True
    lead_id: str = ""


class OpportunityStage(StrEnum):
    """How far a deal has come (CRM-3), in our one vocabulary; vendors' names are adapters'."""

    PROSPECT = "Prospect"
    QUALIFIED = "Qualified"
    PROPOSAL_SENT = "Proposal Sent"
    NEGOTIATION = "Negotiation"
    CLOSED_WON = "Closed Won"
    CLOSED_LOST = "Closed Lost"

    @property
    def closed(self) -> bool:
        return self in (OpportunityStage.CLOSED_WON, OpportunityStage.CLOSED_LOST)


STAGE_PROBABILITY = {
    OpportunityStage.PROSPECT: 10,
    OpportunityStage.QUALIFIED: 25,
    OpportunityStage.PROPOSAL_SENT: 50,
    OpportunityStage.NEGOTIATION: 75,
    OpportunityStage.CLOSED_WON: 100,
    OpportunityStage.CLOSED_LOST: 0,
}
"""Default probability of a stage, in percent (CRM-3)."""


class ForecastCategory(StrEnum):
    """How a deal counts in the forecast (CRM-3)."""

    BEST_CASE = "Best Case"
    COMMIT = "Commit"
    MOST_LIKELY = "Most Likely"
    WORST_CASE = "Worst Case"


class WinEvidence(Value):
    """What proves a deal won: an executed order form here, or an order of a trusted outside system (CRM-4)."""

    order_id: str
    kind: str = Field(examples=["order_form"])
    subscription_id: str = ""


class Opportunity(Entity):
    """A deal (CRM-3). One that is not active counts nowhere: the conversion that made it was undone."""

    name: str
    account_id: str
    primary_contact_id: str = ""
    value: Money
    stage: OpportunityStage = OpportunityStage.PROSPECT
    probability: int = 10
    forecast_category: ForecastCategory = ForecastCategory.MOST_LIKELY
    expected_close: date
    closed_at: AwareDatetime | None = None
    owner_id: str
    source: str = ""
    description: str = ""
    lead_id: str = ""
    evidence: WinEvidence | None = None
    active: bool = True

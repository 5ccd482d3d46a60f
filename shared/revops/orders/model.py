"""The order form and what happens to it (ORD-1, ORD-2). Money is minor units, rates are exact decimals."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from revops.kernel import Money, StatedDay
from revops.kernel.money import Currency, Rate
from revops.orders.reviews import Rendering, Review
from revops.table import Entity


class Plan(StrEnum):
    """What is sold (ORD-1)."""

    STARTER = "Starter"
    PROFESSIONAL = "Professional"
    ENTERPRISE = "Enterprise"
    CUSTOM = "Custom"


class Region(StrEnum):
    """Primary data residency."""

    EU = "EU"
    UK = "UK"
    US = "US"
    BR = "BR"


class BillingCycle(StrEnum):
    """How often is billed (ORD-1)."""

    MONTHLY = "Monthly"
    ANNUAL = "Annual"

    @property
    def months(self) -> int:
        return 1 if self is BillingCycle.MONTHLY else 12


class PaymentMethod(StrEnum):
    """How a customer pays (ORD-1)."""

    CREDIT_CARD = "Credit Card"
    ACH = "ACH"
    WIRE_TRANSFER = "Wire Transfer"
    INVOICE = "Invoice"


class ESignMethod(StrEnum):
    """How an order form is signed (ORD-1, ORD-3)."""

    DOCUSIGN = "DocuSign"
    ADOBE_SIGN = "Adobe Sign"
    MANUAL = "Manual"


class CapPeriod(StrEnum):
    """What a spend cap limits: a month or a year (ORD-1)."""

    MONTHLY = "Monthly"
    ANNUAL = "Annual"


class Meter(StrEnum):
    """What usage is counted in (USE-1), or one pooled line for all of it."""

    API_CALLS = "API Calls"
    SIGNATURES = "Signatures"
    VERIFICATIONS = "Verifications"
    POOLED = "Pooled"


class OrderStatus(StrEnum):
    """How far an order form has come (ORD-2); `policies.lifecycle` says which step it calls for next."""

    SUBMITTED = "Submitted"
    IN_REVIEW = "InReview"
    CHANGES_REQUESTED = "ChangesRequested"
    APPROVED = "Approved"
    AWAITING_SIGNATURE = "AwaitingSignature"
    EXECUTED = "Executed"
    PROVISIONED = "Provisioned"
    AWAITING_TENANT = "AwaitingTenant"
    ACTIVE = "Active"
    REJECTED = "Rejected"
    CANCELLED = "Cancelled"
    BLOCKED = "Blocked"


class OrderKind(StrEnum):
    """What an order form is about: a subscription of its own, or a change of one that runs (ORD-5)."""

    NEW = "New"
    AMENDMENT = "Amendment"
    RENEWAL = "Renewal"


class Step(StrEnum):
    """The steps of an order. People end `submit`, `cancel`, `resume` and the waits; the workflow takes the rest."""

    SUBMIT = "submit"
    REVIEW = "review"
    AWAIT_REVIEW = "await_review"
    REQUEST_SIGNATURE = "request_signature"
    AWAIT_SIGNATURE = "await_signature"
    PROVISION = "provision"
    ACTIVATE = "activate"
    AWAIT_TENANT = "await_tenant"
    CANCEL = "cancel"
    RESUME = "resume"
    DONE = "done"


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


OneLine = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$")]
"""What stands on the form, in a mail's header or in a log brings no lines of its own there (S15, S16), and turns no
words around that stand beside it."""

Name = Annotated[OneLine, Field(min_length=1, max_length=200)]


class Address(_Part):
    """Where invoices go; decides tax."""

    line1: Annotated[OneLine, Field(min_length=1, max_length=200, examples=["Beispielweg 1"])]
    line2: Annotated[OneLine, Field(max_length=200)] = ""
    city: Annotated[OneLine, Field(min_length=1, max_length=100, examples=["Berlin"])]
    state: Annotated[OneLine, Field(max_length=100)] = ""
    postal_code: Annotated[OneLine, Field(max_length=20)] = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2", examples=["DE"])]


class UsageLine(_Part):
    """What usage is included each month, and what a unit costs beyond it, in the order's currency (major units)."""

    meter: Meter
    monthly_cap: Annotated[int, Field(ge=0, le=10**15)]
    overage_price: Annotated[Rate, Field(ge=0, le=1_000_000, decimal_places=12, examples=["0.015"])]


class SpendCap(_Part):
    """The most that may be spent in a period, in minor units of the order's currency (USE-3)."""

    minor: Annotated[int, Field(gt=0, le=10**15)]
    period: CapPeriod


Day = Annotated[StatedDay, Field(ge=date(2000, 1, 1), le=date(2100, 1, 1))]
"""A day that a contract can be about."""


def _executed(said: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(said)
    except ValidationError as error:
        raise ValueError("Yes, No, or the day it was executed, such as 2026-11-20") from error


Executed = Annotated[Literal["Yes", "No"] | Day, WrapValidator(_executed)]
"""A contract document: executed, not executed, or executed on a day."""

SccStatus = Annotated[str, Field(pattern=r"^(Yes|No|Module( [1-4])?)$", examples=["Module 2"])]
"""Standard contractual clauses: `Yes`, `No`, or which module was executed."""


PerSeat = Annotated[int, Field(ge=0, le=10**12)]
"""Per seat and month, in minor units."""
TermMonths = Annotated[int, Field(ge=1, le=120)]
RenewalDate = Annotated[StatedDay, Field(le=date(2110, 1, 1))]
"""At the latest the end of the longest term that may be agreed, so that there is a day on which it renews."""


class _AgreedTerms(_Part):
    legal_entity_name: Name
    signatory_name: Name
    contact_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
    contact_phone: Annotated[str, Field(max_length=40, pattern=r"^[0-9+(). /-]*$")] = ""
    billing_address: Address
    plan: Plan
    currency: Currency
    start_date: Day
    term_months: TermMonths
    discount_percent: Annotated[Rate, Field(ge=0, le=100, decimal_places=4)] = Decimal(0)
    seats: Annotated[int, Field(ge=1, le=1_000_000)]
    usage: Annotated[tuple[UsageLine, ...], Field(max_length=len(Meter))] = ()
    region: Region
    spend_cap: SpendCap | None = None
    billing_cycle: BillingCycle
    payment_method: PaymentMethod
    stripe_customer_id: Annotated[str, Field(pattern=r"^(cus_[A-Za-z0-9]{1,60})?$")] = ""
    auto_renewal: bool = True
    proration: bool = True
    dpa: Executed = "No"
    sccs: SccStatus = "No"
    uk_idta: Executed = "No"
    esign_method: ESignMethod

    @model_validator(mode="after")
    def _lines_apart(self) -> Self:
        meters = [line.meter for line in self.usage]
        if len(set(meters)) != len(meters):
            raise ValueError("usage: each meter may have one line")
        if Meter.POOLED in meters and len(meters) > 1:
            raise ValueError("usage: a pooled line stands alone")
        return self


class OrderTerms(_AgreedTerms):
    """What is agreed: every field of ORD-1 that people fill in. `list_price` is per seat and month, in minor units."""

    list_price: PerSeat
    renewal_date: RenewalDate

    @model_validator(mode="after")
    def _renewal_after_start(self) -> Self:
        if self.renewal_date <= self.start_date:
            raise ValueError("renewal_date must be after start_date")
        return self


class OrderSubmission(_AgreedTerms):
    """An order form as it is handed in. Without `account_id` the account is made from the company named here; without
    `list_price` the price list holds; without `renewal_date` it is the end of the term. A change of a live order is a
    `ChangeSubmission`."""

    kind: OrderKind = OrderKind.NEW
    amends: Literal[""] = ""
    account_id: Annotated[str, Field(pattern=r"^(ACC_[0-9A-Z]{1,40})?$")] = ""
    opportunity_id: Annotated[str, Field(pattern=r"^(OPP_[0-9A-Z]{1,40})?$")] = ""
    list_price: PerSeat | None = None
    renewal_date: RenewalDate | None = None


class Signature(_Part):
    """The executed document: who signed, when, and the file with its hash. A provider's comes with the certificate of
    how it was signed, and names its envelope."""

    signatory_name: str
    signed_on: date
    document: str
    sha256: str
    size: int
    method: ESignMethod
    recorded_by: str
    recorded_at: AwareDatetime
    certificate: str = ""
    certificate_sha256: str = ""
    envelope_id: str = ""


class EnvelopeStatus(StrEnum):
    """How an envelope stands at its provider (ORD-3). All but `sent` are final."""

    SENT = "sent"
    COMPLETED = "completed"
    DECLINED = "declined"
    VOIDED = "voided"
    EXPIRED = "expired"


class Envelope(_Part):
    """The form as it was sent out for signature (ORD-3). `number` counts the envelopes of an order, `checked_at` is
    when the provider was last seen to say `status`, `problem` what a person has to look at."""

    provider: ESignMethod
    id: str
    number: int = 1
    sent_at: AwareDatetime
    expires_at: AwareDatetime
    status: EnvelopeStatus = EnvelopeStatus.SENT
    checked_at: AwareDatetime
    problem: str = ""


class TenantStatus(StrEnum):
    """How the opening of a tenant stands (ORD-2). `failed` also when nobody acknowledged in time."""

    REQUESTED = "requested"
    READY = "ready"
    FAILED = "failed"


class Tenant(_Part):
    """What the company's provisioning system was asked to open, and what it said. `attempt` is the order's attempt that
    asked; by `due_at` it is to be acknowledged."""

    status: TenantStatus
    attempt: int
    requested_at: AwareDatetime
    due_at: AwareDatetime
    tenant_id: str = ""
    reason: str = ""
    answered_at: AwareDatetime | None = None


class Block(_Part):
    """Why an executed order stands still, at which step, and the status it goes on from."""

    step: Step
    reason: str
    resume_to: OrderStatus


class OrderForm(Entity):
    """One order form. `status_since` is when the present status began, `attempt` counts workflow executions, `revision`
    the versions of its terms. An amendment or renewal names in `amends` the order it changes; its terms hold from their
    `start_date` on. `opportunity_id` is empty for a change that is no deal. `day_of_month` is the day that terms of the
    contract end on where the month has it, as an amendment has it from the order it changes; 0: the day these began."""

    kind: OrderKind = OrderKind.NEW
    amends: str = ""
    status: OrderStatus = OrderStatus.SUBMITTED
    status_since: AwareDatetime
    attempt: int = 1
    account_id: str
    opportunity_id: str
    opened_opportunity: bool
    owner_id: str
    terms: OrderTerms
    day_of_month: int = 0
    revision: int = 1
    revised_at: AwareDatetime | None = None
    revised_by: str = ""
    review: Review = Review()
    document: Rendering | None = None
    envelope: Envelope | None = None
    signature: Signature | None = None
    stripe_customer_id: str = ""
    stripe_subscription_id: str = ""
    tenant: Tenant | None = None
    block: Block | None = None
    end_reason: str = ""

    @property
    def list_price(self) -> Money:
        return Money(minor=self.terms.list_price, currency=self.terms.currency)


class StepOutcome(StrEnum):
    """How a step of the workflow ended."""

    DONE = "Done"
    BLOCKED = "Blocked"
    FAILED = "Failed"


class StepRecord(_Part):
    """One step that was taken (ORD-2): when, by whom, in which attempt, how it ended and why."""

    name: Step
    started_at: AwareDatetime
    ended_at: AwareDatetime
    actor: str
    attempt: int
    outcome: StepOutcome = StepOutcome.DONE
    status: OrderStatus
    reason: str = ""

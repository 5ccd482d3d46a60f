"""What the routes of orders show (ORD-1, ORD-2)."""

from datetime import date
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.orders.comments import Comment
from revops.orders.model import (
    EnvelopeStatus,
    ESignMethod,
    OrderForm,
    OrderKind,
    OrderStatus,
    OrderTerms,
    Step,
    TenantStatus,
)
from revops.orders.policies.lifecycle import next_step
from revops.orders.progress import standing_reason
from revops.orders.reviews import Finding, Rendering, Review
from revops.orders.revisions import Revision, TermChange, changes_between


class SignatureView(BaseModel):
    """Who signed and when, by which means, and the fingerprints of the document and of a provider's certificate."""

    model_config = ConfigDict(defer_build=True)

    signatory_name: str
    signed_on: date
    sha256: str
    size: int
    method: ESignMethod
    certificate_sha256: str
    recorded_at: AwareDatetime


class EnvelopeView(BaseModel):
    """The form as it was sent out for signature, and how it stands at its provider."""

    model_config = ConfigDict(defer_build=True)

    provider: ESignMethod
    id: str
    number: int = Field(description="Which envelope of this order it is; a declined form that was changed has another")
    sent_at: AwareDatetime
    expires_at: AwareDatetime
    status: EnvelopeStatus
    checked_at: AwareDatetime
    problem: str = Field(description="What somebody has to look at; empty when there is nothing")


class TenantView(BaseModel):
    """What the company's provisioning system was asked to open, and what it said."""

    model_config = ConfigDict(defer_build=True)

    status: TenantStatus
    attempt: int = Field(description="The order's attempt that asked; an answer may repeat it")
    requested_at: AwareDatetime
    due_at: AwareDatetime = Field(description="Without an answer by then the order is blocked")
    tenant_id: str
    reason: str
    answered_at: AwareDatetime | None


class DocumentView(BaseModel):
    """The form of a revision as PDF: its fingerprint. `GET …/document` gives the file."""

    model_config = ConfigDict(defer_build=True)

    sha256: str
    size: int
    revision: int

    @classmethod
    def of(cls, document: Rendering | None) -> Self | None:
        return cls.model_validate(document, from_attributes=True) if document else None


class OrderView(OrderTerms):
    """An order form: its terms as agreed, where it stands, and what came of it."""

    id: str = Field(examples=["ORD_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4"])
    version: int
    kind: OrderKind
    amends: str = Field(description="The order that this one changes; empty for a new one")
    revision: int = Field(description="Which version of the terms these are")
    status: OrderStatus
    step: Step
    attempt: int
    account_id: str
    opportunity_id: str
    owner_id: str
    findings: tuple[Finding, ...]
    document: DocumentView | None = Field(description="The form as PDF, once it is printed")
    envelope: EnvelopeView | None
    signature: SignatureView | None
    stripe_subscription_id: str
    tenant: TenantView | None
    reason: str = Field(description="Why it is blocked or ended, or what about its envelope somebody has to look at")
    created_at: AwareDatetime
    modified_at: AwareDatetime

    @classmethod
    def of(cls, order: OrderForm) -> Self:
        envelope, signature = order.envelope, order.signature
        terms = {name: getattr(order.terms, name) for name in OrderTerms.model_fields}
        return cls(
            **{**terms, "stripe_customer_id": order.stripe_customer_id or order.terms.stripe_customer_id},
            id=order.id,
            version=order.version,
            kind=order.kind,
            amends=order.amends,
            revision=order.revision,
            status=order.status,
            step=order.block.step if order.block else next_step(order.status),
            attempt=order.attempt,
            account_id=order.account_id,
            opportunity_id=order.opportunity_id,
            owner_id=order.owner_id,
            findings=order.review.findings,
            document=DocumentView.of(order.document),
            envelope=EnvelopeView.model_validate(envelope, from_attributes=True) if envelope else None,
            signature=SignatureView.model_validate(signature, from_attributes=True) if signature else None,
            stripe_subscription_id=order.stripe_subscription_id,
            tenant=TenantView.model_validate(order.tenant, from_attributes=True) if order.tenant else None,
            reason=standing_reason(order),
            created_at=order.created_at,
            modified_at=order.modified_at,
        )


EXAMPLE: dict[str, Any] = {
    "legal_entity_name": "Musterwerk GmbH",
    "signatory_name": "Anna Beispiel",
    "contact_email": "anna@musterwerk.example",
    "contact_phone": "+49 30 000000",
    "billing_address": {"line1": "Beispielweg 1", "city": "Berlin", "postal_code": "10115", "country": "DE"},
    "plan": "Professional",
    "currency": "EUR",
    "start_date": "2026-12-01",
    "term_months": 12,
    "list_price": 5900,
    "discount_percent": "5",
    "seats": 25,
    "usage": [{"meter": "Pooled", "monthly_cap": 10000, "overage_price": "0.015"}],
    "region": "EU",
    "renewal_date": "2027-12-01",
    "spend_cap": {"minor": 500000, "period": "Monthly"},
    "billing_cycle": "Monthly",
    "payment_method": "Invoice",
    "stripe_customer_id": "",
    "auto_renewal": True,
    "proration": True,
    "dpa": "Yes",
    "sccs": "Module 2",
    "uk_idta": "No",
    "esign_method": "Manual",
}
"""An order form as it is handed in."""


SHOWN: dict[str, Any] = {
    **EXAMPLE,
    "id": "ORD_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4",
    "version": 1,
    "kind": "New",
    "amends": "",
    "revision": 1,
    "status": "Submitted",
    "step": "review",
    "attempt": 1,
    "account_id": "ACC_3F6J9M2Q5T8W1Z4C7E0H3K6N9R",
    "opportunity_id": "OPP_5H8K1N4Q7T0W3Z6C9E2G5J8M1P",
    "owner_id": "USR_1",
    "findings": [],
    "document": None,
    "envelope": None,
    "signature": None,
    "stripe_subscription_id": "",
    "tenant": None,
    "reason": "",
    "created_at": "2026-11-20T09:00:00Z",
    "modified_at": "2026-11-20T09:00:00Z",
}
"""An order form as it is shown."""


class OrderLine(BaseModel):
    """An order in a list: enough to find the one that is meant."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["ORD_2K7QF0X9M4T8"])
    kind: OrderKind
    amends: str
    revision: int
    status: OrderStatus
    since: AwareDatetime
    account_id: str
    opportunity_id: str
    owner_id: str
    legal_entity_name: str
    plan: str
    seats: int
    currency: str
    start_date: date
    renewal_date: date
    created_at: AwareDatetime

    @classmethod
    def of(cls, order: OrderForm) -> Self:
        of_order = {name: getattr(order, name) for name in cls.model_fields if name in OrderForm.model_fields}
        of_terms = {name: getattr(order.terms, name) for name in cls.model_fields if name in OrderTerms.model_fields}
        return cls(**of_order, **of_terms, since=order.status_since)


class OrderListView(BaseModel):
    """A page of orders; `next` is the cursor of the following page, empty at the end."""

    model_config = ConfigDict(defer_build=True)

    orders: list[OrderLine]
    next: str = ""


class RevisionView(BaseModel):
    """A revision: who wrote it and when, what it changed, the terms, and what the review said to them."""

    model_config = ConfigDict(defer_build=True)

    number: int
    at: AwareDatetime
    by: str
    changes: list[TermChange] = Field(description="Against the revision before; empty for the first")
    terms: OrderTerms
    review: Review
    document: DocumentView | None


class RevisionListView(BaseModel):
    """Every revision of an order form, the first one first; the last is the one that stands."""

    model_config = ConfigDict(defer_build=True)

    revisions: list[RevisionView]

    @classmethod
    def of(cls, revisions: list[Revision]) -> Self:
        before = [None, *revisions[:-1]]
        return cls(
            revisions=[
                RevisionView(
                    number=each.number,
                    at=each.at,
                    by=each.by,
                    changes=list(changes_between(earlier.terms, each.terms)) if earlier else [],
                    terms=each.terms,
                    review=each.review,
                    document=DocumentView.of(each.document),
                )
                for earlier, each in zip(before, revisions, strict=True)
            ]
        )


class CommentView(BaseModel):
    """A comment on an order, and the revision of the form it was said about."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["CMT_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4"])
    revision: int
    at: AwareDatetime
    by: str = Field(description="The user who said it")
    text: str

    @classmethod
    def of(cls, comment: Comment) -> Self:
        return cls.model_validate({name: getattr(comment, name) for name in cls.model_fields})


class CommentListView(BaseModel):
    """A page of comments, the latest first; `next` is the cursor of the following page, empty at the end."""

    model_config = ConfigDict(defer_build=True)

    comments: list[CommentView]
    next: str = ""


class LinkView(BaseModel):
    """Where the file lies, for `seconds`, and what its bytes hash to."""

    model_config = ConfigDict(defer_build=True)

    url: str = Field(examples=["https://bucket.example/orders/ORD_2K7QF0X9M4T8/1.pdf?X-Amz-Signature=…"])
    seconds: int
    sha256: str
    size: int
    revision: int

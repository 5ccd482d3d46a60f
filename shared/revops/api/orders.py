"""Order forms over HTTP: handed in, read, reviewed, signed, resumed, cancelled (ORD-1, ORD-2, ORD-3)."""

import base64
import binascii
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.kernel import Invalid
from revops.orders.decisions import Amendment, CancelOrder, ResumeOrder, ReviewOrder
from revops.orders.model import (
    Finding,
    Name,
    OrderForm,
    OrderStatus,
    OrderSubmission,
    OrderTerms,
    ReviewDecision,
    Step,
)
from revops.orders.policies.lifecycle import next_step
from revops.orders.queries import Progress, ReadOrder, ReadProgress
from revops.orders.signature import CaptureSignature, SignedDocument
from revops.orders.submission import SubmitOrder
from revops.platform.http import Api
from revops.platform.problems import JSON

TAG = "orders"
MAX_BODY = 5_000_000
"""A signed document travels as base64 in JSON; a larger one is uploaded and named. Lambda takes 6 MB in all."""

_IDEMPOTENCY_KEY = 128


@dataclass(frozen=True, slots=True)
class OrderUseCases:
    """What the order routes call."""

    submit: SubmitOrder
    read: ReadOrder
    progress: ReadProgress
    review: ReviewOrder
    sign: CaptureSignature
    resume: ResumeOrder
    cancel: CancelOrder


class _Body(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class ReviewRequest(_Body):
    """Legal's decision; `reject` and `ask` need a comment."""

    decision: ReviewDecision = Field(examples=["approve"])
    comment: str = Field(default="", max_length=2000)


class SignatureRequest(_Body):
    """The signed form: base64 in `document`, or the name of an upload for this order."""

    signatory_name: Name = Field(examples=["Anna Beispiel"])
    signed_on: date = Field(examples=["2026-11-20"])
    document: str = Field(default="", description="The PDF, base64-encoded")
    upload: str = Field(default="", max_length=120, description="The name of an upload, instead of `document`")


class CancelRequest(_Body):
    """Why the order is cancelled."""

    reason: str = Field(min_length=1, max_length=1000, examples=["The customer chose another start date"])


class SignatureView(BaseModel):
    """Who signed and when, and the fingerprint of the document."""

    model_config = ConfigDict(defer_build=True)

    signatory_name: str
    signed_on: date
    sha256: str
    size: int
    recorded_at: AwareDatetime


class OrderView(OrderTerms):
    """An order form: its terms as agreed, where it stands, and what came of it."""

    id: str = Field(examples=["ORD_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4"])
    version: int
    status: OrderStatus
    step: Step
    attempt: int
    account_id: str
    opportunity_id: str
    owner_id: str
    findings: tuple[Finding, ...]
    signature: SignatureView | None
    stripe_subscription_id: str
    reason: str = Field(description="Why it is blocked or ended")
    created_at: AwareDatetime
    modified_at: AwareDatetime

    @classmethod
    def of(cls, order: OrderForm) -> Self:
        signature = order.signature
        terms = {name: getattr(order.terms, name) for name in OrderTerms.model_fields}
        return cls(
            **{**terms, "stripe_customer_id": order.stripe_customer_id or order.terms.stripe_customer_id},
            id=order.id,
            version=order.version,
            status=order.status,
            step=order.block.step if order.block else next_step(order.status),
            attempt=order.attempt,
            account_id=order.account_id,
            opportunity_id=order.opportunity_id,
            owner_id=order.owner_id,
            findings=order.review.findings,
            signature=SignatureView.model_validate(signature, from_attributes=True) if signature else None,
            stripe_subscription_id=order.stripe_subscription_id,
            reason=order.block.reason if order.block else order.end_reason,
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


def add_order_routes(api: Api, use: OrderUseCases) -> None:
    """Registers the routes of orders."""
    example = {
        **EXAMPLE,
        "id": "ORD_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4",
        "version": 1,
        "status": "Submitted",
        "step": "review",
        "attempt": 1,
        "account_id": "ACC_3F6J9M2Q5T8W1Z4C7E0H3K6N9R",
        "opportunity_id": "OPP_5H8K1N4Q7T0W3Z6C9E2G5J8M1P",
        "owner_id": "USR_1",
        "findings": [],
        "signature": None,
        "stripe_subscription_id": "",
        "reason": "",
        "created_at": "2026-11-20T09:00:00Z",
        "modified_at": "2026-11-20T09:00:00Z",
    }
    shown: dict[str, Any] = {"tag": TAG, "model": OrderView, "example": example}

    @api.post(
        "/api/v1/orders",
        "Hand in an order form; `Idempotency-Key` makes it safe to repeat",
        errors=(401, 403, 404, 409, 413, 415),
        status=201,
        also={200: "The order that this Idempotency-Key made earlier"},
        **shown,
    )
    def submit_order(body: Annotated[OrderSubmission, Body(examples=[EXAMPLE])]) -> Response[OrderView]:
        call = api.user_call()
        key = api.header("idempotency-key")
        if len(key) > _IDEMPOTENCY_KEY:
            raise Invalid.field("Idempotency-Key", "length", "too long", f"1–{_IDEMPOTENCY_KEY} characters")
        receipt = use.submit(body, call, key)
        status = 201 if receipt.created else 200
        return Response(status_code=status, content_type=JSON, body=OrderView.of(receipt.order))

    @api.get("/api/v1/orders/{order_id}", "An order form", errors=(401, 404), **shown)
    def get_order(order_id: str) -> OrderView:
        return OrderView.of(use.read(order_id, api.user_call()))

    @api.get(
        "/api/v1/orders/{order_id}/progress",
        "How far an order is: every step with time, actor, attempt and reason, and what it waits for",
        errors=(401, 404),
        tag=TAG,
        model=Progress,
    )
    def get_progress(order_id: str) -> Progress:
        return use.progress(order_id, api.user_call())

    @api.post(
        "/api/v1/orders/{order_id}/review",
        "Legal approves, rejects or asks for a change",
        errors=(401, 403, 404, 409, 413, 415),
        **shown,
    )
    def review_order(order_id: str, body: ReviewRequest) -> OrderView:
        return OrderView.of(use.review(order_id, body.decision, body.comment, api.user_call()))

    @api.post(
        "/api/v1/orders/{order_id}/signature",
        "The signed form as PDF; executes the order",
        errors=(401, 403, 404, 409, 413, 415),
        **shown,
    )
    def sign_order(order_id: str, body: SignatureRequest) -> OrderView:
        call = api.user_call()
        signed = SignedDocument(body.signatory_name, body.signed_on, _content(body.document), body.upload)
        return OrderView.of(use.sign(order_id, signed, call))

    @api.post(
        "/api/v1/orders/{order_id}/resume",
        "Start the workflow again at the order's step, with documents or changed terms if that is what was missing",
        errors=(401, 403, 404, 409, 413, 415),
        **shown,
    )
    def resume_order(order_id: str, body: Amendment) -> OrderView:
        return OrderView.of(use.resume(order_id, body, api.user_call()))

    @api.post(
        "/api/v1/orders/{order_id}/cancel",
        "Cancel an order that is not executed yet",
        errors=(401, 403, 404, 409, 413, 415),
        **shown,
    )
    def cancel_order(order_id: str, body: CancelRequest) -> OrderView:
        return OrderView.of(use.cancel(order_id, body.reason, api.user_call()))


def _content(document: str) -> bytes:
    try:
        return base64.b64decode(document, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid.field("document", "base64", "not base64", "a PDF file, base64-encoded") from error

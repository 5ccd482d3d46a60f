"""Order forms over HTTP: handed in, changed, reviewed, signed, resumed, cancelled (ORD-1, ORD-2, ORD-3, ORD-5)."""

import base64
import binascii
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator

from revops.api.order_views import (
    EXAMPLE,
    SHOWN,
    CommentListView,
    CommentView,
    LinkView,
    OrderLine,
    OrderListView,
    OrderView,
    RevisionListView,
)
from revops.kernel import Invalid
from revops.orders.amending import ChangeSubmission
from revops.orders.comments import LONGEST, CommentOrders
from revops.orders.decisions import Amendment, CancelOrder, ResumeOrder
from revops.orders.document import ReadDocument
from revops.orders.model import Name, OrderStatus, OrderSubmission
from revops.orders.progress import Progress, ReadProgress
from revops.orders.queries import ListOrders, OrderQuery, ReadOrder
from revops.orders.reviewing import Read, ReviewOrder
from revops.orders.reviews import ReviewDecision
from revops.orders.revisions import ReadRevisions
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
    all: ListOrders
    revisions: ReadRevisions
    comments: CommentOrders
    document: ReadDocument


class _Body(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


def _either(value: Any, _: ValidatorFunctionWrapHandler) -> OrderSubmission | ChangeSubmission:
    """What names an order that it amends is a change, anything else a whole form: so each is told what it lacks."""
    change = isinstance(value, dict) and bool(value.get("amends"))
    return ChangeSubmission.model_validate(value) if change else OrderSubmission.model_validate(value)


HandedIn = Annotated[OrderSubmission | ChangeSubmission, WrapValidator(_either)]


class ReviewRequest(_Body):
    """What the people of the present stage decide; `reject` and `ask` need a comment. Who says which `revision` and
    `stage` they read decides on no other: repeated, or come too late, it is refused."""

    decision: ReviewDecision = Field(examples=["approve"])
    comment: str = Field(default="", max_length=2000)
    revision: Annotated[int | None, Field(ge=1, description="The revision of the terms that was read")] = None
    stage: str = Field(default="", max_length=40, description="The stage that is decided", examples=["Finance"])


class SignatureRequest(_Body):
    """The signed form: base64 in `document`, or the name of an upload for this order."""

    signatory_name: Name = Field(examples=["Anna Beispiel"])
    signed_on: date = Field(examples=["2026-11-20"])
    document: str = Field(default="", description="The PDF, base64-encoded")
    upload: str = Field(default="", max_length=120, description="The name of an upload, instead of `document`")


class CommentRequest(_Body):
    """What one has to say about an order."""

    text: str = Field(min_length=1, max_length=LONGEST, examples=["The customer asks for net 30"])


class CancelRequest(_Body):
    """Why the order is cancelled."""

    reason: str = Field(min_length=1, max_length=1000, examples=["The customer chose another start date"])


def add_order_routes(api: Api, use: OrderUseCases) -> None:
    """Registers the routes of orders."""
    shown: dict[str, Any] = {"tag": TAG, "model": OrderView, "example": SHOWN}

    @api.post(
        "/api/v1/orders",
        "Hand in an order form, or with `amends` a change of a live one; `Idempotency-Key` makes it safe to repeat",
        errors=(401, 403, 404, 409, 413, 415),
        status=201,
        also={200: "The order that this Idempotency-Key made earlier"},
        **shown,
    )
    def submit_order(body: Annotated[HandedIn, Body(examples=[EXAMPLE])]) -> Response[OrderView]:
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
        "The people of the stage whose turn it is approve, reject or ask for a change",
        errors=(401, 403, 404, 409, 413, 415),
        **shown,
    )
    def review_order(order_id: str, body: ReviewRequest) -> OrderView:
        read = Read(body.revision, body.stage)
        return OrderView.of(use.review(order_id, body.decision, body.comment, api.user_call(), read))

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

    _add_reading(api, use)


def _add_reading(api: Api, use: OrderUseCases) -> None:
    @api.get(
        "/api/v1/orders",
        "Order forms, the latest first: mine, my team's, everybody's, or an account's",
        errors=(401, 403, 404),
        tag=TAG,
        model=OrderListView,
    )
    def list_orders(
        scope: Literal["mine", "team", "all"] = "mine",
        status: OrderStatus | None = None,
        account_id: Annotated[str, Query(max_length=60, description="All of an account's; without a status")] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> OrderListView:
        page = use.all(OrderQuery(scope, account_id, status, limit, cursor), api.user_call())
        return OrderListView(orders=[OrderLine.of(order) for order in page.orders], next=page.next_cursor)

    @api.get(
        "/api/v1/orders/{order_id}/revisions",
        "Every revision of an order form: who wrote it, when, and what it changed",
        errors=(401, 404),
        tag=TAG,
        model=RevisionListView,
    )
    def list_revisions(order_id: str) -> RevisionListView:
        return RevisionListView.of(use.revisions(order_id, api.user_call()))

    @api.get(
        "/api/v1/orders/{order_id}/document",
        "The order form as PDF: an address that gives it for a while, and its fingerprint",
        errors=(401, 404, 409),
        tag=TAG,
        model=LinkView,
    )
    def get_document(order_id: str) -> LinkView:
        link = use.document(order_id, api.user_call())
        kept = link.document.model_dump(include={"sha256", "size", "revision"})
        return LinkView(url=link.url, seconds=link.seconds, **kept)

    @api.get(
        "/api/v1/orders/{order_id}/comments",
        "What was said about an order, the latest first",
        errors=(401, 404),
        tag=TAG,
        model=CommentListView,
    )
    def list_comments(
        order_id: str,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> CommentListView:
        page = use.comments.list(order_id, limit, cursor, api.user_call())
        return CommentListView(comments=[CommentView.of(each) for each in page.comments], next=page.next_cursor)

    @api.post(
        "/api/v1/orders/{order_id}/comments",
        "Say something about an order",
        errors=(401, 403, 404, 413, 415),
        status=201,
        tag=TAG,
        model=CommentView,
    )
    def add_comment(order_id: str, body: CommentRequest) -> tuple[CommentView, int]:
        return CommentView.of(use.comments.add(order_id, body.text, api.user_call())), 201


def _content(document: str) -> bytes:
    try:
        return base64.b64decode(document, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid.field("document", "base64", "not base64", "a PDF file, base64-encoded") from error

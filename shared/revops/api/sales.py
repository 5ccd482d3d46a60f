"""Sales orders, invoices, payments, credits, statements over HTTP (ORD-9). Finance writes, sellers read their own."""

from dataclasses import dataclass
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from revops.api.sales_views import (
    AccountStatementView,
    CreditListView,
    CreditRequestView,
    CreditView,
    InvoiceListView,
    InvoiceView,
    PaymentListView,
    PaymentView,
    SalesOrderListView,
    SalesOrderView,
    shown,
)
from revops.kernel import Invalid
from revops.platform.http import Api
from revops.platform.problems import JSON
from revops.sales.crediting import CreditWanted, RefundWanted, RequestCredit
from revops.sales.entries import NewCredit, NewInvoice, NewPayment
from revops.sales.ledger import EnterByHand
from revops.sales.model import InvoiceStatus
from revops.sales.queries import ReadSales

TAG = "sales"
_READ, _WRITE = (401, 403, 404), (401, 403, 404, 409, 413, 415)
_REPEATED = {200: "What this Idempotency-Key made earlier"}
_KEY = 128

AccountId = Annotated[str, Query(max_length=60, description="The account's id")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str, Query(max_length=8000)]


@dataclass(frozen=True, slots=True)
class SalesUseCases:
    """What the routes call."""

    read: ReadSales
    enter: EnterByHand
    request: RequestCredit


class _Body(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class ApplicationRequest(_Body):
    """Which invoice gets how much of what a payment has left."""

    version: Annotated[int, Field(ge=1, description="The payment's version that was read; another one stands → 409")]
    invoice_id: Annotated[str, Field(max_length=60, examples=["INV_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])]
    amount: Annotated[int, Field(gt=0, le=10**15, description="Minor units")]


class ReversalRequest(_Body):
    """Why a payment is taken back."""

    version: Annotated[int, Field(ge=1, description="The payment's version that was read; another one stands → 409")]
    reason: Annotated[str, Field(min_length=1, max_length=500, examples=["The bank recalled the transfer"])]


def add_sales_routes(api: Api, use: SalesUseCases) -> None:
    """Registers the routes."""
    _add_reading(api, use)
    _add_entering(api, use)
    _add_payments(api, use)
    _add_credits(api, use)


def _key(api: Api) -> str:
    """The Idempotency-Key, without which nothing that moves money is made."""
    key = api.header("idempotency-key")
    if not 1 <= len(key) <= _KEY:
        raise Invalid.field("Idempotency-Key", "required", "makes a repeat safe", f"a header of 1–{_KEY} characters")
    return key


def _made[V: BaseModel](view: V, created: bool) -> Response[V]:
    return Response(status_code=201 if created else 200, content_type=JSON, body=view)


def _add_reading(api: Api, use: SalesUseCases) -> None:
    @api.get(
        "/api/v1/sales-orders",
        "An account's sales orders, newest first",
        tag=TAG,
        model=SalesOrderListView,
        errors=_READ,
    )
    def list_sales_orders(account_id: AccountId, limit: Limit = 25, cursor: Cursor = "") -> SalesOrderListView:
        page = use.read.sales_orders(account_id, limit, cursor, api.user_call())
        return SalesOrderListView(
            sales_orders=[shown(SalesOrderView, one) for one in page.records], next=page.next_cursor
        )

    @api.get(
        "/api/v1/sales-orders/{sales_order_id}",
        "A sales order: number, items, total",
        tag=TAG,
        model=SalesOrderView,
        errors=_READ,
    )
    def get_sales_order(sales_order_id: str) -> SalesOrderView:
        return shown(SalesOrderView, use.read.sales_order(sales_order_id, api.user_call()))

    @api.get(
        "/api/v1/accounts/{account_id}/statement",
        "What an account was billed, paid, was credited and owes, by currency and entry by entry",
        tag=TAG,
        model=AccountStatementView,
        errors=_READ,
    )
    def get_statement(account_id: str, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> AccountStatementView:
        return AccountStatementView.of(use.read.statement(account_id, limit, api.user_call()))


def _add_entering(api: Api, use: SalesUseCases) -> None:
    @api.get(
        "/api/v1/invoices",
        "Invoices of an account, newest first; or everybody's of a status, the longest due first",
        tag=TAG,
        model=InvoiceListView,
        errors=_READ,
    )
    def list_invoices(
        account_id: AccountId = "",
        status: Annotated[InvoiceStatus | None, Query(description="Instead of an account")] = None,
        limit: Limit = 25,
        cursor: Cursor = "",
    ) -> InvoiceListView:
        page = use.read.invoices(account_id, status, limit, cursor, api.user_call())
        return InvoiceListView(invoices=[shown(InvoiceView, one) for one in page.records], next=page.next_cursor)

    @api.post(
        "/api/v1/invoices",
        "Enter an invoice that was sent outside Stripe; takes an `Idempotency-Key`",
        tag=TAG,
        model=InvoiceView,
        errors=_WRITE,
        status=201,
        also=_REPEATED,
    )
    def post_invoice(body: NewInvoice) -> Response[InvoiceView]:
        made = use.enter.invoice(body, _key(api), api.user_call())
        return _made(shown(InvoiceView, made.record), made.created)

    @api.get("/api/v1/invoices/{invoice_id}", "An invoice", tag=TAG, model=InvoiceView, errors=_READ)
    def get_invoice(invoice_id: str) -> InvoiceView:
        return shown(InvoiceView, use.read.invoice(invoice_id, api.user_call()))


def _add_payments(api: Api, use: SalesUseCases) -> None:
    @api.get("/api/v1/payments", "An account's payments, newest first", tag=TAG, model=PaymentListView, errors=_READ)
    def list_payments(account_id: AccountId, limit: Limit = 25, cursor: Cursor = "") -> PaymentListView:
        page = use.read.payments(account_id, limit, cursor, api.user_call())
        return PaymentListView(payments=[shown(PaymentView, one) for one in page.records], next=page.next_cursor)

    @api.post(
        "/api/v1/payments",
        "Enter a payment that came outside Stripe and apply it to invoices by hand; takes an `Idempotency-Key`",
        tag=TAG,
        model=PaymentView,
        errors=_WRITE,
        status=201,
        also=_REPEATED,
    )
    def post_payment(body: NewPayment) -> Response[PaymentView]:
        made = use.enter.payment(body, _key(api), api.user_call())
        return _made(shown(PaymentView, made.record), made.created)

    @api.get("/api/v1/payments/{payment_id}", "A payment", tag=TAG, model=PaymentView, errors=_READ)
    def get_payment(payment_id: str) -> PaymentView:
        return shown(PaymentView, use.read.payment(payment_id, api.user_call()))

    @api.post(
        "/api/v1/payments/{payment_id}/application",
        "Apply what a payment has left to one more invoice",
        tag=TAG,
        model=PaymentView,
        errors=_WRITE,
    )
    def post_application(payment_id: str, body: ApplicationRequest) -> PaymentView:
        call = api.user_call()
        return shown(PaymentView, use.enter.apply(payment_id, body.invoice_id, body.amount, body.version, call))

    @api.post(
        "/api/v1/payments/{payment_id}/reversal",
        "Take a payment back: its invoices are open again by what it paid",
        tag=TAG,
        model=PaymentView,
        errors=_WRITE,
    )
    def post_reversal(payment_id: str, body: ReversalRequest) -> PaymentView:
        return shown(PaymentView, use.enter.reverse(payment_id, body.reason, body.version, api.user_call()))


def _add_credits(api: Api, use: SalesUseCases) -> None:
    @api.get(
        "/api/v1/credits",
        "An account's credit notes, refunds and chargebacks, newest first",
        tag=TAG,
        model=CreditListView,
        errors=_READ,
    )
    def list_credits(account_id: AccountId, limit: Limit = 25, cursor: Cursor = "") -> CreditListView:
        page = use.read.credits(account_id, limit, cursor, api.user_call())
        return CreditListView(credits=[shown(CreditView, one) for one in page.records], next=page.next_cursor)

    @api.post(
        "/api/v1/invoices/{invoice_id}/credits",
        "Take back part of an invoice that was entered by hand; takes an `Idempotency-Key`",
        tag=TAG,
        model=CreditView,
        errors=_WRITE,
        status=201,
        also=_REPEATED,
    )
    def post_credit(invoice_id: str, body: NewCredit) -> Response[CreditView]:
        made = use.enter.credit(invoice_id, body, _key(api), api.user_call())
        return _made(shown(CreditView, made.record), made.created)

    asked: dict[str, Any] = {"tag": TAG, "model": CreditRequestView, "errors": _WRITE, "status": 202}

    @api.post(
        "/api/v1/invoices/{invoice_id}/credit-notes",
        "Ask Stripe for a credit note; made once, behind; takes an `Idempotency-Key`",
        **asked,
    )
    def post_credit_note(invoice_id: str, body: CreditWanted) -> tuple[CreditRequestView, int]:
        return shown(CreditRequestView, use.request.note(invoice_id, body, _key(api), api.user_call())), 202

    @api.post(
        "/api/v1/payments/{payment_id}/refund",
        "Ask Stripe to give a payment back, whole or in part; made once, behind; takes an `Idempotency-Key`",
        **asked,
    )
    def post_refund(payment_id: str, body: RefundWanted) -> tuple[CreditRequestView, int]:
        return shown(CreditRequestView, use.request.refund(payment_id, body, _key(api), api.user_call())), 202

    @api.get(
        "/api/v1/credit-requests/{request_id}",
        "How far Stripe has come with a credit note or refund that was asked for",
        tag=TAG,
        model=CreditRequestView,
        errors=_READ,
    )
    def get_credit_request(request_id: str) -> CreditRequestView:
        return shown(CreditRequestView, use.request.read(request_id, api.user_call()))

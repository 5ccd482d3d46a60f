"""Credit notes and refunds at Stripe, asked for by Finance, made exactly once (ORD-9).

The route stores the request, which is all it does: who asked, for what. The event of the new row hands it to the Stripe
worker's queue, and the due index hands it over again until it came to an end. The worker makes it by the protocol that
makes subscriptions: the key is kept before the first call, an unknown outcome repeats the same key with the same
request, and before any new key Stripe is asked what it has, by listing and `metadata.credit_request`.
"""

import hashlib
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, Conflict, DomainError, Invalid, Refused
from revops.sales.model import (
    CreditKind,
    CreditRequest,
    CreditSettlement,
    Invoice,
    InvoiceStatus,
    PaymentStatus,
    RequestStatus,
    Source,
)
from revops.sales.ports import CreateOnce, CrmDesk, StripeCredits
from revops.sales.store import CREDIT_REQUESTS, INVOICES, PAYMENTS
from revops.table import ConditionFailed, Table, begin

CHECK_AGAIN = timedelta(minutes=10)
"""Longer than the queue waits between two receives of a message (360 s)."""
_MONEY = Field(gt=0, le=10**15, description="Minor units", examples=[4900])
_MEMO = Field(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")


class CreditWanted(BaseModel):
    """A credit note. `settlement` says what it does with its money: `reduce` what is open of an unpaid invoice; of a
    paid one `refund` it, keep it as `balance` for later invoices, or note that it was paid back `outside` Stripe."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    amount: Annotated[int, _MONEY]
    settlement: CreditSettlement
    reason: Annotated[
        str, Field(pattern=r"^(duplicate|fraudulent|order_change|product_unsatisfactory)?$", examples=["order_change"])
    ] = ""
    memo: Annotated[str, _MEMO] = ""


class RefundWanted(BaseModel):
    """Money back of a payment, without taking back what was billed."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    amount: Annotated[int, _MONEY]
    reason: Annotated[
        str, Field(pattern=r"^(duplicate|fraudulent|requested_by_customer)?$", examples=["requested_by_customer"])
    ] = ""


class RequestCredit:
    """Stores what Finance asks Stripe for. The same idempotency key stores it once."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, desk: CrmDesk) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._desk = desk

    def note(self, invoice_id: str, wanted: CreditWanted, key: str, call: CallContext) -> CreditRequest:
        """Raises NotFound, Forbidden, Invalid, Refused, and Conflict for a key that stood for something else."""
        invoice = INVOICES.require(self._table, invoice_id)
        self._require(invoice.account_id, f"invoice {invoice_id}", call)
        _require_creditable(invoice, wanted)
        return self._store(
            key,
            call,
            kind=CreditKind.CREDIT_NOTE,
            account_id=invoice.account_id,
            invoice_id=invoice.id,
            remote_invoice=invoice.remote_id,
            currency=invoice.currency,
            **wanted.model_dump(),
        )

    def refund(self, payment_id: str, wanted: RefundWanted, key: str, call: CallContext) -> CreditRequest:
        """Raises as `note` does."""
        payment = PAYMENTS.require(self._table, payment_id)
        self._require(payment.account_id, f"payment {payment_id}", call)
        if payment.source is Source.MANUAL or not payment.remote_id.startswith(("ch_", "py_")):
            raise Refused(f"payment {payment_id} did not come through Stripe; reverse it instead")
        if payment.status is PaymentStatus.REVERSED:
            raise Refused(f"payment {payment_id} was reversed")
        if wanted.amount > payment.amount:
            raise Invalid.field("amount", "paid-amount", "more than was paid", f"at most {payment.amount}")
        return self._store(
            key,
            call,
            kind=CreditKind.REFUND,
            account_id=payment.account_id,
            payment_id=payment.id,
            remote_payment=payment.remote_id,
            currency=payment.currency,
            settlement=CreditSettlement.REFUND,
            **wanted.model_dump(),
        )

    def read(self, request_id: str, call: CallContext) -> CreditRequest:
        """How far a request is. Raises NotFound."""
        request = CREDIT_REQUESTS.require(self._table, request_id)
        owner = self._desk.owner_of(request.account_id) or ""
        self._policy.require_read(call.principal, Resource.BILLING, owner, f"credit request {request_id}")
        return request

    def _require(self, account_id: str, what: str, call: CallContext) -> None:
        owner = self._desk.owner_of(account_id) if account_id else ""
        self._policy.require_write(call.principal, Resource.BILLING, owner or "", what)

    def _store(self, key: str, call: CallContext, **asked: Any) -> CreditRequest:
        now = self._clock.now()
        digest = hashlib.sha256(f"{call.principal.id}\0{key}".encode()).hexdigest()
        request = CreditRequest.model_validate(
            {
                **asked,
                "id": f"CRQ_{digest[:26].upper()}",
                "created_at": now,
                "modified_at": now,
                "requested_by": call.principal.id,
                "check_at": now + CHECK_AGAIN,
            }
        )
        transaction = begin(call, now)
        CREDIT_REQUESTS.create(transaction, request)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            stood = CREDIT_REQUESTS.require(self._table, request.id)
            if any(getattr(stood, name) != value for name, value in asked.items()):
                raise Conflict("this Idempotency-Key was used for something else; take a new one") from None
            return stood
        return request


def _require_creditable(invoice: Invoice, wanted: CreditWanted) -> None:
    """What Stripe would refuse for good is refused at once, in words."""
    if invoice.source is Source.MANUAL:
        raise Refused(f"invoice {invoice.number} is not Stripe's; credit it here")
    if invoice.status not in (InvoiceStatus.OPEN, InvoiceStatus.PAID):
        raise Refused(f"invoice {invoice.number} is {invoice.status}: only an open or a paid one is credited")
    reduces = wanted.settlement is CreditSettlement.REDUCE
    if reduces is (invoice.status is InvoiceStatus.PAID):
        accepted = "refund, balance or outside" if reduces else "reduce"
        raise Invalid.field("settlement", "fits-invoice", f"the invoice is {invoice.status}", accepted)
    most = invoice.remaining if reduces else invoice.total - invoice.credited
    if wanted.amount > most:
        raise Invalid.field("amount", "open-amount", f"more than the {most} that can be credited", f"1–{most}")


class PerformCredit:
    """Makes what was asked for at Stripe, once, and writes what came of it. Safe to call at any time."""

    def __init__(self, table: Table, clock: Clock, create_once: CreateOnce, stripe: StripeCredits) -> None:
        self._table = table
        self._clock = clock
        self._create_once = create_once
        self._stripe = stripe

    def __call__(self, request_id: str, call: CallContext) -> CreditRequest:
        """The request as it then stands. Raises Unavailable when it should be tried again."""
        request = CREDIT_REQUESTS.require(self._table, request_id)
        if request.status is not RequestStatus.REQUESTED:
            return request
        try:
            made = self._create_once(
                f"CREDIT#{request.id}",
                f"sales:{request.id}:v{{n}}",
                call,
                freeze=lambda: {"request": request.id},
                find=lambda _: self._stripe.find(request),
                create=lambda _, key: self._stripe.make(request, key),
            )
        except DomainError as error:
            if error.retryable:
                raise
            return self._end(request, call, status=RequestStatus.REFUSED, refusal=error.detail[:500])
        return self._end(request, call, status=RequestStatus.DONE, remote_id=made)

    def _end(self, request: CreditRequest, call: CallContext, **changes: object) -> CreditRequest:
        while request.status is RequestStatus.REQUESTED:
            now = self._clock.now()
            ended = request.revised(now, check_at=None, **changes)
            transaction = begin(call, now)
            CREDIT_REQUESTS.update(transaction, ended)
            try:
                self._table.commit(transaction)
            except ConditionFailed:  # another worker wrote the same, or the sweep handed it over again
                request = CREDIT_REQUESTS.require(self._table, request.id)
                continue
            return ended
        return request

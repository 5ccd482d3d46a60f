"""Stripe's invoices, payments and credits as the sales slice sees them, and credit notes and refunds made there.

Sources: https://docs.stripe.com/api/invoices/object, https://docs.stripe.com/api/invoice-payment/object,
https://docs.stripe.com/api/credit_notes/object (what a credit note does with its money),
https://docs.stripe.com/api/refunds/object. Lists are read, never searches: searching lags behind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from revops.adapters.stripe_calls import creating, reading, tag
from revops.adapters.stripe_fields import Json, id_of, object_of, period_ends, text_of, time_of
from revops.inbox import InboxStatus, Settlement
from revops.kernel import TooLarge
from revops.sales.model import CreditKind, CreditRequest, CreditSettlement, InvoiceLine, InvoiceStatus
from revops.sales.ports import (
    CreditNoteFact,
    InvoiceFact,
    PayerFacts,
    PayerSignal,
    PaymentFact,
    RefundFact,
    SubscriptionFact,
)

if TYPE_CHECKING:
    from stripe import StripeClient
    from stripe.params import CreditNoteCreateParams, RefundCreateParams

    from revops.billing.ports import EventReader, StripeGateway

REQUEST: Final = "credit_request"
"""The metadata key under which a credit names the request it was made for."""
_MAX_OBJECTS: Final = 10_000
_MAX_LINES: Final = 50
_TELLING: Final = (
    "invoice.",
    "invoice_payment.",
    "charge.",
    "refund.",
    "credit_note.",
    "payment_intent.succeeded",
    "customer.subscription.",
    "customer_cash_balance_transaction.",
)
"""What the types of events begin with that can change what is billed, paid, credited, or how a term ends."""
_STATUSES: Final = {
    "open": InvoiceStatus.OPEN,
    "paid": InvoiceStatus.PAID,
    "void": InvoiceStatus.VOID,
    "uncollectible": InvoiceStatus.UNCOLLECTIBLE,
}
_METHODS: Final = {
    "card": "Credit Card",
    "us_bank_account": "ACH",
    "customer_balance": "Wire Transfer",
    "sepa_debit": "SEPA Debit",
}


class StripeLedger:
    """`StripeBooks` and `StripeCredits`. The client is asked for at each use, because keys rotate; it must not retry by
    itself: who retries has to know whether the idempotency key is still good."""

    def __init__(self, client: "Callable[[], StripeClient]") -> None:
        self._client = client

    def of_payer(self, payer: str) -> PayerFacts:
        """Raises Unavailable, and ProvisioningRefused or TooLarge when asking again cannot help."""
        with reading():
            v1 = self._client().v1
            invoices = _every(v1.invoices.list({"customer": payer, "limit": 100, "expand": ["data.payments"]}))
            charges = _every(v1.charges.list({"customer": payer, "limit": 100, "expand": ["data.refunds"]}))
            notes = _every(v1.credit_notes.list({"customer": payer, "limit": 100}))
            disputed = [each["id"] for each in charges if each.get("disputed")]
            disputes = [one for name in disputed for one in _every(v1.disputes.list({"charge": name, "limit": 100}))]
            subscriptions = _every(v1.subscriptions.list({"customer": payer, "limit": 100, "status": "all"}))
        return payer_facts(invoices, charges, notes, subscriptions, disputes)

    def find(self, request: CreditRequest) -> str | None:
        """The credit note of the invoice, or the refund of the charge, whose metadata names the request."""
        with reading():
            v1 = self._client().v1
            if request.kind is CreditKind.CREDIT_NOTE:
                listed: Any = v1.credit_notes.list({"invoice": request.remote_invoice, "limit": 100})
            else:
                listed = v1.refunds.list({"charge": request.remote_payment, "limit": 100})
            return next(
                (each.id for each in listed.auto_paging_iter() if tag(each.metadata, REQUEST) == request.id), None
            )

    def make(self, request: CreditRequest, key: str) -> str:
        """Raises OutcomeUnknown, SavedFailure, Unavailable (surely not done), ProvisioningRefused."""
        with creating():
            v1 = self._client().v1
            if request.kind is CreditKind.CREDIT_NOTE:
                return v1.credit_notes.create(_note_params(request), {"idempotency_key": key}).id
            refund: RefundCreateParams = {
                "charge": request.remote_payment,
                "amount": request.amount,
                "metadata": {REQUEST: request.id},
            }
            if request.reason:
                refund["reason"] = cast("Any", request.reason)  # one of Stripe's: checked at the door
            return v1.refunds.create(refund, {"idempotency_key": key}).id


def _note_params(request: CreditRequest) -> "CreditNoteCreateParams":
    """What a credit note is to do with its money. On an open invoice it needs no saying: there is less to pay."""
    params: CreditNoteCreateParams = {
        "invoice": request.remote_invoice,
        "amount": request.amount,
        "metadata": {REQUEST: request.id},
    }
    if request.reason:
        params["reason"] = cast("Any", request.reason)  # one of Stripe's: checked at the door
    if request.memo:
        params["memo"] = request.memo
    match request.settlement:
        case CreditSettlement.REFUND:
            params["refund_amount"] = request.amount
        case CreditSettlement.BALANCE:
            params["credit_amount"] = request.amount
        case CreditSettlement.OUTSIDE:
            params["out_of_band_amount"] = request.amount
        case CreditSettlement.REDUCE:
            pass
    return params


class StripeSignals:
    """`Signals` over the inbox: whose invoices, payments or subscriptions an entry says something of."""

    def __init__(self, settlement: Settlement, read: "EventReader", stripe: "StripeGateway") -> None:
        self._settlement = settlement
        self._read = read
        self._stripe = stripe

    def __call__(self, inbox_id: str) -> PayerSignal | None:
        """None for what tells nothing, for a payment without a customer, and for an entry nothing can be made of, which
        was settled as such. Raises Unavailable."""
        entry = self._settlement.load(inbox_id)
        if entry.status is InboxStatus.DEAD or not entry.event_type.removeprefix("v1.").startswith(_TELLING):
            return None
        event = self._read(entry.body)
        payer = event.payer or self._stripe.payer_of(event.object_type, event.object_id) or ""
        return PayerSignal(payer, entry.created_at) if payer.startswith("cus_") else None


# -- Stripe's objects in our words -------------------------------------------------------------------------------------


def payer_facts(
    invoices: Sequence[Json],
    charges: Sequence[Json],
    notes: Sequence[Json],
    subscriptions: Sequence[Json],
    disputes: Sequence[Json] = (),
) -> PayerFacts:
    """Everything of one payer. Drafts are no invoices yet; charges that failed are no payments."""
    pays, took = _parts(invoices), [each for each in charges if each.get("status") == "succeeded" and _took(each)]
    return PayerFacts(
        invoices=tuple(_invoice(each) for each in invoices if each.get("status") in _STATUSES),
        payments=tuple(_payment(each, pays, disputes) for each in took),
        credit_notes=tuple(_note(each) for each in notes),
        subscriptions=tuple(_subscription(each) for each in subscriptions),
    )


def _took(charge: Json) -> int:
    return int(charge.get("amount_captured") or 0)


def _parts(invoices: Sequence[Json]) -> dict[str, list[tuple[str, int]]]:
    """Payment intent → the invoices it pays, and how much of each."""
    found: dict[str, list[tuple[str, int]]] = {}
    for invoice in invoices:
        for payment in _paid(invoice):
            intent = id_of(object_of(payment.get("payment")).get("payment_intent"))
            if intent:
                found.setdefault(intent, []).append((invoice["id"], int(payment["amount_paid"])))
    return found


def _paid(invoice: Json) -> Iterator[Json]:
    """The payments of an invoice that came to an end."""
    for payment in object_of(invoice.get("payments")).get("data") or ():
        if payment.get("status") == "paid" and payment.get("amount_paid"):
            yield payment


def _invoice(invoice: Json) -> InvoiceFact:
    details = object_of(object_of(invoice.get("parent")).get("subscription_details"))
    moments = object_of(invoice.get("status_transitions"))
    lines = list(object_of(invoice.get("lines")).get("data") or ())
    all_lines = int(object_of(invoice.get("lines")).get("total_count") or len(lines))
    kept = lines[:_MAX_LINES]
    paid = int(invoice.get("amount_paid") or 0)
    through = sum(int(each["amount_paid"]) for each in _paid(invoice) if _charged(each))
    starting, ending = int(invoice.get("starting_balance") or 0), int(invoice.get("ending_balance") or 0)
    return InvoiceFact(
        id=invoice["id"],
        number=text_of(invoice.get("number")),
        status=_STATUSES[invoice["status"]],
        currency=invoice["currency"].upper(),
        total=int(invoice.get("total") or 0),
        due=int(invoice.get("amount_due") or 0),
        paid=paid,
        remaining=int(invoice.get("amount_remaining") or 0),
        credited=int(invoice.get("pre_payment_credit_notes_amount") or 0)
        + int(invoice.get("post_payment_credit_notes_amount") or 0),
        credit_used=ending - starting,
        issued_at=time_of(moments.get("finalized_at")) or _moment(invoice["created"]),
        due_at=time_of(invoice.get("due_date")),
        paid_at=time_of(moments.get("paid_at")),
        period_start=_moment(invoice["period_start"]),
        period_end=_moment(invoice["period_end"]),
        hosted_url=text_of(invoice.get("hosted_invoice_url")),
        subscription_id=id_of(details.get("subscription")),
        lines=tuple(_line(each) for each in kept),
        lines_left_out=max(0, all_lines - len(kept)),
        paid_outside=max(0, paid - through),
    )


def _charged(payment: Json) -> bool:
    """Whether a payment of an invoice has a charge of its own; what has none was paid outside Stripe."""
    return bool(id_of(object_of(payment.get("payment")).get("payment_intent")))


def _line(line: Json) -> InvoiceLine:
    period = object_of(line.get("period"))
    quantity = line.get("quantity_decimal") or line.get("quantity")
    return InvoiceLine(
        description=text_of(line.get("description")),
        amount=int(line.get("amount") or 0),
        quantity=Decimal(str(quantity)) if quantity is not None else None,
        period_start=time_of(period.get("start")),
        period_end=time_of(period.get("end")),
    )


def _payment(charge: Json, pays: Mapping[str, list[tuple[str, int]]], disputes: Sequence[Json]) -> PaymentFact:
    kind = text_of(object_of(charge.get("payment_method_details")).get("type"))
    refunds = object_of(charge.get("refunds")).get("data") or ()
    return PaymentFact(
        id=charge["id"],
        at=_moment(charge["created"]),
        amount=_took(charge),
        currency=charge["currency"].upper(),
        method=_METHODS.get(kind, kind.replace("_", " ").capitalize() or "Other"),
        pays=tuple(pays.get(id_of(charge.get("payment_intent")), ())),
        refunds=tuple(_refund(each) for each in refunds),
        disputes=tuple(_dispute(each) for each in disputes if id_of(each.get("charge")) == charge["id"]),
    )


def _refund(refund: Json) -> RefundFact:
    status = text_of(refund.get("status")) or "succeeded"
    return RefundFact(
        id=refund["id"],
        at=_moment(refund["created"]),
        amount=int(refund["amount"]),
        currency=refund["currency"].upper(),
        status=status,
        reason=text_of(refund.get("reason")),
        counts=status not in {"failed", "canceled"},
        request_id=text_of(object_of(refund.get("metadata")).get(REQUEST)),
    )


def _dispute(dispute: Json) -> RefundFact:
    """Source: https://docs.stripe.com/api/disputes/object. Inquiries (`warning_…`) take no money."""
    return RefundFact(
        id=dispute["id"],
        at=_moment(dispute["created"]),
        amount=int(dispute["amount"]),
        currency=dispute["currency"].upper(),
        status=text_of(dispute.get("status")),
        reason=text_of(dispute.get("reason")),
        counts=dispute.get("status") == "lost",
    )


def _note(note: Json) -> CreditNoteFact:
    refunds = [id_of(each.get("refund")) for each in note.get("refunds") or ()]
    return CreditNoteFact(
        id=note["id"],
        number=text_of(note.get("number")),
        invoice_id=id_of(note.get("invoice")),
        at=time_of(note.get("effective_at")) or _moment(note["created"]),
        amount=int(note["total"]),
        currency=note["currency"].upper(),
        reason=text_of(note.get("reason")),
        void=note.get("status") == "void",
        refunds=tuple(filter(None, refunds)),
        outside=int(note.get("out_of_band_amount") or 0),
        request_id=text_of(object_of(note.get("metadata")).get(REQUEST)),
    )


def _subscription(subscription: Json) -> SubscriptionFact:
    """`incomplete_expired` never began, and its term ends with it."""
    cancels = time_of(subscription.get("cancel_at"))
    if cancels is None and subscription.get("cancel_at_period_end"):
        cancels = time_of(min(period_ends(subscription), default=None))
    return SubscriptionFact(subscription["id"], cancels, time_of(subscription.get("ended_at")))


def _every(page: Any) -> list[Json]:
    """Every object of a list, page by page, up to a bound no real customer reaches."""
    found: list[Json] = []
    for object_ in page.auto_paging_iter():
        found.append(object_.to_dict())
        if len(found) > _MAX_OBJECTS:
            raise TooLarge(f"a payer with more than {_MAX_OBJECTS} objects of a kind")
    return found


def _moment(seconds: int) -> datetime:
    found = time_of(seconds)
    if found is None:
        raise ValueError("a time that is none")
    return found

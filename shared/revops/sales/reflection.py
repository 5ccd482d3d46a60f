"""Stripe's facts as our records: each function makes the record that would stand if nothing stood yet."""

from collections.abc import Iterator
from datetime import datetime

from revops.sales.model import (
    Application,
    Credit,
    CreditKind,
    Invoice,
    InvoiceStatus,
    Payment,
    Source,
)
from revops.sales.ports import (
    CreditNoteFact,
    InvoiceFact,
    PayerFacts,
    PayerRef,
    PaymentFact,
    RefundFact,
)
from revops.sales.store import remote_id

OUTSIDE = "Outside Stripe"
"""The method of a payment that Stripe was only told of."""


def invoice_of_fact(fact: InvoiceFact, payer: str, ref: PayerRef, sales_order_id: str, now: datetime) -> Invoice:
    """An invoice; its stage of dunning is not Stripe's and stands at the beginning."""
    return Invoice(
        id=remote_id("INV", fact.id),
        created_at=now,
        modified_at=now,
        source=Source.STRIPE,
        remote_id=fact.id,
        number=fact.number,
        account_id=ref.account_id,
        customer_id=ref.customer_id,
        payer=payer,
        sales_order_id=sales_order_id,
        subscription_id=fact.subscription_id,
        status=fact.status,
        currency=fact.currency,
        total=fact.total,
        due=fact.due,
        paid=fact.paid,
        credited=fact.credited,
        remaining=0 if fact.status is InvoiceStatus.VOID else fact.remaining,
        credit_used=fact.credit_used,
        issued_at=fact.issued_at,
        due_at=fact.due_at or fact.issued_at,
        paid_at=fact.paid_at,
        period_start=fact.period_start,
        period_end=fact.period_end,
        hosted_url=fact.hosted_url,
        lines=fact.lines,
        lines_left_out=fact.lines_left_out,
    )


def payment_of_fact(fact: PaymentFact | InvoiceFact, payer: str, ref: PayerRef, now: datetime) -> Iterator[Payment]:
    """A charge as a payment; of an invoice, the part that was paid outside Stripe."""
    if isinstance(fact, PaymentFact):
        name, amount, at, method = fact.id, fact.amount, fact.at, fact.method
        pays = tuple(Application(invoice_id=remote_id("INV", paid), amount=part) for paid, part in fact.pays)
    else:
        name, amount, at, method = f"outside:{fact.id}", fact.paid_outside, fact.paid_at or fact.issued_at, OUTSIDE
        pays = (Application(invoice_id=remote_id("INV", fact.id), amount=amount),)
    if amount > 0:
        yield Payment(
            id=remote_id("PAY", name),
            created_at=now,
            modified_at=now,
            source=Source.STRIPE,
            remote_id=name,
            account_id=ref.account_id,
            customer_id=ref.customer_id,
            payer=payer,
            paid_on=at.date(),
            amount=amount,
            currency=fact.currency,
            method=method,
            applications=pays,
        )


def credits_of_facts(facts: PayerFacts, payer: str, ref: PayerRef, now: datetime) -> list[Credit]:
    """Every credit note, refund and chargeback of a payer."""
    of_notes = {refund for note in facts.credit_notes if not note.void for refund in note.refunds}
    found = [_note(note, payer, ref, now) for note in facts.credit_notes]
    for payment in facts.payments:
        for refund in payment.refunds:
            found.append(_refund(refund, payment, payer, ref, now, alone=refund.id not in of_notes))
        for dispute in payment.disputes:
            taken = _refund(dispute, payment, payer, ref, now, alone=False)
            found.append(taken.model_copy(update={"kind": CreditKind.CHARGEBACK}))
    return found


def _note(fact: CreditNoteFact, payer: str, ref: PayerRef, now: datetime) -> Credit:
    return Credit(
        id=remote_id("CRD", fact.id),
        created_at=now,
        modified_at=now,
        kind=CreditKind.CREDIT_NOTE,
        source=Source.STRIPE,
        remote_id=fact.id,
        number=fact.number,
        account_id=ref.account_id,
        payer=payer,
        invoice_id=remote_id("INV", fact.invoice_id),
        currency=fact.currency,
        amount=fact.amount,
        credited=0 if fact.void else fact.amount,
        refunded=0 if fact.void else fact.outside,
        reason=fact.reason,
        status="void" if fact.void else "issued",
        issued_at=fact.at,
        request_id=fact.request_id,
    )


def _refund(fact: RefundFact, payment: PaymentFact, payer: str, ref: PayerRef, now: datetime, *, alone: bool) -> Credit:
    return Credit(
        id=remote_id("CRD", fact.id),
        created_at=now,
        modified_at=now,
        kind=CreditKind.REFUND,
        source=Source.STRIPE,
        remote_id=fact.id,
        account_id=ref.account_id,
        payer=payer,
        invoice_id=remote_id("INV", payment.pays[0][0]) if payment.pays else "",
        payment_id=remote_id("PAY", payment.id),
        currency=fact.currency,
        amount=fact.amount,
        credited=fact.amount if fact.counts and alone and payment.pays else 0,
        refunded=fact.amount if fact.counts else 0,
        reason=fact.reason,
        status=fact.status,
        issued_at=fact.at,
        request_id=fact.request_id,
    )

"""What a record does to an account's balance, and the statement that follows from all of them.

For every account and currency: balance = billed − (paid − refunded) − credited.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from revops.kernel import parse_time, time_text
from revops.sales.model import Credit, DunningStage, Invoice, InvoiceStatus, Payment, PaymentStatus
from revops.sales.store import BookEntry


def invoice_entry(invoice: Invoice) -> BookEntry | None:
    """An invoice is owed at its whole total: what a credit balance paid of it was credited when the balance came to be.
    A void one was never owed; an uncollectible one still is."""
    if invoice.status is InvoiceStatus.VOID:
        return None
    owed = invoice.remaining if invoice.status is not InvoiceStatus.PAID else 0
    return BookEntry(
        record_id=invoice.id,
        on=time_text(invoice.issued_at),
        text=invoice.number or invoice.reference or invoice.id,
        currency=invoice.currency,
        billed=invoice.total,
        open=owed,
        overdue_from=time_text(invoice.due_at) if invoice.due_at and owed else "",
        stage="" if invoice.stage is DunningStage.NONE else invoice.stage.value,
    )


def payment_entry(payment: Payment) -> BookEntry | None:
    """A payment that was reversed never came in."""
    if payment.status is PaymentStatus.REVERSED:
        return None
    return BookEntry(
        record_id=payment.id,
        on=f"{payment.paid_on.isoformat()}T00:00:00.000000Z",
        text=" ".join(filter(None, (payment.method, payment.reference))),
        currency=payment.currency,
        paid=payment.amount,
        unapplied=payment.unapplied,
    )


def credit_entry(credit: Credit) -> BookEntry | None:
    """A credit that does not count (void, failed) has nothing to enter."""
    if not credit.credited and not credit.refunded:
        return None
    return BookEntry(
        record_id=credit.id,
        on=time_text(credit.issued_at),
        text=" ".join(filter(None, (credit.kind.value, credit.number))),
        currency=credit.currency,
        credited=credit.credited,
        refunded=credit.refunded,
    )


@dataclass(frozen=True, slots=True)
class Totals:
    """An account's books in one currency. `stage` is the most urgent dunning of its invoices."""

    currency: str
    billed: int = 0
    paid: int = 0
    credited: int = 0
    refunded: int = 0
    unapplied: int = 0
    open: int = 0
    overdue: int = 0
    stage: DunningStage = DunningStage.NONE

    @property
    def balance(self) -> int:
        """What the account owes; below zero, what it is owed."""
        return self.billed - self.paid - self.credited + self.refunded


def totals(entries: Iterable[BookEntry], now: datetime) -> list[Totals]:
    """The sums of an account's books, a currency at a time."""
    sums: dict[str, Totals] = {}
    for entry in entries:
        before = sums.get(entry.currency, Totals(entry.currency))
        late = bool(entry.overdue_from) and parse_time(entry.overdue_from) <= now
        stage = DunningStage(entry.stage) if entry.stage else DunningStage.NONE
        sums[entry.currency] = replace(
            before,
            billed=before.billed + entry.billed,
            paid=before.paid + entry.paid,
            credited=before.credited + entry.credited,
            refunded=before.refunded + entry.refunded,
            unapplied=before.unapplied + entry.unapplied,
            open=before.open + entry.open,
            overdue=before.overdue + (entry.open if late else 0),
            stage=max(before.stage, stage, key=lambda one: one.rank),
        )
    return [sums[currency] for currency in sorted(sums)]

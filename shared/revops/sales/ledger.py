"""What is entered by hand: invoices that Stripe does not send, payments by wire, credits on those invoices (ORD-9).

An invoice has one keeper. What Stripe bills is paid, credited and refunded at Stripe and mirrored from there; a payment
entered here for it would be counted twice. So payments by hand pay invoices by hand.

For every invoice by hand: paid = Σ of what payments apply to it, remaining = total − credited − paid, never below zero.
For every payment: Σ applied ≤ amount. Each command moves payment and invoices in one transaction under their versions.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from revops.access import Policy, Resource
from revops.kernel import (
    CallContext,
    Clock,
    Conflict,
    IdFactory,
    Invalid,
    NotFound,
    Refused,
    VersionConflict,
    canonical_json,
)
from revops.sales.dunning import end_dunning
from revops.sales.entries import MOST_INVOICES, Entry, NewCredit, NewInvoice, NewPayment
from revops.sales.model import (
    Application,
    Credit,
    CreditKind,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    Payment,
    PaymentStatus,
    Source,
)
from revops.sales.policies.books import credit_entry, invoice_entry, payment_entry
from revops.sales.policies.dunning import DunningRules, watched
from revops.sales.ports import CrmDesk, Payers
from revops.sales.store import CREDITS, INVOICES, PAYMENTS, SALES_ORDERS, enter, midnight, open_by_hand
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Row, Table, Transaction, begin, claim, claim_key

_RACES = 8
_CLAIM = "sales-request"
_MOST_APPLIED = 45
"""Invoices one payment pays in all: taking it back writes each of them and its entry in the books."""
CLAIM_KEPT = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Entered[T]:
    """A record, and whether this call made it or an earlier one with the same idempotency key."""

    record: T
    created: bool


class EnterByHand:
    """Finance's own entries. Every maker takes an idempotency key: same key and content again find what it made."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        policy: Policy,
        desk: CrmDesk,
        payers: Payers,
        settings: SettingsReader,
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._desk = desk
        self._payers = payers
        self._settings = settings

    # -- making ------------------------------------------------------------------------------------------------------

    def invoice(self, wanted: NewInvoice, key: str, call: CallContext) -> Entered[Invoice]:
        """Raises NotFound, Forbidden, Invalid, and Conflict for a key that stood for something else."""
        self._require(wanted.account_id, call)
        if wanted.due_on < wanted.issued_on:
            raise Invalid.field("due_on", "after-issue", "before issued_on", "issued_on or later")
        self._require_sale(wanted)

        def make(transaction: Transaction, now: datetime) -> Invoice:
            start, end = wanted.period_start, wanted.period_end
            line = InvoiceLine(
                description=wanted.description,
                amount=wanted.amount,
                period_start=midnight(start) if start else None,
                period_end=midnight(end) if end else None,
            )
            invoice = Invoice(
                id=self._ids.new("INV"),
                created_at=now,
                modified_at=now,
                source=Source.MANUAL,
                number=wanted.number,
                account_id=wanted.account_id,
                customer_id=self._payers.of_account(wanted.account_id),
                sales_order_id=wanted.sales_order_id,
                status=InvoiceStatus.OPEN,
                currency=wanted.currency,
                total=wanted.amount,
                due=wanted.amount,
                remaining=wanted.amount,
                issued_at=midnight(wanted.issued_on),
                due_at=midnight(wanted.due_on),
                period_start=line.period_start,
                period_end=line.period_end,
                lines=(line,),
            )
            invoice = watched(invoice, now, self._settings.read(DunningRules))
            INVOICES.create(transaction, invoice)
            enter(transaction, invoice.account_id, invoice_entry(invoice), invoice.id)
            return invoice

        return self._once(key, wanted, make, lambda found: INVOICES.require(self._table, found), call)

    def payment(self, wanted: NewPayment, key: str, call: CallContext) -> Entered[Payment]:
        """Raises NotFound, Forbidden, Invalid, Refused, and Conflict for a key that stood for something else."""
        self._require(wanted.account_id, call)
        if wanted.paid_on > self._clock.now().astimezone(UTC).date() + timedelta(days=1):
            raise Invalid.field("paid_on", "not-ahead", "in the future", "the day the money came")

        def make(transaction: Transaction, now: datetime) -> Payment:
            oldest = [] if wanted.pays else open_by_hand(self._table, wanted.account_id, wanted.currency)
            parts = wanted.pays or _spread(wanted.amount, oldest)
            payment = Payment(
                id=self._ids.new("PAY"),
                created_at=now,
                modified_at=now,
                source=Source.MANUAL,
                account_id=wanted.account_id,
                customer_id=self._payers.of_account(wanted.account_id),
                paid_on=wanted.paid_on,
                amount=wanted.amount,
                currency=wanted.currency,
                method=wanted.method,
                reference=wanted.reference,
            )
            payment = self._apply(transaction, payment, parts, now, {one.id: one for one in oldest})
            PAYMENTS.create(transaction, payment)
            enter(transaction, payment.account_id, payment_entry(payment), payment.id)
            return payment

        return self._once(key, wanted, make, lambda found: PAYMENTS.require(self._table, found), call)

    def credit(self, invoice_id: str, wanted: NewCredit, key: str, call: CallContext) -> Entered[Credit]:
        """Takes back part of an invoice by hand; at most what is still open. Raises Refused for one of Stripe's."""
        invoice = self._by_hand(invoice_id, call)

        def make(transaction: Transaction, now: datetime) -> Credit:
            before = INVOICES.require(self._table, invoice.id)
            if wanted.amount > before.remaining:
                raise Invalid.field(
                    "amount", "open-amount", f"more than the {before.remaining} that are open", f"1–{before.remaining}"
                )
            after = _settled(before, now, credited=before.credited + wanted.amount)
            self._write(transaction, before, after, now)
            credit = Credit(
                id=self._ids.new("CRD"),
                created_at=now,
                modified_at=now,
                kind=CreditKind.CREDIT_NOTE,
                source=Source.MANUAL,
                account_id=before.account_id,
                invoice_id=before.id,
                currency=before.currency,
                amount=wanted.amount,
                credited=wanted.amount,
                refunded=0,
                reason=wanted.reason,
                status="issued",
                issued_at=now,
            )
            CREDITS.create(transaction, credit)
            enter(transaction, credit.account_id, credit_entry(credit), credit.id)
            return credit

        asked = {"invoice": invoice.id, **wanted.model_dump(mode="json")}
        return self._once(key, asked, make, lambda found: CREDITS.require(self._table, found), call)

    # -- changing ----------------------------------------------------------------------------------------------------

    def apply(self, payment_id: str, invoice_id: str, amount: int, version: int, call: CallContext) -> Payment:
        """Applies part of what a payment has left to one more invoice, under the version of the payment that was read:
        sent again, it meets the next version. Raises Refused, Invalid, VersionConflict."""

        def change(transaction: Transaction, payment: Payment, now: datetime) -> Payment:
            if payment.status is PaymentStatus.REVERSED:
                raise Refused(f"payment {payment.id} was reversed; nothing of it is left to apply")
            if amount > payment.unapplied:
                raise Invalid.field("amount", "unapplied", f"more than the {payment.unapplied} that are left")
            return self._apply(transaction, payment.revised(now), {invoice_id: amount}, now)

        return self._change(payment_id, version, change, call)

    def reverse(self, payment_id: str, reason: str, version: int, call: CallContext) -> Payment:
        """Takes a payment back, as when a wire is recalled: its invoices are open again by what it paid of them."""

        def change(transaction: Transaction, payment: Payment, now: datetime) -> Payment:
            for part in payment.applications:
                before = INVOICES.require(self._table, part.invoice_id)
                self._write(transaction, before, _settled(before, now, paid=before.paid - part.amount), now)
            return payment.revised(
                now,
                status=PaymentStatus.REVERSED,
                applications=(),
                reversed_at=now,
                reversal_reason=reason,
            )

        return self._change(payment_id, version, change, call)

    # -- how -----------------------------------------------------------------------------------------------------------

    def _apply(
        self,
        transaction: Transaction,
        payment: Payment,
        parts: Mapping[str, int],
        now: datetime,
        read: Mapping[str, Invoice] | None = None,
    ) -> Payment:
        """The payment with its parts applied. Invoices that the parts were reckoned by (`read`) are taken as they were
        read: one that moved since then fails the commit, and all of it is looked at again."""
        if sum(parts.values()) > payment.unapplied:
            raise Invalid.field("pays", "amount", "more than the payment", f"at most {payment.unapplied} in all")
        applied = {part.invoice_id: part.amount for part in payment.applications}
        for invoice_id, amount in parts.items():
            before = (read or {}).get(invoice_id) or INVOICES.get(self._table, invoice_id)
            if before is None or before.account_id != payment.account_id:
                raise Invalid.field("pays", "own-invoice", f"{invoice_id[:60]} is no invoice of this account")
            if before.source is Source.STRIPE:
                raise Refused(f"invoice {before.number} is Stripe's: mark it as paid there, and it is mirrored here")
            if before.currency != payment.currency:
                raise Invalid.field("pays", "currency", f"{invoice_id} is in {before.currency}", before.currency)
            if amount > before.remaining or not before.owed:
                raise Invalid.field("pays", "open-amount", f"{invoice_id} has {before.remaining} open")
            self._write(transaction, before, _settled(before, now, paid=before.paid + amount), now)
            applied[invoice_id] = applied.get(invoice_id, 0) + amount
        if len(applied) > _MOST_APPLIED:
            raise Refused(f"payment {payment.id} pays {_MOST_APPLIED} invoices already, and more it cannot")
        applications = tuple(Application(invoice_id=name, amount=part) for name, part in applied.items())
        return payment.model_copy(update={"applications": applications})

    def _write(self, transaction: Transaction, before: Invoice, after: Invoice, now: datetime) -> None:
        after = watched(after, now, self._settings.read(DunningRules))
        INVOICES.update(transaction, after)
        enter(transaction, after.account_id, invoice_entry(after), after.id)
        if before.owed and not after.owed:
            end_dunning(self._desk, transaction, now, before)

    def _change(
        self,
        payment_id: str,
        version: int,
        change: Callable[[Transaction, Payment, datetime], Payment],
        call: CallContext,
    ) -> Payment:
        for _ in range(_RACES):
            payment = PAYMENTS.require(self._table, payment_id)
            self._require(payment.account_id, call, f"payment {payment_id}")
            if payment.source is Source.STRIPE:
                raise Refused(f"payment {payment_id} is Stripe's: it is refunded or disputed there")
            if payment.version != version:
                raise _moved(payment)
            if payment.status is PaymentStatus.REVERSED:
                raise Refused(f"payment {payment_id} was reversed already")
            now = self._clock.now()
            transaction = begin(call, now)
            after = change(transaction, payment, now)
            PAYMENTS.update(transaction, after)
            enter(transaction, after.account_id, payment_entry(after), after.id)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # an invoice or the payment moved; look again
            return after
        raise Contention("others keep changing these invoices; try again shortly")

    def _once[T: (Invoice, Payment, Credit)](
        self,
        key: str,
        wanted: Entry | dict[str, object],
        make: Callable[[Transaction, datetime], T],
        load: Callable[[str], T],
        call: CallContext,
    ) -> Entered[T]:
        """What the key made, now or before. A lost answer, a double click and a retry all find the same record."""
        asked = wanted.model_dump(mode="json") if isinstance(wanted, Entry) else wanted
        fingerprint = hashlib.sha256(canonical_json(asked).encode()).hexdigest()
        claimed = f"{call.principal.id}\0{key}"
        for _ in range(_RACES):
            row = self._table.get(claim_key(_CLAIM, claimed))
            if row is not None:
                return Entered(load(_holder(row, fingerprint)), created=False)
            now = self._clock.now()
            transaction = begin(call, now)
            made = make(transaction, now)
            expires = int((now + CLAIM_KEPT).timestamp())
            claim(transaction, _CLAIM, claimed, made.id, ttl=expires, note=fingerprint)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # the key was used just now, or an invoice moved
            return Entered(made, created=True)
        raise Contention("others keep changing these invoices; try again shortly")

    def _require(self, account_id: str, call: CallContext, what: str = "") -> None:
        owner = self._desk.owner_of(account_id)
        if owner is None:
            raise NotFound("account", account_id)
        self._policy.require_write(call.principal, Resource.BILLING, owner, what or f"account {account_id}")

    def _require_sale(self, wanted: NewInvoice) -> None:
        if not wanted.sales_order_id:
            return
        sold = SALES_ORDERS.get(self._table, wanted.sales_order_id)
        if sold is None or sold.account_id != wanted.account_id:
            raise Invalid.field("sales_order_id", "own-order", "no sales order of this account")

    def _by_hand(self, invoice_id: str, call: CallContext) -> Invoice:
        invoice = INVOICES.require(self._table, invoice_id)
        self._require(invoice.account_id, call, f"invoice {invoice_id}")
        if invoice.source is Source.STRIPE:
            raise Refused(f"invoice {invoice.number} is Stripe's: ask for a credit note there")
        return invoice


def _settled(before: Invoice, now: datetime, *, paid: int | None = None, credited: int | None = None) -> Invoice:
    """The invoice after more, or less, of it was paid or credited."""
    paid, credited = before.paid if paid is None else paid, before.credited if credited is None else credited
    remaining = before.total - paid - credited
    done = remaining == 0
    return before.revised(
        now,
        paid=paid,
        credited=credited,
        remaining=remaining,
        status=InvoiceStatus.PAID if done else InvoiceStatus.OPEN,
        paid_at=(before.paid_at or now) if done else None,
    )


def _spread(amount: int, invoices: Iterable[Invoice]) -> dict[str, int]:
    """A payment over invoices in their order, as far as it reaches."""
    parts: dict[str, int] = {}
    for invoice in invoices:
        part = min(amount, invoice.remaining)
        if part <= 0 or len(parts) == MOST_INVOICES:
            break
        parts[invoice.id] = part
        amount -= part
    return parts


def _holder(row: Row, fingerprint: str) -> str:
    doc = json.loads(row.doc)
    if doc.get("note") != fingerprint:
        raise Conflict("this Idempotency-Key was used for something else; take a new one")
    return str(doc["holder"])


def _moved(payment: Payment) -> VersionConflict:
    return VersionConflict(f"payment {payment.id} was changed by someone else", payment.version)

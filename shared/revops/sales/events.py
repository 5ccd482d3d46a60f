"""What the rest of the world is told of what follows a sale: pure functions of a change of a row (BUS-1)."""

from collections.abc import Iterator

from revops.catalogue import Event, event
from revops.kernel import Money
from revops.payload import Payload
from revops.payloads_sales import (
    CreditRequested,
    DunningStageReached,
    InvoiceStatusChanged,
    PaymentRecorded,
    RenewalDecided,
    SalesOrderCreated,
    UpsellOpened,
)
from revops.sales.model import DunningStage, Invoice, RenewalStatus, RequestStatus
from revops.sales.store import CREDIT_REQUESTS, INVOICES, PAYMENTS, RENEWALS, SALES_ORDERS, UPSELLS
from revops.table import Change, Row


def events(change: Change) -> list[Event]:
    """The events of one change of a record after a sale; none for other rows."""
    row = change.after
    if row is None or row.stamp is None:
        return []
    return [
        event(
            payload,
            entity_id=identifier,
            version=row.version,
            occurred_at=row.stamp.at,
            causation_id=row.stamp.causation_id,
        )
        for identifier, payload in _payloads(change, row)
    ]


def _payloads(change: Change, row: Row) -> Iterator[tuple[str, Payload]]:
    if row.kind == INVOICES.kind:
        invoice = INVOICES.load(row)
        before = INVOICES.load(change.before) if change.before else None
        yield from ((invoice.id, payload) for payload in _of_invoice(before, invoice))
    elif row.kind == RENEWALS.kind:
        renewal = RENEWALS.load(row)
        was = RENEWALS.load(change.before) if change.before else None
        decided = renewal.status is not (was.status if was else RenewalStatus.OPEN)
        if decided or (renewal.ended_at is not None and (was is None or was.ended_at is None)):
            yield (
                renewal.id,
                RenewalDecided(
                    renewal_id=renewal.id,
                    account_id=renewal.account_id,
                    outcome=renewal.status.value,
                    renewal_order_id=renewal.renewal_order_id,
                ),
            )
    elif change.is_new:
        yield from _of_new(row)


def _of_invoice(before: Invoice | None, after: Invoice) -> Iterator[Payload]:
    remaining = Money(minor=after.remaining, currency=after.currency)
    if before is None or before.status is not after.status:
        yield InvoiceStatusChanged(
            invoice_id=after.id,
            account_id=after.account_id,
            status=after.status.value,
            previous_status=before.status.value if before else None,
            remaining=remaining,
        )
    if after.stage is not DunningStage.NONE and (before is None or before.stage is not after.stage):
        yield DunningStageReached(
            invoice_id=after.id, account_id=after.account_id, stage=after.stage.value, remaining=remaining
        )


def _of_new(row: Row) -> Iterator[tuple[str, Payload]]:
    if row.kind == SALES_ORDERS.kind:
        order = SALES_ORDERS.load(row)
        yield (
            order.id,
            SalesOrderCreated(
                sales_order_id=order.id,
                number=order.number,
                order_id=order.order_id,
                account_id=order.account_id,
                total=order.value,
            ),
        )
    elif row.kind == PAYMENTS.kind:
        payment = PAYMENTS.load(row)
        yield (
            payment.id,
            PaymentRecorded(
                payment_id=payment.id,
                account_id=payment.account_id,
                amount=Money(minor=payment.amount, currency=payment.currency),
                invoice_ids=[application.invoice_id for application in payment.applications],
            ),
        )
    elif row.kind == CREDIT_REQUESTS.kind:
        request = CREDIT_REQUESTS.load(row)
        if request.status is RequestStatus.REQUESTED:
            yield request.id, CreditRequested(request_id=request.id, account_id=request.account_id)
    elif row.kind == UPSELLS.kind:
        upsell = UPSELLS.load(row)
        yield (
            upsell.id,
            UpsellOpened(
                upsell_id=upsell.id,
                account_id=upsell.account_id,
                opportunity_id=upsell.opportunity_id,
                rule=upsell.signal.rule,
            ),
        )

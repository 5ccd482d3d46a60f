"""Payloads of what follows a sale (ORD-9); the catalogue names them with all the others."""

from revops.kernel import Money
from revops.payload import Payload


class SalesOrderCreated(Payload):
    """An executed order form's subscription stands, and its sales order is written (ORD-9)."""

    sales_order_id: str
    number: str
    order_id: str
    account_id: str
    total: Money


class InvoiceStatusChanged(Payload):
    """An invoice came to be, or has another status (ORD-9); `account_id` is empty while its payer is nobody's."""

    invoice_id: str
    account_id: str
    status: str
    previous_status: str | None
    remaining: Money


class DunningStageReached(Payload):
    """An unpaid invoice is asked for more urgently (ORD-9)."""

    invoice_id: str
    account_id: str
    stage: str
    remaining: Money


class PaymentRecorded(Payload):
    """Money came in (ORD-9); what it does not pay of these invoices is unapplied."""

    payment_id: str
    account_id: str
    amount: Money
    invoice_ids: list[str]


class CreditRequested(Payload):
    """Finance asked Stripe for a credit note or a refund; a worker makes it (ORD-9)."""

    request_id: str
    account_id: str


class RenewalDecided(Payload):
    """A term of a subscription was renewed, lapsed or was cancelled; of one that a person decided on it is told again
    when its subscription ends (ORD-9)."""

    renewal_id: str
    account_id: str
    outcome: str
    renewal_order_id: str


class UpsellOpened(Payload):
    """A deal was opened because an account looks ready for more; `rule` is `manual` when a person said so (ORD-9)."""

    upsell_id: str
    account_id: str
    opportunity_id: str
    rule: str

"""What the API shows of what follows a sale. A view names every field it shows; what is not named is not shown."""

from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from revops.kernel.money import Rate
from revops.sales.model import (
    CreditKind,
    CreditSettlement,
    DunningStage,
    InvoiceStatus,
    PaymentStatus,
    RenewalStatus,
    RequestStatus,
    SaleKind,
    SignalKind,
    Source,
)
from revops.sales.queries import Statement
from revops.table import Entity


class _View(BaseModel):
    model_config = ConfigDict(defer_build=True, from_attributes=True)


def shown[V: BaseModel](view: type[V], record: Entity) -> V:
    """A record as its view shows it."""
    return view.model_validate(record, from_attributes=True)


class ItemView(_View):
    """A line of a sales order; `amount` is over the whole term."""

    kind: str
    description: str
    quantity: int
    unit_price: Rate = Field(description="Minor units per seat and month, or per unit beyond what is included")
    months: int
    amount: int


class SalesOrderView(_View):
    """What a customer bought by one order form. Amounts are minor units of `currency`."""

    id: str
    version: int
    number: str = Field(examples=["SO-2026-000123"])
    kind: SaleKind
    order_id: str
    account_id: str
    opportunity_id: str
    owner_id: str
    refers_to: str = Field(description="The first sales order of the same subscription")
    term_id: str = Field(description="The renewal of the term it began or changed")
    subscription_id: str
    plan: str
    currency: str
    items: tuple[ItemView, ...]
    total: int
    starts_on: date
    ends_on: date
    created_at: datetime


class SalesOrderListView(_View):
    """A page of sales orders; `next` is empty at the end."""

    sales_orders: list[SalesOrderView]
    next: str = ""


class LineView(_View):
    """A line of an invoice, with the time it is for."""

    description: str
    amount: int
    period_start: datetime | None = None
    period_end: datetime | None = None


class InvoiceView(_View):
    """An invoice. Amounts are minor units of `currency`; `credited` is what credit notes took back."""

    id: str = Field(examples=["INV_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    version: int
    source: Source
    remote_id: str = Field(description="Its id at Stripe, for one of Stripe's")
    number: str
    account_id: str
    customer_id: str
    sales_order_id: str
    subscription_id: str
    status: InvoiceStatus
    currency: str
    total: int
    due: int
    paid: int
    credited: int
    remaining: int
    credit_used: int = Field(description="What the customer's credit balance paid of it")
    issued_at: datetime
    due_at: datetime | None
    paid_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    hosted_url: str
    lines: tuple[LineView, ...]
    lines_left_out: int
    stage: DunningStage = Field(description="How urgently it is asked for")
    stage_since: datetime | None


class InvoiceListView(_View):
    """A page of invoices; `next` is empty at the end."""

    invoices: list[InvoiceView]
    next: str = ""


class ApplicationView(_View):
    """Part of a payment that pays an invoice."""

    invoice_id: str
    amount: int


class PaymentView(_View):
    """A payment. `unapplied` is what pays no invoice yet: paid too much, or ahead."""

    id: str = Field(examples=["PAY_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    version: int
    source: Source
    remote_id: str
    account_id: str
    customer_id: str
    paid_on: date
    amount: int
    currency: str
    method: str
    reference: str
    status: PaymentStatus
    applications: tuple[ApplicationView, ...]
    unapplied: int
    reversed_at: datetime | None
    reversal_reason: str


class PaymentListView(_View):
    """A page of payments; `next` is empty at the end."""

    payments: list[PaymentView]
    next: str = ""


class CreditView(_View):
    """A credit note, a refund or a chargeback."""

    id: str = Field(examples=["CRD_2K7QF0X9M4T8"])
    version: int
    kind: CreditKind
    source: Source
    remote_id: str
    number: str
    account_id: str
    invoice_id: str
    payment_id: str
    currency: str
    amount: int
    credited: int = Field(description="What the account owes less by it")
    refunded: int = Field(description="What went back to the account")
    reason: str
    status: str
    issued_at: datetime
    request_id: str


class CreditListView(_View):
    """A page of credits; `next` is empty at the end."""

    credits: list[CreditView]
    next: str = ""


class CreditRequestView(_View):
    """A credit that Stripe was asked for: `Requested` until Stripe made it (`remote_id`) or refused (`refusal`)."""

    id: str = Field(examples=["CRQ_2K7QF0X9M4T8"])
    version: int
    kind: CreditKind
    account_id: str
    invoice_id: str
    payment_id: str
    amount: int
    currency: str
    settlement: CreditSettlement
    reason: str
    status: RequestStatus
    remote_id: str
    refusal: str
    requested_by: str
    created_at: datetime


class TotalsView(_View):
    """An account's books in one currency: balance = billed − (paid − refunded) − credited."""

    currency: str
    billed: int
    paid: int
    credited: int
    refunded: int
    balance: int = Field(description="What the account owes; below zero, what it is owed")
    unapplied: int = Field(description="Paid, and applied to no invoice yet")
    open: int = Field(description="What is still to be paid of its invoices")
    overdue: int
    stage: DunningStage


class EntryView(_View):
    """An entry of the books; `balance` is what it does to the account's."""

    record_id: str
    on: datetime
    text: str
    currency: str
    balance: int


class AccountStatementView(_View):
    """An account's statement, its latest entries first."""

    account_id: str = Field(examples=["ACC_2K7QF0X9M4T8"])
    totals: list[TotalsView]
    entries: list[EntryView]
    left_out: int = Field(description="Older entries that are counted and not shown")

    @classmethod
    def of(cls, statement: Statement) -> Self:
        return cls.model_validate(statement, from_attributes=True)


class RenewalEventView(_View):
    """Something that happened to a renewal."""

    at: datetime
    by: str
    what: str
    detail: str


class RenewalView(_View):
    """The end of a term and what comes after it; `amount` is what the term is worth, in minor units."""

    id: str = Field(examples=["REN_2K7QF0X9M4T8_20270101"])
    version: int
    account_id: str
    owner_id: str
    order_id: str
    sales_order_id: str
    subscription_id: str
    plan: str
    currency: str
    amount: int
    term_months: int
    starts_on: date
    ends_on: date
    auto_renewal: bool
    status: RenewalStatus
    ended_by: str
    renewal_order_id: str
    next_id: str = Field(description="The term that followed")
    cancels_on: date | None = Field(description="The end that Stripe announces")
    history: tuple[RenewalEventView, ...]


class OneRenewalView(RenewalView):
    """A renewal with an order form for the next term, to be looked over and handed in; empty once it was decided."""

    suggested_order: dict[str, object] = Field(default_factory=dict)


class RenewalListView(_View):
    """A page of renewals, the next to end first; `next` is empty at the end. A page may be shorter than its limit and
    still have a next one."""

    renewals: list[RenewalView]
    next: str = ""


class SignalView(_View):
    """Why a deal was opened: the rule, its month, and what was seen."""

    rule: str
    kind: SignalKind
    period: str
    evidence: str


class UpsellView(_View):
    """A deal that was opened because an account looks ready for more."""

    id: str = Field(examples=["UPS_2K7QF0X9M4T8"])
    account_id: str
    owner_id: str
    opportunity_id: str
    signal: SignalView
    created_at: datetime


class UpsellListView(_View):
    """The latest deals that were opened for an account, newest first."""

    upsells: list[UpsellView]

"""What follows a sale: the sales order, what is billed and paid, and what the account's books say of it (ORD-9).

Amounts are whole minor units of the record's `currency`; prices per unit are exact decimals.
"""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.kernel import Money
from revops.kernel.money import Currency, Rate
from revops.table import Entity


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")


# -- sales orders ----------------------------------------------------------------------------------------------------


class SaleKind(StrEnum):
    """What the order form behind a sales order was for."""

    NEW = "New"
    AMENDMENT = "Amendment"
    RENEWAL = "Renewal"


class SalesItem(_Part):
    """A line of a sales order. Seats: `quantity` seats at `unit_price` minor units per seat and month, for `months`.
    Usage: `quantity` units a month are included and cost nothing more; each further one costs `unit_price`."""

    kind: Annotated[str, Field(pattern=r"^(seats|usage)$")]
    description: str
    quantity: int
    unit_price: Rate
    months: int
    amount: int = Field(description="Minor units over the whole term, rounded half up once")


class SalesOrder(Entity):
    """What a customer bought by one executed order form. Its id follows from the form's, so a form has one; `number` is
    taken from the year's sequence in the transaction that writes it. `refers_to` is the first sales order of the same
    subscription, for an amendment or a renewal; `term_id` the term it began or changed."""

    number: str
    kind: SaleKind
    order_id: str
    account_id: str
    opportunity_id: str
    owner_id: str
    refers_to: str = ""
    term_id: str = ""
    payer: str = ""
    subscription_id: str = ""
    plan: str
    currency: Currency
    items: tuple[SalesItem, ...]
    total: int
    starts_on: date
    ends_on: date

    @property
    def value(self) -> Money:
        return Money(minor=self.total, currency=self.currency)


# -- invoices --------------------------------------------------------------------------------------------------------


class Source(StrEnum):
    """Who keeps the record: Stripe, which is mirrored, or people here."""

    STRIPE = "Stripe"
    MANUAL = "Manual"


class InvoiceStatus(StrEnum):
    """Stripe's own words, for what is entered by hand too. A draft is no invoice yet and is not kept."""

    OPEN = "Open"
    PAID = "Paid"
    VOID = "Void"
    UNCOLLECTIBLE = "Uncollectible"


class DunningStage(StrEnum):
    """How urgently an unpaid invoice is asked for; in order of urgency."""

    NONE = "None"
    REMINDED = "Reminded"
    PAST_DUE = "Past Due"
    SUSPENSION_WARNING = "Suspension Warning"

    @property
    def rank(self) -> int:
        return list(DunningStage).index(self)


class InvoiceLine(_Part):
    """A line of an invoice, with the time it is for."""

    description: str = ""
    amount: int
    quantity: Decimal | None = None
    period_start: AwareDatetime | None = None
    period_end: AwareDatetime | None = None


class Invoice(Entity):
    """An invoice. `total` is what was billed; `due` what of it was to be paid after the customer's credit balance;
    `paid`, `credited` and `remaining` what became of that. `credit_used` is the part the credit balance paid.

    `due_at` is when it has to be paid: for one that is charged automatically, when it was issued. `dun_at` is when the
    next stage of dunning begins, `dunned` how often dunning came to an end: a payment that is taken back begins it
    anew. `lines_left_out` counts the lines beyond those kept.
    """

    source: Source
    remote_id: str = ""
    number: str = ""
    account_id: str = ""
    customer_id: str = ""
    payer: str = ""
    sales_order_id: str = ""
    subscription_id: str = ""
    status: InvoiceStatus
    currency: Currency
    total: int
    due: int
    paid: int = 0
    credited: int = 0
    remaining: int
    credit_used: int = 0
    issued_at: AwareDatetime
    due_at: AwareDatetime | None = None
    paid_at: AwareDatetime | None = None
    period_start: AwareDatetime | None = None
    period_end: AwareDatetime | None = None
    hosted_url: str = ""
    reference: str = ""
    lines: tuple[InvoiceLine, ...] = ()
    lines_left_out: int = 0
    stage: DunningStage = DunningStage.NONE
    stage_since: AwareDatetime | None = None
    dun_at: AwareDatetime | None = None
    dunned: int = 0

    @property
    def owed(self) -> bool:
        """Whether money is still waited for."""
        return self.status is InvoiceStatus.OPEN and self.remaining > 0


# -- payments and credits --------------------------------------------------------------------------------------------


class PaymentStatus(StrEnum):
    """Whether a payment stands."""

    RECEIVED = "Received"
    REVERSED = "Reversed"


class Application(_Part):
    """Part of a payment that pays an invoice."""

    invoice_id: str
    amount: int


class Payment(Entity):
    """Money that came in. What is not applied to an invoice is `unapplied`: paid too much, or ahead."""

    source: Source
    remote_id: str = ""
    account_id: str = ""
    customer_id: str = ""
    payer: str = ""
    paid_on: date
    amount: Annotated[int, Field(gt=0)]
    currency: Currency
    method: str
    reference: str = ""
    status: PaymentStatus = PaymentStatus.RECEIVED
    applications: tuple[Application, ...] = ()
    reversed_at: AwareDatetime | None = None
    reversal_reason: str = ""

    @property
    def applied(self) -> int:
        return sum(application.amount for application in self.applications)

    @property
    def unapplied(self) -> int:
        return 0 if self.status is PaymentStatus.REVERSED else self.amount - self.applied


class CreditKind(StrEnum):
    """A credit note takes back what was billed; a refund gives back what was paid; with a chargeback the payer's bank
    took back what was paid."""

    CREDIT_NOTE = "Credit Note"
    REFUND = "Refund"
    CHARGEBACK = "Chargeback"


class Credit(Entity):
    """A credit note, a refund or a chargeback. `credited` is what the account owes less by it, `refunded` what went
    back to it. A refund that belongs to a credit note credits nothing by itself; one that stands alone credits what it
    gives back, because the invoice it was paid for stays paid. A chargeback credits nothing: what was billed is owed
    again. One that does not count (void, failed, not lost) has both at 0."""

    kind: CreditKind
    source: Source
    remote_id: str = ""
    number: str = ""
    account_id: str = ""
    payer: str = ""
    invoice_id: str = ""
    payment_id: str = ""
    currency: Currency
    amount: int
    credited: int
    refunded: int
    reason: str = ""
    status: str
    issued_at: AwareDatetime
    request_id: str = ""


class CreditSettlement(StrEnum):
    """What a credit note does with its money: less to pay, back to the payer, kept for later invoices, or paid back
    outside Stripe."""

    REDUCE = "reduce"
    REFUND = "refund"
    BALANCE = "balance"
    OUTSIDE = "outside"


class RequestStatus(StrEnum):
    """How far Stripe has come with a request."""

    REQUESTED = "Requested"
    DONE = "Done"
    REFUSED = "Refused"


class CreditRequest(Entity):
    """A credit note or a refund that Finance asked Stripe for. `remote_id` is what Stripe made; `reason` in Stripe's
    words, `refusal` what Stripe said instead. `check_at` is when it is handed over again unless it came to an end."""

    kind: CreditKind
    account_id: str
    invoice_id: str = ""
    payment_id: str = ""
    remote_invoice: str = ""
    remote_payment: str = ""
    amount: int
    currency: Currency
    settlement: CreditSettlement
    reason: str = ""
    memo: str = ""
    status: RequestStatus = RequestStatus.REQUESTED
    remote_id: str = ""
    refusal: str = ""
    requested_by: str
    check_at: AwareDatetime | None = None


# -- renewals --------------------------------------------------------------------------------------------------------


class RenewalStatus(StrEnum):
    """What became of a term: undecided, or how it ended."""

    OPEN = "Open"
    RENEWED = "Renewed"
    LAPSED = "Lapsed"
    CANCELLED = "Cancelled"


class RenewalEvent(_Part):
    """Something that happened to a renewal, oldest first."""

    at: AwareDatetime
    by: str
    what: str
    detail: str = ""


class Renewal(Entity):
    """The end of a term of a subscription and what comes after it. Its id follows from the order form and the day the
    term began: a term has one. `amount` is what the term is worth, `cancels_on` the end that Stripe announces,
    `reminded` which reminders (days before the end) were given, `moved` how often the end was moved since the term
    began, `look_at` when the next thing is to be done about it, `next_id` the term that followed. `day_of_month` is the
    day that such terms end on where the month has it; 0: the day this one began. `ended_at` is when Stripe says that
    the subscription ended, whatever a person said of the term before."""

    account_id: str
    owner_id: str
    order_id: str
    sales_order_id: str
    subscription_id: str = ""
    plan: str
    currency: Currency
    amount: int
    term_months: int
    starts_on: date
    ends_on: date
    day_of_month: int = 0
    auto_renewal: bool
    status: RenewalStatus = RenewalStatus.OPEN
    ended_by: str = ""
    renewal_order_id: str = ""
    next_id: str = ""
    cancels_on: date | None = None
    ended_at: AwareDatetime | None = None
    reminded: tuple[int, ...] = ()
    moved: int = 0
    look_at: AwareDatetime | None = None
    history: tuple[RenewalEvent, ...] = ()

    @property
    def to_end(self) -> bool:
        """Whether Stripe announces that the subscription ends with this term or before."""
        return self.cancels_on is not None and self.cancels_on <= self.ends_on


# -- more to sell ----------------------------------------------------------------------------------------------------


class SignalKind(StrEnum):
    """What can be seen in the data: usage close to its cap for months, or alerts on the spend cap."""

    USAGE = "usage"
    SPEND = "spend"
    MANUAL = "manual"


class Signal(_Part):
    """A reason to offer more: the rule that saw it, the time it is for, and what it saw, in words."""

    rule: str
    kind: SignalKind
    period: str
    evidence: str


class Upsell(Entity):
    """A deal that was opened because an account looks ready for more. One per account, rule and period."""

    account_id: str
    owner_id: str
    opportunity_id: str
    signal: Signal

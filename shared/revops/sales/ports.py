"""What the sales slice needs of others: executed order forms, accounts and their customers, tasks and deals, Stripe's
current state, Stripe's doing, and how much was used."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from revops.kernel import CallContext, Money
from revops.sales.model import (
    CreditRequest,
    InvoiceLine,
    InvoiceStatus,
    SaleKind,
)
from revops.table import Transaction

# -- order forms -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UsageTerm:
    """A usage line of an order form: units included a month, and the price of a further one in minor units."""

    meter: str
    included: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class ExecutedOrder:
    """An executed order form whose subscription stands. `seat_price` is minor units per seat and month after the
    discount, exact; `amends` the order form that it changes or renews, empty for a new one."""

    id: str
    kind: SaleKind
    amends: str
    account_id: str
    opportunity_id: str
    payer: str
    subscription_id: str
    plan: str
    currency: str
    seats: int
    seat_price: Decimal
    usage: tuple[UsageTerm, ...]
    term_months: int
    starts_on: date
    ends_on: date
    auto_renewal: bool


class Orders(Protocol):
    """Order forms, as far as what follows them needs."""

    def executed(self, order_id: str) -> ExecutedOrder | None:
        """None for an order form that is not there, or whose subscription does not stand."""
        ...

    def next_form(self, order_id: str, starts_on: date, months: int) -> Mapping[str, Any]:
        """An order form as it could be handed in for the next term: the present terms with new dates."""
        ...


# -- the CRM ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task for the seller. The same `origin` makes it once; `about` is the record it stands with."""

    origin: str
    title: str
    type: str
    about: str
    assignee_id: str
    due_at: datetime
    details: str = ""
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class NewDeal:
    """A deal to be opened."""

    name: str
    account_id: str
    owner_id: str
    value: Money
    expected_close: date
    description: str


class CrmDesk(Protocol):
    """Accounts, tasks and deals. What writes joins the caller's transaction and commits nothing by itself."""

    def owner_of(self, account_id: str) -> str | None:
        """The seller responsible; empty when nobody is; None when there is no such account."""
        ...

    def owners_of(self, account_ids: Iterable[str]) -> dict[str, str]:
        """The owner of each account that is there."""
        ...

    def add_task(self, transaction: Transaction, now: datetime, wanted: NewTask) -> bool:
        """False when the origin's task is there already, whatever became of it."""
        ...

    def withdraw_task(self, transaction: Transaction, now: datetime, origin: str) -> None:
        """Cancels the task of an origin if it is still open."""
        ...

    def open_deal(self, transaction: Transaction, now: datetime, wanted: NewDeal) -> str:
        """The new deal's id."""
        ...


@dataclass(frozen=True, slots=True)
class PayerRef:
    """Whose a payer at Stripe is; both empty when it belongs to nobody yet."""

    customer_id: str = ""
    account_id: str = ""


class Payers(Protocol):
    """Who pays: customers and the payers they have at Stripe."""

    def of_payer(self, payer: str) -> PayerRef: ...

    def of_account(self, account_id: str) -> str:
        """The customer an account is; empty for none."""
        ...


# -- Stripe's current state ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InvoiceFact:
    """An invoice at Stripe as it is now; drafts are left out."""

    id: str
    number: str
    status: InvoiceStatus
    currency: str
    total: int
    due: int
    paid: int
    remaining: int
    credited: int
    credit_used: int
    issued_at: datetime
    due_at: datetime | None
    paid_at: datetime | None
    period_start: datetime
    period_end: datetime
    hosted_url: str
    subscription_id: str
    lines: tuple[InvoiceLine, ...]
    lines_left_out: int = 0
    paid_outside: int = 0


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """Money that Stripe took: a charge that succeeded, and which of the payer's invoices it pays how much of."""

    id: str
    at: datetime
    amount: int
    currency: str
    method: str
    pays: tuple[tuple[str, int], ...]
    refunds: tuple["RefundFact", ...] = ()
    disputes: tuple["RefundFact", ...] = ()


@dataclass(frozen=True, slots=True)
class RefundFact:
    """A refund of a charge: `counts` unless it failed or was cancelled. Or a dispute of it, which counts once it is
    lost: until then the money may come back."""

    id: str
    at: datetime
    amount: int
    currency: str
    status: str
    reason: str
    counts: bool
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class CreditNoteFact:
    """A credit note. `refunds` are the refunds that belong to it, `outside` what was paid back outside Stripe."""

    id: str
    number: str
    invoice_id: str
    at: datetime
    amount: int
    currency: str
    reason: str
    void: bool
    refunds: tuple[str, ...]
    outside: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionFact:
    """How a subscription ends, if it does: `cancels_at` is announced, `ended_at` has happened."""

    id: str
    cancels_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayerFacts:
    """Everything billed to and paid by one payer, as it is now."""

    invoices: tuple[InvoiceFact, ...] = ()
    payments: tuple[PaymentFact, ...] = ()
    credit_notes: tuple[CreditNoteFact, ...] = ()
    subscriptions: tuple[SubscriptionFact, ...] = ()


class StripeBooks(Protocol):
    """Stripe's current state. Raises Unavailable when asking again can help, another DomainError when it cannot."""

    def of_payer(self, payer: str) -> PayerFacts: ...


@dataclass(frozen=True, slots=True)
class PayerSignal:
    """Something happened to a payer's invoices, payments or subscriptions; `received_at` is when we were told."""

    payer: str
    received_at: datetime


Signals = Callable[[str], PayerSignal | None]
"""An inbox entry's id → whom it concerns; None for one that says nothing of invoices, payments or subscriptions."""


# -- Stripe's doing --------------------------------------------------------------------------------------------------


class StripeCredits(Protocol):
    """Credit notes and refunds at Stripe. `make` raises OutcomeUnknown, SavedFailure, Unavailable or
    ProvisioningRefused, as the protocol behind `CreateOnce` asks."""

    def find(self, request: CreditRequest) -> str | None:
        """What an earlier call made for the request, by listing and metadata."""
        ...

    def make(self, request: CreditRequest, key: str) -> str:
        """Makes it under an idempotency key; its id."""
        ...


class CreateOnce(Protocol):
    """Makes sure that one thing exists at Stripe, whatever fails or repeats, and tells its id."""

    def __call__(
        self,
        identifier: str,
        key_prefix: str,
        call: CallContext,
        *,
        freeze: Callable[[], dict[str, Any]],
        find: Callable[[dict[str, Any]], str | None],
        create: Callable[[dict[str, Any], str], str],
    ) -> str: ...


class WorkQueue(Protocol):
    """The workers' queues, by provider."""

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Sends and returns the positions that were refused."""
        ...


# -- usage -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MonthUsage:
    """How much of a cap was used in a month (of an annual one: in the cycle that the month lies in); `told` is that in
    words."""

    cap: str
    month: str
    used: int
    limit: int
    told: str


class UsageHistory(Protocol):
    """What an account used of its caps: units, and money."""

    def currency(self, account_id: str) -> str:
        """The currency of the account's usage plan; empty without one."""
        ...

    def months(self, account_id: str, months: Sequence[str]) -> list[MonthUsage]: ...

    def spend(self, account_id: str, months: Sequence[str]) -> list[MonthUsage]: ...

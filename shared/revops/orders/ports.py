"""What orders need of others: CRM records, the billing provider, the workflow engine, senders of documents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from revops.kernel import CallContext, DomainError, Money, Unavailable
from revops.orders.model import Envelope, OrderForm
from revops.orders.policies.collection import BankTransfer
from revops.orders.policies.pricing import SeatPrice, UsagePrice
from revops.orders.provisioning.ports import SubscriptionGateway
from revops.table import Transaction

# -- the CRM ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account as far as an order is concerned. `stripe_customer_id` is empty when it has none yet."""

    id: str
    owner_id: str
    stripe_customer_id: str = ""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """The company an order brings along. `billing_address` is one text; by `contact_email` a person who is known
    already is linked to it."""

    name: str
    billing_address: str
    owner_id: str
    contact_email: str = ""


@dataclass(frozen=True, slots=True)
class NewOpportunity:
    """The deal an order opens; `order_id` is that order."""

    name: str
    account_id: str
    value: Money
    expected_close: date
    owner_id: str
    source: str = "Order form"
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class OrderEvidence:
    """What proves a deal: the order, its executed document, and the subscription once there is one."""

    order_id: str
    document_hash: str
    signed_on: date
    subscription_id: str = ""


class CrmRecords(Protocol):
    """Accounts and opportunities. What writes adds to a transaction of the caller and commits nothing by itself."""

    def account(self, account_id: str) -> AccountRef:
        """Raises NotFound."""
        ...

    def create_account(self, transaction: Transaction, now: datetime, wanted: NewAccount) -> AccountRef: ...

    def require_open_opportunity(self, opportunity_id: str, account_id: str) -> None:
        """Raises Invalid unless the deal belongs to the account, is active and is not closed."""
        ...

    def build_on(self, transaction: Transaction, account_id: str, opportunity_id: str, order_id: str) -> None:
        """An order stands on an account that exists, and on the deal if one is named: neither can be taken back from
        under it. Raises Invalid when one is not active any more; the commit fails with ConditionFailed when something
        else came to stand there, or it was taken back, at the same time."""
        ...

    def open_opportunity(self, transaction: Transaction, now: datetime, wanted: NewOpportunity) -> str:
        """The new deal's id."""
        ...

    def record_signature(
        self, transaction: Transaction, now: datetime, opportunity_id: str, evidence: OrderEvidence
    ) -> None:
        """The signed dates reach the deal (ORD-2)."""
        ...

    def mark_won(self, transaction: Transaction, now: datetime, opportunity_id: str, evidence: OrderEvidence) -> None:
        """Closed Won with its evidence (CRM-4); nothing to add when it is won already."""
        ...

    def close_lost(self, transaction: Transaction, now: datetime, order: OrderForm, reason: str) -> None:
        """An order ends: the deal is Closed Lost if an order opened it and no other that names it goes on. Nothing to
        add when it is closed already. The commit fails with ConditionFailed when another order came to name it at the
        same time."""
        ...

    def owners_of(self, account_ids: Iterable[str]) -> Mapping[str, str]:
        """The owner of each account that is there."""
        ...


# -- people ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """A task of somebody who is to decide on an order form. The same `origin` makes it once; `about` is the account."""

    origin: str
    title: str
    about: str
    owner_id: str
    assignee_id: str
    due_at: datetime
    remind_at: datetime
    details: str
    urgent: bool = False


class ReviewTasks(Protocol):
    """Tasks of reviewers. What writes joins the caller's transaction and commits nothing by itself."""

    def add(self, transaction: Transaction, now: datetime, wanted: ReviewTask) -> None:
        """Nothing to add when the origin's task is there already, whatever became of it."""
        ...

    def withdraw(self, transaction: Transaction, now: datetime, origin: str) -> None:
        """Cancels the task of an origin if it is still open."""
        ...


@dataclass(frozen=True, slots=True)
class FirstTask:
    """What the owner of an account is to do once its order is in service. The same `origin` makes it once."""

    origin: str
    title: str
    about: str
    assignee_id: str
    due_at: datetime
    details: str


class FirstTasks(Protocol):
    """Tasks of people, as far as an order makes any."""

    def add(self, transaction: Transaction, now: datetime, wanted: FirstTask) -> bool:
        """Adds a task to the transaction; False when the origin's is there already."""
        ...


# -- signing ---------------------------------------------------------------------------------------------------------


class OrderDocument(Protocol):
    """The order form as people read and sign it."""

    def pdf(self, order: OrderForm) -> bytes:
        """The form as a PDF; the same terms give the same bytes. `/signature/` and `/signed-on/`, printed where nobody
        sees them, are where a provider puts the signature and its date; without them the signer chooses the place."""
        ...


class FormPrinter(OrderDocument, Protocol):
    """Prints forms, and tells what it has no letters for."""

    def unprintable(self, order: OrderForm) -> Mapping[str, str]:
        """The fields with characters that the form cannot show as they are, and which characters."""
        ...


class DocumentLinks(Protocol):
    """Addresses that give a kept file for a while."""

    def download_url(self, name: str, file_name: str, content_type: str, seconds: int) -> str: ...


class SignatureSender(Protocol):
    """Sends the form out for signature by one method. Raises DomainError; not retryable means for good."""

    def send(self, order: OrderForm, call: CallContext) -> Envelope | None:
        """What was sent, the same one however often it is asked; None when there is nothing to send."""
        ...

    def watch(self, transaction: Transaction, order: OrderForm, envelope: Envelope, now: datetime) -> None:
        """Adds "this envelope is followed from now on" to the transaction that writes it on its order."""
        ...


class ManualSigning:
    """Nothing to send: people sign on their own and the signed file is uploaded (ORD-3)."""

    def send(self, order: OrderForm, call: CallContext) -> Envelope | None:  # noqa: ARG002 - the port's signature
        """Accepts every order."""
        return None

    def watch(self, transaction: Transaction, order: OrderForm, envelope: Envelope, now: datetime) -> None:
        """There is none."""


# -- the billing provider --------------------------------------------------------------------------------------------


class OutcomeUnknown(Unavailable):
    """The provider did not tell whether it did what was asked: repeat with the same key, or look."""

    title = "Outcome unknown"
    slug = "outcome-unknown"


class SavedFailure(Unavailable):
    """The provider answers this key with the failure it saved: no use in repeating it. Look, then use the next key."""

    title = "Saved failure"
    slug = "saved-failure"


class ProvisioningRefused(DomainError):
    """The provider understood and said no. The key is used up; the same again is answered the same."""

    status = 409
    title = "Provisioning refused"
    slug = "provisioning-refused"


@dataclass(frozen=True, slots=True)
class CustomerRequest:
    """A customer at the provider. `metadata.account_id` is how it is found again; the address and `tax_exempt` decide
    tax."""

    account_id: str
    name: str
    email: str
    phone: str
    address: dict[str, str]
    tax_exempt: str = "none"


@dataclass(frozen=True, slots=True)
class SubscriptionItem:
    """A price of a subscription to be made; `quantity` is None for a metered one."""

    price_id: str
    quantity: int | None


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A subscription at the provider. `metadata.order_form` is how it is found again; `metadata` here is what comes
    beside it. Times are epoch seconds; 0 means not set. `payment_types` are the provider's words for how the invoice
    may be paid, `transfer` says where a wire transfer goes."""

    order_id: str
    account_id: str
    customer_id: str
    items: tuple[SubscriptionItem, ...]
    charge_automatically: bool
    payment_types: tuple[str, ...]
    days_until_due: int
    starts_at: int
    ends_at: int
    transfer: BankTransfer | None = None
    automatic_tax: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


class ProvisioningGateway(SubscriptionGateway, Protocol):
    """The billing provider. Reads raise Unavailable; creates raise OutcomeUnknown, SavedFailure, Unavailable (surely
    not done) or ProvisioningRefused."""

    def ensure_price(self, price: SeatPrice | UsagePrice) -> str:
        """The id of the active price with this lookup key, made with its product and meter if need be. Safe to repeat.
        Raises ProvisioningRefused when a price stands under the key that is not this one: somebody changed it."""
        ...

    def find_customer(self, account_id: str, email: str) -> str | None:
        """The customer whose metadata names the account, by listing: search lags."""
        ...

    def create_customer(self, request: CustomerRequest, key: str) -> str: ...

    def require_customer_of(self, customer_id: str, account_id: str) -> None:
        """Raises ProvisioningRefused unless the customer exists and is nobody else's: its metadata names this account
        or none."""
        ...

    def can_charge(self, customer_id: str) -> bool:
        """Whether the customer has a default payment method. Raises ProvisioningRefused when there is none such."""
        ...

    def find_subscription(self, customer_id: str, order_id: str) -> str | None:
        """The customer's subscription, in whatever status, whose metadata names the order, by listing."""
        ...

    def create_subscription(self, request: SubscriptionRequest, key: str) -> str: ...


# -- the workflow engine ---------------------------------------------------------------------------------------------


class EndingWishes(Protocol):
    """What is asked for about the end of a subscription, which is billing's to bring about (STR-5). A change writes
    its end too, and the provider takes the later word: whoever asked is heard once more after it."""

    def at(self, customer_id: str, subscription_id: str) -> int:
        """How often something was asked or settled about the subscription of a customer at the provider; 0: never."""
        ...

    def again(self, customer_id: str, subscription_id: str, since: int, call: CallContext) -> None:
        """Has an end with the period brought about once more if it was asked for since then, or is on its way: what
        was written meanwhile may have undone it. Raises Contention."""
        ...


class WorkflowEngine(Protocol):
    """Runs disposable executions. Neither verb fails because the engine knows better or forgot: see each."""

    def start(self, name: str, order_id: str, attempt: int) -> None:
        """Starts an execution under a name; one that exists already is success."""
        ...

    def answer(self, token: str, order_id: str) -> bool:
        """Wakes a waiting execution; False when the token is no longer good, which is harmless."""
        ...

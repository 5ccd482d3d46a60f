"""What adopting needs of others: Stripe's customers, the accounts here, and billing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from revops.kernel import CallContext
from revops.table import Transaction


@dataclass(frozen=True, slots=True)
class PayerCard:
    """A customer as Stripe has it. `account_id` is what its metadata says; the e-mail is looked at and not kept."""

    id: str
    name: str = ""
    email: str = ""
    address: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class PayerPage:
    """Some of all customers. `last` is the place to go on from, empty at the end."""

    cards: tuple[PayerCard, ...]
    last: str = ""


class StripeCustomers(Protocol):
    """Every customer at Stripe. Raises Unavailable and ProvisioningRefused."""

    def customers(self, after: str, limit: int) -> PayerPage:
        """Newest first."""
        ...

    def customer(self, payer: str) -> PayerCard | None:
        """None for one that is not there, or was deleted."""
        ...

    def name_account(self, payer: str, account_id: str) -> None:
        """Writes `metadata.account_id`. May be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class AccountCard:
    """An account that is active here."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class NameMatch:
    """An account with a name like a customer's: how alike (0–1), and what is odd about how either is written."""

    account: AccountCard
    similarity: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known here of a customer. `named` is the account its metadata names, `profile` that of the customer
    profile it has, `by_domain` the one that holds its mail domain; `sure` the one of `by_name` that the matcher of
    conversion would take."""

    domain: str = ""
    named: AccountCard | None = None
    profile: AccountCard | None = None
    by_domain: AccountCard | None = None
    domain_likeness: float = 0.0
    by_name: tuple[NameMatch, ...] = ()
    sure: str = ""


class Accounts(Protocol):
    """Accounts of the CRM. What writes joins the caller's transaction and commits nothing by itself."""

    def known(self, card: PayerCard) -> Known: ...

    def active(self, account_id: str) -> AccountCard | None: ...

    def create(self, transaction: Transaction, now: datetime, card: PayerCard, domain: str, owner_id: str) -> str:
        """A new account, which takes the mail domain; the commit fails when somebody took it meanwhile."""
        ...

    def link(self, transaction: Transaction, now: datetime, account_id: str, payer: str) -> bool:
        """The account's customer at Stripe from now on, if it has none; False when there is nothing to write."""
        ...


class Subscribed(Protocol):
    """Who has subscriptions."""

    def page(self, after: str, limit: int) -> tuple[Sequence[tuple[str, str]], str]:
        """Customer and id of subscriptions that run, and the place to go on from, empty at the end."""
        ...


class Profiles(Protocol):
    """Customer profiles of billing."""

    def adopt(self, payer: str, call: CallContext) -> None:
        """Makes or links the profile of a payer from what Stripe says now. Raises StripeRefused, Unavailable,
        Contention."""
        ...

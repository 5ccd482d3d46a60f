"""What reconciling needs of others: the provider, wishes to end a subscription, usage, accounts, the workers' queue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from revops.kernel import CallContext
from revops.orders.model import Meter
from revops.orders.policies.timeline import Timeline
from revops.orders.provisioning.ports import ItemChange
from revops.reconcile.model import SeenSubscription


@dataclass(frozen=True, slots=True)
class SeenPage:
    """Some of all subscriptions. `last` is the place to go on from, empty at the end."""

    subscriptions: tuple[SeenSubscription, ...]
    last: str = ""


@dataclass(frozen=True, slots=True)
class ItemRepair:
    """One item of a subscription that becomes right. `prorated_at` is in epoch seconds, 0: nothing is prorated."""

    subscription_id: str
    item: ItemChange
    prorated_at: int = 0


class SubscriptionBooks(Protocol):
    """Every subscription at the provider, as it is. Raises Unavailable and ProvisioningRefused."""

    def page(self, after: str, limit: int) -> SeenPage:
        """In whatever status, newest first."""
        ...

    def of_customer(self, customer_id: str) -> tuple[SeenSubscription, ...]:
        """Of one customer, in whatever status; none for a customer that is not there."""
        ...

    def one(self, subscription_id: str) -> SeenSubscription | None: ...


class SubscriptionRepairs(Protocol):
    """Putting one thing of a subscription right and leaving everything else. `change_item` raises what creates raise;
    the others may be repeated and raise Unavailable and ProvisioningRefused."""

    def change_item(self, repair: ItemRepair, key: str) -> str:
        """The id of the subscription."""
        ...

    def set_collection(self, subscription_id: str, automatic: bool, days_until_due: int) -> None: ...

    def set_metadata(self, subscription_id: str, metadata: Mapping[str, str]) -> None: ...

    def cancel(self, subscription_id: str) -> None:
        """At once, without proration: what it billed is credited by a person. Nothing to do when it has ended."""
        ...


@dataclass(frozen=True, slots=True)
class EndWish:
    """An end of a subscription that somebody asked for. `planned_for` is the epoch second that the provider was given
    for it; 0 while that is under way, or where it ended at once."""

    planned_for: int = 0


class EndWishes(Protocol):
    """Requests to end subscriptions (STR-5)."""

    def wanted(self, account_id: str, subscription_id: str) -> EndWish | None:
        """What somebody asked for, at once or when its period ends, and did not take back."""
        ...


class UsageMonths(Protocol):
    """Units by meter that an account used in months such as `2026-10`; a month without usage is left out."""

    def months(self, account_id: str, months: Sequence[str]) -> Mapping[str, Mapping[Meter, int]]: ...


class Owners(Protocol):
    """Whose accounts are."""

    def owners_of(self, account_ids: Iterable[str]) -> Mapping[str, str]:
        """The owner of each account that is there."""
        ...


class OrderDesk(Protocol):
    """The order side of a repair."""

    def resume(self, order_id: str, call: CallContext) -> None:
        """Starts the order's workflow again at its step. Raises Refused when there is nothing to resume."""
        ...

    def converge(self, timeline: Timeline, subscription_id: str, call: CallContext) -> None:
        """The provider's future of a subscription becomes what was agreed."""
        ...


class WorkQueue(Protocol):
    """The workers' queues, by provider."""

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Sends and returns the positions that were refused."""
        ...

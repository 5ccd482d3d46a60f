"""What a subscription that runs looks like, and what may be asked of the billing provider to change it (ORD-5)."""

from dataclasses import dataclass, field
from typing import Protocol

from revops.orders.policies.collection import BankTransfer
from revops.orders.policies.pricing import SeatPrice

REVISION = "revision"
"""The metadata that names the order form whose terms a subscription carries; absent: the form that made it."""


@dataclass(frozen=True, slots=True)
class LiveItem:
    """An item of a subscription as it is. `quantity` is None for a metered one; `unit_amount` is an exact decimal in
    minor units, empty for a tiered price; the period is in epoch seconds."""

    id: str
    price_id: str
    lookup_key: str
    quantity: int | None
    unit_amount: str
    interval: str
    period_start: int
    period_end: int
    meter_id: str = ""


@dataclass(frozen=True, slots=True)
class LiveSubscription:
    """A subscription as it is at the provider. `cancel_at` is 0 when it does not end."""

    id: str
    status: str
    customer_id: str
    currency: str
    items: tuple[LiveItem, ...]
    metadata: dict[str, str]
    cancel_at: int = 0
    cancel_at_period_end: bool = False
    schedule_id: str = ""
    trial_end: int = 0

    @property
    def ended(self) -> bool:
        return self.status in {"canceled", "incomplete_expired"}

    @property
    def seat(self) -> LiveItem | None:
        """The licensed item."""
        return next((item for item in self.items if item.quantity is not None), None)


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One item of a change: `item_id` empty for a new one, `price_id` empty for one that goes."""

    item_id: str = ""
    price_id: str = ""
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """What a subscription becomes, at once. `proration_date` is in epoch seconds, 0 when nothing is prorated."""

    subscription_id: str
    items: tuple[ItemChange, ...]
    proration_date: int
    charge_automatically: bool
    payment_types: tuple[str, ...]
    days_until_due: int
    transfer: BankTransfer | None
    automatic_tax: bool
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class PhaseItem:
    """A price of a phase; `quantity` None for a metered one."""

    price_id: str
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a subscription's future, from `starts_at` to the start of the next one, in epoch seconds."""

    starts_at: int
    items: tuple[PhaseItem, ...]
    prorated: bool
    metadata: dict[str, str] = field(default_factory=dict)
    charge_automatically: bool | None = None
    days_until_due: int = 0


@dataclass(frozen=True, slots=True)
class PlannedFuture:
    """What is to come of a subscription: phases in order of time. `ends_at` 0: it goes on after the last one."""

    phases: tuple[Phase, ...]
    ends_at: int
    cycle_months: int


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """A line of the provider's own preview. `minor` is signed, in minor units."""

    text: str
    minor: int
    proration: bool
    price_id: str
    starts_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The invoice the provider would make."""

    currency: str
    total: int
    lines: tuple[PreviewLine, ...]


class SubscriptionGateway(Protocol):
    """Changing what runs. Reads raise Unavailable and ProvisioningRefused; `change` raises what creates raise. The
    others may be repeated as often as one likes: they look first, and raise Unavailable when it is not known whether
    they were done."""

    def subscription(self, subscription_id: str) -> LiveSubscription: ...

    def change(self, change: SubscriptionChange, key: str) -> str:
        """Gives a subscription other items at once; the id of the subscription."""
        ...

    def plan_future(self, live: LiveSubscription, future: PlannedFuture) -> None:
        """The schedule of the subscription is exactly this. Its present items stay."""
        ...

    def forget_future(self, live: LiveSubscription) -> None:
        """No schedule: the subscription goes on as it is."""
        ...

    def end_at(self, live: LiveSubscription, instant: int) -> None:
        """It ends at an instant, 0 for never. Only without a schedule."""
        ...

    def preview(self, live: LiveSubscription, seat: SeatPrice, seats: int, proration_date: int) -> Preview:
        """What a change of the seats would be invoiced at, at an instant in epoch seconds; 0 when nothing is prorated.
        Makes nothing, not even a price."""
        ...

    def preview_new(self, customer_id: str, seat: SeatPrice, seats: int) -> Preview:
        """The first regular invoice of a subscription that does not exist yet; without a customer if there is none.
        Makes nothing."""
        ...

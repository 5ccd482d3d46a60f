"""A reconciliation, the differences it found and what became of them (ORD-4, ORD-7). Money is exact minor units."""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.kernel.money import Currency
from revops.table import Entity


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


# -- what stands at the provider ---------------------------------------------------------------------------------------


class SeenItem(_Part):
    """An item of a subscription. `quantity` is None for a metered one. `unit_amount` is exact minor units per unit and
    period of `months` (a fraction for weeks and days), empty for a price that cannot be told as one number; a metered
    one has `included` units a month for nothing. `currency` is the price's."""

    id: str
    price_id: str
    lookup_key: str = ""
    product_id: str = ""
    quantity: int | None = None
    unit_amount: str = ""
    months: str = "1"
    included: int = 0


class SeenSubscription(_Part):
    """A subscription as it was seen at the provider. `order_id`, `account_id`, `plan` and `revision` are what its
    metadata says, `customer_account` what its customer's does. `paused` says how its collection is paused, empty while
    it is not; `discounts` are the ids of those on it and its items. Times are epoch seconds, 0 for none."""

    id: str
    status: str
    created: int
    customer_id: str
    customer_deleted: bool = False
    customer_account: str = ""
    customer_can_pay: bool = False
    currency: str
    order_id: str = ""
    account_id: str = ""
    plan: str = ""
    revision: str = ""
    items: tuple[SeenItem, ...] = ()
    automatic: bool = False
    days_until_due: int = 0
    paused: str = ""
    discounts: tuple[str, ...] = ()
    cancel_at: int = 0
    cancel_at_period_end: bool = False
    ended_at: int = 0
    schedule_id: str = ""
    period_start: int = 0
    period_end: int = 0

    @property
    def ended(self) -> bool:
        return self.status in {"canceled", "incomplete_expired"}


# -- what differs ------------------------------------------------------------------------------------------------------


class DifferenceKind(StrEnum):
    """In what an order form and the provider differ."""

    MISSING = "missing"
    DOUBLED = "doubled"
    ORPHAN = "orphan"
    ENDED = "ended"
    UNRECORDED = "unrecorded"
    WRONG_CUSTOMER = "wrong_customer"
    CUSTOMER_DELETED = "customer_deleted"
    QUANTITY = "quantity"
    PRICE = "price"
    MISSING_ITEM = "missing_item"
    EXTRA_ITEM = "extra_item"
    COLLECTION = "collection"
    PAUSED = "paused"
    DISCOUNT = "discount"
    ENDING = "ending"
    SCHEDULE = "schedule"
    METADATA = "metadata"


class Severity(StrEnum):
    """How bad it is: nobody is billed, or twice, or the wrong one; the wrong amount; soon the wrong one; no money."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """1 is the worst."""
        return tuple(Severity).index(self) + 1


def whole_minor(amount: Fraction) -> int:
    """Whole minor units; half of one goes up in size."""
    size = (abs(amount) * 2 + 1) // 2
    return size if amount >= 0 else -size


class Effect(_Part):
    """Money a month: positive, we bill too much; negative, too little. `exact` is a whole number or a fraction of minor
    units, such as `-2500/3`. With `from_time` it is so from then on (epoch seconds), else already now."""

    currency: Currency
    exact: Annotated[str, Field(pattern=r"^-?[0-9]+(/[0-9]+)?$")] = "0"
    from_time: int = 0

    @property
    def amount(self) -> Fraction:
        return Fraction(self.exact)

    @property
    def minor(self) -> int:
        """Rounded by `whole_minor`."""
        return whole_minor(self.amount)


class ActionKind(StrEnum):
    """What can be done about a difference."""

    SET_QUANTITY = "set_quantity"
    SWAP_PRICE = "swap_price"
    ADD_ITEM = "add_item"
    REMOVE_ITEM = "remove_item"
    SET_COLLECTION = "set_collection"
    SET_ENDING = "set_ending"
    SET_SCHEDULE = "set_schedule"
    SET_METADATA = "set_metadata"
    CANCEL_SUBSCRIPTION = "cancel_subscription"
    RESUME_ORDER = "resume_order"
    NONE = "none"


class Action(_Part):
    """What would be done, and in words what it would change. `kind` none: a person has to look."""

    kind: ActionKind = ActionKind.NONE
    words: str = ""
    subscription_id: str = ""
    item_id: str = ""
    price_key: str = ""
    quantity: int | None = None
    automatic: bool | None = None
    days_until_due: int = 0
    instant: int = 0
    metadata: dict[str, str] = Field(default_factory=dict)


class Finding(_Part):
    """A difference as it is now: a function of the order, the provider and the clock. `subject` tells apart several of
    one kind; `expected` and `actual` are for people and for telling whether it is still the same."""

    kind: DifferenceKind
    severity: Severity
    order_id: str
    subject: str = ""
    subscription_id: str = ""
    customer_id: str = ""
    words: str
    expected: str = ""
    actual: str = ""
    effect: Effect | None = Field(default=None, description="None: it depends on what nobody knows")
    action: Action = Action()

    def same_matter(self, other: "Finding") -> bool:
        """Whether it is still the difference that was seen: the same things differ in the same way, and the same would
        be done about it. The clock and this month's usage may have moved its effect."""
        return all(getattr(self, name) == getattr(other, name) for name in ("expected", "actual", "action"))


class DifferenceState(StrEnum):
    """What became of a difference. `changed`: when it was to be repaired it was another one, so nothing was done."""

    OPEN = "open"
    APPROVED = "approved"
    REPAIRED = "repaired"
    GONE = "gone"
    CHANGED = "changed"
    REFUSED = "refused"


class Difference(Entity):
    """A difference that a reconciliation found. `owner_id` and `account_id` are the order's, empty for an orphan."""

    reconciliation_id: str
    account_id: str = ""
    owner_id: str = ""
    finding: Finding
    state: DifferenceState = DifferenceState.OPEN
    approved_by: str = ""
    approved_at: AwareDatetime | None = None
    settled_at: AwareDatetime | None = None
    result: str = ""


# -- a run -------------------------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """What a run is at: noting every subscription, comparing every order, adding up."""

    LISTING = "listing"
    ORDERS = "orders"
    TOTALS = "totals"


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"


class Total(_Part):
    """The differences of one kind in one currency. `exact` adds up the effects that are known; `unknown` is how many
    are not."""

    kind: DifferenceKind
    severity: Severity
    currency: str
    count: int
    exact: str
    unknown: int = 0


class Reconciliation(Entity):
    """One run over all orders and subscriptions, or over one order. `place` is where its phase has come to."""

    requested_by: str
    order_id: str = ""
    status: RunStatus = RunStatus.RUNNING
    phase: Phase = Phase.LISTING
    place: str = ""
    stage: int = 0
    subscriptions: int = 0
    unclaimed: int = Field(default=0, description="Running subscriptions that no order form made")
    orders: int = 0
    differences: int = 0
    worst: Severity | None = None
    totals: tuple[Total, ...] = ()
    problem: str = ""
    finished_at: AwareDatetime | None = None

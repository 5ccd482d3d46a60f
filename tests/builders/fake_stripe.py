"""A billing provider that behaves as badly as the real one may: it loses answers before and after the work, saves its
own failures under the key and replays them, lets a call arrive late, forgets keys after 24 hours, and is overloaded.

Behind the port `ProvisioningGateway`; one seed is one behaviour.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from revops.kernel import Clock, Unavailable
from revops.orders.policies.pricing import SeatPrice, UsagePrice
from revops.orders.ports import (
    CustomerRequest,
    OutcomeUnknown,
    ProvisioningRefused,
    SavedFailure,
    SubscriptionRequest,
)
from revops.orders.provisioning.ports import (
    LiveItem,
    LiveSubscription,
    PlannedFuture,
    Preview,
    SubscriptionChange,
)

KEY_KEPT = timedelta(hours=24)


class Mishap(StrEnum):
    """What can go wrong with one create."""

    LOST_BEFORE = "the request never arrives"
    LOST_AFTER = "done, but the answer is lost"
    FAILED_BEFORE = "a saved failure, nothing done"
    FAILED_AFTER = "a saved failure, and yet it was done"
    LATE = "the caller gives up, the request is carried out afterwards"
    REFUSED = "understood and declined"
    BUSY = "no capacity: surely not done"


@dataclass(slots=True)
class _Saved:
    at: datetime
    parameters: dict[str, Any]
    answer: str = ""
    failed: bool = False
    refused: bool = False
    running: bool = False


@dataclass(slots=True)
class FakeStripe:
    """`likelihood` of each mishap; `between` is called before and after each call, where another worker may step in
    or this one may die. `violations` collects what no caller may do."""

    clock: Clock
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    likelihood: Mapping[Mishap, float] = field(default_factory=dict)
    read_failure: float = 0.0
    between: Callable[[str], None] = lambda _: None
    prices: dict[str, SeatPrice | UsagePrice] = field(default_factory=dict)
    customers: dict[str, CustomerRequest] = field(default_factory=dict)
    subscriptions: dict[str, SubscriptionRequest] = field(default_factory=dict)
    chargeable: set[str] = field(default_factory=set)
    live: dict[str, LiveSubscription] = field(default_factory=dict)
    futures: dict[str, PlannedFuture] = field(default_factory=dict)
    changes: list[SubscriptionChange] = field(default_factory=list)
    previews: dict[str, Preview] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _saved: dict[str, _Saved] = field(default_factory=dict)
    _late: list[tuple[datetime, str, Callable[[], str]]] = field(default_factory=list)

    # -- the port ------------------------------------------------------------------------------------------------

    def ensure_price(self, price: SeatPrice | UsagePrice) -> str:
        self._read("ensure_price")
        self.prices[price.lookup_key] = price
        return f"price_of_{price.lookup_key}"

    def find_customer(self, account_id: str, email: str) -> str | None:
        self._read("find_customer")
        return next((i for i, c in self.customers.items() if (c.account_id, c.email) == (account_id, email)), None)

    def create_customer(self, request: CustomerRequest, key: str) -> str:
        def effect() -> str:
            identifier = f"cus_{len(self.customers) + 1}"
            self.customers[identifier] = request
            return identifier

        return self._create("create_customer", key, asdict(request), effect)

    def require_customer_of(self, customer_id: str, account_id: str) -> None:
        if customer_id.startswith("cus_other"):
            raise ProvisioningRefused(f"the Stripe customer {customer_id} belongs to another account")

    def can_charge(self, customer_id: str) -> bool:
        self._read("can_charge")
        return customer_id in self.chargeable

    def find_subscription(self, customer_id: str, order_id: str) -> str | None:
        self._read("find_subscription")
        return next(
            (i for i, s in self.subscriptions.items() if (s.customer_id, s.order_id) == (customer_id, order_id)), None
        )

    def create_subscription(self, request: SubscriptionRequest, key: str) -> str:
        def effect() -> str:
            identifier = f"sub_{len(self.subscriptions) + 1}"
            self.subscriptions[identifier] = request
            self._begin(identifier, request)
            return identifier

        return self._create("create_subscription", key, asdict(request), effect)

    def subscription(self, subscription_id: str) -> LiveSubscription:
        self._read("subscription")
        return self.live[subscription_id]

    def change(self, change: SubscriptionChange, key: str) -> str:
        def effect() -> str:
            self.changes.append(change)
            live = self.live[change.subscription_id]
            items = {item.id: item for item in live.items}
            for each in change.items:
                if not each.price_id:
                    items.pop(each.item_id)
                    continue
                made = self._item(
                    each.item_id or f"si_{len(self.changes)}_{each.price_id}", each.price_id, each.quantity
                )
                items[made.id] = made
            metadata = {**live.metadata, **change.metadata}
            self.live[live.id] = replace(live, items=tuple(items.values()), metadata=metadata)
            return live.id

        return self._create("change", key, asdict(change), effect)

    def plan_future(self, live: LiveSubscription, future: PlannedFuture) -> None:
        self._read("plan_future")
        self.futures[live.id] = future
        self.live[live.id] = replace(self.live[live.id], schedule_id=f"sched_{live.id}")
        self.between("after plan_future is done")

    def forget_future(self, live: LiveSubscription) -> None:
        self._read("forget_future")
        self.futures.pop(live.id, None)
        self.live[live.id] = replace(self.live[live.id], schedule_id="")

    def end_at(self, live: LiveSubscription, instant: int) -> None:
        self._read("end_at")
        if self.live[live.id].schedule_id:
            self.violations.append("an end beside a schedule")
        self.live[live.id] = replace(self.live[live.id], cancel_at=instant, cancel_at_period_end=False)

    def preview(self, live: LiveSubscription, seat: SeatPrice, seats: int, proration_date: int) -> Preview:
        self._read(f"preview {seats} × {seat.unit_amount} at {proration_date}")
        return self.previews[live.id]

    def preview_new(self, customer_id: str, seat: SeatPrice, seats: int) -> Preview:
        self._read(f"preview_new {seats} × {seat.unit_amount}")
        return self.previews[customer_id]

    def _begin(self, identifier: str, request: SubscriptionRequest) -> None:
        now = int(self.clock.now().timestamp())
        self.live[identifier] = LiveSubscription(
            id=identifier,
            status="trialing" if request.starts_at else "active",
            customer_id=request.customer_id,
            currency="EUR",
            items=tuple(
                self._item(f"si_{identifier}_{n}", item.price_id, item.quantity) for n, item in enumerate(request.items)
            ),
            metadata={**request.metadata, "order_form": request.order_id},
            cancel_at=request.ends_at,
            trial_end=request.starts_at or now,
        )

    def _item(self, identifier: str, price_id: str, quantity: int | None) -> LiveItem:
        lookup_key = self.lookup_key(price_id)
        price = self.prices[lookup_key]
        now = int(self.clock.now().timestamp())
        seat = price if isinstance(price, SeatPrice) else None
        return LiveItem(
            id=identifier,
            price_id=price_id,
            lookup_key=lookup_key,
            quantity=quantity,
            unit_amount=seat.unit_amount if seat else "",
            interval="month" if seat is None or seat.cycle.months == 1 else "year",
            period_start=now,
            period_end=now + 30 * 86_400,
        )

    @staticmethod
    def lookup_key(price_id: str) -> str:
        """The lookup key of a price made here."""
        return price_id.removeprefix("price_of_")

    # -- how it behaves ------------------------------------------------------------------------------------------

    def subscriptions_of(self, order_id: str) -> list[str]:
        """What exists for an order, late arrivals included."""
        self.settle()
        return [i for i, s in self.subscriptions.items() if s.order_id == order_id]

    def settle(self, everything: bool = False) -> None:
        """Carries out the requests that were late and whose time has come."""
        waiting, self._late = self._late, []
        for at, key, effect in waiting:
            if everything or at <= self.clock.now():
                saved = self._saved[key]
                saved.answer, saved.running = effect(), False
            else:
                self._late.append((at, key, effect))

    def _read(self, name: str) -> None:
        self.calls.append(name)
        self.between(f"before {name}")
        self.settle()
        if self.rng.random() < self.read_failure:
            raise Unavailable("the provider is slow today")
        self.between(f"after {name}")

    def _create(self, name: str, key: str, parameters: dict[str, Any], effect: Callable[[], str]) -> str:
        self.calls.append(f"{name} {key}")
        self.between(f"before {name}")
        self.settle()
        answer = self._carry_out(key, parameters, effect)
        self.between(f"after {name}")
        return answer

    def _carry_out(self, key: str, parameters: dict[str, Any], effect: Callable[[], str]) -> str:
        now = self.clock.now()
        saved = self._saved.get(key)
        if saved is not None and (saved.running or now - saved.at < KEY_KEPT):
            return self._replay(saved, key, parameters)
        mishap = self._mishap()
        if mishap is Mishap.BUSY:
            raise Unavailable("too many requests")
        if mishap is Mishap.LOST_BEFORE:
            raise OutcomeUnknown("no answer")
        saved = self._saved[key] = _Saved(now, parameters)
        match mishap:
            case Mishap.LATE:
                saved.running = True
                self._late.append((now + timedelta(seconds=self.rng.randint(1, 60)), key, effect))
                raise OutcomeUnknown("no answer")
            case Mishap.REFUSED:
                saved.refused = True
                raise ProvisioningRefused("declined")
            case Mishap.FAILED_BEFORE:
                saved.failed = True
                raise OutcomeUnknown("server error")
            case Mishap.FAILED_AFTER:
                effect()
                saved.failed = True
                raise OutcomeUnknown("server error")
            case Mishap.LOST_AFTER:
                saved.answer = effect()
                raise OutcomeUnknown("no answer")
            case _:
                saved.answer = effect()
                return saved.answer

    def _replay(self, saved: _Saved, key: str, parameters: dict[str, Any]) -> str:
        if saved.parameters != parameters:
            self.violations.append(f"the key {key} came again with other parameters")
        if saved.running:
            raise OutcomeUnknown("another call with this key is under way")
        if saved.failed:
            raise SavedFailure("replayed server error")
        if saved.refused:
            raise ProvisioningRefused("declined")
        return saved.answer

    def _mishap(self) -> Mishap | None:
        mark = self.rng.random()
        for mishap, likelihood in self.likelihood.items():
            mark -= likelihood
            if mark < 0:
                return mishap
        return None

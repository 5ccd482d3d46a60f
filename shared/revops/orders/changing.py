"""Changing what runs: an executed amendment or renewal reaches the subscription of the order it names (ORD-5).

The timeline of the subscription is written first, then the provider converges on it: what holds now, what is planned,
when it ends. Every part of that may be repeated. The one thing that must not happen twice, a change that prorates, goes
through CreateOnce: its request is frozen with its key, and the subscription's metadata names the form it carries.
"""

from dataclasses import asdict
from datetime import date

from revops.kernel import CallContext, Clock, Unavailable
from revops.orders.model import OrderForm, OrderKind
from revops.orders.policies.calendar import midnight
from revops.orders.policies.collection import Collection, thawed_transfer
from revops.orders.policies.expected import ExpectedSubscription, expected_subscription
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.policies.timeline import Segment, Timeline, with_order
from revops.orders.ports import EndingWishes, ProvisioningGateway, ProvisioningRefused
from revops.orders.provisioning.create_once import CreateOnce, Request
from revops.orders.provisioning.ports import (
    REVISION,
    ItemChange,
    LiveSubscription,
    Phase,
    PhaseItem,
    PlannedFuture,
    SubscriptionChange,
)
from revops.orders.store import ORDERS, TIMELINES
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Table, begin

_CHAIN = 100


def root_of(table: Table, order: OrderForm) -> OrderForm:
    """The order that made the subscription which this one is about. Raises NotFound and ProvisioningRefused."""
    for _ in range(_CHAIN):
        if order.kind is OrderKind.NEW:
            return order
        if not order.amends:
            raise ProvisioningRefused(f"order {order.id} is {order.kind} and does not say of which order")
        order = ORDERS.require(table, order.amends)
    raise ProvisioningRefused(f"order {order.id} is an amendment of amendments without end")


class ChangeSubscription:
    """Applies an executed amendment or renewal to the subscription of the order it names, exactly once. Safe to call
    at any time, any number of times."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        gateway: ProvisioningGateway,
        settings: SettingsReader,
        wishes: EndingWishes,
    ) -> None:
        self._wishes = wishes
        self._table = table
        self._clock = clock
        self._gateway = gateway
        self._settings = settings
        self._create_once = CreateOnce(table, clock)

    def __call__(self, order: OrderForm, call: CallContext) -> Timeline:
        """The timeline with this order in it, and the provider in step with it. Raises Unavailable (try again) and
        ProvisioningRefused (needs a person)."""
        root = root_of(self._table, order)
        self._require_changeable(root, order)
        timeline = self._agreed(root, order, call)
        self.converge(timeline, root.stripe_subscription_id, call)
        self._require_future(timeline, root, order)
        return timeline

    def keep(self, root: OrderForm, call: CallContext) -> None:
        """Brings the provider back to what is agreed of an order's subscription, whatever took it away. Raises
        Unavailable and ProvisioningRefused."""
        now = self._clock.now()
        held = TIMELINES.get(self._table, root.id)
        only = Timeline(id=root.id, created_at=now, modified_at=now, segments=self._first(root))
        self.converge(held or only, root.stripe_subscription_id, call)

    def catch_up(self, order_id: str, call: CallContext) -> None:
        """The day of other terms has come, by the timeline of an order. The provider's own schedule brings them; where
        an end with the period took the schedule away, they are brought here, and the end stays. Raises NotFound,
        Unavailable and ProvisioningRefused."""
        timeline, root = TIMELINES.require(self._table, order_id), ORDERS.require(self._table, order_id)
        held = timeline.in_force(int(self._clock.now().timestamp()))
        live = self._gateway.subscription(root.stripe_subscription_id)
        carried = held.kind is OrderKind.NEW or live.metadata.get(REVISION) == held.order_id
        if live.cancel_at_period_end and not live.ended and not carried:
            self._change_now(held, live, call)

    def converge(self, timeline: Timeline, subscription_id: str, call: CallContext) -> None:
        """What the provider has becomes what the timeline says: now, later, and the end; but what somebody cancelled to
        the end of its period (STR-5) ends with it until they withdraw that, also when they say so in this moment."""
        now = int(self._clock.now().timestamp())
        customer_id = ORDERS.require(self._table, timeline.id).stripe_customer_id
        asked = self._wishes.at(customer_id, subscription_id)
        live = self._gateway.subscription(subscription_id)
        if live.ended:
            raise ProvisioningRefused(f"the subscription {live.id} is {live.status}; a new order form starts another")
        held, coming = timeline.in_force(now), timeline.coming(now)
        if held.kind is not OrderKind.NEW and live.metadata.get(REVISION) != held.order_id:
            live = self._change_now(held, live, call)
        if live.cancel_at_period_end:
            return
        try:
            self._plan(coming, self._expected(held).ends_at, live)
        finally:
            self._wishes.again(customer_id, subscription_id, asked, call)

    def _plan(self, coming: tuple[Segment, ...], ends_at: int, live: LiveSubscription) -> None:
        """What is planned for later, and the end."""
        if coming:
            if live.cancel_at:
                self._gateway.forget_future(live)
                self._gateway.end_at(self._gateway.subscription(live.id), 0)
                live = self._gateway.subscription(live.id)
            self._gateway.plan_future(live, self._future(coming, live.customer_id))
            return
        if live.schedule_id:
            self._gateway.forget_future(live)
            live = self._gateway.subscription(live.id)
        if live.cancel_at != ends_at:
            self._gateway.end_at(live, ends_at)

    # -- what was agreed -------------------------------------------------------------------------------------------

    def _require_changeable(self, root: OrderForm, order: OrderForm) -> None:
        if not root.stripe_subscription_id:
            raise ProvisioningRefused(f"order {root.id} has no subscription yet; provision it, then resume")
        if order.account_id != root.account_id:
            raise ProvisioningRefused(f"order {root.id} belongs to another account")
        if order.terms.currency != root.terms.currency:
            raise ProvisioningRefused(
                f"a subscription stays in its currency, {root.terms.currency}; end it and submit a new order form "
                f"in {order.terms.currency}"
            )

    def _require_future(self, timeline: Timeline, root: OrderForm, order: OrderForm) -> None:
        """Terms for later are nothing to a subscription that ends before."""
        coming = timeline.coming(int(self._clock.now().timestamp()))
        if all(segment.order_id != order.id for segment in coming):
            return
        if self._gateway.subscription(root.stripe_subscription_id).cancel_at_period_end:
            raise ProvisioningRefused(
                f"the subscription {root.stripe_subscription_id} is cancelled to the end of its period; withdraw the "
                "cancellation, then resume"
            )

    def _agreed(self, root: OrderForm, order: OrderForm, call: CallContext) -> Timeline:
        held = TIMELINES.get(self._table, root.id)
        segments = held.segments if held else self._first(root)
        starts_at = max(self._expected_of(order).starts_at, segments[0].starts_at)
        wanted = with_order(segments, order, starts_at)
        if held is not None and wanted == held.segments:
            return held
        now = self._clock.now()
        transaction = begin(call, now)
        if held is None:
            timeline = Timeline(id=root.id, created_at=now, modified_at=now, segments=wanted)
            timeline = timeline.model_copy(update={"next_at": timeline.next_after(int(now.timestamp()))})
            TIMELINES.create(transaction, timeline)
        else:
            timeline = held.revised(now, segments=wanted)
            timeline = timeline.model_copy(update={"next_at": timeline.next_after(int(now.timestamp()))})
            TIMELINES.update(transaction, timeline)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Unavailable("another change of this subscription was faster") from error
        return timeline

    def _first(self, root: OrderForm) -> tuple[Segment, ...]:
        return (Segment(order_id=root.id, kind=OrderKind.NEW, starts_at=self._expected_of(root).starts_at),)

    def _expected(self, segment: Segment) -> ExpectedSubscription:
        return self._expected_of(ORDERS.require(self._table, segment.order_id))

    def _expected_of(self, order: OrderForm) -> ExpectedSubscription:
        return expected_subscription(order.terms, self._settings.read(PlanCatalogue))

    # -- now -------------------------------------------------------------------------------------------------------

    def _change_now(self, segment: Segment, live: LiveSubscription, call: CallContext) -> LiveSubscription:
        if live.schedule_id:  # it would undo at its next phase what is changed now; it is planned anew afterwards
            self._gateway.forget_future(live)
        order = ORDERS.require(self._table, segment.order_id)
        self._create_once(
            f"CHANGE#{order.id}",
            f"of:{order.id}:v{{n}}:change",
            call,
            freeze=lambda: asdict(change_of(order, self._gateway.subscription(live.id), self._gateway, self._settings)),
            find=lambda _: self._found(live.id, order.id),
            create=lambda request, key: self._gateway.change(_thawed(request), key),
        )
        return self._gateway.subscription(live.id)

    def _found(self, subscription_id: str, order_id: str) -> str | None:
        live = self._gateway.subscription(subscription_id)
        return live.id if live.metadata.get(REVISION) == order_id else None

    # -- later -----------------------------------------------------------------------------------------------------

    def _future(self, coming: tuple[Segment, ...], customer_id: str) -> PlannedFuture:
        orders = [ORDERS.require(self._table, segment.order_id) for segment in coming]
        last = orders[-1]
        return PlannedFuture(
            phases=tuple(
                self._phase(order, segment, customer_id) for order, segment in zip(orders, coming, strict=True)
            ),
            ends_at=self._expected_of(last).ends_at,
            cycle_months=last.terms.billing_cycle.months,
        )

    def _phase(self, order: OrderForm, segment: Segment, customer_id: str) -> Phase:
        expected = self._expected_of(order)
        prices = _prices(expected, self._gateway)
        automatic = expected.collection is Collection.AUTOMATIC and self._gateway.can_charge(customer_id)
        return Phase(
            starts_at=segment.starts_at,
            items=tuple(PhaseItem(prices[key], quantity) for key, quantity in expected.items.items()),
            prorated=order.terms.proration,
            metadata={**expected.metadata, REVISION: order.id},
            charge_automatically=automatic,
            days_until_due=expected.days_until_due,
        )


def change_of(
    order: OrderForm, live: LiveSubscription, gateway: ProvisioningGateway, settings: SettingsReader
) -> SubscriptionChange:
    """What a subscription becomes when the terms of an order reach it. Prices are made where there are none."""
    expected = expected_subscription(order.terms, settings.read(PlanCatalogue))
    prices = _prices(expected, gateway)
    automatic = expected.collection is Collection.AUTOMATIC and gateway.can_charge(live.customer_id)
    return SubscriptionChange(
        subscription_id=live.id,
        items=_item_changes(expected, prices, live),
        proration_date=proration_date(order.terms.start_date, expected.zone, live) if order.terms.proration else 0,
        charge_automatically=automatic,
        payment_types=expected.payment_types,
        days_until_due=expected.days_until_due,
        transfer=expected.transfer,
        automatic_tax=expected.automatic_tax,
        metadata={**expected.metadata, REVISION: order.id},
    )


def proration_date(day: date, zone: str, live: LiveSubscription) -> int:
    """Midnight of the day a change takes effect, within the running period: the same instant in preview and update.
    0 while the subscription has not begun."""
    seat = live.seat
    if seat is None or live.status == "trialing":
        return 0
    return min(max(midnight(day, zone), seat.period_start), seat.period_end)


def _prices(expected: ExpectedSubscription, gateway: ProvisioningGateway) -> dict[str, str]:
    return {price.lookup_key: gateway.ensure_price(price) for price in expected.prices}


def _item_changes(
    expected: ExpectedSubscription, prices: dict[str, str], live: LiveSubscription
) -> tuple[ItemChange, ...]:
    """The seats keep their item whatever they become; a usage line that stays keeps its own, and what is counted in the
    same meter changes its price in place, so that no usage is lost between two items."""
    changes: list[ItemChange] = []
    left = {item.id: item for item in live.items}
    seat = live.seat
    if seat is not None:
        left.pop(seat.id)
    changes.append(
        ItemChange(seat.id if seat else "", prices[expected.seat.lookup_key], expected.items[expected.seat.lookup_key])
    )
    for usage in expected.usage:
        price_id = prices[usage.lookup_key]
        same = next((item for item in left.values() if item.price_id == price_id), None)
        same = same or next(
            (item for item in left.values() if usage_product_of(item.lookup_key) == usage.product_id), None
        )
        if same is not None:
            left.pop(same.id)
        if same is None or same.price_id != price_id:
            changes.append(ItemChange(same.id if same else "", price_id))
    changes += [ItemChange(item_id) for item_id in left]
    return tuple(changes)


def usage_product_of(lookup_key: str) -> str:
    """The product that a metered price's lookup key names; empty for another."""
    parts = lookup_key.split(":")
    return parts[1] if len(parts) > 2 and parts[2] == "usage" else ""


def _thawed(request: Request) -> SubscriptionChange:
    return SubscriptionChange(
        **{
            **request,
            "items": tuple(ItemChange(**item) for item in request["items"]),
            "payment_types": tuple(request["payment_types"]),
            "transfer": thawed_transfer(request["transfer"]),
        }
    )

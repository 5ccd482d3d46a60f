"""Repairing what was approved: looked at once more, done once, written down (ORD-7).

Level-triggered: what is done follows from the difference as it is now, and only if it is still the one that somebody
approved. One that is gone needs nothing; one that became another is refused and says so. A claim on the order keeps two
repairs of one subscription apart; a change of an item, which prorates, goes through CreateOnce under
`of:<order>:v<n>:repair:<difference>`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Any, Protocol

from revops.kernel import CallContext, Clock, DomainError
from revops.orders.policies.calendar import midnight
from revops.orders.ports import ProvisioningGateway
from revops.orders.provisioning.create_once import CreateOnce
from revops.orders.provisioning.ports import ItemChange
from revops.orders.store import ORDERS
from revops.reconcile.expecting import Expect
from revops.reconcile.holding import Hold
from revops.reconcile.model import Action, ActionKind, Difference, DifferenceState, Finding, SeenSubscription
from revops.reconcile.policies.comparing import Agreed
from revops.reconcile.ports import ItemRepair, OrderDesk, SubscriptionBooks, SubscriptionRepairs
from revops.reconcile.store import DIFFERENCES, REPAIR, difference_id
from revops.reconcile.walking import Look
from revops.table import ConditionFailed, Contention, Table, begin, release

_ITEMS = {ActionKind.SET_QUANTITY, ActionKind.SWAP_PRICE, ActionKind.ADD_ITEM, ActionKind.REMOVE_ITEM}


class Provider(ProvisioningGateway, SubscriptionRepairs, Protocol):
    """The provider, as far as a repair needs it."""


class ApplyRepair:
    """The worker's part: one approved difference. Safe to call at any time, any number of times."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        expect: Expect,
        books: SubscriptionBooks,
        provider: Provider,
        desk: OrderDesk,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._clock = clock
        self._expect = expect
        self._look = Look(table, expect, books)
        self._books = books
        self._provider = provider
        self._desk = desk
        self._create_once = CreateOnce(table, clock)
        self._hold = Hold(table, clock, REPAIR, sleep=sleep)

    def __call__(self, identifier: str, call: CallContext) -> Difference:
        """The difference as it stands then. Raises NotFound; Unavailable and Contention when it should come again."""
        difference = DIFFERENCES.require(self._table, identifier)
        if difference.state is not DifferenceState.APPROVED:
            return difference
        subject = difference.finding.order_id or difference.finding.subscription_id
        again = self._hold(subject, identifier, (DIFFERENCES.key(identifier), difference.version), call)
        try:
            state, result = self._repair(difference, again, call)
        except DomainError as error:
            if error.retryable:
                raise
            state, result = DifferenceState.REFUSED, error.detail[:500]
        return self._settle(difference, subject, state, result, call)

    def _settle(
        self, difference: Difference, subject: str, state: DifferenceState, result: str, call: CallContext
    ) -> Difference:
        now = self._clock.now()
        settled = difference.revised(now, state=state, result=result, settled_at=now)
        transaction = begin(call, now)
        DIFFERENCES.update(transaction, settled)
        release(transaction, REPAIR, subject)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Contention("another worker settled this repair") from error
        return settled

    # -- doing it --------------------------------------------------------------------------------------------------

    def _repair(self, difference: Difference, again: bool, call: CallContext) -> tuple[DifferenceState, str]:
        now = self._as_it_is(difference)
        if now is None and again:
            return DifferenceState.REPAIRED, difference.finding.action.words
        if now is None:
            return DifferenceState.GONE, "nothing was done: it was right already"
        if not now.same_matter(difference.finding):
            return DifferenceState.CHANGED, f"nothing was done: it is another difference by now. {now.words}"[:500]
        self._do(difference, now.action, call)
        return DifferenceState.REPAIRED, now.action.words

    def _as_it_is(self, difference: Difference) -> Finding | None:
        finding = difference.finding
        found = self._look.at_order(finding.order_id) if finding.order_id else ()
        if finding.order_id and ORDERS.get(self._table, finding.order_id) is None:
            found = self._look.at_subscription(finding.subscription_id)
        run = difference.reconciliation_id
        return next((each for each in found if difference_id(run, each) == difference.id), None)

    def _do(self, difference: Difference, action: Action, call: CallContext) -> None:
        order_id = difference.finding.order_id
        match action.kind:
            case kind if kind in _ITEMS:
                self._change_item(difference, action, call)
            case ActionKind.SET_COLLECTION:
                self._provider.set_collection(action.subscription_id, action.automatic is True, action.days_until_due)
            case ActionKind.SET_METADATA:
                self._provider.set_metadata(action.subscription_id, action.metadata)
            case ActionKind.SET_ENDING:
                self._provider.end_at(self._provider.subscription(action.subscription_id), action.instant)
            case ActionKind.CANCEL_SUBSCRIPTION:
                self._provider.cancel(action.subscription_id)
            case ActionKind.RESUME_ORDER:
                self._desk.resume(order_id, call)
            case ActionKind.SET_SCHEDULE:
                timeline = self._agreed(order_id).timeline
                if timeline is not None:
                    self._desk.converge(timeline, action.subscription_id, call)
            case _:
                raise ValueError(f"{action.kind} is no repair")

    def _change_item(self, difference: Difference, action: Action, call: CallContext) -> None:
        order_id = difference.finding.order_id
        self._create_once(
            _creation(difference),
            f"of:{order_id}:v{{n}}:repair:{difference.id.rpartition('.')[2]}",
            call,
            freeze=lambda: asdict(self._item_repair(order_id, action)),
            find=lambda _: None if self._as_it_is(difference) else action.subscription_id,
            create=lambda request, key: self._provider.change_item(_thawed(request), key),
        )

    def _item_repair(self, order_id: str, action: Action) -> ItemRepair:
        agreed, seen = self._agreed(order_id), self._books.one(action.subscription_id)
        prices = {price.lookup_key: price for price in agreed.expected.prices}
        price = prices[action.price_key] if action.price_key else None
        quantity = action.quantity
        if action.kind is ActionKind.SWAP_PRICE and seen is not None:
            # the provider takes a price without a quantity for one unit of it
            quantity = next((item.quantity for item in seen.items if item.id == action.item_id), None)
        return ItemRepair(
            subscription_id=action.subscription_id,
            item=ItemChange(action.item_id, self._provider.ensure_price(price) if price else "", quantity),
            prorated_at=self._prorated_at(agreed, seen),
        )

    def _agreed(self, order_id: str) -> Agreed:
        return self._expect.agreed(ORDERS.require(self._table, order_id))

    def _prorated_at(self, agreed: Agreed, seen: SeenSubscription | None) -> int:
        """From today's midnight on, if the contract prorates; what was billed for the days before is credited by hand.
        Nothing is prorated before the subscription has begun."""
        if not agreed.holding.terms.proration or seen is None or seen.status == "trialing":
            return 0
        today = midnight(self._clock.now().astimezone(UTC).date(), agreed.expected.zone)
        return min(max(today, seen.period_start), seen.period_end)


def _creation(difference: Difference) -> str:
    return f"REPAIR#{difference.id}"


def _thawed(request: Mapping[str, Any]) -> ItemRepair:
    return ItemRepair(**{**request, "item": ItemChange(**request["item"])})

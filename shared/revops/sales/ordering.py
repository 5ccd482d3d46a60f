"""Making a sales order of an executed order form, once (ORD-9)."""

from datetime import datetime

from revops.kernel import CallContext, Clock
from revops.sales.model import Renewal, RenewalEvent, RenewalStatus, SaleKind, SalesOrder
from revops.sales.policies.items import sales_items
from revops.sales.policies.renewing import RenewalRules, look
from revops.sales.ports import CrmDesk, ExecutedOrder, Orders
from revops.sales.renewing import end_reminders
from revops.sales.store import (
    RENEWALS,
    SALES_ORDERS,
    SUBSCRIPTION,
    mirror_key,
    mirror_state,
    pass_mirror,
    renewal_id,
    running_term,
    sales_order_id,
    take_number,
)
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Table, Transaction, begin, claim, holder_of

_RACES = 20


class MakeSalesOrder:
    """Writes the sales order of an order form whose subscription stands: number, items, total, the renewal of its term,
    and that the payer's invoices are to be looked at. All of it in one transaction; asked again, it finds what it made.
    """

    def __init__(self, table: Table, clock: Clock, orders: Orders, desk: CrmDesk, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._orders = orders
        self._desk = desk
        self._settings = settings

    def __call__(self, order_id: str, call: CallContext) -> SalesOrder | None:
        """The sales order; None for an order form whose subscription does not stand. What an order form amends gets its
        sales order first, should it have none. Raises Contention."""
        executed = self._orders.executed(order_id)
        if executed is None:
            return None
        if executed.amends and executed.kind is not SaleKind.NEW:
            self(executed.amends, call)
        identifier = sales_order_id(order_id)
        for _ in range(_RACES):
            made = SALES_ORDERS.get(self._table, identifier)
            if made is not None:
                return made
            transaction = begin(call, self._clock.now())
            order = self._write(transaction, executed, call)
            if order is None:
                continue  # made meanwhile
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # the number is somebody else's, or the same order was made; look again
            return order
        raise Contention("sales orders are being made faster than they can be numbered; try again shortly")

    def _write(self, transaction: Transaction, executed: ExecutedOrder, call: CallContext) -> SalesOrder | None:
        """Adds the sales order and what follows from it; None if the running term is this order form's own already."""
        now = self._clock.now()
        amended = self._amended_order(executed)
        running = running_term(self._table, amended.term_id) if amended else None
        if running is not None and running.order_id == executed.id:
            return None
        changes = running is not None and _changes(executed, running)
        items = sales_items(executed)
        order = SalesOrder(
            id=sales_order_id(executed.id),
            created_at=now,
            modified_at=now,
            number=take_number(self._table, transaction, now.year),
            kind=executed.kind,
            order_id=executed.id,
            account_id=executed.account_id,
            opportunity_id=executed.opportunity_id,
            owner_id=self._desk.owner_of(executed.account_id) or "",
            refers_to=(amended.refers_to or amended.id) if amended else "",
            term_id=running.id if running is not None and changes else renewal_id(executed.id, executed.starts_on),
            payer=executed.payer,
            subscription_id=executed.subscription_id,
            plan=executed.plan,
            currency=executed.currency,
            items=items,
            total=sum(item.amount for item in items),
            starts_on=executed.starts_on,
            ends_on=executed.ends_on,
        )
        SALES_ORDERS.create(transaction, order)
        subscription = executed.subscription_id
        if subscription and holder_of(self._table, SUBSCRIPTION, subscription) is None:
            claim(transaction, SUBSCRIPTION, subscription, order.id)
        if executed.payer:
            state = mirror_state(self._table.get(mirror_key(executed.payer)))
            pass_mirror(transaction, executed.payer, state.fence, None, now)  # an invoice may have come first
        self._follow_terms(transaction, executed, order, running, call, now)
        return order

    def _follow_terms(
        self,
        transaction: Transaction,
        executed: ExecutedOrder,
        order: SalesOrder,
        running: Renewal | None,
        call: CallContext,
        now: datetime,
    ) -> None:
        """What the order does to the terms of its subscription: it begins, changes or renews one. A term that is
        decided is changed no more: an amendment begins one after it."""
        by = call.on_behalf_of or call.principal.id
        if running is not None and _changes(executed, running):
            if executed.ends_on != running.ends_on:
                end_reminders(self._desk, transaction, now, running)
            RENEWALS.update(transaction, self._amended(running, executed, order, by, now))
            return
        begun = self._term(executed, order, by, now)
        RENEWALS.create(transaction, begun)
        if running is not None:
            renews = executed.kind is SaleKind.RENEWAL
            what = "renewed" if renews else "followed"
            told = RenewalEvent(at=now, by=by, what=what, detail=f"by order {executed.id}, {order.number}")
            decided = running.status is not RenewalStatus.OPEN  # a person said so before, or it had ended
            renewed = running.revised(
                now,
                status=running.status if decided else RenewalStatus.RENEWED,
                ended_by=running.ended_by if decided else "order",
                renewal_order_id=executed.id if renews else running.renewal_order_id,
                next_id=begun.id,
                look_at=None,
                history=(*running.history, told),
            )
            RENEWALS.update(transaction, renewed)
            end_reminders(self._desk, transaction, now, running)

    def _amended_order(self, executed: ExecutedOrder) -> SalesOrder | None:
        if executed.kind is SaleKind.NEW or not executed.amends:
            return None
        return SALES_ORDERS.get(self._table, sales_order_id(executed.amends))

    def _amended(self, term: Renewal, executed: ExecutedOrder, order: SalesOrder, by: str, now: datetime) -> Renewal:
        told = RenewalEvent(at=now, by=by, what="amended", detail=f"by order {executed.id}, {order.number}")
        moved = executed.ends_on != term.ends_on
        changed = term.revised(
            now,
            order_id=executed.id,
            sales_order_id=order.id,
            plan=executed.plan,
            amount=order.total,
            term_months=executed.term_months,
            ends_on=executed.ends_on,
            auto_renewal=executed.auto_renewal,
            reminded=() if moved else term.reminded,
            moved=term.moved + moved,
            history=(*term.history, told),
        )
        return self._watched(changed, now)

    def _term(self, executed: ExecutedOrder, order: SalesOrder, by: str, now: datetime) -> Renewal:
        told = RenewalEvent(at=now, by=by, what="begun", detail=f"order {executed.id}, {order.number}")
        term = Renewal(
            id=renewal_id(executed.id, executed.starts_on),
            created_at=now,
            modified_at=now,
            account_id=executed.account_id,
            owner_id=order.owner_id,
            order_id=executed.id,
            sales_order_id=order.id,
            subscription_id=executed.subscription_id,
            plan=executed.plan,
            currency=executed.currency,
            amount=order.total,
            term_months=executed.term_months,
            starts_on=executed.starts_on,
            ends_on=executed.ends_on,
            auto_renewal=executed.auto_renewal,
            history=(told,),
        )
        return self._watched(term, now)

    def _watched(self, term: Renewal, now: datetime) -> Renewal:
        told = look(term, now, self._settings.read(RenewalRules))
        return term.model_copy(update={"look_at": now if told.remind or told.over else told.next_at})


def _changes(executed: ExecutedOrder, running: Renewal) -> bool:
    """Whether an order changes the term that runs; otherwise another follows it."""
    return executed.kind is SaleKind.AMENDMENT and running.status is RenewalStatus.OPEN

"""What an order agrees on usage becomes the account's plan: the terms of an order form as terms of usage, until its
subscription ends."""

from datetime import UTC, date, datetime

from revops.kernel import CallContext, Clock
from revops.orders.changing import root_of
from revops.orders.model import OrderForm, OrderKind, OrderStatus
from revops.orders.store import ORDERS, TIMELINES
from revops.sales.store import RENEWALS, SALES_ORDERS, running_term, sales_order_id
from revops.table import Table
from revops.usage import Allowance, CapPlan, CapShare, CapTerms, Line, SetCapPlan, SpendPeriod


def cap_terms_of(order: OrderForm, began: date) -> CapTerms | None:
    """The usage terms of an order, or None for one without usage lines. The year of an annual spend cap is that of its
    contract, which `began` on a day: a change within it ends no year and begins none."""
    terms = order.terms
    if not terms.usage:
        return None
    cap = terms.spend_cap
    return CapTerms(
        account_id=order.account_id,
        currency=terms.currency,
        allowances=tuple(
            Allowance(line=Line(line.meter.value), included=line.monthly_cap, overage_price=line.overage_price)
            for line in terms.usage
        ),
        spend_cap=cap.minor if cap else None,
        spend_period=SpendPeriod(cap.period.value) if cap else SpendPeriod.MONTHLY,
        starts_on=began,
    )


class ApplyOrderCaps:
    """Puts the caps in force that hold for an active order's subscription now: those of the form agreed last whose day
    has come. One that dropped all usage lines, and the end of the subscription, end what the contract limited; then the
    account's usage is limited by what another of its contracts agreed on, and taken no more where none does. Safe to
    repeat: the same terms again write nothing."""

    def __init__(self, table: Table, clock: Clock, set_plan: SetCapPlan) -> None:
        self._table = table
        self._clock = clock
        self._set_plan = set_plan

    def __call__(self, order_id: str, call: CallContext) -> CapPlan | None:
        """The plan in force after it; None for an order that is not active while its subscription runs, or of an
        account that never agreed on usage.

        Raises NotFound, Refused.
        """
        order = ORDERS.require(self._table, order_id)
        agreed_at = order.signature.recorded_at if order.signature else order.created_at
        root = root_of(self._table, order)
        timeline = TIMELINES.get(self._table, root.id)
        if timeline is not None:
            held = timeline.in_force(int(self._clock.now().timestamp()))
            order = ORDERS.require(self._table, held.order_id)
            agreed_at = order.signature.recorded_at if order.signature else order.created_at
            if order.kind is not OrderKind.NEW:  # terms for later are no older than the day they hold from
                agreed_at = max(agreed_at, datetime.fromtimestamp(held.starts_at, UTC))
        ended_at = self._ended_at(root)
        if ended_at is None and order.status is not OrderStatus.ACTIVE:
            return None
        share = CapShare(order_id=root.id, agreed_at=agreed_at, terms=cap_terms_of(order, root.terms.start_date))
        if ended_at is not None:
            share = CapShare(order_id=root.id, agreed_at=max(agreed_at, ended_at), terms=None)
        return self._set_plan.share(order.account_id, share, call)

    def after_term(self, renewal_id: str, call: CallContext) -> CapPlan | None:
        """The same for the contract of a term, once Stripe says that its subscription ended; None before. Raises
        NotFound, Refused."""
        term = RENEWALS.get(self._table, renewal_id)
        return self(term.order_id, call) if term is not None and term.ended_at is not None else None

    def _ended_at(self, root: OrderForm) -> datetime | None:
        """When it became known that the subscription of a contract ended; None while it runs."""
        sold = SALES_ORDERS.get(self._table, sales_order_id(root.id))
        term = running_term(self._table, sold.term_id) if sold is not None else None
        return term.modified_at if term is not None and term.ended_at is not None else None

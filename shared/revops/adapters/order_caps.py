"""What an order agrees on usage becomes the account's plan: the terms of an order form as terms of usage."""

from revops.kernel import CallContext
from revops.orders.model import OrderForm, OrderStatus
from revops.orders.store import ORDERS
from revops.table import Table
from revops.usage import Allowance, CapPlan, CapTerms, Line, SetCapPlan, SpendPeriod


def cap_terms_of(order: OrderForm) -> CapTerms | None:
    """The usage terms of an order, or None for one without usage lines."""
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
        starts_on=terms.start_date,
    )


class ApplyOrderCaps:
    """Puts an active order's caps in force. Safe to repeat: the same terms again write nothing."""

    def __init__(self, table: Table, set_plan: SetCapPlan) -> None:
        self._table = table
        self._set_plan = set_plan

    def __call__(self, order_id: str, call: CallContext) -> CapPlan | None:
        """The plan in force after it; None for an order that is not active or says nothing about usage.

        Raises NotFound, Refused.
        """
        order = ORDERS.require(self._table, order_id)
        wanted = cap_terms_of(order)
        if wanted is None or order.status is not OrderStatus.ACTIVE:
            return None
        return self._set_plan(wanted, call, order.signature.recorded_at if order.signature else order.created_at)

"""What an order agrees on usage becomes the account's plan."""

from datetime import date
from decimal import Decimal

import pytest

from revops.adapters.order_caps import ApplyOrderCaps, cap_terms_of
from revops.usage import Allowance, Line, SetCapPlan, SpendPeriod
from tests.builders.orders import Desk
from tests.builders.usage import CALL


@pytest.mark.mission("ORD-1", "USE-3")
def test_usage_lines_and_spend_cap_of_an_order_limit_its_account() -> None:
    desk = Desk()
    order = desk.submitted(spend_cap={"minor": 70000, "period": "Annual"}, start_date="2026-12-01")
    apply = ApplyOrderCaps(desk.table, SetCapPlan(desk.table, desk.clock))
    plan = apply(order.id, CALL)
    assert plan is not None
    assert plan.terms.account_id == order.account_id
    assert plan.terms.allowances == (
        Allowance(line=Line.POOLED, included=10000, overage_price=Decimal("0.015"), unit_limit=None),
    )
    assert (plan.terms.currency, plan.terms.spend_cap) == ("EUR", 70000)
    assert (plan.terms.spend_period, plan.terms.starts_on) == (SpendPeriod.ANNUAL, date(2026, 12, 1))
    assert apply(order.id, CALL) == plan


def test_an_order_without_usage_or_spend_cap() -> None:
    desk = Desk()
    assert cap_terms_of(desk.submitted(usage=[], spend_cap=None)) is None
    lines = [
        {"meter": "API Calls", "monthly_cap": 5, "overage_price": "1"},
        {"meter": "Signatures", "monthly_cap": 6, "overage_price": "2"},
    ]
    terms = cap_terms_of(desk.submitted(usage=lines, spend_cap=None))
    assert terms is not None
    assert (terms.spend_cap, [one.line for one in terms.allowances]) == (None, [Line.API_CALLS, Line.SIGNATURES])

"""The caps of an order come into force, and an event told again brings none of an older order back (USE-3)."""

from datetime import timedelta

import pytest

from revops.adapters.order_caps import ApplyOrderCaps
from revops.kernel import system_call
from revops.orders.model import ESignMethod, OrderForm, OrderStatus, OrderTerms, Signature
from revops.orders.store import ORDERS
from revops.table import begin
from revops.usage import SetCapPlan
from revops.usage.store import PLANS, plan_id
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable
from tests.builders.orders import submission

CALL = system_call("tests")


def _terms(usage: list[dict[str, object]]) -> OrderTerms:
    said = submission(usage=usage).model_dump()
    agreed = {name: said[name] for name in OrderTerms.model_fields if name in said}
    return OrderTerms.model_validate(agreed | {"list_price": 5900, "renewal_date": "2027-11-20"})


class Desk:
    """Active orders of one account, each signed a day after the one before."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.apply = ApplyOrderCaps(self.table, self.clock, SetCapPlan(self.table, self.clock))

    def order(self, number: int, included: int, status: OrderStatus = OrderStatus.ACTIVE) -> str:
        signed = self.clock.now() + timedelta(days=number)
        usage = [{"meter": "Pooled", "monthly_cap": included, "overage_price": "0.015"}]
        order = OrderForm(
            id=f"ORD_{number}",
            created_at=signed,
            modified_at=signed,
            status=status,
            status_since=signed,
            account_id="ACC_7ZK3M0Q8W2XR5T9VB1N4C6D8EF",
            opportunity_id="OPP_1",
            opened_opportunity=True,
            owner_id="rep",
            terms=_terms(usage),
            signature=Signature(
                signatory_name="Anna",
                signed_on=signed.date(),
                document="signed/form.pdf",
                sha256="0" * 64,
                size=9,
                method=ESignMethod.MANUAL,
                recorded_by="rep",
                recorded_at=signed,
            ),
        )
        transaction = begin(CALL, signed)
        ORDERS.create(transaction, order)
        self.table.commit(transaction)
        return order.id

    def included(self) -> int:
        plan = PLANS.require(self.table, plan_id("ACC_7ZK3M0Q8W2XR5T9VB1N4C6D8EF"))
        return plan.terms.allowances[0].included


@pytest.mark.mission("USE-3")
@pytest.mark.fault("R16")
def test_an_older_order_told_again_changes_nothing() -> None:
    desk = Desk()
    first, second = desk.order(1, 100), desk.order(2, 5000)
    desk.apply(first, CALL)
    desk.apply(second, CALL)
    assert desk.included() == 5000
    desk.apply(first, CALL)
    assert desk.included() == 5000


@pytest.mark.mission("USE-3")
def test_an_order_that_is_not_active_puts_nothing_in_force() -> None:
    desk = Desk()
    assert desk.apply(desk.order(1, 100, OrderStatus.CANCELLED), CALL) is None

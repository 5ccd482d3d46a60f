"""Reading an order and its progress."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.kernel import CallContext
from revops.orders.model import OrderForm, OrderStatus, Step, StepRecord
from revops.orders.policies.lifecycle import MOVES, WAITS, next_step
from revops.orders.ports import CrmRecords
from revops.orders.store import ORDERS, steps_of
from revops.table import Table


class Progress(BaseModel):
    """How far an order is (ORD-2): the steps taken, the one it is at, since when, and what it waits for."""

    model_config = ConfigDict(defer_build=True)

    order_id: str
    status: OrderStatus
    attempt: int
    step: Step = Field(description="The step the order is at; `done` when the workflow has nothing left to do")
    since: AwareDatetime
    waits_for: str = Field(default="", examples=["signature"])
    reason: str = Field(default="", description="Why it is blocked or ended")
    findings: list[str] = Field(default_factory=list, description="What made it non-standard")
    possible: list[OrderStatus] = Field(description="What it may become from here")
    steps: list[StepRecord]


class ReadOrder:
    """An order for somebody who may read it. Orders follow their account (SAFE-1)."""

    def __init__(self, table: Table, crm: CrmRecords, policy: Policy) -> None:
        self._table = table
        self._crm = crm
        self._policy = policy

    def __call__(self, order_id: str, call: CallContext) -> OrderForm:
        """Raises NotFound."""
        order = ORDERS.require(self._table, order_id)
        owner_id = self._crm.account(order.account_id).owner_id
        self._policy.require_read(call.principal, Resource.ORDERS, owner_id, f"order form {order_id}")
        return order


class ReadProgress:
    """The progress of an order for somebody who may read it."""

    def __init__(self, table: Table, read: ReadOrder) -> None:
        self._table = table
        self._read = read

    def __call__(self, order_id: str, call: CallContext) -> Progress:
        """Raises NotFound."""
        order = self._read(order_id, call)
        step = next_step(order.status)
        return Progress(
            order_id=order.id,
            status=order.status,
            attempt=order.attempt,
            step=order.block.step if order.block else step,
            since=order.status_since,
            waits_for=_waits_for(order, step),
            reason=order.block.reason if order.block else order.end_reason,
            findings=[finding.message for finding in order.review.findings],
            possible=sorted(MOVES[order.status]),
            steps=steps_of(self._table, order.id),
        )


def _waits_for(order: OrderForm, step: Step) -> str:
    match order.status:
        case OrderStatus.BLOCKED:
            return "somebody to clear the reason and resume"
        case OrderStatus.CHANGES_REQUESTED:
            return "changed terms"
        case _:
            return WAITS.get(step, "")

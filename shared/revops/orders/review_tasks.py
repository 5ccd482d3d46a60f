"""The tasks of reviewers: which there are for a stage, and that they go when it is over (ORD-2)."""

from datetime import datetime

from revops.kernel import time_text
from revops.orders.model import OrderForm, OrderStatus
from revops.orders.policies.stages import current
from revops.orders.ports import ReviewTasks
from revops.orders.reviews import ReviewStage
from revops.table import Transaction


def task_origin(order: OrderForm, stage: ReviewStage, user_id: str) -> str:
    """What makes the one task of a user about a stage."""
    since = time_text(stage.opened_at) if stage.opened_at else ""
    return f"order_review:{order.id}:{since}:{stage.name}:{user_id}"


def withdraw_tasks(transaction: Transaction, tasks: ReviewTasks, order: OrderForm, now: datetime) -> None:
    """Adds that the tasks of an order's present stage are no longer to be done."""
    stage = current(order.review) if order.status is OrderStatus.IN_REVIEW else None
    if stage is None:
        return
    for user_id in stage.told or ():
        tasks.withdraw(transaction, now, task_origin(order, stage, user_id))

"""Tasks of those who decide on order forms, in the CRM's list of tasks (CRM-6)."""

from datetime import datetime

from revops.crm.tasks import TaskPriority, add_once, task_of, withdraw
from revops.orders.ports import ReviewTask
from revops.table import Table, Transaction


class CrmReviewTasks:
    """`ReviewTasks` over the CRM's tasks. Writes join the caller's transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, transaction: Transaction, now: datetime, wanted: ReviewTask) -> None:
        task = task_of(
            wanted.origin,
            now,
            title=wanted.title,
            type="order_review",
            about=wanted.about,
            owner_id=wanted.owner_id,
            assignee_id=wanted.assignee_id,
            due_at=wanted.due_at,
            remind_at=wanted.remind_at,
            priority=TaskPriority.URGENT if wanted.urgent else TaskPriority.HIGH,
            details=wanted.details,
        )
        add_once(self._table, transaction, task)

    def withdraw(self, transaction: Transaction, now: datetime, origin: str) -> None:
        withdraw(self._table, transaction, origin, now)

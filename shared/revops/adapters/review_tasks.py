"""Tasks of those who decide on order forms, in the CRM's list of tasks (CRM-6)."""

from datetime import datetime

from revops.crm.tasks import TASKS, Task, TaskPriority, TaskStatus, task_id
from revops.orders.ports import ReviewTask
from revops.table import Table, Transaction


class CrmReviewTasks:
    """`ReviewTasks` over the CRM's tasks. Writes join the caller's transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, transaction: Transaction, now: datetime, wanted: ReviewTask) -> None:
        identifier = task_id(wanted.origin)
        if TASKS.get(self._table, identifier) is not None:
            return
        task = Task(
            id=identifier,
            created_at=now,
            modified_at=now,
            title=wanted.title,
            type="order_review",
            related_to=wanted.about,
            owner_id=wanted.owner_id,
            assignee_id=wanted.assignee_id,
            due_at=wanted.due_at,
            remind_at=wanted.remind_at,
            priority=TaskPriority.URGENT if wanted.urgent else TaskPriority.HIGH,
            details=wanted.details,
            origin=wanted.origin,
        )
        TASKS.create(transaction, task)

    def withdraw(self, transaction: Transaction, now: datetime, origin: str) -> None:
        task = TASKS.get(self._table, task_id(origin))
        if task is not None and task.status is TaskStatus.OPEN:
            TASKS.update(transaction, task.revised(now, status=TaskStatus.CANCELLED, remind_at=None))

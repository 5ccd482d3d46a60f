"""The tasks that begin with an order in service, as tasks of the CRM."""

from datetime import datetime

from revops.crm.tasks import TASKS, Task, task_id
from revops.orders.ports import FirstTask
from revops.table import Table, Transaction


class CrmFirstTasks:
    """`FirstTasks` over the CRM's tasks. Writes join the caller's transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, transaction: Transaction, now: datetime, wanted: FirstTask) -> bool:
        """False when the origin's task is there already."""
        identifier = task_id(wanted.origin)
        if TASKS.get(self._table, identifier) is not None:
            return False
        task = Task(
            id=identifier,
            created_at=now,
            modified_at=now,
            title=wanted.title,
            type="onboarding",
            related_to=wanted.about,
            owner_id=wanted.assignee_id,
            assignee_id=wanted.assignee_id,
            due_at=wanted.due_at,
            remind_at=wanted.due_at,
            details=wanted.details,
            origin=wanted.origin,
        )
        TASKS.create(transaction, task)
        return True

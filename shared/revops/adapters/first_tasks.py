"""The tasks that begin with an order in service, as tasks of the CRM."""

from datetime import datetime

from revops.crm.tasks import add_once, task_of
from revops.orders.ports import FirstTask
from revops.table import Table, Transaction


class CrmFirstTasks:
    """`FirstTasks` over the CRM's tasks. Writes join the caller's transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, transaction: Transaction, now: datetime, wanted: FirstTask) -> bool:
        """False when the origin's task is there already."""
        task = task_of(
            wanted.origin,
            now,
            title=wanted.title,
            type="onboarding",
            about=wanted.about,
            owner_id=wanted.assignee_id,
            due_at=wanted.due_at,
            details=wanted.details,
        )
        return add_once(self._table, transaction, task)

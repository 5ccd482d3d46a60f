"""Tasks (CRM-6): what somebody is to do, about a record, by a time.

| item | pk | sk | read by |
|---|---|---|---|
| task | TASK#<id> | TASK | id |

| index | partition | sort | list |
|---|---|---|---|
| gsi1 | TASKS#<related to> | due | the tasks about a record |
| gsi2 | TASKS#ASSIGNEE#<assignee>#<status> | due | somebody's tasks |
| due | `task` | `remind_at` of an open task | reminders |
"""

import base64
import hashlib
from enum import StrEnum

from pydantic import AwareDatetime

from revops.kernel import time_text
from revops.table import Entity, EntityKind, Index, Key, Query, Table, due_index


class TaskStatus(StrEnum):
    """Whether a task is still to be done (CRM-6)."""

    OPEN = "Open"
    DONE = "Done"
    CANCELLED = "Cancelled"


class TaskPriority(StrEnum):
    """How urgent a task is (CRM-6)."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    URGENT = "Urgent"


class Task(Entity):
    """Something to do. `related_to` is the record's id, `owner_id` the seller responsible for it, `origin` what made
    the task: the same origin makes the same task once. `remind_at` is when the assignee is told that it is due."""

    title: str
    type: str = "follow_up"
    related_to: str
    owner_id: str
    assignee_id: str
    due_at: AwareDatetime
    remind_at: AwareDatetime | None = None
    status: TaskStatus = TaskStatus.OPEN
    priority: TaskPriority = TaskPriority.MEDIUM
    details: str = ""
    origin: str = ""
    completed_at: AwareDatetime | None = None
    completed_by: str = ""


def task_id(origin: str) -> str:
    """The id of the one task of an origin, such as `nurture:LEAD_…:3`."""
    digest = hashlib.sha256(f"task\0{origin}".encode()).digest()
    return "TSK_" + base64.b32encode(digest).decode()[:26]


def task_key(identifier: str) -> Key:
    """Where a task stands."""
    return Key(f"TASK#{identifier}", "TASK")


def _index(task: Task) -> Index:
    due = f"{time_text(task.due_at)}#{task.id}"
    index = {
        "gsi1": (f"TASKS#{task.related_to}", due),
        "gsi2": (f"TASKS#ASSIGNEE#{task.assignee_id}#{task.status}", due),
    }
    if task.status is TaskStatus.OPEN and task.remind_at is not None:
        index["due"] = due_index("task", task.remind_at, task_key(task.id))
    return index


TASKS = EntityKind[Task](kind="TASK", title="task", model=Task, key=task_key, index=_index)


def tasks_about(table: Table, related_to: str, limit: int = 25) -> list[Task]:
    """The tasks about a record, the next due first."""
    page = table.query(Query(pk=f"TASKS#{related_to}", index="gsi1", limit=limit))
    return TASKS.load_all(table.get_many([row.key for row in page.rows]))

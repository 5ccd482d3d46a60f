"""Tasks: what somebody is to do, about which record, by when (CRM-6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from revops.crm.tasks import ChangeTasks, NewTask, ReadTasks, Task, TaskChange, TaskPriority, TaskQuery, TaskStatus
from revops.platform.http import Api


class TaskView(BaseModel):
    """A task."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["TSK_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    version: int = Field(description="Send it with a change; another one stands → 409")
    title: str
    type: str
    about: str = Field(description="The id of the record it is about")
    owner_id: str = Field(description="The seller responsible for the record")
    assignee_id: str
    due_at: datetime
    remind_at: datetime | None = Field(default=None, description="When the assignee is to be reminded")
    reminded_at: datetime | None = None
    status: TaskStatus
    priority: TaskPriority
    details: str = ""
    completed_at: datetime | None = None
    completed_by: str = ""
    created_at: datetime
    modified_at: datetime

    @classmethod
    def of(cls, task: Task) -> Self:
        same = {name: getattr(task, name) for name in cls.model_fields if name in Task.model_fields}
        return cls.model_validate({**same, "about": task.related_to})


class TaskListView(BaseModel):
    """A page of tasks, open ones first, then by due time; `next` is empty at the end."""

    model_config = ConfigDict(defer_build=True)

    tasks: list[TaskView]
    next: str = ""


@dataclass(frozen=True, slots=True)
class TaskUseCases:
    """What the routes call."""

    read: ReadTasks
    change: ChangeTasks


def add_task_routes(api: Api, use: TaskUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/tasks",
        "Tasks: mine, my team's, or those about a record; open ones first, then by due time",
        tag="tasks",
        model=TaskListView,
        errors=(401, 404),
    )
    def list_tasks(
        scope: Literal["mine", "team"] = "mine",
        about: Annotated[str, Query(max_length=60, description="The id of a record; `scope` plays no part then")] = "",
        status: Annotated[TaskStatus | None, Query(description="Not with `about`")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> TaskListView:
        page = use.read.list(TaskQuery(scope, about, status, limit, cursor), api.user_call())
        return TaskListView(tasks=[TaskView.of(task) for task in page.tasks], next=page.next_cursor)

    @api.post(
        "/api/v1/tasks",
        "Make a task about a lead, an account, a contact or a deal",
        tag="tasks",
        status=201,
        model=TaskView,
        errors=(401, 403, 404, 413),
    )
    def post_task(body: NewTask) -> tuple[TaskView, int]:
        return TaskView.of(use.change.create(body, api.user_call())), 201

    @api.get("/api/v1/tasks/{task_id}", "One task", tag="tasks", model=TaskView, errors=(401, 404))
    def get_task(task_id: str) -> TaskView:
        return TaskView.of(use.read.one(task_id, api.user_call()))

    @api.patch(
        "/api/v1/tasks/{task_id}",
        "Change a task under the version that was read: done, cancelled, another assignee, another time",
        tag="tasks",
        model=TaskView,
        errors=(401, 403, 404, 409, 413),
    )
    def patch_task(task_id: str, body: TaskChange) -> TaskView:
        return TaskView.of(use.change.change(task_id, body, api.user_call()))

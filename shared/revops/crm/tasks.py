"""Tasks (CRM-6): what somebody is to do, about a record, by a time.

| item | pk | sk | read by |
|---|---|---|---|
| task | TASK#<id> | TASK | id |

| index | partition | sort | list |
|---|---|---|---|
| gsi1 | TASKS#<related to> | open first, due | the tasks about a record |
| gsi2 | TASKS#ASSIGNEE#<assignee>#<status> | open first, due | somebody's tasks; a team's list merges its members' |
| due | `task` | `remind_at` of an open task | reminders |
"""

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import USERS, Policy
from revops.crm.scope import RecordScope
from revops.crm.submission import ShortText
from revops.kernel import (
    CallContext,
    Clock,
    Forbidden,
    IdFactory,
    Invalid,
    NotFound,
    Principal,
    StatedTime,
    VersionConflict,
    system_call,
    time_text,
)
from revops.table import (
    ConditionFailed,
    CursorSigner,
    Entity,
    EntityKind,
    Index,
    Key,
    Query,
    Row,
    Table,
    Transaction,
    begin,
    commit_update,
    due_index,
    due_now,
    merge_pages,
    present,
    query_all,
)

TOPIC = "task"


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
    the task: the same origin makes the same task once. `remind_at` is when the assignee is to be told that it is due,
    `reminded_at` when they were; `stays` once the record had another owner and the assignee was somebody else."""

    title: str
    type: str = "follow_up"
    related_to: str
    owner_id: str
    assignee_id: str
    due_at: AwareDatetime
    remind_at: AwareDatetime | None = None
    reminded_at: AwareDatetime | None = None
    status: TaskStatus = TaskStatus.OPEN
    priority: TaskPriority = TaskPriority.MEDIUM
    details: str = ""
    origin: str = ""
    stays: bool = False
    completed_at: AwareDatetime | None = None
    completed_by: str = ""


def task_id(origin: str) -> str:
    """The id of the one task of an origin, such as `nurture:LEAD_…:3`."""
    digest = hashlib.sha256(f"task\0{origin}".encode()).digest()
    return "TSK_" + base64.b32encode(digest).decode()[:26]


def task_key(identifier: str) -> Key:
    """Where a task stands."""
    return Key(f"TASK#{identifier}", "TASK")


_ORDER = {TaskStatus.OPEN: 0, TaskStatus.DONE: 1, TaskStatus.CANCELLED: 2}


def _index(task: Task) -> Index:
    due = f"{_ORDER[task.status]}#{time_text(task.due_at)}#{task.id}"
    index = {
        "gsi1": (f"TASKS#{task.related_to}", due),
        "gsi2": (f"TASKS#ASSIGNEE#{task.assignee_id}#{task.status}", due),
    }
    if task.status is TaskStatus.OPEN and task.remind_at is not None:
        index["due"] = due_index(TOPIC, task.remind_at, task_key(task.id))
    return index


TASKS = EntityKind[Task](kind="TASK", title="task", model=Task, key=task_key, index=_index)


def task_of(
    origin: str,
    now: datetime,
    *,
    title: str,
    about: str,
    owner_id: str,
    due_at: datetime,
    type: str = "follow_up",
    assignee_id: str = "",
    remind_at: datetime | None = None,
    priority: TaskPriority = TaskPriority.MEDIUM,
    details: str = "",
) -> Task:
    """The one task of an origin, about a record. Its assignee is the owner unless another is named, and is told when it
    is due unless `remind_at` says when."""
    return Task(
        id=task_id(origin),
        created_at=now,
        modified_at=now,
        title=title,
        type=type,
        related_to=about,
        owner_id=owner_id,
        assignee_id=assignee_id or owner_id,
        due_at=due_at,
        remind_at=remind_at or due_at,
        priority=priority,
        details=details,
        origin=origin,
    )


def add_once(table: Table, transaction: Transaction, task: Task) -> bool:
    """Adds the task of an origin unless it is there. Two at once meet at its id, and the one
    that is refused looks again."""
    if TASKS.get(table, task.id) is not None:
        return False
    TASKS.create(transaction, task)
    return True


def withdraw(table: Table, transaction: Transaction, origin: str, now: datetime) -> None:
    """Cancels the task of an origin if it is open."""
    task = TASKS.get(table, task_id(origin))
    if task is not None and task.status is TaskStatus.OPEN:
        TASKS.update(transaction, task.revised(now, status=TaskStatus.CANCELLED, remind_at=None))


def tasks_about(table: Table, related_to: str, limit: int = 25) -> list[Task]:
    """The first tasks about a record, open ones before the others."""
    page = table.query(Query(pk=f"TASKS#{related_to}", index="gsi1", limit=limit))
    return TASKS.load_all(present(table.get_many([row.key for row in page.rows])))


def open_tasks_about(table: Table, related_to: str) -> list[Key]:
    """Where the open tasks about a record stand, as far as the index knows them."""
    query = Query(pk=f"TASKS#{related_to}", index="gsi1", begins=f"{_ORDER[TaskStatus.OPEN]}#", documents=False)
    return [row.key for row in query_all(table, query)]


# ── use cases ─────────────────────────────────────────────────────────────────────────────────────────────────────

Title = Annotated[ShortText, Field(min_length=1, examples=["Call back about the offer"])]
TaskType = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$", examples=["follow_up"])]
Details = Annotated[str, Field(max_length=4000)]


class NewTask(BaseModel):
    """A task as somebody makes it. Without `assignee_id` it is the maker's own; without `remind_at` the assignee is
    reminded when it is due."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    title: Title
    type: TaskType = "follow_up"
    about: Annotated[str, Field(max_length=60, examples=["LEAD_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])]
    assignee_id: Annotated[str, Field(max_length=120)] = ""
    due_at: StatedTime
    remind_at: StatedTime | None = None
    priority: TaskPriority = TaskPriority.MEDIUM
    details: Details = ""


class TaskChange(BaseModel):
    """What may be changed on a task, under the version that was read. One that is done or cancelled may be opened
    again."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, description="The version that was read; another one stands → 409")]
    title: Title | None = None
    status: TaskStatus | None = None
    assignee_id: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    due_at: StatedTime | None = None
    remind_at: StatedTime | None = None
    priority: TaskPriority | None = None
    details: Details | None = None


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """A question for a list: mine, my team's, or about a record; open ones first, then by due time."""

    scope: str = "mine"
    about: str = ""
    status: TaskStatus | None = None
    limit: int = 25
    cursor: str = ""

    def partitions(self, people: Iterable[str], records: Iterable[str]) -> dict[str, Query]:
        """Name → query of each partition that the list merges: of people, or of the records it is about."""
        if self.about:
            return {record: Query(pk=f"TASKS#{record}", index="gsi1") for record in records}
        statuses = (self.status,) if self.status else tuple(TaskStatus)
        return {
            f"{person}/{status}": Query(pk=f"TASKS#ASSIGNEE#{person}#{status}", index="gsi2")
            for person in sorted(people)
            for status in statuses
        }

    def rank(self, row: Row) -> str:
        """The sort text of a row of this list."""
        return row.index["gsi1" if self.about else "gsi2"][1]


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks. `next_cursor` is empty at the end."""

    tasks: list[Task]
    next_cursor: str


class ReadTasks:
    """Tasks as a principal may see them: what is theirs or their team's to do, and what is about a record they read."""

    def __init__(self, table: Table, policy: Policy, cursors: Callable[[], CursorSigner]) -> None:
        self._table = table
        self._scope = RecordScope(table, policy)
        self._cursors = cursors

    def one(self, identifier: str, call: CallContext) -> Task:
        """Raises NotFound for what is not there or not for this caller."""
        task = TASKS.require(self._table, identifier)
        if not _theirs(task, call.principal) and not self._scope.reads(call.principal, task.related_to):
            raise NotFound(TASKS.title, identifier)
        return task

    def list(self, query: TaskQuery, call: CallContext) -> TaskPage:
        """A page. Raises NotFound for a record that the caller may not read, Invalid for a status with `about`."""
        people = {call.principal.id}
        records: tuple[str, ...] = ()
        if query.about:
            if query.status is not None:
                raise Invalid.field("status", "closed-filters", "goes with scope=mine or team", "no status with about")
            self._scope.require_read(call.principal, query.about)
            records = self._scope.with_merged(query.about)
        elif query.scope == "team":
            people |= call.principal.members
        said = f"tasks/{query.scope}/{query.about}/{query.status or ''}"
        binding = {"who": call.principal.id, "list": said}
        positions = self._cursors().open(query.cursor, binding) if query.cursor else {}
        partitions = query.partitions(people, records)
        rows, after = merge_pages(self._table, partitions, positions, query.limit, query.rank)
        tasks = TASKS.load_all(present(self._table.get_many([row.key for row in rows], consistent=False)))
        return TaskPage(tasks, self._cursors().sign(after, binding) if after else "")


class ChangeTasks:
    """Makes and changes tasks by hand."""

    def __init__(self, table: Table, clock: Clock, ids: IdFactory, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._scope = RecordScope(table, policy)

    def create(self, wanted: NewTask, call: CallContext) -> Task:
        """Raises NotFound or Forbidden for the record, Invalid for an assignee who is no active user."""
        owner_id = self._scope.require_write(call.principal, wanted.about)
        now = self._clock.now()
        task = Task(
            id=self._ids.new("TSK"),
            created_at=now,
            modified_at=now,
            related_to=wanted.about,
            owner_id=owner_id,
            **{name: getattr(wanted, name) for name in ("title", "type", "due_at", "priority", "details")},
            assignee_id=self._assignee(wanted.assignee_id or call.principal.id),
            remind_at=wanted.remind_at or wanted.due_at,
        )
        transaction = begin(call, now)
        TASKS.create(transaction, task)
        self._table.commit(transaction)
        return task

    def change(self, identifier: str, change: TaskChange, call: CallContext) -> Task:
        """The assignee, a manager of theirs, and whoever may write about the record. Raises NotFound, Forbidden,
        VersionConflict, Invalid."""
        task = TASKS.require(self._table, identifier)
        theirs = _theirs(task, call.principal)
        if not theirs and not self._scope.reads(call.principal, task.related_to):
            raise NotFound(TASKS.title, identifier)
        if not theirs and not self._scope.writes(call.principal, task.related_to):
            raise Forbidden(f"a {call.principal.role.value} may read this but not change it")
        if task.version != change.version:
            raise VersionConflict(f"task {identifier} was changed by someone else", task.version)
        asked = change.model_dump(exclude_unset=True, exclude={"version"})
        wanted = {name: said for name, said in asked.items() if said is not None and said != getattr(task, name)}
        if not wanted:
            return task
        if "assignee_id" in wanted:
            owner_id = self._scope.owner(task.related_to) or task.owner_id
            wanted |= {"assignee_id": self._assignee(wanted["assignee_id"]), "owner_id": owner_id, "stays": False}
        reminded = task.remind_at is not None or task.reminded_at is not None
        if "due_at" in wanted and "remind_at" not in wanted and reminded:
            wanted["remind_at"] = wanted["due_at"]  # put off, it is due again: also when the assignee was told before
        now = self._clock.now()
        if "status" in wanted:
            done = wanted["status"] is TaskStatus.DONE
            wanted |= {"completed_at": now if done else None, "completed_by": call.principal.id if done else ""}
        changed = task.revised(now, **wanted)
        transaction = begin(call, now)
        TASKS.update(transaction, changed)
        commit_update(self._table, transaction, TASKS, changed)
        return changed

    def _assignee(self, user_id: str) -> str:
        user = USERS.get(self._table, user_id)
        if user is None or not user.active:
            raise Invalid.field("assignee_id", "active-user", "not an active user here", "the id of an active user")
        return user_id


class RemindAssignees:
    """The scheduled look at tasks whose reminder has come: each is told once (CRM-6)."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, period: str, limit: int = 200) -> dict[str, int]:
        """How many reminders became due; the mail follows from the change."""
        now, call, counts = self._clock.now(), system_call("reminders", period), {"reminded": 0}
        for due in due_now(self._table, TOPIC, now, limit):
            task = TASKS.readable(self._table.get(due.key))
            if task is None or task.status is not TaskStatus.OPEN or task.remind_at is None or task.remind_at > now:
                continue  # the index lags; the task itself says that nothing is due any more
            transaction = begin(call, now)
            TASKS.update(transaction, task.revised(now, remind_at=None, reminded_at=now))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # changed meanwhile: it is looked at again
            counts["reminded"] += 1
        return counts


def _theirs(task: Task, principal: Principal) -> bool:
    return task.assignee_id in principal.members | {principal.id}

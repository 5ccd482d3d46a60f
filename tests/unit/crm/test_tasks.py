"""CRM-6: tasks within the scope of their record, open ones first, reminded of once."""

from datetime import UTC, datetime, timedelta

import pytest

from revops.access import PlaceUser, Policy, User
from revops.catalogue import Event
from revops.crm.events import events
from revops.crm.model import Account
from revops.crm.store import ACCOUNTS
from revops.crm.tasks import (
    TASKS,
    ChangeTasks,
    NewTask,
    ReadTasks,
    RemindAssignees,
    Task,
    TaskChange,
    TaskQuery,
    TaskStatus,
)
from revops.kernel import CallContext, Forbidden, Invalid, NotFound, Principal, Role, VersionConflict
from revops.table import CursorSigner, begin
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SDR = CallContext(Principal("sdr-1", Role.SDR))
OTHER = CallContext(Principal("sdr-2", Role.SDR))
BOSS = CallContext(Principal("boss", Role.SALES_MANAGER, members=frozenset({"boss", "sdr-1"})))
SUPPORT = CallContext(Principal("support", Role.SUPPORT))
LEGAL = CallContext(Principal("legal", Role.LEGAL))


class Desk:
    """A lead of sdr-1's, an account of a seller of another team's, and people."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock(NOW)
        policy = Policy()
        self.change = ChangeTasks(self.table, self.clock, seeded_ids(5), policy)
        self.read = ReadTasks(self.table, policy, lambda: CursorSigner(b"local-signing-key"))
        self.remind = RemindAssignees(self.table, self.clock)
        for name in ("sdr-1", "sdr-2", "boss", "support"):
            user = User(id=name, created_at=NOW, modified_at=NOW, name=name, email="", role=Role.SDR, team_id="team")
            PlaceUser(self.table, self.clock).user(user, CALL)
        self.lead = submit_lead(self.table, "sdr-1", clock=self.clock)(submission(), CALL).lead
        transaction = begin(CALL, NOW)
        ACCOUNTS.create(
            transaction, Account(id="ACC_1", created_at=NOW, modified_at=NOW, name="Nordlicht", owner_id="rep-9")
        )
        self.table.commit(transaction)

    def task(self, hours: float = 1, call: CallContext = SDR, about: str = "", assignee: str = "") -> Task:
        wanted = NewTask(
            title="Call back",
            about=about or self.lead.id,
            due_at=NOW + timedelta(hours=hours),
            assignee_id=assignee,
        )
        return self.change.create(wanted, call)

    def done(self, task: Task, call: CallContext = SDR) -> Task:
        return self.change.change(task.id, TaskChange(version=task.version, status=TaskStatus.DONE), call)

    def ids(self, call: CallContext = SDR, **asked: object) -> list[str]:
        return [task.id for task in self.read.list(TaskQuery(**asked), call).tasks]  # type: ignore[arg-type]

    def said(self, name: str) -> list[Event]:
        return [event for change in self.table.changes for event in events(change) if event.name == name]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("CRM-6")
def test_lists_show_open_ones_first_then_by_due_time(desk: Desk) -> None:
    late, soon, finished = desk.task(9), desk.task(2), desk.task(1)
    desk.done(finished)
    expected = [soon.id, late.id, finished.id]
    assert desk.ids() == desk.ids(about=desk.lead.id) == desk.ids(BOSS, scope="team") == expected
    assert desk.ids(status=TaskStatus.DONE) == [finished.id]
    assert desk.ids(BOSS) == []
    first = desk.read.list(TaskQuery(limit=2), SDR)
    second = desk.read.list(TaskQuery(limit=2, cursor=first.next_cursor), SDR)
    assert [task.id for task in first.tasks + second.tasks] == expected
    with pytest.raises(Invalid):
        desk.read.list(TaskQuery(limit=2, cursor=first.next_cursor), BOSS)
    with pytest.raises(Invalid):
        desk.ids(about=desk.lead.id, status=TaskStatus.DONE)


@pytest.mark.mission("CRM-6", "BUS-1")
def test_a_done_task_says_by_whom_and_may_be_opened_again(desk: Desk) -> None:
    done = desk.done(desk.task())
    assert (done.completed_at, done.completed_by) == (NOW, "sdr-1")
    [event] = desk.said("TaskCompleted")
    assert event.data["completed_by"] == "sdr-1"
    again = desk.change.change(done.id, TaskChange(version=2, status=TaskStatus.OPEN), SDR)
    assert (again.completed_at, again.completed_by) == (None, "")
    assert desk.change.change(again.id, TaskChange(version=3, status=TaskStatus.OPEN), SDR) == again
    with pytest.raises(VersionConflict):
        desk.change.change(done.id, TaskChange(version=2, status=TaskStatus.DONE), SDR)


@pytest.mark.mission("CRM-6", "SAFE-1")
@pytest.mark.fault("S1")
def test_tasks_follow_their_record(desk: Desk) -> None:
    task = desk.task()
    assert desk.read.one(task.id, BOSS) == desk.read.one(task.id, SUPPORT) == task
    for stranger in (OTHER, LEGAL):
        with pytest.raises(NotFound):
            desk.read.one(task.id, stranger)
        with pytest.raises(NotFound):
            desk.done(task, stranger)
        with pytest.raises(NotFound):
            desk.task(call=stranger)
        with pytest.raises(NotFound):
            desk.ids(stranger, about=desk.lead.id)
    assert desk.done(task, SUPPORT).status is TaskStatus.DONE, "Support has activities in full"
    with pytest.raises(Forbidden):
        desk.task(about="ACC_1")
    assert desk.task(about="ACC_1", call=CALL, assignee="sdr-2").owner_id == "rep-9"
    [theirs] = desk.read.list(TaskQuery(), OTHER).tasks
    assert desk.done(theirs, OTHER).status is TaskStatus.DONE, "an assignee does what they were given"
    with pytest.raises(Forbidden):
        desk.change.change(theirs.id, TaskChange(version=2, title="Mine"), SDR)


@pytest.mark.mission("CRM-6")
def test_what_a_task_needs(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.task(about="LEAD_nobody")
    for about in ("ORD_1", "x", ""):
        with pytest.raises(Invalid):
            desk.change.create(NewTask(title="T", about=about or "-", due_at=NOW), CALL)
    with pytest.raises(Invalid):
        desk.task(assignee="nobody")
    task = desk.task()
    with pytest.raises(Invalid):
        desk.change.change(task.id, TaskChange(version=1, assignee_id="nobody"), SDR)
    given = desk.change.change(task.id, TaskChange(version=1, assignee_id="sdr-2"), SDR)
    assert desk.ids(OTHER) == [given.id]


@pytest.mark.mission("CRM-6")
@pytest.mark.fault("R17")
def test_an_assignee_is_reminded_once(desk: Desk) -> None:
    task, moved, finished = desk.task(1), desk.task(1), desk.task(1)
    desk.done(finished)
    moved = desk.change.change(moved.id, TaskChange(version=1, due_at=NOW + timedelta(days=1)), SDR)
    assert desk.remind("p0") == {"reminded": 0}
    desk.clock.advance(hours=1)
    assert desk.remind("p1") == {"reminded": 1}
    assert desk.remind("p2") == {"reminded": 0}
    [event] = desk.said("TaskReminderDue")
    assert event.data == {"task_id": task.id, "related_to": desk.lead.id, "assignee_id": "sdr-1"}
    desk.clock.advance(days=1)
    assert desk.remind("p3") == {"reminded": 1}
    assert TASKS.require(desk.table, moved.id).reminded_at == desk.clock.now()
    assert desk.said("TaskCompleted")[0].data["task_id"] == finished.id


@pytest.mark.fault("R17")
def test_a_task_that_nothing_can_be_made_of_holds_no_reminder_up(desk: Desk) -> None:
    broken, task = desk.task(1), desk.task(1)
    desk.table.spoil(TASKS.key(broken.id))
    desk.clock.advance(hours=1)
    assert desk.remind("p1") == {"reminded": 1}
    assert TASKS.require(desk.table, task.id).reminded_at is not None


@pytest.mark.mission("CRM-6")
def test_a_task_put_off_after_its_reminder_is_reminded_of_again(desk: Desk) -> None:
    task = desk.task(1)
    desk.clock.advance(hours=2)
    assert desk.remind("p1") == {"reminded": 1}
    version = TASKS.require(desk.table, task.id).version
    desk.change.change(task.id, TaskChange(version=version, due_at=NOW + timedelta(hours=5)), SDR)
    assert desk.remind("p2") == {"reminded": 0}
    desk.clock.advance(hours=4)
    assert desk.remind("p3") == {"reminded": 1}


@pytest.mark.mission("CRM-6")
def test_a_task_that_changes_while_it_is_reminded_of_is_looked_at_again(desk: Desk) -> None:
    task = desk.task(1)
    desk.clock.advance(hours=1)

    def interfere(_: object) -> None:
        desk.table.before_commit = lambda _: None
        desk.change.change(task.id, TaskChange(version=1, title="Another"), SDR)

    desk.table.before_commit = interfere
    assert desk.remind("p1") == {"reminded": 0}
    assert desk.remind("p2") == {"reminded": 1}

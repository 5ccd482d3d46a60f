"""CAP-12, CRM-6: a lead that is handed over takes its open tasks with it."""

from datetime import UTC, datetime, timedelta

import pytest

from revops.access import UNASSIGNED, PlaceUser, Policy, User
from revops.bus import ConsumeEvent
from revops.bus.reactions import handover_reactions
from revops.catalogue import Event
from revops.crm.events import events
from revops.crm.merging import MergeLeads, MergeRecord, UndoMerge
from revops.crm.service import ReadLeads
from revops.crm.store import LEADS
from revops.crm.task_owners import TasksFollowLead
from revops.crm.tasks import (
    TASKS,
    ChangeTasks,
    ReadTasks,
    RemindAssignees,
    Task,
    TaskChange,
    TaskQuery,
    TaskStatus,
    task_key,
    task_of,
)
from revops.kernel import CallContext, NotFound, Principal, Role
from revops.table import Contention, CursorSigner, Transaction, begin
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import Overtaken

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Desk:
    """A lead of sdr-1's with whatever tasks a test puts there."""

    def __init__(self) -> None:
        self.table, self.clock = Overtaken(), ManualClock(NOW)
        self.follow = TasksFollowLead(self.table, self.clock)
        self.remind = RemindAssignees(self.table, self.clock)
        self.read = ReadTasks(self.table, Policy(), lambda: CursorSigner(b"local-signing-key"))
        self.lead = submit_lead(self.table, "sdr-1", clock=self.clock)(submission(), CALL).lead.id

    def task(self, origin: str = "one", assignee: str = "", hours: float = 1) -> str:
        task = task_of(
            origin,
            self.clock.now(),
            title="Qualify",
            about=self.lead,
            owner_id=LEADS.require(self.table, self.lead).owner_id,
            assignee_id=assignee,
            due_at=self.clock.now() + timedelta(hours=hours),
        )
        transaction = begin(CALL, self.clock.now())
        TASKS.create(transaction, task)
        self.table.commit(transaction)
        return task.id

    def now(self, task_id: str) -> Task:
        return TASKS.require(self.table, task_id)

    def give(self, to: str, lead_id: str = "", assignee: str | None = None) -> None:
        transaction = begin(CALL, self.clock.now())
        lead = LEADS.require(self.table, lead_id or self.lead)
        assignee = to if assignee is None else assignee
        LEADS.update(transaction, lead.revised(self.clock.now(), owner_id=to, assignee_id=assignee))
        self.table.commit(transaction)

    def said(self, name: str) -> list[Event]:
        return [event for change in self.table.changes for event in events(change) if event.name == name]

    def change(self, task_id: str, **changes: object) -> None:
        transaction = begin(CALL, self.clock.now())
        TASKS.update(transaction, self.now(task_id).revised(self.clock.now(), **changes))
        self.table.commit(transaction)

    def assign(self, task_id: str, to: str) -> None:
        """The task is given to somebody by hand, whosever it is."""
        user = User(id=to, created_at=NOW, modified_at=NOW, name=to, email="", role=Role.SDR, team_id="team")
        PlaceUser(self.table, self.clock).user(user, CALL)
        change = TaskChange(version=self.now(task_id).version, assignee_id=to)
        ChangeTasks(self.table, self.clock, seeded_ids(5), Policy()).change(task_id, change, CALL)

    def merged_into(self, owner: str) -> MergeRecord:
        """The lead goes into another one of somebody's."""
        submit = submit_lead(self.table, owner, clock=self.clock, ids=seeded_ids(7))
        other = submit(submission(email="rao@gmx.de", phone=""), CALL).lead
        return MergeLeads(self.table, self.clock, Policy())(other.id, self.lead, CALL)

    def listed(self, who: str) -> list[str]:
        call = CallContext(Principal(who, Role.SDR))
        return [task.id for task in self.read.list(TaskQuery(scope="mine"), call).tasks]


@pytest.mark.mission("CAP-12", "CRM-6")
def test_what_the_former_owner_was_to_do_is_the_new_owners_to_do() -> None:
    desk = Desk()
    task = desk.task()
    desk.give("sdr-2")
    assert desk.follow(desk.lead, CALL) == 1
    after = desk.now(task)
    assert (after.owner_id, after.assignee_id, after.due_at) == ("sdr-2", "sdr-2", NOW + timedelta(hours=1))
    assert (desk.listed("sdr-1"), desk.listed("sdr-2")) == ([], [task])
    assert desk.follow(desk.lead, CALL) == 0, "again it does nothing"
    assert desk.now(task) == after


@pytest.mark.mission("CAP-12", "CRM-6")
def test_what_is_somebody_elses_or_done_stays_theirs() -> None:
    desk = Desk()
    escalated, done, dropped = desk.task("escalated", "boss"), desk.task("done"), desk.task("dropped")
    desk.change(done, status=TaskStatus.DONE, completed_at=NOW, completed_by="sdr-1")
    desk.change(dropped, status=TaskStatus.CANCELLED)
    desk.give("sdr-2")
    assert desk.follow(desk.lead, CALL) == 1
    assert (desk.now(escalated).owner_id, desk.now(escalated).assignee_id) == ("sdr-2", "boss")
    assert [desk.now(each).assignee_id for each in (done, dropped)] == ["sdr-1", "sdr-1"]


@pytest.mark.mission("CAP-12", "CRM-6")
def test_the_new_owner_is_told_when_it_is_due_also_when_the_former_was() -> None:
    desk = Desk()
    task, theirs = desk.task(), desk.task("escalated", "boss")
    desk.clock.advance(hours=2)
    assert desk.remind("p1") == {"reminded": 2}
    desk.give("sdr-2")
    desk.follow(desk.lead, CALL)
    assert desk.now(task).reminded_at is None
    assert desk.remind("p2") == {"reminded": 1}, "who keeps a task is not told again"
    assert desk.now(task).reminded_at == desk.clock.now()
    assert desk.now(theirs).reminded_at == NOW + timedelta(hours=2)


@pytest.mark.mission("CAP-12", "CRM-6")
@pytest.mark.fault("R19")
def test_handed_over_again_meanwhile_it_is_the_last_owners() -> None:
    """The lead goes on right after the task was looked at, and that handover has its own follow-up first."""
    desk = Desk()
    task = desk.task()
    desk.give("sdr-2")

    def again() -> None:
        desk.give("sdr-3")
        desk.follow(desk.lead, CALL)

    for look in (task_key(task), LEADS.key(desk.lead)):
        desk.table.after = (look, again)
        desk.follow(desk.lead, CALL)
        assert desk.table.after is None
        assert (desk.now(task).owner_id, desk.now(task).assignee_id) == ("sdr-3", "sdr-3")
        desk.give("sdr-2")
        desk.follow(desk.lead, CALL)


@pytest.mark.mission("CAP-12", "CRM-6")
def test_a_task_that_is_done_meanwhile_stays_and_one_that_never_rests_is_tried_later() -> None:
    desk = Desk()
    task, other = desk.task(), desk.task("other")
    desk.give("sdr-2")
    desk.table.after = (task_key(task), lambda: desk.change(task, status=TaskStatus.DONE))
    assert desk.follow(desk.lead, CALL) == 1
    assert desk.now(task).assignee_id == "sdr-1"
    desk.give("sdr-3")

    def meddle(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.change(other, details=f"{desk.now(other).version}")
        desk.table.before_commit = meddle

    desk.table.before_commit = meddle
    with pytest.raises(Contention):
        desk.follow(desk.lead, CALL)
    with pytest.raises(Contention):
        desk.follow.one(other, CALL)


@pytest.mark.mission("CAP-12", "CRM-6")
@pytest.mark.parametrize(
    ("name", "data", "followed"),
    [
        ("LeadAssigned", {"lead_id": "L"}, [("pairs", "L"), ("tasks", "L")]),
        ("LeadMerged", {"lead_id": "L", "merged_into": "M"}, [("tasks", "L")]),
        ("LeadUnmerged", {"lead_id": "L", "parted_from": "M"}, [("tasks", "L")]),
        ("TaskOpened", {"task_id": "T", "related_to": "L"}, [("task", "T")]),
        ("RecordRedriven", {"record": "LEAD#L|LEAD", "kind": "LEAD"}, [("pairs", "L"), ("tasks", "L")]),
        ("RecordRedriven", {"record": "TASK#T|TASK", "kind": "TASK"}, [("task", "T")]),
        ("RecordRedriven", {"record": "ORDER#O|ORDER", "kind": "ORDER"}, []),
    ],
)
def test_what_an_event_of_a_lead_lets_follow(name: str, data: dict[str, str], followed: list[tuple[str, str]]) -> None:
    seen: list[tuple[str, str]] = []

    def pairs(lead_id: str, _: CallContext) -> int:
        seen.append(("pairs", lead_id))
        return 1

    class Tasks(TasksFollowLead):
        def __call__(self, lead_id: str, call: CallContext) -> int:
            seen.append(("tasks", lead_id))
            return 2

        def one(self, task_id: str, call: CallContext) -> int:
            seen.append(("task", task_id))
            return 1

    consume = ConsumeEvent(handover_reactions(lambda: pairs, lambda: Tasks(Overtaken(), ManualClock())))
    consume({"source": "revops", "detail-type": name, "detail": {"id": "E:1:x", "data": data}})
    assert seen == followed


def test_a_lead_that_is_not_there_has_none_and_nothing_else_is_followed() -> None:
    desk = Desk()
    assert desk.follow("LEAD_NOBODY", CALL) == 0
    assert desk.follow.one("TSK_NOBODY", CALL) == 0
    other = task_of("deal", NOW, title="Renew", about="OPP_1", owner_id="rep-1", due_at=NOW)
    transaction = begin(CALL, NOW)
    TASKS.create(transaction, other)
    desk.table.commit(transaction)
    assert desk.follow.one(other.id, CALL) == 0


@pytest.mark.mission("CAP-12", "CRM-6")
@pytest.mark.fault("R19")
def test_a_task_that_nothing_can_be_made_of_holds_no_other_up() -> None:
    desk = Desk()
    tasks = [desk.task(str(number), hours=number) for number in range(1, 4)]
    desk.give("sdr-2")
    desk.table.spoil(task_key(tasks[1]))
    assert desk.follow(desk.lead, CALL) == 2
    assert [desk.now(task).assignee_id for task in (tasks[0], tasks[2])] == ["sdr-2", "sdr-2"]


@pytest.mark.mission("CAP-12", "CRM-6")
@pytest.mark.fault("R19")
def test_a_task_made_while_the_lead_is_handed_over_follows_once_it_stands() -> None:
    desk = Desk()

    def hand_over() -> None:
        desk.give("sdr-2")
        desk.follow(desk.lead, CALL)

    desk.table.after = (LEADS.key(desk.lead), hand_over)
    task = desk.task()
    assert desk.now(task).assignee_id == "sdr-1", "made by who had read the lead before"
    [opened] = desk.said("TaskOpened")
    assert (opened.data["task_id"], opened.data["assignee_id"]) == (task, "sdr-1")
    assert desk.follow.one(task, CALL) == 1
    assert desk.now(task).assignee_id == "sdr-2"
    assert desk.follow.one(task, CALL) == 0


@pytest.mark.mission("CAP-12", "CRM-6", "BUS-1")
def test_a_task_that_is_opened_again_is_told_like_a_new_one() -> None:
    desk = Desk()
    task = desk.task()
    desk.change(task, status=TaskStatus.DONE, completed_at=NOW, completed_by="sdr-1")
    desk.give("sdr-2")
    assert desk.follow(desk.lead, CALL) == 0, "what is done stays with who did it"
    desk.change(task, status=TaskStatus.OPEN, completed_at=None, completed_by="")
    assert [event.data["task_id"] for event in desk.said("TaskOpened")] == [task, task]
    assert desk.follow.one(task, CALL) == 1
    assert desk.now(task).assignee_id == "sdr-2"


@pytest.mark.mission("CAP-11", "CAP-12", "CRM-6", "BUS-1")
def test_tasks_of_a_merged_lead_are_the_standing_leads_owners_until_they_are_parted() -> None:
    desk = Desk()
    theirs = desk.task()
    record = desk.merged_into("sdr-2")
    other = record.survivor
    [merged] = desk.said("LeadMerged")
    assert merged.data == {"lead_id": desk.lead, "merged_into": other.id}
    assert desk.follow(desk.lead, CALL) == 1
    assert desk.now(theirs).assignee_id == "sdr-2"
    desk.give("sdr-3", other.id)
    assert desk.follow(other.id, CALL) == 1
    assert desk.now(theirs).assignee_id == "sdr-3"
    UndoMerge(desk.table, desk.clock, Policy())(record.id, CALL)
    [parted] = desk.said("LeadUnmerged")
    assert parted.data == {"lead_id": desk.lead, "parted_from": other.id, "owner_id": "sdr-1"}
    assert desk.follow(desk.lead, CALL) == 1
    assert desk.now(theirs).assignee_id == "sdr-1"


@pytest.mark.mission("CAP-12", "CRM-6")
@pytest.mark.fault("R19")
@pytest.mark.parametrize("look", ["TASK", "LEAD"])
def test_given_and_given_back_at_once_the_task_is_where_the_lead_is(look: str) -> None:
    """After whichever look, at the task or at the lead as it stands then. The second follow-up finds nothing to do;
    the first, which looked before, must not write what it saw."""
    desk = Desk()
    task = desk.task()
    desk.give("sdr-2")

    def back() -> None:
        desk.give("sdr-1")
        assert desk.follow(desk.lead, CALL) == 0

    desk.table.after = ({"TASK": task_key(task), "LEAD": LEADS.key(desk.lead)}[look], back)
    assert desk.follow.one(task, CALL) == 0
    assert desk.table.after is None
    assert (desk.now(task).owner_id, desk.now(task).assignee_id) == ("sdr-1", "sdr-1")


@pytest.mark.mission("CAP-12", "CRM-6")
def test_what_was_somebody_elses_stays_theirs_when_the_lead_is_theirs_for_a_while() -> None:
    desk = Desk()
    escalated, own = desk.task("escalated", "boss"), desk.task("own")
    for owner in ("boss", UNASSIGNED, "boss", "sdr-2"):
        desk.give(owner)
        desk.follow(desk.lead, CALL)
    assert [desk.now(each).assignee_id for each in (escalated, own)] == ["boss", "sdr-2"]


@pytest.mark.mission("CAP-12", "CRM-6")
def test_what_is_given_back_to_the_owner_by_hand_follows_the_lead_again() -> None:
    desk = Desk()
    escalated = desk.task("escalated", "boss")
    desk.give("sdr-2")
    desk.follow(desk.lead, CALL)
    desk.assign(escalated, "sdr-2")
    desk.give("sdr-3")
    desk.follow(desk.lead, CALL)
    assert desk.now(escalated).assignee_id == "sdr-3"


@pytest.mark.mission("CAP-11", "CAP-12", "CRM-6")
def test_what_nobody_owns_goes_with_its_lead_by_way_of_a_merge_and_back() -> None:
    """Parted again, the lead waits in the queue once more: nobody keeps a task about a lead that is not theirs."""
    desk = Desk()
    desk.give(UNASSIGNED)
    task = desk.task()
    record = desk.merged_into("sdr-2")
    desk.follow(desk.lead, CALL)
    assert desk.listed("sdr-2") == [task]
    UndoMerge(desk.table, desk.clock, Policy())(record.id, CALL)
    assert desk.follow(desk.lead, CALL) == 1
    assert (desk.listed("sdr-2"), desk.now(task).assignee_id) == ([], UNASSIGNED)
    desk.give("sdr-3")
    desk.follow(desk.lead, CALL)
    assert desk.listed("sdr-3") == [task]


@pytest.mark.mission("CAP-12", "CRM-6")
def test_who_was_given_a_task_before_the_lead_hands_both_over() -> None:
    desk = Desk()
    desk.give(UNASSIGNED)
    early, others = desk.task("early", "sdr-2"), desk.task("others", "legal")
    for owner in ("sdr-2", "sdr-3"):
        desk.give(owner)
        desk.follow(desk.lead, CALL)
    assert [desk.now(each).assignee_id for each in (early, others)] == ["sdr-3", "legal"]


@pytest.mark.mission("CAP-12", "CAP-14", "CRM-6")
def test_what_nobody_was_there_to_be_told_of_is_the_next_owners() -> None:
    desk = Desk()
    escalated = desk.task("escalated", UNASSIGNED)
    desk.give("sdr-2")
    desk.follow(desk.lead, CALL)
    assert desk.listed("sdr-2") == [escalated]


@pytest.mark.mission("CAP-12", "CRM-6")
@pytest.mark.fault("R19")
def test_what_is_given_by_hand_before_the_handover_is_worked_off_follows_the_lead_later() -> None:
    desk = Desk()
    task = desk.task()
    desk.give("sdr-2")
    desk.assign(task, "sdr-2")
    assert desk.follow(desk.lead, CALL) == 0
    desk.give("sdr-3")
    desk.follow(desk.lead, CALL)
    assert desk.now(task).assignee_id == "sdr-3"


@pytest.mark.mission("CAP-11", "CAP-12", "CRM-6", "SAFE-1")
def test_who_has_the_merged_leads_task_reads_what_it_is_about_and_finds_it_with_the_lead() -> None:
    desk = Desk()
    task = desk.task()
    record = desk.merged_into("sdr-2")
    desk.follow(desk.lead, CALL)
    new, former = (CallContext(Principal(who, Role.SDR)) for who in ("sdr-2", "sdr-1"))
    leads = ReadLeads(desk.table, Policy(), lambda: CursorSigner(b"local-signing-key"))
    assert leads.one(desk.lead, new).merged_into == record.survivor.id
    for about in (desk.lead, record.survivor.id):
        assert [each.id for each in desk.read.list(TaskQuery(about=about), new).tasks] == [task]
        with pytest.raises(NotFound):
            desk.read.list(TaskQuery(about=about), former)
    with pytest.raises(NotFound):
        desk.read.one(task, former)
    assert leads.one(desk.lead, former).id == desk.lead, "their own, as it was merged"
    with pytest.raises(NotFound):
        leads.one(desk.lead, CallContext(Principal("sdr-3", Role.SDR)))


@pytest.mark.mission("CAP-12", "CRM-6")
@pytest.mark.fault("R19")
def test_a_task_that_is_in_another_transaction_is_tried_again() -> None:
    desk = Desk()
    tasks = [desk.task(str(number)) for number in range(2)]
    desk.give("sdr-2")

    def refuse(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        raise Contention("TransactionConflict")

    desk.table.before_commit = refuse
    assert desk.follow(desk.lead, CALL) == 2
    assert sorted(desk.listed("sdr-2")) == sorted(tasks)


@pytest.mark.mission("CAP-12", "CRM-6")
def test_of_a_lead_without_an_assignee_the_owner_is_to_do_it() -> None:
    desk = Desk()
    task = desk.task()
    desk.give("sdr-2", assignee="")
    desk.follow(desk.lead, CALL)
    assert desk.now(task).assignee_id == "sdr-2"

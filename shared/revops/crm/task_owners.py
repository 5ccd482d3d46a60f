"""Open tasks about a lead go with it to another owner (CAP-12, CRM-6)."""

from typing import Any

from revops.access import UNASSIGNED
from revops.crm.model import Lead
from revops.crm.store import LEADS, standing_at
from revops.crm.tasks import TASKS, Task, TaskStatus, open_tasks_about, task_key
from revops.kernel import CallContext, Clock
from revops.table import ConditionFailed, Contention, Key, Table, begin

_ATTEMPTS = 8


class TasksFollowLead:
    """Brings the open tasks about a lead, and about those that were merged into it, to its owner as it is now, in
    whatever order and however often it is told to.

    What the former owner was to do, or nobody was, becomes the new owner's to do, who is told when it is due, also if
    the former owner was told before. What somebody else was to do, as a manager what was escalated to them, stays
    theirs, also when the lead is theirs for a while; except for who was given a task before they were given the lead,
    which nobody had until then.
    """

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, lead_id: str, call: CallContext) -> int:
        """How many tasks went; 0 for a lead that is not there. Raises Contention when a task never rests, after all
        the others went."""
        lead = standing_at(self._table, lead_id)
        if lead is None:
            return 0
        keys = [key for each in (lead.id, *lead.merged_from) for key in open_tasks_about(self._table, each)]
        went = [self._follow(key, call) for key in keys]
        if None in went:
            raise Contention("a task about the lead keeps changing; try again shortly")
        return went.count(True)

    def one(self, task_id: str, call: CallContext) -> int:
        """Looks at a task that was made or opened again: whoever did that may have read the lead before it was handed
        over. 1 when it went. Raises Contention."""
        went = self._follow(task_key(task_id), call)
        if went is None:
            raise Contention(f"task {task_id} keeps changing; try again shortly")
        return int(went)

    def _follow(self, key: Key, call: CallContext) -> bool | None:
        """Whether it went; None for a task that kept changing."""
        for _ in range(_ATTEMPTS):
            task = TASKS.readable(self._table.get(key))
            if task is None or task.status is not TaskStatus.OPEN:
                return False
            lead = standing_at(self._table, task.related_to)
            if lead is None or lead.owner_id == task.owner_id:
                return False
            now = self._clock.now()
            transaction = begin(call, now)
            TASKS.update(transaction, task.revised(now, **_handed(task, lead)))
            transaction.check(LEADS.key(lead.id), lead.version)  # handed back meanwhile, the task is where it belongs
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue
            return True
        return None


def for_owner_of(lead: Lead, task: Task) -> dict[str, Any]:
    """What makes a task a lead's owner's to do, who is told when it is due, also if somebody was told before."""
    told = {"remind_at": task.remind_at or task.due_at, "reminded_at": None}
    return {"owner_id": lead.owner_id, "assignee_id": lead.assignee_id or lead.owner_id} | told


def _handed(task: Task, lead: Lead) -> dict[str, Any]:
    if task.assignee_id not in (task.owner_id, UNASSIGNED):
        first = task.owner_id == UNASSIGNED and task.assignee_id == lead.owner_id
        return {"owner_id": lead.owner_id, "stays": task.stays or not first}
    return {"owner_id": lead.owner_id} if task.stays else for_owner_of(lead, task)

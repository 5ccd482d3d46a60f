"""Response targets at work (CAP-14): a lead that its owner is to touch stands in the due index until the target is
looked at; a missed one is escalated once, to the owner's manager.

| item | pk | sk | read by |
|---|---|---|---|
| watched target | LEAD#<id> | RESPONSE | lead |

| index | partition | sort | list |
|---|---|---|---|
| due | `response` | the target's time | targets to look at |

The target itself, and when the first touch was, stand on the lead. A watched row is only a place in the due index:
whoever finds it reads the lead, so a touch needs not know of it.
"""

from datetime import datetime

from revops.access import USERS
from revops.access.directory import manager_over
from revops.crm.model import Lead, LeadStatus, ResponseTarget
from revops.crm.policies.assignment import UNASSIGNED
from revops.crm.store import LEADS
from revops.crm.tasks import TASKS, Task, TaskPriority, task_id, withdraw
from revops.kernel import CallContext, Clock, system_call
from revops.table import (
    ANYTHING,
    ConditionFailed,
    Key,
    Row,
    Table,
    Transaction,
    begin,
    due_index,
    due_now,
)

RESPONSE = "RESPONSE"
TOPIC = "response"
_WAITING = (LeadStatus.NEW, LeadStatus.RECYCLED)


def response_key(lead_id: str) -> Key:
    """Where the watched target of a lead stands."""
    return Key(f"LEAD#{lead_id}", "RESPONSE")


def waits(lead: Lead) -> ResponseTarget | None:
    """The target of a lead that nobody has been in touch with yet, unless it was missed before."""
    target = lead.response
    open_still = lead.first_touch_at is None and lead.status in _WAITING and not lead.merged_into
    return target if target is not None and open_still and target.missed_at is None else None


def add_watch(transaction: Transaction, lead: Lead) -> None:
    """Adds to a transaction that a lead's target is looked at when its time comes; nothing for a lead without one that
    is open."""
    target = waits(lead)
    if target is not None:
        key = response_key(lead.id)
        index = {"due": due_index(TOPIC, target.due_at, key)}
        transaction.put(Row(pk=key.pk, sk=key.sk, kind=RESPONSE, index=index), ANYTHING)


class WatchResponse:
    """Puts a lead's target into the due index. Doing it again, or for a lead that was touched, does no harm."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, lead: Lead, call: CallContext) -> None:
        transaction = begin(call, self._clock.now())
        add_watch(transaction, lead)
        self._table.commit(transaction)


class EscalateMissed:
    """The scheduled look at targets whose time has come."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, period: str, limit: int = 200) -> dict[str, int]:
        """Counts of targets looked at and of those found missed."""
        now, call = self._clock.now(), system_call("reminders", period)
        counts = {"looked_at": 0, "missed": 0}
        for due in due_now(self._table, TOPIC, now, limit):
            row = self._table.get(LEADS.key(due.key.pk.removeprefix("LEAD#")))
            lead = LEADS.readable(row)
            if row is not None and lead is None:
                continue
            counts["looked_at"] += 1
            counts["missed"] += self._look(lead, due.key, now, call)
        return counts

    def _look(self, lead: Lead | None, key: Key, now: datetime, call: CallContext) -> bool:
        target = waits(lead) if lead is not None else None
        transaction = begin(call, now)
        if lead is not None and target is not None and target.due_at > now:
            WatchResponse(self._table, self._clock)(lead, call)  # another owner, another target
            return False
        transaction.delete(key)
        if lead is not None and target is not None:
            self._miss(transaction, lead, target, now)
        elif lead is not None:  # another owner meanwhile has another target, which must stay in the index
            transaction.check(LEADS.key(lead.id), lead.version)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return False  # changed meanwhile: the next look finds it as it is then
        return target is not None

    def _miss(self, transaction: Transaction, lead: Lead, target: ResponseTarget, now: datetime) -> None:
        missed = lead.revised(now, response=target.model_copy(update={"missed_at": now}))
        LEADS.update(transaction, missed)
        identifier = escalation_task(lead.id, target)
        if TASKS.get(self._table, identifier) is not None:
            return
        owner = USERS.get(self._table, lead.owner_id)
        manager = manager_over(self._table, owner, now) if owner is not None else None
        TASKS.create(
            transaction,
            Task(
                id=identifier,
                created_at=now,
                modified_at=now,
                title="Nobody has been in touch with this lead",
                type="response_missed",
                related_to=lead.id,
                owner_id=lead.owner_id,
                assignee_id=manager.id if manager else UNASSIGNED,
                due_at=now,
                priority=TaskPriority.URGENT,
                details=f"Rule {target.rule}: within {target.minutes} minutes, that is by {target.due_at.isoformat()}.",
                origin=_origin(lead.id, target),
            ),
        )


def withdraw_escalation(table: Table, transaction: Transaction, lead: Lead, now: datetime) -> None:
    """Cancels the open task of a target that was missed: somebody else is to be in touch by another time."""
    if lead.response is not None:
        withdraw(table, transaction, _origin(lead.id, lead.response), now)


def escalation_task(lead_id: str, target: ResponseTarget) -> str:
    """The id of the task that escalates a missed target."""
    return task_id(_origin(lead_id, target))


def _origin(lead_id: str, target: ResponseTarget) -> str:
    return f"response:{lead_id}:{target.since.isoformat()}"

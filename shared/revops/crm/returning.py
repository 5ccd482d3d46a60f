"""Somebody who was converted submits again: they are a contact by now, and the lead stays archived (LEAD-8, CAP-11).

The submission is recorded under the lead, consents are the person's as ever, and the owner of the account gets a task,
one a day and person at most: the public form is open to everybody.
"""

from datetime import datetime, timedelta

from revops.crm.model import Lead
from revops.crm.store import ACCOUNTS
from revops.crm.task_owners import for_owner_of
from revops.crm.tasks import TASKS, TaskPriority, TaskStatus, add_once, open_tasks_about, task_of
from revops.table import Table, Transaction, present

_ANSWER_WITHIN = timedelta(days=1)
_MOST = 20
"""Days of which the tasks go back with a lead; a transaction holds no more than a hundred changes."""


def _origin(lead: Lead) -> str:
    return f"asks-again:{lead.id}:"


def tell_account_owner(table: Table, transaction: Transaction, lead: Lead, channel: str, now: datetime) -> None:
    """Adds the task of the day, unless it is there. Two submissions at once meet at the task's id, and the one that is
    refused looks again."""
    account = ACCOUNTS.get(table, lead.account_id)
    if account is None:
        return
    task = task_of(
        f"{_origin(lead)}{account.id}:{now.date().isoformat()}",
        now,
        title="A customer contact asks again",
        about=account.id,
        owner_id=account.owner_id,
        due_at=now + _ANSWER_WITHIN,
        priority=TaskPriority.HIGH,
        details=f"By {channel}; the submission stands under lead {lead.id}.",
    )
    add_once(table, transaction, task)


def give_back_to_lead(table: Table, transaction: Transaction, lead: Lead, account_id: str, now: datetime) -> None:
    """Adds that what the person asked for as a contact, and nobody has answered yet, is the lead's owner's to answer:
    they are a lead again. What is asked in this moment may be missed, and stays with the account."""
    tasks = TASKS.load_all(present(table.get_many(open_tasks_about(table, account_id))))
    asked = [task for task in tasks if task.status is TaskStatus.OPEN and task.origin.startswith(_origin(lead))]
    for task in asked[:_MOST]:
        TASKS.update(transaction, task.revised(now, related_to=lead.id, **for_owner_of(lead, task)))

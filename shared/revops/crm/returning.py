"""Somebody who was converted submits again: they are a contact by now, and the lead stays archived (LEAD-8, CAP-11).

The submission is recorded under the lead, consents are the person's as ever, and the owner of the account gets a task,
one a day and person at most: the public form is open to everybody.
"""

from datetime import datetime, timedelta

from revops.crm.model import Lead
from revops.crm.store import ACCOUNTS
from revops.crm.tasks import TaskPriority, add_once, task_of
from revops.table import Table, Transaction

_ANSWER_WITHIN = timedelta(days=1)


def tell_account_owner(table: Table, transaction: Transaction, lead: Lead, channel: str, now: datetime) -> None:
    """Adds the task of the day, unless it is there. Two submissions at once meet at the task's id, and the one that is
    refused looks again."""
    account = ACCOUNTS.get(table, lead.account_id)
    if account is None:
        return
    task = task_of(
        f"asks-again:{lead.id}:{now.date().isoformat()}",
        now,
        title="A customer contact asks again",
        about=account.id,
        owner_id=account.owner_id,
        due_at=now + _ANSWER_WITHIN,
        priority=TaskPriority.HIGH,
        details=f"By {channel}; the submission stands under lead {lead.id}.",
    )
    add_once(table, transaction, task)

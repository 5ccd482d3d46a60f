"""Alerts on the account's timeline: the CRM's notes behind the port of usage."""

from revops.crm.notes import Note, NotePriority, NoteType, add_note
from revops.crm.store import ACCOUNTS
from revops.kernel import IdFactory
from revops.table import Table, Transaction
from revops.usage import Alert


class CrmAlertNotes:
    """`AlertNotes` over the CRM's notes. A cap that is reached is a high-priority issue; what comes before is not."""

    def __init__(self, table: Table, ids: IdFactory) -> None:
        self._table = table
        self._ids = ids

    def __call__(self, transaction: Transaction, alert: Alert, text: str) -> None:
        account = ACCOUNTS.get(self._table, alert.account_id)
        note = Note(
            id=self._ids.new("NOTE"),
            created_at=alert.created_at,
            modified_at=alert.created_at,
            related_to=alert.account_id,
            content=text,
            author="system:spend_cap_alerts",
            owner_id=account.owner_id if account else "",
            type=NoteType.ISSUE,
            priority=NotePriority.HIGH if alert.threshold_percent >= 100 else NotePriority.MEDIUM,
            tags=("spend cap",),
        )
        add_note(transaction, note)

"""What usage needs of other slices."""

from typing import Protocol

from revops.table import Transaction
from revops.usage.model import Alert


class AlertNotes(Protocol):
    """Puts a note about an alert on the account's timeline, in the alert's own transaction."""

    def __call__(self, transaction: Transaction, alert: Alert, text: str) -> None: ...

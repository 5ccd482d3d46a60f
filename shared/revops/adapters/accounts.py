"""Accounts as billing sees them."""

from revops.crm.store import ACCOUNTS
from revops.table import Table


class StoredAccounts:
    """`billing.ports.AccountDirectory` over the CRM's own rows."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def owner_of(self, account_id: str) -> str | None:
        account = ACCOUNTS.get(self._table, account_id)
        return None if account is None else account.owner_id or ""

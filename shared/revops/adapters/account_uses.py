"""What stands on an account outside the CRM: its customer at the billing provider."""

from revops.billing.store import ACCOUNT
from revops.table import ABSENT, Table, Transaction, claim_key, holder_of


class BilledAccounts:
    """`AccountUses` over billing's claims: an account's customer holds one on it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def hold_unused(self, transaction: Transaction, account_id: str) -> str:
        transaction.check(claim_key(ACCOUNT, account_id), ABSENT)
        return holder_of(self._table, ACCOUNT, account_id) or ""

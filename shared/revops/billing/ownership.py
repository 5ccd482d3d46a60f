"""Customers follow their account's owner: in lists, and in what reports tell (SAFE-1)."""

from revops.billing.ports import AccountDirectory
from revops.billing.store import ACTIVITY_LOG, CUSTOMER, REPORTED, activity_query, customer_for_account
from revops.kernel import CallContext, Clock
from revops.table import ConditionFailed, Contention, Table, begin, query_all

_ATTEMPTS = 8
_AT_ONCE = 50


class FollowOwner:
    """Brings a customer and its reported log entries to the account's owner as it is now: any order and repeat of the
    events ends the same."""

    def __init__(self, table: Table, clock: Clock, accounts: AccountDirectory) -> None:
        self._table = table
        self._clock = clock
        self._accounts = accounts

    def __call__(self, account_id: str, call: CallContext) -> int:
        """How many entries moved; 0 for an account that is no customer. Raises Contention."""
        customer = customer_for_account(self._table, account_id)
        if customer is None:
            return 0
        owner_id = self._accounts.owner_of(account_id) or ""
        self._customer(customer.id, owner_id, call)
        return self._entries(customer.id, owner_id, call)

    def _customer(self, customer_id: str, owner_id: str, call: CallContext) -> None:
        for _ in range(_ATTEMPTS):
            customer = CUSTOMER.require(self._table, customer_id)
            if customer.owner_id == owner_id:
                return
            now = self._clock.now()
            transaction = begin(call, now)
            CUSTOMER.update(transaction, customer.revised(now, owner_id=owner_id))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # a convergence was quicker
            return
        raise Contention("the customer keeps changing; try again shortly")

    def _entries(self, customer_id: str, owner_id: str, call: CallContext) -> int:
        entries = (ACTIVITY_LOG.load(row) for row in query_all(self._table, activity_query(customer_id, 200)))
        moving = [entry for entry in entries if entry.type in REPORTED and entry.owner_id != owner_id]
        for start in range(0, len(moving), _AT_ONCE):
            now = self._clock.now()
            transaction = begin(call, now)
            for entry in moving[start : start + _AT_ONCE]:
                ACTIVITY_LOG.update(transaction, entry.revised(now, owner_id=owner_id))
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise Contention("the activity log is being moved by others") from error
        return len(moving)

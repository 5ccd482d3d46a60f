"""Customers whose status the clock alone changes: the end of a grace, a due date, an announced end (STR-2)."""

from revops.billing.ports import WorkQueue
from revops.billing.receive import PROVIDER
from revops.billing.store import CUSTOMER, DUE_TOPIC, customer_id_of_key
from revops.kernel import Clock
from revops.table import Table, due_now


class SweepMemberships:
    """Hands every customer that is due to the Stripe worker, which asks Stripe, retries and dead-letters like for any
    signal. Overlap and missed runs are harmless: converging twice is converging."""

    def __init__(self, table: Table, clock: Clock, queue: WorkQueue) -> None:
        self._table = table
        self._clock = clock
        self._queue = queue

    def __call__(self) -> int:
        """Returns how many were handed over; what the queue refused stays due."""
        keys = [due.key for due in due_now(self._table, DUE_TOPIC, self._clock.now())]
        messages = [{"entity_id": customer_id_of_key(key), "kind": CUSTOMER.kind} for key in keys]
        return len(messages) - len(self._queue.send(PROVIDER, messages)) if messages else 0

"""What the clock brings: customers whose status it alone changes (STR-2), and work of the Stripe worker that was lost
on the way to it (STR-5, STR-7)."""

from collections.abc import Callable, Mapping

from revops.billing import cancellation, resync
from revops.billing.cancellation import CANCELLATIONS, cancellation_of_key
from revops.billing.ports import WorkQueue
from revops.billing.receive import PROVIDER
from revops.billing.resync import RESYNCS, resync_of_key
from revops.billing.store import CUSTOMER, DUE_TOPIC, customer_id_of_key
from revops.kernel import Clock
from revops.table import Key, Table, due_now

_TOPICS: Mapping[str, tuple[str, Callable[[Key], str]]] = {
    DUE_TOPIC: (CUSTOMER.kind, customer_id_of_key),
    cancellation.DUE_TOPIC: (CANCELLATIONS.kind, cancellation_of_key),
    resync.DUE_TOPIC: (RESYNCS.kind, resync_of_key),
}
"""Topic of the due index → the kind of what is due, and its id by its key."""


class SweepMemberships:
    """Hands everything that is due to the Stripe worker, which asks Stripe, retries and dead-letters like for any
    signal. Overlap and missed runs are harmless: converging twice is converging."""

    def __init__(self, table: Table, clock: Clock, queue: WorkQueue) -> None:
        self._table = table
        self._clock = clock
        self._queue = queue

    def __call__(self) -> int:
        """Returns how many were handed over; what the queue refused stays due."""
        now = self._clock.now()
        messages = [
            {"entity_id": name(due.key), "kind": kind}
            for topic, (kind, name) in _TOPICS.items()
            for due in due_now(self._table, topic, now)
        ]
        return len(messages) - len(self._queue.send(PROVIDER, messages)) if messages else 0

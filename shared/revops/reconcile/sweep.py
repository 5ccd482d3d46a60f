"""What the clock brings: the run of the night, and work of the Stripe worker that was lost on the way to it."""

from collections.abc import Callable, Mapping

from revops.kernel import CallContext, Clock
from revops.reconcile.adoption import (
    ADOPTION_TOPIC,
    ADOPTIONS,
    CANDIDATE_TOPIC,
    CANDIDATES,
    id_of_adoption,
    id_of_candidate,
)
from revops.reconcile.ports import WorkQueue
from revops.reconcile.requesting import StartReconciliation
from revops.reconcile.store import (
    DIFFERENCES,
    RECONCILIATIONS,
    REPAIR_TOPIC,
    RUN_TOPIC,
    id_of_difference,
    id_of_run,
)
from revops.table import Key, Table, due_now

QUEUE = "stripe"
_TOPICS: Mapping[str, tuple[str, Callable[[Key], str]]] = {
    RUN_TOPIC: (RECONCILIATIONS.kind, id_of_run),
    REPAIR_TOPIC: (DIFFERENCES.kind, id_of_difference),
    ADOPTION_TOPIC: (ADOPTIONS.kind, id_of_adoption),
    CANDIDATE_TOPIC: (CANDIDATES.kind, id_of_candidate),
}
"""Topic of the due index → the kind of what is due, and its id by its key."""


class SweepReconciling:
    """Begins the run of the night and hands what is due to the Stripe worker. Overlap and missed runs are harmless."""

    def __init__(self, table: Table, clock: Clock, queue: WorkQueue, start: StartReconciliation) -> None:
        self._table = table
        self._clock = clock
        self._queue = queue
        self._start = start

    def __call__(self, call: CallContext) -> int:
        """How many runs were begun and messages handed over; what the queue refused stays due."""
        begun, now = self._start.nightly(call), self._clock.now()
        messages = [
            {"entity_id": name(due.key), "kind": kind}
            for topic, (kind, name) in _TOPICS.items()
            for due in due_now(self._table, topic, now, 50)
        ]
        refused = self._queue.send(QUEUE, messages) if messages else []
        return begun + len(messages) - len(refused)

"""Handing envelopes to the worker that asks their provider: those that are due, and those of an order that ended."""

from collections.abc import Iterable

from revops.kernel import CallContext, Clock, Unavailable
from revops.settings import SettingsReader
from revops.signing.model import WatchedEnvelope
from revops.signing.policies import SigningRules
from revops.signing.ports import QUEUES, WorkQueue
from revops.signing.store import DUE_TOPIC, ENVELOPES, envelopes_of
from revops.table import ConditionFailed, Table, begin, due_now


class SweepEnvelopes:
    """Hands every envelope that is due to the e-sign worker, which retries and dead-letters like for any signal. A
    webhook that was lost costs what lies between two looks; so does a worker that failed for good. Overlap and missed
    runs are harmless: looking twice is looking."""

    def __init__(self, table: Table, clock: Clock, queue: WorkQueue, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._queue = queue
        self._settings = settings

    def __call__(self, call: CallContext) -> int:
        """How many were handed over; what the queue refused stays due."""
        now = self._clock.now()
        rows = self._table.get_many([due.key for due in due_now(self._table, DUE_TOPIC, now)])
        found = map(ENVELOPES.readable, rows)
        waiting = [each for each in found if each is not None and not each.settled and each.check_at <= now]
        handed = _hand_over(self._queue, waiting)
        check_at = now + self._settings.read(SigningRules).check_after
        for watched in handed:  # not again with the next run, while the worker has it
            transaction = begin(call, now)
            ENVELOPES.update(transaction, watched.revised(now, check_at=check_at))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # the worker was faster
        return len(handed)


class HandOverEnvelopes:
    """Hands what is open of an order's envelopes to the worker: the order has ended, or was signed by other means."""

    def __init__(self, table: Table, queue: WorkQueue) -> None:
        self._table = table
        self._queue = queue

    def __call__(self, order_id: str) -> int:
        """How many were open. Raises Unavailable when the queue refused one; the sweep would find it too."""
        waiting = [each for each in envelopes_of(self._table, order_id) if not each.settled]
        if len(_hand_over(self._queue, waiting)) < len(waiting):
            raise Unavailable("the e-sign worker's queue refused an envelope")
        return len(waiting)


def _hand_over(queue: WorkQueue, envelopes: Iterable[WatchedEnvelope]) -> list[WatchedEnvelope]:
    """Sends them; those that the queue took."""
    taken: list[WatchedEnvelope] = []
    by_queue: dict[str, list[WatchedEnvelope]] = {}
    for each in envelopes:
        by_queue.setdefault(QUEUES[each.provider], []).append(each)
    for name, group in by_queue.items():
        messages = [{"entity_id": each.id, "kind": ENVELOPES.kind} for each in group]
        refused = set(queue.send(name, messages))
        taken += [each for position, each in enumerate(group) if position not in refused]
    return taken

"""What the HubSpot worker does with a message: a signal from the inbox, or a person that became dirty."""

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from revops.inbox import InboxEntry, Settlement
from revops.kernel import Clock, DomainError, Invalid, Unavailable
from revops.sync.converge import ConvergeContact
from revops.sync.exchange import sync_call
from revops.sync.marks import push_message
from revops.sync.ports import SyncQueue
from revops.sync.push import PushPerson
from revops.table import Table, begin

FOLLOWED = frozenset(
    f"contact.{happened}"
    for happened in ("creation", "propertyChange", "deletion", "privacyDeletion", "merge", "restore")
)
"""Upon which the contact is looked at. What is told of anything else is kept and replayable."""
MAX_DELAY = 900
_DEFAULT_DELAY = 5.0
_MOST_SPREAD = 30.0


class HandleMessage:
    """Settles one message. What has to wait (rate, outage, a write under way) is handed back to the queue with the
    wait, as a message of its own: waiting does not use up the receives after which a message counts as poison."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        converge: ConvergeContact,
        push: PushPerson,
        settlement: Settlement,
        queue: SyncQueue,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._converge = converge
        self._push = push
        self._settlement = settlement
        self._queue = queue
        self._jitter = jitter

    def __call__(self, message: Mapping[str, Any]) -> str:
        """What became of the message, for the log. Raises DomainError for one to be received again."""
        try:
            return self._handle(message)
        except Unavailable as error:
            if error.retry_after is None:
                raise
            waits = int(message.get("waits", 0)) + 1
            delay = self._delay(error, waits)
            self._queue.send({**{name: str(value) for name, value in message.items()}, "waits": str(waits)}, delay)
            return f"waits {delay} s"

    def _delay(self, error: Unavailable, waits: int) -> int:
        """As long as was asked for, and spread: a backlog must not come back all at once, nor hammer an outage."""
        spread = self._jitter() * min(_MOST_SPREAD, 2.0 ** min(waits, 10))
        return min(MAX_DELAY, math.ceil((error.retry_after or 0.0) + spread))

    def _handle(self, message: Mapping[str, Any]) -> str:
        if "inbox_id" in message:
            return self._signal(str(message["inbox_id"]))
        if "entity_id" in message:
            entity_id = str(message["entity_id"])
            return self._push(entity_id, sync_call(entity_id)).value
        raise Invalid("a message names an inbox entry or a person")

    def _signal(self, inbox_id: str) -> str:
        entry = self._settlement.load(inbox_id)
        if not entry.waiting:
            return "settled before"
        call = sync_call(entry.id)
        if entry.event_type not in FOLLOWED:
            return self._keep(entry)
        try:
            outcome = self._converge(entry, call)
        except DomainError as error:
            if error.retryable:
                raise
            self._settlement.dead(entry, error.detail, call)
            return "dead"
        if outcome.dirty:
            self._push_soon(outcome.person_id)
        return outcome.action

    def _push_soon(self, person_id: str) -> None:
        """Writes back at once what convergence left to be written; the mark stands, so failing here loses nothing."""
        try:
            self._push(person_id, sync_call(person_id))
        except DomainError as error:
            wait = error.retry_after if isinstance(error, Unavailable) else None
            self._queue.send(push_message(person_id), min(MAX_DELAY, math.ceil(wait or _DEFAULT_DELAY)))

    def _keep(self, entry: InboxEntry) -> str:
        """Settles an event that nothing here follows."""
        transaction = begin(sync_call(entry.id), self._clock.now())
        self._settlement.applied(transaction, entry)
        self._table.commit(transaction)
        return "kept"

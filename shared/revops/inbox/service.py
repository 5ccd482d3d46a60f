"""Receiving signals and settling them."""

from revops.inbox.model import InboxEntry, InboxStatus, Signal
from revops.inbox.store import INBOX, inbox_id, inbox_row
from revops.kernel import BlobStore, CallContext, Clock, NotFound
from revops.table import ABSENT, ConditionFailed, Table, Transaction, begin

MAX_INLINE = 100_000
"""Bytes of a body that still leave room in an item, also when every second one has to be escaped."""
MAX_ATTEMPTS = 16


class ReceiveSignal:
    """Stores a verified signal once. The stream hands it to the worker's queue; nothing else happens here."""

    def __init__(self, table: Table, clock: Clock, blobs: BlobStore) -> None:
        self._table = table
        self._clock = clock
        self._blobs = blobs

    def __call__(self, signal: Signal, call: CallContext) -> bool:
        """True when the signal is new, False when it was here before."""
        now = self._clock.now()
        identifier = inbox_id(signal.provider, signal.event_id)
        entry = InboxEntry(
            id=identifier,
            created_at=now,
            modified_at=now,
            provider=signal.provider,
            event_id=signal.event_id,
            event_type=signal.event_type,
            subject=signal.subject,
            object_id="" if signal.object_id == signal.subject else signal.object_id,
            body=signal.body,
        )
        content = signal.body.encode()
        if len(content) > MAX_INLINE:
            blob = f"inbox/{signal.provider}/{identifier}.json"
            self._blobs.put(blob, content, "application/json")
            entry = entry.model_copy(update={"body": "", "blob": blob})
        transaction = begin(call, now)
        transaction.put(inbox_row(entry), ABSENT)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return False
        return True


class Settlement:
    """What a worker does with an entry: read it, mark it applied *in the transaction of its effects*, or dead."""

    def __init__(self, table: Table, clock: Clock, blobs: BlobStore, handler_version: str) -> None:
        self._table = table
        self._clock = clock
        self._blobs = blobs
        self._handler_version = handler_version

    def load(self, identifier: str) -> InboxEntry:
        """The entry with its body, wherever that is kept. Raises NotFound."""
        entry = INBOX.get(self._table, identifier)
        if entry is None:
            raise NotFound("inbox entry", identifier)
        if entry.blob:
            entry = entry.model_copy(update={"body": self._blobs.get(entry.blob).decode()})
        return entry

    def applied(self, transaction: Transaction, entry: InboxEntry, reason: str = "") -> None:
        """Adds "this entry is applied" to the transaction that applies it; commits only if nobody settled it first.
        `reason` says why an entry had no effect that had none."""
        self._put(transaction, entry, status=InboxStatus.APPLIED, reason=reason[:1000])

    def ignored(self, entry: InboxEntry, reason: str, call: CallContext) -> None:
        """Keeps an entry that nothing here acts upon, saying so. It stays replayable, for a release that does."""
        transaction = begin(call, self._clock.now())
        self._put(transaction, entry, status=InboxStatus.IGNORED, reason=reason[:1000])
        self._commit_unless_settled(transaction)

    def dead(self, entry: InboxEntry, reason: str, call: CallContext) -> None:
        """Gives an entry up, saying why. It stays replayable."""
        transaction = begin(call, self._clock.now())
        self._put(transaction, entry, status=InboxStatus.DEAD, reason=reason[:1000])
        self._commit_unless_settled(transaction)

    def again(self, entry: InboxEntry, call: CallContext, delay_seconds: int = 0) -> None:
        """Hands an entry to the worker once more: the sweeper for one that was lost, a person for a replay.

        An entry that was handed over too often without an outcome is given up instead.
        """
        if entry.waiting and entry.attempts >= MAX_ATTEMPTS:
            self.dead(entry, f"no outcome after {entry.attempts} attempts", call)
            return
        transaction = begin(call, self._clock.now())
        attempts = entry.attempts + 1 if entry.waiting else 1
        self._put(
            transaction,
            entry,
            status=InboxStatus.RECEIVED,
            reason="",
            attempts=attempts,
            delay_seconds=delay_seconds,
        )
        self._commit_unless_settled(transaction)

    def _put(self, transaction: Transaction, entry: InboxEntry, **changes: object) -> None:
        kept = entry.model_copy(update={"body": ""}) if entry.blob else entry
        settled = kept.revised(self._clock.now(), handler_version=self._handler_version, **changes)
        transaction.put(inbox_row(settled), entry.version)

    def _commit_unless_settled(self, transaction: Transaction) -> None:
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return  # another worker settled it meanwhile, which is what was wanted

"""Dead letters: what could not be handled, kept whole and with its reason, to be looked at and redriven (R12, I6).

| item | pk | sk | gsi1 | read by |
|---|---|---|---|---|
| dead letter | DEADLETTER#<id> | LETTER | DEADLETTERS#<source>#<month> / time | id; source and month |
"""

import hashlib
from contextlib import suppress

from revops.access import Policy, Resource
from revops.kernel import BlobStore, CallContext, Clock, system_call, time_text
from revops.table import ABSENT, ConditionFailed, Entity, EntityKind, Key, Query, Table, begin

SOURCE = "change_relay"
"""Who gives letters up: the relay. Workers give up inbox entries, which stay where they are."""


class DeadLetter(Entity):
    """Something a consumer gave up: who, what about, why; `blob` holds it whole."""

    source: str
    about: str
    reason: str
    blob: str


DEAD_LETTERS = EntityKind[DeadLetter](
    kind="DEADLETTER",
    title="dead letter",
    model=DeadLetter,
    key=lambda identifier: Key(f"DEADLETTER#{identifier}", "LETTER"),
    index=lambda letter: {
        "gsi1": (
            f"DEADLETTERS#{letter.source}#{time_text(letter.created_at)[:7]}",
            f"{time_text(letter.created_at)}#{letter.id}",
        )
    },
)


class KeepDeadLetter:
    """Keeps a dead letter once, however often it is given up."""

    def __init__(self, table: Table, clock: Clock, blobs: BlobStore) -> None:
        self._table = table
        self._clock = clock
        self._blobs = blobs

    def __call__(self, source: str, about: str, reason: str, content: str) -> str:
        """Returns its id; the same content from the same source is the same letter."""
        digest = hashlib.sha256(f"{source}\0{content}".encode("utf-8", "backslashreplace")).hexdigest()[:32]
        identifier, now = f"DEAD_{digest}", self._clock.now()
        blob = f"dead-letters/{source}/{identifier}.json"
        self._blobs.put(blob, content.encode("utf-8", "backslashreplace"), "application/json")
        letter = DeadLetter(
            id=identifier, created_at=now, modified_at=now, source=source, about=about, reason=reason[:1000], blob=blob
        )
        transaction = begin(system_call(source), now)
        transaction.put(DEAD_LETTERS.row(letter), ABSENT)
        with suppress(ConditionFailed):  # given up before: it is kept
            self._table.commit(transaction)
        return identifier


class ReadDeadLetters:
    """The dead letters of a month, for those who administer."""

    def __init__(self, table: Table, clock: Clock, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy

    def __call__(self, month: str, call: CallContext, limit: int = 100) -> list[DeadLetter]:
        """Newest first. `month` as `2026-11`, empty for the present one. Raises NotFound for anybody else."""
        self._policy.require_read(call.principal, Resource.SETTINGS, "", "this route")
        wanted = month or time_text(self._clock.now())[:7]
        query = Query(pk=f"DEADLETTERS#{SOURCE}#{wanted}", index="gsi1", descending=True, limit=limit)
        return DEAD_LETTERS.load_all(list(self._table.query(query).rows))

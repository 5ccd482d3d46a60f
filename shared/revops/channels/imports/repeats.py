"""A file that was imported before, with the same words about it: its rows are what they were (CAP-7)."""

from collections.abc import Iterator
from itertools import batched

from revops.channels.imports.model import ImportJob, ImportState, Progress, RowVerdict, Verdict
from revops.channels.imports.store import (
    CONTENT_CLAIM,
    IMPORTS,
    KEEP,
    block_row,
    in_order,
    progress_key,
    progress_of,
    verdicts_of,
)
from revops.kernel import CallContext, Clock
from revops.table import ANYTHING, Row, Table, Transaction, begin, claim_key, holder_of

_BLOCK = 100
_BLOCKS = 20


class Repeats:
    """Remembers which content was imported, and answers a repeat from the verdicts of the first time."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def remember(self, transaction: Transaction, job: ImportJob) -> None:
        """Notes, in the transaction that completes an import, that its content is in. The last one counts."""
        key = claim_key(CONTENT_CLAIM, job.content)
        expires = int((self._clock.now() + KEEP).timestamp())
        transaction.put(Row(pk=key.pk, sk=key.sk, kind="CLAIM", doc=f'{{"holder":"{job.id}"}}', ttl=expires), ANYTHING)

    def of(self, job: ImportJob) -> ImportJob | None:
        """The import that completed the same content, as long as all its verdicts are kept."""
        holder = holder_of(self._table, CONTENT_CLAIM, job.content)
        earlier = IMPORTS.get(self._table, holder) if holder and holder != job.id else None
        if earlier is None or earlier.state is not ImportState.COMPLETED:
            return None
        rows = progress_of(self._table.get(progress_key(earlier.id))).rows
        return earlier if sum(1 for _ in verdicts_of(self._table, earlier.id)) == rows else None

    def copy(self, job: ImportJob, earlier: ImportJob, call: CallContext) -> Progress:
        """Gives every row the verdict it had; a lead that it made is now one that it joins. Doing it twice writes the
        same again."""
        expires = int((self._clock.now() + KEEP).timestamp())
        progress = Progress()
        blocks = batched(_joined(self._table, earlier), _BLOCK, strict=False)
        for group in batched(blocks, _BLOCKS, strict=False):
            transaction = begin(call, self._clock.now())
            for block in group:
                transaction.put(block_row(job.id, block, expires), ANYTHING)
                progress = progress.with_verdicts(list(block), 1.0, 0.0)
            self._table.commit(transaction)
        return progress


def _joined(table: Table, earlier: ImportJob) -> Iterator[RowVerdict]:
    for said in in_order(verdicts_of(table, earlier.id)):
        if said.verdict in (Verdict.STORED, Verdict.PENDING):
            why = f"the same file came as {earlier.id}"
            yield said.model_copy(update={"verdict": Verdict.JOINED, "why": why})
        else:
            yield said

"""Where imports stand.

| item | pk | sk | read by |
|---|---|---|---|
| import | IMPORT#<id> | IMPORT | id |
| progress | IMPORT#<id> | PROGRESS | id: how far the rows are, and which worker has them until when |
| lane | IMPORT#<id> | LANE#<number> | id: a version that every block of that lane moves on |
| block of verdicts | IMPORT#<id> | BLOCK#<first row> | import, in the order of the rows |
| content read before | CLAIM#import-content#<hash> | CLAIM | hash of file and request: the import that completed it |
| dry run | CLAIM#import-dry-run#<hash> | CLAIM | import and exclusive value: which row had it first |

A block's verdicts are written in the transaction that makes its leads, so a row has its verdict if and only if its
effects are there. The lane moves on with each block: a worker that takes an import over moves every lane first, and
whatever an earlier worker still sends fails. Verdicts and dry runs are kept for 40 days, as long as the files.
"""

import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from revops.channels.imports.model import ImportJob, Progress, RowVerdict
from revops.table import ABSENT, EntityKind, Key, Query, Row, Table, Transaction, query_all

LANES = 4
CHUNK = 400
"""Rows that are looked up together; progress is written after each such chunk."""
KEEP = timedelta(days=40)
BLOCK = "IMPORT_BLOCK"
LANE = "IMPORT_LANE"
PROGRESS = "IMPORT_PROGRESS"
CONTENT_CLAIM = "import-content"
DRY_RUN_CLAIM = "import-dry-run"


def _key(identifier: str) -> Key:
    return Key(f"IMPORT#{identifier}", "IMPORT")


IMPORTS = EntityKind[ImportJob](kind="IMPORT", title="import", model=ImportJob, key=_key)


@dataclass(frozen=True, slots=True)
class Hold:
    """A worker's hold on an import: the version its progress stands at, and that of each lane."""

    import_id: str
    version: int
    lanes: tuple[int, ...]


def progress_key(import_id: str) -> Key:
    """Where an import's progress stands."""
    return Key(f"IMPORT#{import_id}", "PROGRESS")


def progress_row(import_id: str, version: int, progress: Progress, holder: str, until: str) -> Row:
    """The progress, and who works on the import until when."""
    key = progress_key(import_id)
    doc = json.dumps({"progress": progress.model_dump(mode="json"), "holder": holder, "until": until})
    return Row(pk=key.pk, sk=key.sk, kind=PROGRESS, version=version, doc=doc)


def progress_of(row: Row | None) -> Progress:
    """How far an import is; nothing yet where no worker began."""
    return Progress() if row is None else Progress.model_validate(json.loads(row.doc)["progress"])


def lane_key(import_id: str, lane: int) -> Key:
    """Where a lane's version stands."""
    return Key(f"IMPORT#{import_id}", f"LANE#{lane}")


def move_lane(transaction: Transaction, import_id: str, lane: int, version: int) -> None:
    """Moves a lane from a version to the next; the commit fails when another worker did."""
    key = lane_key(import_id, lane)
    transaction.put(Row(pk=key.pk, sk=key.sk, kind=LANE, version=version + 1), version or ABSENT)


def block_row(import_id: str, verdicts: Sequence[RowVerdict], expires: int) -> Row:
    """The verdicts of some rows, under the first of them."""
    doc = json.dumps(
        [verdict.model_dump(mode="json", exclude_defaults=True) for verdict in verdicts], ensure_ascii=False
    )
    return Row(pk=f"IMPORT#{import_id}", sk=f"BLOCK#{verdicts[0].row:09d}", kind=BLOCK, doc=doc, ttl=expires)


def verdicts_of(table: Table, import_id: str, after_row: int = 0) -> Iterator[RowVerdict]:
    """The verdicts of an import from a row on, block by block; within and between blocks rows may be out of order by
    a few hundred (see `in_order`)."""
    query = Query(
        pk=f"IMPORT#{import_id}",
        low=f"BLOCK#{after_row:09d}",
        high="BLOCK#~",
        limit=100,
        consistent=True,
    )
    for row in query_all(table, query):
        for said in json.loads(row.doc):
            yield RowVerdict.model_validate(said)


def in_order(verdicts: Iterable[RowVerdict]) -> Iterator[RowVerdict]:
    """The verdicts by row. Needs no more memory than the rows of a few blocks."""
    waiting: list[tuple[int, int, RowVerdict]] = []
    for count, verdict in enumerate(verdicts):
        heapq.heappush(waiting, (verdict.row, count, verdict))
        if len(waiting) > 2 * CHUNK:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]

"""The due index: everything that waits for a time stands in it, so that a schedule asks what is due and scans nothing.

Partition `DUE#<topic>#<shard>`, sort key the due time and the row's key. A row leaves the index by being written
without the entry. Reading it is eventually consistent: whoever acts on a due row re-reads it by primary key first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from revops.kernel import time_text
from revops.table.port import Query, Table
from revops.table.row import Key
from revops.table.shards import shard_of

DUE_SHARDS = 4


@dataclass(frozen=True, slots=True)
class Due:
    """A row that is due: its key, and since when."""

    key: Key
    at: str


def due_index(topic: str, at: datetime, key: Key) -> tuple[str, str]:
    """The index entry of a row that becomes due at a time."""
    return f"DUE#{topic}#{shard_of(key.pk, DUE_SHARDS)}", f"{time_text(at)}#{key.pk}#{key.sk}"


def due_now(table: Table, topic: str, now: datetime, limit: int = 200) -> Iterator[Due]:
    """At most `limit` rows of each shard that are due, oldest first within a shard."""
    for shard in range(DUE_SHARDS):
        yield from _page(table, topic, shard, now, limit)[0]


def due_in_turns(table: Table, topic: str, now: datetime, limit: int) -> Iterator[list[Due]]:
    """All that is due, a turn at a time: at most `limit` rows of each shard, oldest first, and in the next turn those
    that come after them, whether or not the former left the index. A turn is read when it is asked for."""
    places = dict.fromkeys(range(DUE_SHARDS), "")
    while places:
        turn: list[Due] = []
        for shard, after in list(places.items()):
            found, places[shard] = _page(table, topic, shard, now, limit, after)
            turn += found
        places = {shard: after for shard, after in places.items() if after}
        yield turn


def _page(table: Table, topic: str, shard: int, now: datetime, limit: int, after: str = "") -> tuple[list[Due], str]:
    """Rows of a shard that are due, and the place after them; empty at the end."""
    query = Query(
        pk=f"DUE#{topic}#{shard}",
        index="due",
        high=time_text(now) + "~",
        limit=limit,
        after=after,
        documents=False,
    )
    page = table.query(query)
    return [Due(row.key, row.index["due"][1].partition("#")[0]) for row in page.rows], page.last

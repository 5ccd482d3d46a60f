"""Where inbox entries stand.

| item | pk | sk |
|---|---|---|
| entry | INBOX#<id> | EVENT |

| index | partition | sort | serves |
|---|---|---|---|
| gsi1 | INBOX#OF#<provider>#<subject> | received | replay and erasure by object |
| gsi2 | INBOX#DAY#<provider>#<day>#<shard> | received | replay by window |
| gsi3 | INBOX#OBJECT#<provider>#<object> | received | replay by the object itself, where that is not the subject |
| due | `inbox` while waiting | overdue at | what no worker settled |

The id is a hash of provider and event id, so a repeat meets the first one. Entries live 40 days: Stripe retries for 3,
and a dedupe row must outlive every retry (R1).
"""

import hashlib
from datetime import UTC, datetime, timedelta

from revops.inbox.model import InboxEntry
from revops.kernel import time_text
from revops.table import EntityKind, Index, Key, Query, Row, due_index, shard_of
from revops.table.shards import row_position

KEEP = timedelta(days=40)
OVERDUE_AFTER = timedelta(minutes=5)
MOST_OVERDUE = timedelta(hours=6)
DAY_SHARDS = 4
_PAGE = 200


def inbox_id(provider: str, event_id: str) -> str:
    """The same event always has the same id."""
    digest = hashlib.sha256(f"{provider}\0{event_id}".encode()).hexdigest()[:40]
    return f"INB_{provider}_{digest}"


def _key(identifier: str) -> Key:
    return Key(f"INBOX#{identifier}", "EVENT")


def _day(provider: str, day: str, shard: int) -> str:
    return f"INBOX#DAY#{provider}#{day}#{shard}"


def _index(entry: InboxEntry) -> Index:
    received = f"{time_text(entry.created_at)}#{entry.id}"
    index = {
        "gsi1": (f"INBOX#OF#{entry.provider}#{entry.subject}", received),
        "gsi2": (_day(entry.provider, received[:10], shard_of(entry.id, DAY_SHARDS)), received),
    }
    if entry.object_id:
        index["gsi3"] = (f"INBOX#OBJECT#{entry.provider}#{entry.object_id}", received)
    if entry.waiting:
        late = overdue_after(entry.attempts) + timedelta(seconds=entry.delay_seconds)
        index["due"] = due_index("inbox", entry.modified_at + late, _key(entry.id))
    return index


def overdue_after(attempts: int) -> timedelta:
    """How long a hand-over may stay without an outcome: twice as long each time, so that an outage of the vendor's
    does not use up the attempts. Sixteen of them span more than two days."""
    doublings: int = min(attempts - 1, 10)
    return min(OVERDUE_AFTER * (1 << doublings), MOST_OVERDUE)


INBOX = EntityKind[InboxEntry](kind="INBOX", title="inbox entry", model=InboxEntry, key=_key, index=_index)


def inbox_row(entry: InboxEntry) -> Row:
    """The entry with its expiry."""
    row = INBOX.row(entry)
    row.ttl = int((entry.created_at + KEEP).timestamp())
    return row


def about(provider: str, subject: str) -> dict[str, Query]:
    """Where entries about an object stand, oldest first in each: those it is the subject of, and those that are about
    it among another's."""
    return {
        "subject": Query(pk=f"INBOX#OF#{provider}#{subject}", index="gsi1", limit=_PAGE),
        "object": Query(pk=f"INBOX#OBJECT#{provider}#{subject}", index="gsi3", limit=_PAGE),
    }


def received_between(provider: str, start: datetime, end: datetime) -> dict[str, Query]:
    """Where entries of a window stand, day by day in UTC."""
    partitions: dict[str, Query] = {}
    day = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= end:
        for shard in range(DAY_SHARDS):
            name = time_text(day)[:10]
            partitions[f"{name}/{shard}"] = Query(
                pk=_day(provider, name, shard),
                index="gsi2",
                low=time_text(start),
                high=time_text(end) + "~",
                limit=_PAGE,
            )
        day += timedelta(days=1)
    return partitions


def place_of(row: Row, query: Query) -> str:
    """The position after a row in the partition of a query."""
    return row_position(row, query.index)


def kept_at(row: Row) -> InboxEntry | None:
    """The entry of a row; None for one that cannot be read, which holds no other up."""
    try:
        return INBOX.load(row)
    except ValueError:
        return None

"""Where inbox entries stand.

| item | pk | sk |
|---|---|---|
| entry | INBOX#<id> | EVENT |

| index | partition | sort | serves |
|---|---|---|---|
| gsi1 | INBOX#OF#<provider>#<subject> | received | replay and erasure by object |
| gsi2 | INBOX#DAY#<provider>#<day>#<shard> | received | replay by window |
| due | `inbox` while waiting | overdue at | what no worker settled |

The id is a hash of provider and event id, so a repeat meets the first one. Entries live 40 days: Stripe retries for 3,
and a dedupe row must outlive every retry (R1).
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from revops.inbox.model import InboxEntry
from revops.kernel import time_text
from revops.table import EntityKind, Index, Key, Query, Row, Table, due_index, query_all, shard_of

KEEP = timedelta(days=40)
OVERDUE_AFTER = timedelta(minutes=5)
MOST_OVERDUE = timedelta(hours=6)
DAY_SHARDS = 4


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
    if entry.waiting:
        index["due"] = due_index("inbox", entry.modified_at + overdue_after(entry.attempts), _key(entry.id))
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


def entries_about(table: Table, provider: str, subject: str) -> Iterator[InboxEntry]:
    """What was received about an object, oldest first."""
    query = Query(pk=f"INBOX#OF#{provider}#{subject}", index="gsi1")
    return (INBOX.load(row) for row in query_all(table, query))


def entries_between(table: Table, provider: str, start: datetime, end: datetime) -> Iterator[InboxEntry]:
    """What was received from a provider in a window, day by day."""
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= end:
        for shard in range(DAY_SHARDS):
            query = Query(
                pk=_day(provider, time_text(day)[:10], shard),
                index="gsi2",
                low=time_text(start),
                high=time_text(end) + "~",
            )
            yield from (INBOX.load(row) for row in query_all(table, query))
        day += timedelta(days=1)

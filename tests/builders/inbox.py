"""What stands in the inbox."""

from revops.inbox import InboxEntry
from revops.inbox.store import INBOX, about
from revops.table import Table, query_all


def entries_about(table: Table, provider: str, subject: str) -> list[InboxEntry]:
    """What was received about an object, oldest first: what it is the subject of, then what is about it besides."""
    return [INBOX.load(row) for query in about(provider, subject).values() for row in query_all(table, query)]

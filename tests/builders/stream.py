"""The stream's far side in memory: a bus, queues and blobs that can refuse, and records as Lambda receives them."""

from collections.abc import Mapping, Sequence
from typing import Any

from revops.catalogue import Event
from revops.kernel import NotFound, Unavailable
from revops.table import Change, Key, Page
from tests.builders.memory_table import MemoryTable


class ListeningBus:
    """Keeps what is published; refuses the names it is told to refuse, so often."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refuse: dict[str, int] = {}

    def publish(self, events: Sequence[Event]) -> list[int]:
        refused = []
        for position, each in enumerate(events):
            if self.refuse.get(each.id, 0):
                self.refuse[each.id] -= 1
                refused.append(position)
            else:
                self.events.append(each)
        return refused

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.events]


class ListeningQueues:
    """Keeps what is sent; refuses while it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.refuse: set[str] = set()

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        refused = []
        for position, message in enumerate(messages):
            if self.refuse & {str(value) for value in message.values()}:
                refused.append(position)
            else:
                self.sent.append((queue, message))
        return refused


class MemoryBlobs:
    """`BlobStore` in memory; answers nothing while it is down."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.down = False

    def put(self, name: str, content: bytes, content_type: str) -> None:
        if self.down:
            raise Unavailable("the blob store did not answer")
        self.kept[name] = content

    def get(self, name: str) -> bytes:
        if name not in self.kept:
            raise NotFound("stored object", name)
        return self.kept[name]


class MemoryScan:
    """`RollingScan` in key order."""

    def __init__(self, table: MemoryTable) -> None:
        self.table = table

    def scan(self, after: str, limit: int) -> Page:
        names = sorted(f"{key.pk}\0{key.sk}" for key in self.table.rows)
        chosen = [name for name in names if name > after][:limit]
        rows = [row for row in self.table.get_many([Key(*name.split("\0")) for name in chosen]) if row]
        return Page(rows, chosen[-1] if len(chosen) == limit else "")


def stream_record(change: Change, sequence: str = "") -> dict[str, Any]:
    """A change as a record of the table's stream."""
    body: dict[str, Any] = {
        "SequenceNumber": sequence or change.sequence,
        "Keys": {"pk": {"S": change.key.pk}, "sk": {"S": change.key.sk}},
    }
    for name, row in (("OldImage", change.before), ("NewImage", change.after)):
        if row is not None:
            body[name] = row.to_raw()
    return {"eventID": change.sequence, "eventName": "MODIFY", "dynamodb": body}

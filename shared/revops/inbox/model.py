"""An inbox entry: one webhook event as it came, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from revops.table import Entity


class InboxStatus(StrEnum):
    """`Applied` is set by success alone; `Ignored` says that no part of this product acts upon such an event; `Dead`
    carries its reason. All three can be replayed."""

    RECEIVED = "Received"
    APPLIED = "Applied"
    IGNORED = "Ignored"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True)
class Signal:
    """What a webhook told us: who sent it, its event id, what kind of thing happened to which object, and the body.

    `subject` is the vendor's object id; the worker fetches that object and converges on it. `object_id` is the object
    the event itself is about where that is another one, such as a customer's invoice.
    """

    provider: str
    event_id: str
    event_type: str
    subject: str
    body: str
    object_id: str = ""


class InboxEntry(Entity):
    """A stored signal. `body` is empty when `blob` says where a large body is kept. `attempts` counts hand-overs to
    the worker; `handler_version` is the release that settled it, for replaying what an old release did wrong.
    `delay_seconds` spaces out what one replay hands over, so that it stands in nobody's way."""

    provider: str
    event_id: str
    event_type: str
    subject: str
    object_id: str = ""
    body: str = ""
    blob: str = ""
    status: InboxStatus = InboxStatus.RECEIVED
    attempts: int = 1
    reason: str = ""
    handler_version: str = ""
    delay_seconds: int = 0

    @property
    def waiting(self) -> bool:
        """Whether a worker still has to settle it."""
        return self.status is InboxStatus.RECEIVED

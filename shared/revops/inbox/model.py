"""An inbox entry: one webhook event as it came, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from revops.table import Entity


class InboxStatus(StrEnum):
    """`Applied` is set by success alone; `Dead` carries its reason and can be replayed."""

    RECEIVED = "Received"
    APPLIED = "Applied"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True)
class Signal:
    """What a webhook told us: who sent it, its event id, what kind of thing happened to which object, and the body.

    `subject` is the vendor's object id; the worker fetches that object and converges on it.
    """

    provider: str
    event_id: str
    event_type: str
    subject: str
    body: str


class InboxEntry(Entity):
    """A stored signal. `body` is empty when `blob` says where a large body is kept. `attempts` counts hand-overs to
    the worker; `handler_version` is the release that settled it, for replaying what an old release did wrong."""

    provider: str
    event_id: str
    event_type: str
    subject: str
    body: str = ""
    blob: str = ""
    status: InboxStatus = InboxStatus.RECEIVED
    attempts: int = 1
    reason: str = ""
    handler_version: str = ""

    @property
    def waiting(self) -> bool:
        """Whether a worker still has to settle it."""
        return self.status is InboxStatus.RECEIVED

"""Replaying what was received: by window, by object or by the release that handled it (STR-6, R16)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.inbox.model import InboxEntry, InboxStatus
from revops.inbox.service import Settlement
from revops.inbox.store import entries_about, entries_between
from revops.kernel import CallContext, Clock, Invalid
from revops.table import Table

MAX_WINDOW = timedelta(days=40)
MAX_REPLAYED = 1000


class ReplayRequest(BaseModel):
    """What to replay: everything about one object (`subject`), or what came in a window; narrowed to what is dead
    (`only_dead`) or to what one release handled (`handler_version`)."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    provider: Annotated[
        str, Field(pattern=r"^(stripe|hubspot|form|whatsapp|twilio|connect|mail)$", examples=["stripe"])
    ]
    subject: Annotated[str, Field(max_length=255, description="The vendor's object id")] = ""
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    handler_version: Annotated[str, Field(max_length=60)] = ""
    only_dead: bool = False
    settled_before: Annotated[
        AwareDatetime | None, Field(description="Skip what was settled after this; the time of the first request")
    ] = None


class ReplayResult(BaseModel):
    """How many entries were handed to the worker again. `more` when the limit of one request cut it short: send the
    request again with this `settled_before`, so that what was replayed just now is not replayed twice."""

    model_config = ConfigDict(defer_build=True)

    replayed: int
    more: bool
    settled_before: AwareDatetime


class ReplaySignals:
    """Hands settled entries to their worker again. Safe at any later time: a worker fetches and converges."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, settlement: Settlement) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._settlement = settlement

    def __call__(self, wanted: ReplayRequest, call: CallContext) -> ReplayResult:
        """Raises NotFound for those who do not administer, Invalid for a request that names neither."""
        self._policy.require_write(call.principal, Resource.SETTINGS, "", "replay")
        before = wanted.settled_before or self._clock.now()
        replayed = 0
        for entry in self._entries(wanted):
            if entry.modified_at > before or not self._fits(entry, wanted):
                continue
            if replayed == MAX_REPLAYED:
                return ReplayResult(replayed=replayed, more=True, settled_before=before)
            replayed += self._settlement.replay([entry], call)
        return ReplayResult(replayed=replayed, more=False, settled_before=before)

    def _entries(self, wanted: ReplayRequest) -> Iterator[InboxEntry]:
        if wanted.subject:
            return entries_about(self._table, wanted.provider, wanted.subject)
        if wanted.start is None:
            raise Invalid.field("start", "replay-what", "name a subject or a window", "subject, or start (and end)")
        end: datetime = wanted.end or self._clock.now()
        if not timedelta() <= end - wanted.start <= MAX_WINDOW:
            raise Invalid.field("end", "replay-window", "the window is empty or too long", "start ≤ end ≤ start + 40 d")
        return entries_between(self._table, wanted.provider, wanted.start, end)

    @staticmethod
    def _fits(entry: InboxEntry, wanted: ReplayRequest) -> bool:
        if entry.waiting or (wanted.only_dead and entry.status is not InboxStatus.DEAD):
            return False
        return not wanted.handler_version or entry.handler_version == wanted.handler_version

"""Replaying what was received: by window, by object or by the release that handled it (STR-6, R16)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.inbox.model import InboxEntry, InboxStatus
from revops.inbox.service import Settlement
from revops.inbox.store import KEEP, about, kept_at, place_of, received_between
from revops.kernel import CallContext, Clock, DomainError, Invalid, Unavailable
from revops.table import CursorSigner, Query, Row, Table

MAX_REPLAYED = 1000
MAX_LOOKED_AT = 5000
PER_SECOND = 5
"""How fast one replay is handed over: the signals of the day find their workers free beside it."""
_LONGEST_DELAY = 900
_MAX_FAILED = 25
PROVIDERS = ("stripe", "hubspot", "form", "whatsapp", "twilio", "connect", "mail", "docusign", "adobe_sign")
"""Whose entries can be handed over again: every provider of the inbox."""


Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]
"""A time that something can have been received at."""


class ReplayRequest(BaseModel):
    """What to replay: everything about one object (`subject`: the customer, or the very object), or what came in a
    window, or what one release handled, in its window or in all that is kept; narrowed by outcome and type of event."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    provider: Annotated[str, Field(pattern=f"^({'|'.join(PROVIDERS)})$", examples=["stripe"])]
    subject: Annotated[str, Field(max_length=255, description="The vendor's object id")] = ""
    start: Moment | None = None
    end: Moment | None = None
    handler_version: Annotated[str, Field(max_length=60)] = ""
    event_type: Annotated[str, Field(max_length=255, description="`invoice.paid`, or `invoice.*` for a family")] = ""
    outcome: Annotated[InboxStatus | None, Field(description="Only what was applied, ignored or given up")] = None
    only_dead: bool = False
    dry_run: Annotated[bool, Field(description="Count only; nothing is handed over")] = False
    settled_before: Annotated[
        Moment | None, Field(description="Skip what was settled after this; the time of the first request")
    ] = None
    cursor: Annotated[str, Field(max_length=8000, description="Where the request before stopped")] = ""


class ReplayResult(BaseModel):
    """How many entries were handed to the worker again, `failed` how many could not be just now (send the request again
    for them). `more` when the limit of one request cut it short: send the request again with this `cursor` and
    `settled_before`. They are handed over at a steady pace, the last of them after `spread_seconds`."""

    model_config = ConfigDict(defer_build=True)

    replayed: int
    failed: int = 0
    more: bool
    settled_before: AwareDatetime
    cursor: str = ""
    spread_seconds: int = 0


class ReplaySignals:
    """Hands settled entries to their worker again. Safe at any later time: a worker fetches and converges."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        policy: Policy,
        settlement: Settlement,
        cursors: Callable[[], CursorSigner],
    ) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._settlement = settlement
        self._cursors = cursors

    def __call__(self, wanted: ReplayRequest, call: CallContext) -> ReplayResult:
        """Raises NotFound for those who do not administer, Invalid for a request that names nothing, Unavailable when
        the table takes nothing at the moment."""
        self._policy.require_write(call.principal, Resource.SETTINGS, "", "replay")
        run = _Run(wanted.settled_before or self._clock.now())
        partitions = self._partitions(wanted, run.before)
        binding = {"who": call.principal.id, "list": f"replay/{'|'.join(partitions)}"}
        place = self._cursors().open(wanted.cursor, binding) if wanted.cursor else {}
        for name, query in partitions.items():
            if place and name not in place:
                continue  # it was looked through before
            after = place.pop(name, "") if place else ""
            while not run.full:
                page = self._table.query(replace(query, after=after))
                for row in page.rows:
                    after = place_of(row, query)
                    self._look(row, wanted, run, call)
                    if run.full:
                        break
                else:
                    after = page.last
                    if not after:
                        break
            if run.full:
                return self._result(run, self._cursors().sign({name: after}, binding))
        return self._result(run, "")

    def _look(self, row: Row, wanted: ReplayRequest, run: "_Run", call: CallContext) -> None:
        """Hands one entry over if it is wanted. One that cannot be just now holds none of the others up."""
        run.looked_at += 1
        entry = kept_at(row)
        if entry is None or entry.modified_at > run.before or not _fits(entry, wanted):
            return
        if wanted.dry_run:
            run.replayed += 1
            return
        try:
            self._settlement.again(entry, call, run.delay)
        except DomainError as error:
            run.failed += 1
            if run.failed > _MAX_FAILED:
                raise Unavailable("the table takes nothing at the moment; try again shortly") from error
            return
        run.replayed += 1

    @staticmethod
    def _result(run: "_Run", cursor: str) -> ReplayResult:
        return ReplayResult(
            replayed=run.replayed,
            failed=run.failed,
            more=bool(cursor),
            settled_before=run.before,
            cursor=cursor,
            spread_seconds=run.delay,
        )

    @staticmethod
    def _partitions(wanted: ReplayRequest, now: datetime) -> dict[str, Query]:
        """`now` is that of the first request, so that those which go on from it look at the same window."""
        if wanted.subject:
            return about(wanted.provider, wanted.subject)
        if wanted.start is None and not wanted.handler_version:
            raise Invalid.field(
                "start", "replay-what", "name an object, a window or a release", "subject, start, handler_version"
            )
        end = wanted.end or now
        start = wanted.start or end - KEEP
        if not timedelta() <= end - start <= KEEP:
            raise Invalid.field("end", "replay-window", "the window is empty or too long", "start ≤ end ≤ start + 40 d")
        return received_between(wanted.provider, start, end)


class _Run:
    """What one request did so far."""

    def __init__(self, before: datetime) -> None:
        self.before = before
        self.replayed = self.failed = self.looked_at = 0

    @property
    def full(self) -> bool:
        return self.replayed >= MAX_REPLAYED or self.looked_at >= MAX_LOOKED_AT

    @property
    def delay(self) -> int:
        """Seconds until the next entry reaches its worker."""
        return min(_LONGEST_DELAY, self.replayed // PER_SECOND)


def _fits(entry: InboxEntry, wanted: ReplayRequest) -> bool:
    if entry.waiting or (wanted.only_dead and entry.status is not InboxStatus.DEAD):
        return False
    if wanted.outcome is not None and entry.status is not wanted.outcome:
        return False
    family = wanted.event_type.removesuffix("*")
    if family != wanted.event_type and not entry.event_type.startswith(family):
        return False
    if wanted.event_type and family == wanted.event_type and entry.event_type != wanted.event_type:
        return False
    return not wanted.handler_version or entry.handler_version == wanted.handler_version

"""What became of a message: opened, clicked, and what was no person's doing (LEAD-5).

| item | pk | sk | read by |
|---|---|---|---|
| trace of a message | LEAD#<id> | TRACE#<message> | lead, message; a lead's traces |

What counts stands on the lead (`engagement`), each once per message. The trace keeps what that cannot show: when which
link was clicked last, by which a scanner that follows every link is recognised, and what was not counted, with the
reason. It keeps no address and no user agent.

A scanner is only known by its third click, when the first has counted already. That click is taken back, and so is the
open that came with it. Clicks race: whoever counted one looks at the trace once more afterwards, so that either it or
the click that makes three sees both.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from revops.crm.engagement import RecordEngagement
from revops.crm.links import LinkClaim
from revops.crm.model import Value
from revops.crm.policies.machines import CLICK, OPEN, EngagementRules, Fetch, burst_reason, machine_reason
from revops.kernel import CallContext, Clock, Unavailable
from revops.settings import SettingsReader
from revops.table import (
    ConditionFailed,
    Contention,
    Entity,
    EntityKind,
    Key,
    Query,
    Table,
    begin,
)

_MOST = 20
"""Links and uncounted fetches that a trace keeps."""
_ATTEMPTS = 20


class Uncounted(Value):
    """A fetch that was no person's doing, the first of its kind, and why."""

    event: str
    reason: str
    at: AwareDatetime


class ClickedLink(Value):
    """A link of the message, by a hash of where it leads, and when it was clicked last."""

    link: str
    at: AwareDatetime


class Trace(Entity):
    """What was seen of one message; the id is lead and message."""

    lead_id: str
    message_id: str
    clicks: tuple[ClickedLink, ...] = ()
    uncounted: tuple[Uncounted, ...] = ()


def _trace_id(lead_id: str, message_id: str) -> str:
    return f"{lead_id}/{message_id}"


def _key(identifier: str) -> Key:
    lead_id, _, message_id = identifier.partition("/")
    return Key(f"LEAD#{lead_id}", f"TRACE#{message_id}")


TRACES = EntityKind[Trace](kind="TRACE", title="trace of a message", model=Trace, key=_key)


def traces_of(table: Table, lead_id: str, limit: int = 100) -> list[Trace]:
    """The traces of a lead's messages."""
    page = table.query(Query(pk=f"LEAD#{lead_id}", begins="TRACE#", limit=limit, consistent=True))
    return TRACES.load_all(page.rows)


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether a fetch was counted by this call and, when it is none that counts, why. Both are empty for the repeat of
    what counted before."""

    counted: bool
    reason: str = ""


class TrackMessage:
    """Opens and clicks of messages, counted once and only when a person did it."""

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader, record: RecordEngagement) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings
        self._record = record

    def opened(self, claim: LinkClaim, fetch: Fetch, call: CallContext) -> Sight:
        """The image of a message was fetched."""
        now, rules = self._clock.now(), self._settings.read(EngagementRules)
        reason = machine_reason(OPEN, fetch, claim.made_at, now, rules)
        if reason:
            return self._not_counted(claim, OPEN, reason, now, call)
        return Sight(self._record(claim.lead_id, OPEN, claim.message_id, call, now))

    def clicked(self, claim: LinkClaim, fetch: Fetch, call: CallContext) -> Sight:
        """A link of a message was followed."""
        now, rules = self._clock.now(), self._settings.read(EngagementRules)
        reason = machine_reason(CLICK, fetch, claim.made_at, now, rules)
        if reason:
            return self._not_counted(claim, CLICK, reason, now, call)
        link = hashlib.sha256(claim.target.encode()).hexdigest()[:12]
        reason = self._burst(self._change(claim, call, link=ClickedLink(link=link, at=now)), now, rules)
        counted = False
        if not reason:
            counted = self._record(claim.lead_id, CLICK, claim.message_id, call, now)
            reason = self._burst(TRACES.get(self._table, self._id(claim)), now, rules) if counted else ""
        if not reason:
            return Sight(counted)
        since = now - timedelta(seconds=rules.at_once_seconds)
        for event in (CLICK, OPEN):
            self._record.take_back(claim.lead_id, event, claim.message_id, call, since=since)
        return self._not_counted(claim, CLICK, reason, now, call)

    def _not_counted(self, claim: LinkClaim, event: str, reason: str, now: datetime, call: CallContext) -> Sight:
        self._change(claim, call, uncounted=Uncounted(event=event, reason=reason, at=now))
        return Sight(counted=False, reason=reason)

    def _burst(self, trace: Trace | None, now: datetime, rules: EngagementRules) -> str:
        return burst_reason(now, [click.at for click in trace.clicks], rules) if trace else ""

    def _change(
        self,
        claim: LinkClaim,
        call: CallContext,
        *,
        link: ClickedLink | None = None,
        uncounted: Uncounted | None = None,
    ) -> Trace:
        """The trace with a click or an uncounted fetch on it. What stands there already is not written again."""
        for _ in range(_ATTEMPTS):
            before = TRACES.get(self._table, self._id(claim))
            now = self._clock.now()
            trace = before or self._blank(claim, now)
            clicks = _with_click(trace.clicks, link) if link else trace.clicks
            missed = _with_uncounted(trace.uncounted, uncounted) if uncounted else trace.uncounted
            if (clicks, missed) == (trace.clicks, trace.uncounted):
                return trace
            transaction = begin(call, now)
            if before is None:
                trace = trace.model_copy(update={"clicks": clicks, "uncounted": missed})
                TRACES.create(transaction, trace)
            else:
                trace = trace.revised(now, clicks=clicks, uncounted=missed)
                TRACES.update(transaction, trace)
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue
            return trace
        raise Unavailable("this message is being fetched by many; try again shortly", retry_after=1)

    def _blank(self, claim: LinkClaim, now: datetime) -> Trace:
        return Trace(
            id=self._id(claim), created_at=now, modified_at=now, lead_id=claim.lead_id, message_id=claim.message_id
        )

    def _id(self, claim: LinkClaim) -> str:
        return _trace_id(claim.lead_id, claim.message_id)


def _with_click(clicks: tuple[ClickedLink, ...], click: ClickedLink) -> tuple[ClickedLink, ...]:
    return (*(each for each in clicks if each.link != click.link), click)[-_MOST:]


def _with_uncounted(missed: tuple[Uncounted, ...], fetch: Uncounted) -> tuple[Uncounted, ...]:
    """The first of each kind is kept: a scanner that comes back says nothing new."""
    known = any((each.event, each.reason) == (fetch.event, fetch.reason) for each in missed)
    return missed if known or len(missed) >= _MOST else (*missed, fetch)

"""Activities (CRM-5): what was done with somebody, on one timeline.

| item | pk | sk | gsi1 | read by |
|---|---|---|---|---|
| activity | ACT#<id> | ACTIVITY | ACTIVITIES#<related to> / when | id; record |
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import Policy
from revops.crm.model import CLOSED_STATUSES, Lead, LeadStatus
from revops.crm.policies.lead_moves import STATUS_MOVES
from revops.crm.scope import RecordScope
from revops.crm.store import LEADS
from revops.crm.submission import ShortText
from revops.kernel import CallContext, Clock, IdFactory, Invalid, StatedTime, Unavailable, id_prefix, time_text
from revops.table import (
    ConditionFailed,
    CursorSigner,
    Entity,
    EntityKind,
    Index,
    Key,
    Query,
    Table,
    begin,
    merge_pages,
    present,
)


class ActivityType(StrEnum):
    """What was done (CRM-5)."""

    CALL = "call"
    EMAIL = "email"
    WHATSAPP = "whatsapp"
    MEETING = "meeting"
    NOTE = "note"


class ActivityOutcome(StrEnum):
    """How it went (CRM-5)."""

    POSITIVE = "Positive"
    NEGATIVE = "Negative"
    NEUTRAL = "Neutral"
    FOLLOW_UP_REQUIRED = "Follow Up Required"


class Activity(Entity):
    """Something that was done, inbound or outbound. `related_to` is the record's id, `at` when it happened, `ref` the
    message or call it was at the vendor, `logged_by` who entered it. `facts` are what belongs to the type, such as the
    seconds of a call."""

    type: ActivityType
    subject: str
    related_to: str
    owner_id: str
    at: AwareDatetime
    inbound: bool = False
    content: str = ""
    outcome: ActivityOutcome | None = None
    ref: str = ""
    facts: dict[str, str] = Field(default_factory=dict)
    logged_by: str = ""


def activity_id(origin: str) -> str:
    """The id of the one activity of an origin, such as `whatsapp:<the vendor's message id>`."""
    digest = hashlib.sha256(f"activity\0{origin}".encode()).digest()
    return "ACT_" + base64.b32encode(digest).decode()[:26]


def _index(activity: Activity) -> Index:
    return {"gsi1": (f"ACTIVITIES#{activity.related_to}", f"{time_text(activity.at)}#{activity.id}")}


ACTIVITIES = EntityKind[Activity](
    kind="ACTIVITY",
    title="activity",
    model=Activity,
    key=lambda identifier: Key(f"ACT#{identifier}", "ACTIVITY"),
    index=_index,
)


def activities_about(table: Table, related_to: str, limit: int = 25) -> list[Activity]:
    """The latest activities about a record, newest first."""
    page = table.query(Query(pk=f"ACTIVITIES#{related_to}", index="gsi1", descending=True, limit=limit))
    return ACTIVITIES.load_all(table.get_many([row.key for row in page.rows]))


# ── use cases ─────────────────────────────────────────────────────────────────────────────────────────────────────

_ATTEMPTS = 5
_SKEW = timedelta(minutes=5)
_TOUCHES = frozenset({ActivityType.CALL, ActivityType.EMAIL, ActivityType.WHATSAPP, ActivityType.MEETING})
_SPOKEN = frozenset({ActivityOutcome.POSITIVE, ActivityOutcome.NEGATIVE, ActivityOutcome.NEUTRAL})
_BELONGS: Mapping[str, ActivityType] = {
    "duration_seconds": ActivityType.CALL,
    "attachments": ActivityType.EMAIL,
    "media": ActivityType.WHATSAPP,
    "attendees": ActivityType.MEETING,
    "agenda": ActivityType.MEETING,
}
"""Facts that belong to one type of activity."""
_Names = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=50)]


class NewActivity(BaseModel):
    """An activity as somebody enters it. `at` is now when it is not said; what is still to come is a task."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    type: ActivityType
    about: Annotated[str, Field(max_length=60, examples=["LEAD_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])]
    subject: Annotated[ShortText, Field(min_length=1, examples=["First call"])]
    at: StatedTime | None = None
    inbound: bool = False
    content: Annotated[str, Field(max_length=10_000)] = ""
    outcome: ActivityOutcome | None = None
    duration_seconds: Annotated[int | None, Field(ge=0, le=86_400, description="Of a call")] = None
    attachments: Annotated[_Names, Field(description="Of an e-mail: file names")] = ()
    media: Annotated[_Names, Field(description="Of a WhatsApp message: kinds of media")] = ()
    attendees: Annotated[_Names, Field(description="Of a meeting")] = ()
    agenda: Annotated[str, Field(max_length=4000, description="Of a meeting")] = ""

    @property
    def facts(self) -> dict[str, str]:
        """What belongs to the type, as texts. Raises Invalid for what belongs to another one."""
        found: dict[str, str] = {}
        for name, belongs in _BELONGS.items():
            said = getattr(self, name)
            if said is None or said in ((), ""):
                continue
            if self.type is not belongs:
                raise Invalid.field(name, "type", f"belongs to a {belongs}", f"type {belongs}, or no {name}")
            found[name] = "\n".join(said) if isinstance(said, tuple) else str(said)
        return found


def touch(lead: Lead, activity: Activity) -> dict[str, Any]:
    """What an activity about a lead changes on it (CAP-14, LEAD-8). Going out, it is a touch, reached or not. Somebody
    was reached when it says how it went: then the lead was contacted, and a new one is Contacted. An outcome of
    `Follow Up Required` says nothing of the kind: the line may have been busy."""
    if activity.inbound or activity.type not in _TOUCHES or lead.status in CLOSED_STATUSES or lead.merged_into:
        return {}
    at = max(activity.at, lead.created_at)
    changes: dict[str, Any] = {}
    if lead.first_touch_at is None:
        changes["first_touch_at"] = at
    if activity.outcome in _SPOKEN:
        if lead.contacted_at is None:
            changes["contacted_at"] = at
        if LeadStatus.CONTACTED in STATUS_MOVES[lead.status] and lead.status is not LeadStatus.QUALIFIED:
            changes["status"] = LeadStatus.CONTACTED
    return changes


class LogActivity:
    """Puts what was done on a timeline, and what it means for the lead onto the lead, in one transaction."""

    def __init__(self, table: Table, clock: Clock, ids: IdFactory, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._scope = RecordScope(table, policy)

    def __call__(self, wanted: NewActivity, call: CallContext) -> Activity:
        """Raises NotFound or Forbidden for the record, Invalid for what does not fit the type."""
        owner_id = self._scope.require_write(call.principal, wanted.about)
        now = self._clock.now()
        if wanted.at is not None and wanted.at > now + _SKEW:
            raise Invalid.field("at", "past", "lies ahead: what is still to be done is a task", "a time up to now")
        activity = Activity(
            id=self._ids.new("ACT"),
            created_at=now,
            modified_at=now,
            related_to=wanted.about,
            owner_id=owner_id,
            at=wanted.at or now,
            facts=wanted.facts,
            logged_by=call.principal.id,
            **{name: getattr(wanted, name) for name in ("type", "subject", "inbound", "content", "outcome")},
        )
        for _ in range(_ATTEMPTS):
            transaction = begin(call, now)
            ACTIVITIES.create(transaction, activity)
            if id_prefix(wanted.about) == "LEAD":
                lead = LEADS.require(self._table, wanted.about)
                if changes := touch(lead, activity):
                    LEADS.update(transaction, lead.revised(now, **changes))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # the lead changed meanwhile: over the newer version
            return activity
        raise Unavailable("this lead is being changed by others; try again shortly", retry_after=1)


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A page of activities, newest first. `next_cursor` is empty at the end."""

    activities: list[Activity]
    next_cursor: str


class ReadTimeline:
    """What was done about a record; about a lead, also what was done about those that were merged into it."""

    def __init__(self, table: Table, policy: Policy, cursors: Callable[[], CursorSigner]) -> None:
        self._table = table
        self._scope = RecordScope(table, policy)
        self._cursors = cursors

    def __call__(self, about: str, limit: int, cursor: str, call: CallContext) -> ActivityPage:
        """A page. Raises NotFound for a record that is not there or not for this caller."""
        self._scope.require_read(call.principal, about)
        binding = {"who": call.principal.id, "list": f"activities/{about}"}
        positions = self._cursors().open(cursor, binding) if cursor else {}
        partitions = {
            record: Query(pk=f"ACTIVITIES#{record}", index="gsi1", descending=True)
            for record in self._scope.with_merged(about)
        }
        rows, after = merge_pages(self._table, partitions, positions, limit, lambda row: row.index["gsi1"][1])
        activities = ACTIVITIES.load_all(present(self._table.get_many([row.key for row in rows], consistent=False)))
        return ActivityPage(activities, self._cursors().sign(after, binding) if after else "")

"""Activities (CRM-5): what was done with somebody, on one timeline.

| item | pk | sk | gsi1 | read by |
|---|---|---|---|---|
| activity | ACT#<id> | ACTIVITY | ACTIVITIES#<related to> / when | id; record |
"""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from revops.kernel import time_text
from revops.table import Entity, EntityKind, Index, Key, Query, Table


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
    message or call it was at the vendor. `facts` are what belongs to the type, such as the seconds of a call."""

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

"""What keeping a person in step with HubSpot needs: both sides, what was last agreed, where they clashed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.table import Entity

SYSTEM = "hubspot"
IDENTITY = "revops_person_id"
"""The unique contact property that holds our person id; upserts go by it (HUB-2)."""


class PersonField(StrEnum):
    """What of a person may be mapped. The values are the attribute names of `PersonSnapshot`."""

    EMAIL = "email"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    PHONE = "phone"
    COMPANY = "company"
    JOB_TITLE = "job_title"
    CREATED_AT = "created_at"
    LEAD_STATUS = "lead_status"
    LEAD_SCORE = "lead_score"
    SUBSCRIPTION_PLAN = "subscription_plan"
    SUBSCRIPTION_STATUS = "subscription_status"
    LIFETIME_VALUE = "lifetime_value"
    HEALTH_SCORE = "health_score"
    ACTIVE_ASSETS = "active_assets"
    PENDING_ASSETS = "pending_assets"


@dataclass(frozen=True, slots=True)
class PersonSnapshot:
    """A person as this side has them at one moment, gathered from lead or contact, and customer.

    Every field is text, empty for "none": amounts are exact decimals in major units, times ISO 8601 in UTC.
    `record_id` is the lead or contact the person fields stand on and `record_version` the version that was read.
    """

    person_id: str
    record_id: str
    record_version: int
    modified_at: datetime
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    company: str = ""
    job_title: str = ""
    created_at: str = ""
    lead_status: str = ""
    lead_score: str = ""
    subscription_plan: str = ""
    subscription_status: str = ""
    lifetime_value: str = ""
    health_score: str = ""
    active_assets: str = ""
    pending_assets: str = ""

    def text(self, name: PersonField) -> str:
        """The value of a field."""
        value: str = getattr(self, name.value)
        return value


@dataclass(frozen=True, slots=True)
class RemoteContact:
    """A HubSpot contact as it stood when it was read. `id` may differ from the id asked for after a merge there."""

    id: str
    properties: Mapping[str, str]
    updated_at: datetime

    def text(self, name: str) -> str:
        """A property, empty when it has no value."""
        return self.properties.get(name) or ""

    @property
    def person_id(self) -> str:
        """Our id as written there, if it was."""
        return self.text(IDENTITY)


@dataclass(frozen=True, slots=True)
class ContactWrite:
    """Properties to write. With a `remote_id` that contact is changed; without, it is an upsert by our person id."""

    person_id: str
    remote_id: str
    properties: Mapping[str, str]


class _Value(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True)


class FieldBase(_Value):
    """The last agreement on one field: what stood here and what stood there, which may be spelt differently.

    `pending` says that our value has yet to be written there. `overruled` counts how often a change made there was
    undone for the same value of ours.
    """

    local: str = ""
    remote: str = ""
    pending: bool = False
    overruled: int = 0


class Sending(_Value):
    """A write that is under way or whose outcome is unknown. Until `until` nobody else writes to this contact."""

    token: str
    until: AwareDatetime
    values: dict[str, str]


class SyncState(_Value):
    """Where a person and a HubSpot contact stand. `bases` are by property; `version` is the fence: every look at the
    contact moves it on, also one that changed nothing (faults R2). `detached` says why nothing is exchanged any more,
    `refused` why HubSpot would not take the last write."""

    person_id: str
    version: int = 0
    remote_id: str = ""
    identified: bool = False
    bases: dict[str, FieldBase] = Field(default_factory=dict)
    sending: Sending | None = None
    detached: str = ""
    refused: str = ""
    synced_at: AwareDatetime | None = None

    def next(self, **changes: object) -> "SyncState":
        """The next version with some fields changed."""
        return self.model_copy(update={**changes, "version": self.version + 1})

    def busy_at(self, now: datetime) -> float:
        """Seconds for which a write of somebody else has to be waited for; 0 when there is none."""
        return 0.0 if self.sending is None else max(0.0, (self.sending.until - now).total_seconds())


class SyncConflict(Entity):
    """Both sides had their own value for a field: both values, the rule that decided and who won (HUB-4)."""

    system: str = SYSTEM
    person_id: str
    remote_id: str
    field: str
    local_value: str
    remote_value: str
    rule: str
    winner: str


class LogEntry(_Value):
    """One effect of syncing a record. Names of properties only, never values."""

    at: AwareDatetime
    direction: str
    action: str
    properties: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DirtyMark:
    """A person whose mapped fields changed, because of which record at which version."""

    person_id: str
    record_id: str
    record_version: int
    properties: tuple[str, ...] = field(default=())

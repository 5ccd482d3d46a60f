"""The field map of contacts as data (HUB-2): which field is which property, who owns it, how a clash is decided."""

from collections.abc import Iterable
from datetime import UTC
from enum import StrEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from revops.kernel import parse_time
from revops.settings import SettingsDocument
from revops.sync.model import IDENTITY, PersonField, PersonSnapshot


class Direction(StrEnum):
    """`both` comes back from HubSpot, `out` is ours alone and restored there, `read` is HubSpot's and never written."""

    BOTH = "both"
    OUT = "out"
    READ = "read"


class Rule(StrEnum):
    """Who wins when both sides changed a field since they last agreed. `latest_wins` goes by the records' times."""

    REMOTE_WINS = "remote_wins"
    LOCAL_WINS = "local_wins"
    LATEST_WINS = "latest_wins"


class Form(StrEnum):
    """How HubSpot types the property."""

    TEXT = "text"
    NUMBER = "number"
    DATETIME = "datetime"


_RETURNING = frozenset({PersonField.FIRST_NAME, PersonField.LAST_NAME, PersonField.PHONE, PersonField.COMPANY})


class FieldMap(BaseModel):
    """One line of the map. `custom` properties are created in the portal; `keep_when_blank` means that emptying it in
    HubSpot does not empty it here but brings our value back there."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    person: PersonField
    property: str = Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")
    direction: Direction = Direction.OUT
    rule: Rule = Rule.REMOTE_WINS
    form: Form = Form.TEXT
    lower_case: bool = False
    keep_when_blank: bool = False
    custom: bool = False

    @model_validator(mode="after")
    def _only_some_return(self) -> "FieldMap":
        if self.direction is Direction.BOTH and self.person not in _RETURNING:
            raise ValueError(f"{self.person.value} does not come back from HubSpot (HUB-2)")
        return self

    def outbound(self, snapshot: PersonSnapshot) -> str:
        """Our value as HubSpot writes it."""
        value = snapshot.text(self.person).strip()
        if self.lower_case:
            value = value.lower()
        if self.form is Form.DATETIME and value:
            moment = parse_time(value).astimezone(UTC)
            value = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return value


def _line(person: PersonField, name: str, direction: Direction = Direction.OUT, **more: object) -> FieldMap:
    return FieldMap.model_validate({"person": person, "property": name, "direction": direction, **more})


def _default_map() -> tuple[FieldMap, ...]:
    p, both, read = PersonField, Direction.BOTH, Direction.READ
    return (
        _line(p.EMAIL, "email", lower_case=True),
        _line(p.FIRST_NAME, "firstname", both, keep_when_blank=True),
        _line(p.LAST_NAME, "lastname", both, keep_when_blank=True),
        _line(p.PHONE, "phone", both),
        _line(p.COMPANY, "company", both, keep_when_blank=True),
        _line(p.JOB_TITLE, "jobtitle"),
        _line(p.CREATED_AT, "createdate", read, form=Form.DATETIME),
        _line(p.CREATED_AT, "revops_created_at", form=Form.DATETIME, custom=True),
        _line(p.SUBSCRIPTION_PLAN, "subscription_plan", custom=True),
        _line(p.SUBSCRIPTION_STATUS, "subscription_status", custom=True),
        _line(p.LIFETIME_VALUE, "lifetime_value", form=Form.NUMBER, custom=True),
        _line(p.HEALTH_SCORE, "health_score", custom=True),
        _line(p.ACTIVE_ASSETS, "revops_active_assets", form=Form.NUMBER, custom=True),
        _line(p.PENDING_ASSETS, "revops_pending_assets", form=Form.NUMBER, custom=True),
        _line(p.LEAD_STATUS, "revops_lead_status", custom=True),
        _line(p.LEAD_SCORE, "revops_lead_score", form=Form.NUMBER, custom=True),
    )


class HubspotFields(SettingsDocument):
    """How a person becomes a contact and back.

    `lease_seconds` is how long a write whose answer is missing may still land there, and must be longer than the
    client's timeouts; `max_overrules` stops undoing a change that something in HubSpot keeps making.
    """

    SETTING: ClassVar[str] = "hubspot_fields"

    contacts: tuple[FieldMap, ...] = Field(default_factory=_default_map)
    lease_seconds: int = Field(default=30, ge=15, le=300)
    max_overrules: int = Field(default=5, ge=1, le=100)

    @model_validator(mode="after")
    def _distinct(self) -> "HubspotFields":
        names = [line.property for line in self.contacts]
        if len(set(names)) != len(names) or IDENTITY in names:
            raise ValueError(f"each property stands once, and {IDENTITY} is not to be mapped")
        written = [line.person for line in self.contacts if line.direction is Direction.BOTH]
        if len(set(written)) != len(written):
            raise ValueError("a field comes back from one property only")
        return self

    @property
    def properties(self) -> tuple[str, ...]:
        """What is read of a contact."""
        return (IDENTITY, *(line.property for line in self.contacts))

    @property
    def exchanged(self) -> tuple[FieldMap, ...]:
        """The lines that are kept equal."""
        return tuple(line for line in self.contacts if line.direction is not Direction.READ)

    def properties_of(self, changed: Iterable[PersonField]) -> tuple[str, ...]:
        """The properties that some fields go out to."""
        fields = set(changed)
        return tuple(line.property for line in self.exchanged if line.person in fields)

"""What people do on the company's own pages, told by its web analytics in batches (LEAD-3, LEAD-5)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from revops.crm.engagement import RecordEngagement
from revops.crm.normalise import canonical_email
from revops.crm.policies.machines import EngagementRules
from revops.crm.store import standing_at
from revops.kernel import CallContext, StatedTime
from revops.settings import SettingsReader
from revops.table import Table, holder_of


class PageEvent(BaseModel):
    """Something a person did on a page. They are named by their lead or by their e-mail address. `ref` is what it was
    done to: the same event about the same `ref` counts once, so a page that is to count every day has the day in it."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    event: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["pricing_view"])]
    ref: Annotated[str, Field(pattern=r"^[A-Za-z0-9/_.~:%+=-]{1,200}$", examples=["/pricing:2026-11-20"])]
    lead_id: Annotated[str, Field(max_length=60)] = ""
    email: Annotated[str, Field(max_length=320, examples=["asha.rao@nordlicht.example"])] = ""
    at: StatedTime | None = None

    @model_validator(mode="after")
    def _names_one_person(self) -> "PageEvent":
        if bool(self.lead_id) == bool(self.email):
            raise ValueError("either lead_id or email")
        return self


class PageEventBatch(BaseModel):
    """At most a hundred at a time."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    events: Annotated[list[PageEvent], Field(min_length=1, max_length=100)]


class PageOutcome(StrEnum):
    """What became of one event of a batch. An event of somebody whose lead is converted is `archived` and not counted,
    unless it counted before."""

    COUNTED = "counted"
    REPEATED = "repeated"
    ARCHIVED = "archived"
    UNKNOWN_PERSON = "unknown_person"
    UNKNOWN_EVENT = "unknown_event"


class RecordPageEvents:
    """Counts the events of people who are leads; what is about nobody, or is no event of the rules, is said so."""

    def __init__(self, table: Table, settings: SettingsReader, record: RecordEngagement) -> None:
        self._table = table
        self._settings = settings
        self._record = record

    def __call__(self, events: Sequence[PageEvent], call: CallContext) -> list[PageOutcome]:
        """One outcome per event, in their order. The batch may be sent again: what counted is `repeated`."""
        known = self._settings.read(EngagementRules).page_events
        return [self._one(event, known, call) for event in events]

    def _one(self, event: PageEvent, known: Sequence[str], call: CallContext) -> PageOutcome:
        if event.event not in known:
            return PageOutcome.UNKNOWN_EVENT
        lead_id = event.lead_id or self._lead_of(event.email)
        if not lead_id or standing_at(self._table, lead_id) is None:
            return PageOutcome.UNKNOWN_PERSON
        if self._record(lead_id, event.event, event.ref, call, event.at):
            return PageOutcome.COUNTED
        before = self._record.counted(lead_id, event.event, event.ref)
        return PageOutcome.REPEATED if before else PageOutcome.ARCHIVED

    def _lead_of(self, email: str) -> str:
        canonical = canonical_email(email)
        return (holder_of(self._table, "email", canonical.address) or "") if canonical else ""

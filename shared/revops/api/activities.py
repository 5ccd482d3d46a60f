"""Activities: what was done with somebody, on the timeline of a record (CRM-5)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from revops.crm.activities import Activity, ActivityOutcome, ActivityType, LogActivity, NewActivity, ReadTimeline
from revops.platform.http import Api


class ActivityView(BaseModel):
    """An activity."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["ACT_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    type: ActivityType
    subject: str
    about: str = Field(description="The id of the record it is about")
    owner_id: str
    at: datetime
    inbound: bool = False
    content: str = ""
    outcome: ActivityOutcome | None = None
    facts: dict[str, str] = Field(default_factory=dict, description="What belongs to the type; several on lines")
    logged_by: str = ""
    created_at: datetime

    @classmethod
    def of(cls, activity: Activity) -> Self:
        same = {name: getattr(activity, name) for name in cls.model_fields if name in Activity.model_fields}
        return cls.model_validate({**same, "about": activity.related_to})


class TimelineView(BaseModel):
    """A page of a timeline, newest first; `next` is empty at the end."""

    model_config = ConfigDict(defer_build=True)

    activities: list[ActivityView]
    next: str = ""


@dataclass(frozen=True, slots=True)
class ActivityUseCases:
    """What the routes call."""

    log: LogActivity
    timeline: ReadTimeline


def add_activity_routes(api: Api, use: ActivityUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/activities",
        "The timeline of a lead, an account, a contact or a deal, newest first",
        tag="activities",
        model=TimelineView,
        errors=(401, 404),
    )
    def get_timeline(
        about: Annotated[str, Query(max_length=60, description="The id of the record")],
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> TimelineView:
        page = use.timeline(about, limit, cursor, api.user_call())
        views = [ActivityView.of(activity) for activity in page.activities]
        return TimelineView(activities=views, next=page.next_cursor)

    @api.post(
        "/api/v1/activities",
        "Note a call, an e-mail, a WhatsApp message, a meeting or a note; about a lead it counts as being in touch",
        tag="activities",
        status=201,
        model=ActivityView,
        errors=(401, 403, 404, 413),
    )
    def post_activity(body: NewActivity) -> tuple[ActivityView, int]:
        return ActivityView.of(use.log(body, api.user_call())), 201

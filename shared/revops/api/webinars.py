"""Webinar and event registrations in (CAP-6)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Self

from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import BaseModel, ConfigDict, Field

from revops.access import HoldRate
from revops.channels.webinar import AttendeeVerdict, RowVerdict, TakeAttendees, WebinarBatch
from revops.platform.http import Api
from revops.platform.problems import ProblemIssue


class AttendeeVerdictView(BaseModel):
    """What became of a row, counted from 0."""

    model_config = ConfigDict(defer_build=True)

    row: int = Field(examples=[0])
    verdict: RowVerdict
    lead_id: str = Field(default="", examples=["LEAD_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    issues: list[ProblemIssue] = Field(default_factory=list)

    @classmethod
    def of(cls, verdict: AttendeeVerdict) -> Self:
        """A verdict as it is shown."""
        return cls.model_validate(asdict(verdict))


class WebinarVerdictsView(BaseModel):
    """A verdict for every row, in their order."""

    model_config = ConfigDict(defer_build=True)

    verdicts: list[AttendeeVerdictView]


@dataclass(frozen=True, slots=True)
class WebinarUseCases:
    """What the route calls. `still_good` says whether a key is good at this moment."""

    take: TakeAttendees
    hold_rate: HoldRate
    still_good: Callable[[str], bool]


def add_webinar_routes(api: Api, use: WebinarUseCases) -> None:
    """Registers the route."""

    @api.post(
        "/api/v1/webinars/{webinar_id}/attendees",
        "Attendees of a webinar or event: a verdict for each; sending a batch again changes nothing",
        tag="leads",
        model=WebinarVerdictsView,
        errors=(401, 403, 413, 415, 429),
        security=[{"apiKey": []}],
    )
    def post_attendees(
        webinar_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")], body: WebinarBatch
    ) -> WebinarVerdictsView:
        call = api.key_call("webinar:write")
        use.hold_rate(call.principal, call, cost=len(body.attendees))
        key = api.header("x-api-key")
        verdicts = use.take(webinar_id, body, call, lambda: use.still_good(key))
        return WebinarVerdictsView(verdicts=[AttendeeVerdictView.of(verdict) for verdict in verdicts])

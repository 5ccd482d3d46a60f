"""Operations: what was given up, and replaying what was received."""

from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.inbox.replay import ReplayRequest, ReplayResult, ReplaySignals
from revops.platform.http import Api
from revops.stream.dead_letters import ReadDeadLetters


class DeadLetterView(BaseModel):
    """Something a consumer gave up: who, what about, why, and where it is kept whole."""

    model_config = ConfigDict(defer_build=True)

    id: str
    source: str = Field(examples=["change_relay"])
    about: str
    reason: str
    blob: str
    created_at: AwareDatetime


class DeadLettersView(BaseModel):
    """The dead letters of a month, newest first."""

    model_config = ConfigDict(defer_build=True)

    dead_letters: list[DeadLetterView]


@dataclass(frozen=True, slots=True)
class OperationUseCases:
    """What the routes of operations call."""

    replay: ReplaySignals
    dead_letters: ReadDeadLetters


def add_operation_routes(api: Api, use: OperationUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/dead-letters",
        "What a consumer of the stream gave up in a month, with its reason",
        tag="operations",
        model=DeadLettersView,
        errors=(401, 404),
    )
    def list_dead_letters(
        month: Annotated[str, Query(pattern=r"^\d{4}-\d{2}$", description="2026-11; this month if left out")] = "",
    ) -> DeadLettersView:
        letters = use.dead_letters(month, api.user_call())
        return DeadLettersView(dead_letters=[DeadLetterView.model_validate(letter.model_dump()) for letter in letters])

    @api.post(
        "/api/v1/inbox/replay",
        "Hand received webhooks to their worker again: of an object, a window or a release; safe at any time, paced",
        tag="operations",
        model=ReplayResult,
        errors=(401, 404, 413),
        example={"replayed": 12, "failed": 0, "more": False, "settled_before": "2026-11-20T09:00:00Z", "cursor": ""},
    )
    def replay_inbox(body: ReplayRequest) -> ReplayResult:
        return use.replay(body, api.user_call())

"""What people do on the company's pages, as web analytics tell it (LEAD-3, LEAD-5)."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from revops.access import HoldRate
from revops.crm.page_events import PageEventBatch, PageOutcome, RecordPageEvents
from revops.platform.http import Api

SCOPE = "engagement:write"
_BATCH = {"results": [{"index": 0, "outcome": "counted"}, {"index": 1, "outcome": "unknown_person"}]}


class PageResult(BaseModel):
    """What became of one event of the batch."""

    model_config = ConfigDict(defer_build=True)

    index: int = Field(description="Its place in the batch, from 0")
    outcome: PageOutcome


class PageResults(BaseModel):
    """One result per event, in their order."""

    model_config = ConfigDict(defer_build=True)

    results: list[PageResult]


@dataclass(frozen=True, slots=True)
class PageEventUseCases:
    """What the route calls."""

    record: Callable[[], RecordPageEvents]
    hold_rate: Callable[[], HoldRate]


def add_page_event_routes(api: Api, use: PageEventUseCases) -> None:
    """Registers the route."""

    @api.post(
        "/api/v1/engagement/page-events",
        "What people did on our pages, up to 100 events; people who are no leads are left out, and the answer says so",
        tag="engagement",
        model=PageResults,
        errors=(401, 403, 413, 415, 429),
        example=_BATCH,
        security=[{"apiKey": []}],
    )
    def post_page_events(body: PageEventBatch) -> PageResults:
        call = api.key_call(SCOPE)
        use.hold_rate()(call.principal, call, cost=len(body.events))
        outcomes = use.record()(body.events, call)
        return PageResults(results=[PageResult(index=n, outcome=outcome) for n, outcome in enumerate(outcomes)])

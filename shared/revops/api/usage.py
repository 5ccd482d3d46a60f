"""Usage events over HTTP: one event in, counted once and never past a cap (USE-1, USE-3)."""

from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response

from revops.platform.http import Api
from revops.platform.problems import JSON
from revops.usage import RecordUsage, UsageEvent, UsageReceipt

SCOPE = "usage:write"

_RECEIPT = {
    "event_id": "req-2026-11-20-000017",
    "account_id": "ACC_7ZK3M0Q8W2XR5T9VB1N4C6D8EF",
    "meter": "API Calls",
    "quantity": 25,
    "cycle": "2026-11",
    "included_units": 0,
    "overage_units": 25,
    "overage_cost": "0.375",
    "currency": "EUR",
    "duplicate": False,
    "remaining": {"included": 0, "units": None, "spend": {"minor": 9962, "currency": "EUR"}},
}


@dataclass(frozen=True, slots=True)
class UsageUseCases:
    """What the usage routes call."""

    record: RecordUsage


def add_usage_routes(api: Api, use: UsageUseCases) -> None:
    """Registers the routes."""

    @api.post(
        "/api/v1/usage/events",
        "A usage event: 201 when it is counted now, 402 with the numbers when a cap leaves no room for it",
        tag="usage",
        status=201,
        also={200: "The event was counted before; this is how"},
        model=UsageReceipt,
        errors=(401, 402, 403, 404, 409, 413, 415, 429),
        example=_RECEIPT,
        security=[{"apiKey": []}],
    )
    def post_usage_event(body: UsageEvent) -> Response[UsageReceipt]:
        receipt = use.record(body, api.key_call(SCOPE))
        return Response(status_code=200 if receipt.duplicate else 201, content_type=JSON, body=receipt)

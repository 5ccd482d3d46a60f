"""Ending a customer's subscription, and taking that back in time (STR-5)."""

from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict

from revops.billing.cancellation import Cancellation, CancellationRequest, RequestCancellation
from revops.platform.http import Api


class CancellationsView(BaseModel):
    """What was asked for of a customer's subscriptions, the latest first."""

    model_config = ConfigDict(defer_build=True)

    cancellations: list[Cancellation]


@dataclass(frozen=True, slots=True)
class CancellationUseCases:
    """What the routes call."""

    request: RequestCancellation


def add_cancellation_routes(api: Api, use: CancellationUseCases) -> None:
    """Registers the routes."""

    @api.post(
        "/api/v1/customers/{customer_id}/cancellation",
        "Cancel a subscription, now or at the end of its period; it is written down and brought about at Stripe behind",
        tag="billing",
        status=202,
        model=Cancellation,
        errors=(401, 403, 404, 409, 413),
    )
    def post_cancellation(customer_id: str, body: CancellationRequest) -> tuple[Cancellation, int]:
        return use.request.cancel(customer_id, body, api.user_call()), 202

    @api.get(
        "/api/v1/customers/{customer_id}/cancellation",
        "What was asked for of a customer's subscriptions, by whom, and what came of it",
        tag="billing",
        model=CancellationsView,
        errors=(401, 404),
    )
    def get_cancellations(customer_id: str) -> CancellationsView:
        return CancellationsView(cancellations=use.request.read(customer_id, api.user_call()))

    @api.delete(
        "/api/v1/customers/{customer_id}/cancellation",
        "Keep a subscription whose cancellation is asked for or scheduled; one that has ended stays ended",
        tag="billing",
        status=202,
        model=Cancellation,
        errors=(401, 403, 404, 409),
    )
    def delete_cancellation(
        customer_id: str,
        subscription_id: Annotated[str, Query(max_length=255, description="Where several are to be cancelled")] = "",
    ) -> tuple[Cancellation, int]:
        return use.request.withdraw(customer_id, subscription_id, api.user_call()), 202

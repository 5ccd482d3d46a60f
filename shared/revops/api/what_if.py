"""What terms would cost, over HTTP (ORD-6)."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body

from revops.orders.policies.trial import WhatIf, WhatIfAnswer
from revops.orders.what_if import TryTerms
from revops.platform.http import Api

TAG = "orders"

NEW: dict[str, Any] = {
    "account_id": "ACC_3F6J9M2Q5T8W1Z4C7E0H3K6N9R",
    "plan": "Professional",
    "currency": "EUR",
    "billing_cycle": "Annual",
    "seats": 40,
    "discount_percent": "5",
    "usage": [{"meter": "Pooled", "monthly_cap": 20000, "overage_price": "0.012"}],
}
CHANGE: dict[str, Any] = {"seats": 40, "plan": "Enterprise", "effective_date": "2026-12-10"}


def add_what_if_routes(api: Api, try_terms: TryTerms) -> None:
    """Registers the routes that answer what terms would cost. They write nothing."""

    @api.post(
        "/api/v1/orders/what-if",
        "What terms would cost against the account's actual usage, beside Stripe's own preview; nothing is written",
        errors=(401, 403, 404, 413, 415),
        tag=TAG,
        model=WhatIfAnswer,
    )
    def try_new_terms(body: Annotated[WhatIf, Body(examples=[NEW])]) -> WhatIfAnswer:
        return try_terms.new(body, api.user_call())

    @api.post(
        "/api/v1/orders/{order_id}/what-if",
        "What a change of this order would cost now and each month, line by line beside Stripe's own preview",
        errors=(401, 403, 404, 409, 413, 415),
        tag=TAG,
        model=WhatIfAnswer,
    )
    def try_change(order_id: str, body: Annotated[WhatIf, Body(examples=[CHANGE])]) -> WhatIfAnswer:
        return try_terms.live(order_id, body, api.user_call())

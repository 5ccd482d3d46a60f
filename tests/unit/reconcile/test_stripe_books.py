"""A subscription as Stripe answers it, in our words: what the simulator does not have of it (ORD-7)."""

import secrets
from typing import Any

import pytest
import stripe

from revops.adapters.stripe_reconcile import StripeBooks
from revops.reconcile.model import SeenSubscription
from tests.unit.billing.test_stripe_gateway import Canned

pytestmark = pytest.mark.mission("ORD-7")
PRICE = {
    "id": "price_1",
    "object": "price",
    "billing_scheme": "per_unit",
    "unit_amount_decimal": "5900",
    "product": "p",
}


def seen(item: dict[str, Any], **more: Any) -> SeenSubscription:
    recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    price = {**PRICE, "lookup_key": None, "transform_quantity": None, "recurring": recurring}
    times = {"current_period_start": 1, "current_period_end": 2}
    items = [{"id": "si_1", "object": "subscription_item", "quantity": 2, "price": price, **times, **item}]
    body = {
        "id": "sub_1",
        "object": "subscription",
        "status": "active",
        "created": 1,
        "customer": "cus_1",
        "currency": "eur",
        "metadata": {},
        "items": {"object": "list", "data": items},
        "collection_method": "charge_automatically",
        "discounts": [],
        "pause_collection": None,
        "schedule": None,
        **dict.fromkeys(("days_until_due", "cancel_at", "ended_at")),
        "cancel_at_period_end": False,
        **more,
    }
    http = Canned({"/v1/subscriptions/sub_1": (200, body, {})})
    client = stripe.StripeClient(secrets.token_hex(8), http_client=http, max_network_retries=0)
    found = StripeBooks(lambda: client).one("sub_1")
    assert found is not None
    return found


def test_discounts_of_a_subscription_and_of_its_items() -> None:
    assert seen({"discounts": []}).discounts == ()
    assert seen({}).discounts == ()
    assert seen({"discounts": ["di_b"]}, discounts=["di_a", "di_b"]).discounts == ("di_a", "di_b")


@pytest.mark.parametrize(
    ("more", "paused"),
    [
        ({}, ""),
        ({"pause_collection": {"behavior": "keep_as_draft", "resumes_at": None}}, "keep_as_draft"),
        ({"status": "paused"}, "a trial ended unpaid"),
    ],
)
def test_collection_that_is_paused(more: dict[str, Any], paused: str) -> None:
    assert seen({}, **more).paused == paused

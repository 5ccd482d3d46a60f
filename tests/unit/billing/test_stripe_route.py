"""POST /webhooks/stripe and the worker's queue, over the samples in events/ (STR-1, S7)."""

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from revops.adapters.stripe_events import read_stripe_event
from revops.adapters.stripe_signature import verify_stripe_signature
from revops.api.billing import add_stripe_webhook_route
from revops.billing import ReceiveStripeEvent, StripeIdentity
from revops.inbox import InboxStatus
from revops.kernel import Principal, Unauthenticated, system_call
from revops.platform.batch import handle_messages
from revops.platform.http import Api
from tests.builders.billing import BillingBench, signature_header
from tests.builders.queues import NotedPauses

pytestmark = pytest.mark.mission("STR-1")

SECRET = secrets.token_hex(16)
SAMPLES = Path(__file__).parents[3] / "events"


class _Nobody:
    def token(self, claims: Mapping[str, str]) -> Principal:
        raise Unauthenticated("nobody")

    def key(self, presented: str) -> Principal:
        raise Unauthenticated("nobody")


@pytest.fixture
def bench() -> BillingBench:
    return BillingBench()


def _post(bench: BillingBench, **changes: Any) -> tuple[int, dict[str, Any]]:
    """The sample, signed now, with some of it changed afterwards."""
    event = json.loads((SAMPLES / "stripe_webhook.json").read_text())
    event["headers"]["stripe-signature"] = signature_header(event["body"].encode(), SECRET, bench.clock.now())
    event |= changes

    def prove(raw: bytes, header: str, now: datetime) -> None:
        verify_stripe_signature(raw, header, [SECRET], now)

    api = Api(_Nobody())
    identity = StripeIdentity("acct_ours", livemode=False)
    add_stripe_webhook_route(
        api, ReceiveStripeEvent(bench.receive, prove, read_stripe_event, lambda: identity, bench.clock)
    )
    answer = api(event, LambdaContext())
    return answer["statusCode"], json.loads(answer["body"])


def test_the_sample_is_stored_and_its_worker_message_settles_it(bench: BillingBench) -> None:
    assert _post(bench) == (200, {"received": True})
    assert _post(bench) == (200, {"received": True})
    batch = json.loads((SAMPLES / "stripe_worker.json").read_text())

    def settle(message: dict[str, Any], _: int) -> None:
        bench.converge(message["inbox_id"], system_call("worker"))

    outcome = handle_messages(batch, settle, NotedPauses())
    assert outcome == {"batchItemFailures": []}
    assert bench.entry("evt_1SampleFailedInvoice").status is InboxStatus.APPLIED
    assert len(bench.profile("cus_SampleCustomer").activity) == 1


@pytest.mark.fault("S7")
def test_a_base64_body_is_verified_as_its_bytes(bench: BillingBench) -> None:
    body = json.loads((SAMPLES / "stripe_webhook.json").read_text())["body"]
    encoded = base64.b64encode(body.encode()).decode()
    assert _post(bench, body=encoded, isBase64Encoded=True)[0] == 200


@pytest.mark.fault("S6", "S7")
@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {}},
        {"headers": {"stripe-signature": "t=1,v1=00"}},
        {"body": "{}"},
        {"body": ""},
        {"body": "not json"},
    ],
)
def test_anything_else_is_a_problem_and_not_stored(bench: BillingBench, changes: dict[str, Any]) -> None:
    status, problem = _post(bench, **changes)
    assert (status, problem["status"]) == (400, 400)
    assert bench.table.rows == {}

"""The webhook over HTTP: what HubSpot gets for an answer, and what is stored."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from revops.adapters.hubspot_signature import hubspot_signature, verify_hubspot_signature
from revops.api.hubspot import MAX_BODY, add_hubspot_webhook_route
from revops.inbox import ReceiveSignal
from revops.kernel import Principal, Unauthenticated, Unavailable
from revops.platform.http import Api
from revops.sync import ReceiveDelivery, ReceiveEvents
from revops.table import Throttled
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable
from tests.unit.sync.fakes import NoBlobs

SAMPLE = Path(__file__).parents[3] / "events" / "crm_webhook.json"
SECRET = secrets.token_hex(16)


class Nobody:
    """Nobody logs in here."""

    def token(self, claims: Mapping[str, str]) -> Principal:
        raise Unauthenticated("no")

    def key(self, presented: str) -> Principal:
        raise Unauthenticated("no")


class Webhook:
    def __init__(self, url: str = "") -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.credentials: dict[str, Any] = {"client_secrets": [SECRET], "portal_id": 48000001}
        receive = ReceiveEvents(self.table, self.clock, ReceiveSignal(self.table, self.clock, NoBlobs()))
        self.handler = Api(Nobody(), max_body=MAX_BODY)
        use = ReceiveDelivery(self.clock, verify_hubspot_signature, lambda: self.credentials, receive, url)
        add_hubspot_webhook_route(self.handler, use)

    def post(self, uri: str = "https://api.example.com/webhooks/hubspot", **changes: Any) -> tuple[int, Any]:
        event = json.loads(SAMPLE.read_text()) | changes
        stamp = str(round(self.clock.now().timestamp() * 1000))
        signed = hubspot_signature(SECRET, "POST", uri, event["body"].encode(), stamp)
        event["headers"] |= {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": signed}
        answer = self.handler(event, SimpleNamespace())
        return int(answer["statusCode"]), json.loads(answer["body"])


@pytest.mark.mission("HUB-3")
@pytest.mark.fault("R1")
def test_a_batch_is_stored_once_and_acknowledged_each_time() -> None:
    webhook = Webhook()
    assert webhook.post() == (200, {"received": True})
    assert webhook.post() == (200, {"received": True})
    assert len([row for row in webhook.table.rows.values() if row.kind == "INBOX"]) == 1


@pytest.mark.fault("S6", "S7", "S9")
def test_what_is_not_hubspots_is_a_400_and_nothing_is_stored() -> None:
    webhook = Webhook()
    for status, body in (
        webhook.post(uri="https://else.example.com/webhooks/hubspot"),
        webhook.post(body="[{]"),
        webhook.post(body="{}"),
        webhook.post(body='[{"portalId":1,"subscriptionType":"contact.creation","objectId":1}]'),
    ):
        assert status == 400
        assert body["type"].endswith("/invalid")
    assert not webhook.table.rows


def test_the_url_hubspot_knows_is_the_one_that_counts() -> None:
    public = "https://hooks.example.com/hubspot"
    assert Webhook(public).post(uri=public)[0] == 200
    assert Webhook(public).post()[0] == 400


@pytest.mark.fault("S7", "S9")
def test_a_secret_written_alone_is_one_and_not_its_letters() -> None:
    webhook = Webhook()
    webhook.credentials["client_secrets"] = SECRET
    assert webhook.post()[0] == 200
    webhook.credentials["client_secrets"] = f"{SECRET}, another"
    assert webhook.post()[0] == 400


@pytest.mark.fault("R26", "R28")
def test_what_cannot_be_checked_or_stored_is_asked_for_again() -> None:
    webhook = Webhook()
    webhook.credentials["client_secrets"] = []
    assert webhook.post()[0] == 503
    webhook.credentials["client_secrets"] = [SECRET]

    def busy(transaction: object) -> None:
        raise Throttled("busy")

    webhook.table.before_commit = busy
    assert webhook.post()[0] == 503
    webhook.table.before_commit = lambda transaction: None
    assert webhook.post()[0] == 200
    assert isinstance(Throttled("busy"), Unavailable)

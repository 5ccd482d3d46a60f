"""The WhatsApp simulator keeps Meta's rules: closed requests, signed and repeated webhooks, statuses, the window."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.simulators.common import contracts_folder
from local.simulators.whatsapp.contract import Examples
from local.simulators.whatsapp.vendor import Whatsapp
from local.simulators.whatsapp.webhooks import BATCH, Identity
from revops.adapters.whatsapp_events import whatsapp_signals
from revops.adapters.whatsapp_signature import verify_whatsapp_signature
from tests.builders.loopback import Receiver, receiving
from tests.contract.channel_harness import running, word

SECRET, TOKEN, VERIFY = word(), word(), word()
NUMBER_ID = "106540352242922"
PATH = f"/v23.0/{NUMBER_ID}/messages"
TEMPLATE: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "4915112345678",
    "type": "template",
    "template": {
        "name": "offer",
        "language": {"policy": "deterministic", "code": "en"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Asha"}]}],
    },
}
TEXT = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "4915112345678",
    "type": "text",
    "text": {"body": "Hello"},
}


class Meta:
    """The simulator and who listens to it."""

    def __init__(self, client: httpx.Client, receiver: Receiver) -> None:
        self.client = client
        self.receiver = receiver

    def send(self, body: Any, token: str = TOKEN, path: str = PATH) -> Any:
        return self.client.post(path, json=body, headers={"authorization": f"Bearer {token}"})

    def told(self, count: int) -> list[Any]:
        """The changes that were told, once there are so many."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            changes = [
                change["value"]
                for request in list(self.receiver.requests)
                for entry in json.loads(request.body)["entry"]
                for change in entry["changes"]
            ]
            if len(changes) >= count:
                return changes
            time.sleep(0.02)
        raise AssertionError(f"fewer than {count} changes")


@pytest.fixture
def meta(tmp_path: Path) -> Iterator[Meta]:
    identity = Identity(TOKEN, SECRET, VERIFY, NUMBER_ID, "493090182000", "419561257915477")
    config = {"templates": {"offer": {"en": 1}}}
    with receiving(Receiver()) as receiver:

        def make(world: Any) -> Whatsapp:
            return Whatsapp(world, receiver.url("/webhooks/whatsapp"), identity)

        with running(tmp_path, make, config, BATCH) as client:
            yield Meta(client, receiver)


def test_a_message_is_accepted_and_what_becomes_of_it_is_told(meta: Meta) -> None:
    answer = meta.send(TEMPLATE).json()
    (accepted,) = answer["messages"]
    assert answer["contacts"] == [{"input": "4915112345678", "wa_id": "4915112345678"}]
    assert [value["statuses"][0]["status"] for value in meta.told(2)] == ["sent", "delivered"]
    number = "_sim/people/4915112345678"
    assert meta.client.post(f"/{number}/reads", json={"message_id": accepted["id"]}).status_code == 200
    assert meta.told(3)[-1]["statuses"][0]["status"] == "read"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body.pop("recipient_type"), 100),
        (lambda body: body.update(surprise=1), 100),
        (lambda body: body.update(to="+49 151"), 100),
        (lambda body: body["template"]["language"].pop("policy"), 100),
        (lambda body: body["template"].update(namespace="x"), 100),
        (lambda body: body["template"]["components"][0]["parameters"].append({"type": "image"}), 100),
        (lambda body: body["template"].update(name="nobody_approved"), 132001),
        (lambda body: body["template"]["language"].update(code="de"), 132001),
        (lambda body: body["template"].pop("components"), 132000),
        (lambda body: body.update(type="text"), 100),
    ],
)
def test_what_meta_does_not_document_or_did_not_approve_is_refused(
    meta: Meta, change: Callable[[Any], object], code: int
) -> None:
    body = json.loads(json.dumps(TEMPLATE))
    change(body)
    answer = meta.send(body)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["code"] == code
    assert meta.client.get("/_sim/state").json()["sent"] == {}


def test_a_wrong_token_number_path_or_parameter_is_refused(meta: Meta) -> None:
    assert meta.send(TEMPLATE, token="x").json()["error"]["code"] == 190
    assert meta.send(TEMPLATE, path="/v23.0/1/messages").status_code == 400
    assert meta.send(TEMPLATE, path="/v23.0/me").status_code == 400
    assert meta.send(TEMPLATE, path=PATH + "?fields=id").status_code == 400
    assert len(meta.client.get("/_sim/violations").json()) == 2


def test_a_text_needs_an_open_window_and_a_person_within_reach(meta: Meta) -> None:
    meta.send(TEXT)
    assert meta.told(1)[0]["statuses"][0]["errors"][0]["code"] == 131047
    meta.client.post("/_sim/people/4915112345678/messages", json={"text": {"body": "Hi"}})
    meta.send(TEXT)
    assert [value["statuses"][0]["status"] for value in meta.told(4)[2:]] == ["sent", "delivered"]
    meta.client.post("/_sim/clock", json={"advance_seconds": 25 * 3600})
    meta.send(TEXT)
    assert meta.told(5)[-1]["statuses"][0]["status"] == "failed"
    meta.client.post("/_sim/people/4915112345678", json={"reachable": False})
    meta.send(TEMPLATE)
    assert meta.told(6)[-1]["statuses"][0]["errors"][0]["code"] == 131026


@pytest.mark.fault("R1", "R2")
def test_webhooks_are_signed_tried_again_doubled_and_mixed_up_on_demand(meta: Meta) -> None:
    meta.receiver.statuses = [503, 500]
    faults = [
        {"on": "webhook", "do": "duplicate", "copies": 1, "times": 1},
        {"on": "webhook", "do": "reorder", "window": 2, "seconds": 5, "times": 2},
    ]
    assert meta.client.post("/_sim/faults", json=faults).status_code == 200
    sent = [
        meta.client.post("/_sim/people/49151/messages", json={"text": {"body": str(number)}}).json()["id"]
        for number in range(3)
    ]
    meta.client.post("/_sim/flush")
    told = [value["messages"][0]["id"] for value in meta.told(4 + 1)]
    assert set(told) == set(sent)
    for request in meta.receiver.requests:
        verify_whatsapp_signature(request.body, request.headers["x-hub-signature-256"], [SECRET])
        expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-hub-signature-256"] == f"sha256={expected}"
        assert whatsapp_signals(request.body, ["419561257915477"])


def test_the_handshake_is_metas(meta: Meta) -> None:
    def challenge(request: Any) -> tuple[int, str, str]:
        asked = dict(pair.split("=") for pair in request.path.partition("?")[2].split("&"))
        return 200, "text/plain", asked["hub.challenge"] if asked["hub.verify_token"] == VERIFY else ""

    meta.receiver.answer = challenge
    assert meta.client.post("/_sim/subscribe").json() == {"status": 200, "verified": True}


@pytest.mark.skipif(contracts_folder("whatsapp") is None, reason="no contracts folder with Meta's examples")
def test_what_people_write_has_only_fields_of_metas_examples(meta: Meta) -> None:
    folder = contracts_folder("whatsapp")
    assert folder is not None
    examples, door = Examples(folder), "/_sim/people/4915112345678/messages"
    said: list[dict[str, Any]] = [
        {"text": {"body": "Hi"}},
        {"image": {"caption": "x", "mime_type": "image/png", "sha256": "x", "id": "1"}},
        {"location": {"address": "a", "latitude": 1.5, "longitude": 2, "name": "n", "url": "u"}},
        {"button": {"payload": "p", "text": "Unsubscribe"}},
        {"interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}},
        {"reaction": {"message_id": "wamid.1", "emoji": "👍"}},
        {"type": "contacts", "contacts": [{"name": {"formatted_name": "A"}}]},
    ]
    for message in said:
        assert meta.client.post(door, json=message).status_code == 201, message
    for value in meta.told(len(said)):
        assert examples.check(value) == []
    assert meta.client.get("/_sim/violations").json() == []
    assert examples.check({"messages": [{"type": "text", "text": {"words": "x"}}]})
    odd: list[dict[str, Any]] = [{"text": {"words": "x"}}, {"telepathy": {}}, {"text": {"body": "x"}, "more": 1}]
    for unknown in odd:
        assert meta.client.post(door, json=unknown).status_code == 400

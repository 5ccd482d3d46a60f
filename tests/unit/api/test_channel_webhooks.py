"""The doors of WhatsApp and Twilio: handshake, proof over raw bytes, what is answered, and what never is."""

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from revops.adapters.twilio_signature import twilio_signature
from revops.adapters.whatsapp_signature import whatsapp_signature
from revops.api.channels import MAX_BODY, add_channel_webhook_routes
from revops.kernel import Unavailable
from revops.platform.http import Api
from revops.table import Transaction
from tests.builders.channels import Channels
from tests.builders.requests import KnownCallers, http_event

PUBLIC = "https://api.example.com"
FORM = "application/x-www-form-urlencoded"


class Doors:
    """The function of the webhooks."""

    def __init__(self, public_url: str = PUBLIC) -> None:
        self.channels = Channels()
        self.api = Api(KnownCallers(), max_body=MAX_BODY)
        add_channel_webhook_routes(self.api, self.channels.webhooks(public_url))

    def get(self, **asked: str) -> dict[str, Any]:
        query = urlencode({f"hub.{name}": value for name, value in asked.items()})
        return self.api(http_event("GET", f"/webhooks/whatsapp?{query}"), None)

    def whatsapp(self, raw: bytes, signature: str | None = None, *, encoded: bool = False) -> dict[str, Any]:
        signature = (
            whatsapp_signature(self.channels.whatsapp_secret["app_secrets"][0], raw) if signature is None else signature
        )
        more: dict[str, Any] = {"encoded": raw} if encoded else {"raw": raw.decode()}
        return self.api(
            http_event("POST", "/webhooks/whatsapp", headers={"x-hub-signature-256": signature}, **more), None
        )

    def twilio(self, path: str, told: dict[str, str], *, url: str = "", content_type: str = FORM) -> dict[str, Any]:
        token = self.channels.twilio_secret["auth_tokens"][0]
        signature = twilio_signature(token, url or PUBLIC + path, list(told.items()))
        headers = {"x-twilio-signature": signature, "content-type": content_type}
        event = http_event("POST", path, headers=headers, raw=urlencode(told))
        event["requestContext"]["domainName"] = "own.example.com"
        return self.api(event, None)


@pytest.fixture
def doors() -> Doors:
    return Doors()


CALL = {
    "AccountSid": "AC1",
    "CallSid": "CA" + "1" * 32,
    "CallStatus": "ringing",
    "From": "+4915112345678",
    "To": "+49309",
}


# ── WhatsApp ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-2")
def test_meta_is_handed_its_challenge(doors: Doors) -> None:
    token = doors.channels.whatsapp_secret["verify_tokens"][0]
    answer = doors.get(mode="subscribe", verify_token=token, challenge="1158201444")
    assert (answer["statusCode"], answer["body"]) == (200, "1158201444")
    assert answer["headers"]["Content-Type"].startswith("text/plain")


@pytest.mark.mission("CAP-2")
@pytest.mark.fault("S8", "R28")
def test_nobody_else_subscribes(doors: Doors) -> None:
    token = doors.channels.whatsapp_secret["verify_tokens"][0]
    for asked, status in (
        ({"mode": "subscribe", "verify_token": "x", "challenge": "1"}, 403),
        ({"mode": "unsubscribe", "verify_token": token, "challenge": "1"}, 403),
        ({"mode": "subscribe", "verify_token": "", "challenge": "1"}, 403),
        ({"mode": "subscribe", "verify_token": token, "challenge": "<script>"}, 400),
        ({"mode": "subscribe", "verify_token": token}, 400),
        ({}, 403),
    ):
        assert doors.get(**asked)["statusCode"] == status
    doors.channels.whatsapp_secret["verify_tokens"] = ["", "second"]
    assert doors.get(mode="subscribe", verify_token="second", challenge="1")["statusCode"] == 200
    doors.channels.whatsapp_secret["verify_tokens"] = []
    assert doors.get(mode="subscribe", verify_token="", challenge="1")["statusCode"] == 503


@pytest.mark.mission("CAP-2")
@pytest.mark.fault("S7")
def test_a_body_is_proven_as_it_came_encoded_or_not(doors: Doors) -> None:
    raw = json.dumps({"object": "whatsapp_business_account", "entry": []}, indent=3, ensure_ascii=False).encode()
    for encoded in (False, True):
        answer = doors.whatsapp(raw, encoded=encoded)
        assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"received": True})
    assert doors.whatsapp(raw + b" ", whatsapp_signature("x", raw))["statusCode"] == 400
    assert doors.whatsapp(raw, "")["statusCode"] == 400


@pytest.mark.fault("S13")
def test_more_than_meta_ever_sends_is_refused(doors: Doors) -> None:
    assert doors.whatsapp(b" " * (MAX_BODY + 1))["statusCode"] == 413


@pytest.mark.fault("R26")
@pytest.mark.parametrize("door", ["whatsapp", "twilio"])
def test_nothing_is_acknowledged_that_is_not_stored(doors: Doors, door: str) -> None:
    def refuse(_: Transaction) -> None:
        raise Unavailable("the table did not answer")

    doors.channels.table.before_commit = refuse
    value = {"messages": [{"id": "w", "from": "4915112345678", "type": "text", "text": {"body": "x"}}]}
    raw = json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value}]}]}).encode()
    answer = doors.whatsapp(raw) if door == "whatsapp" else doors.twilio("/webhooks/twilio/voice", CALL)
    assert answer["statusCode"] == 503


# ── Twilio ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-3")
@pytest.mark.fault("R1")
def test_a_call_is_answered_at_once_and_a_repeat_alike(doors: Doors) -> None:
    first, again = (doors.twilio("/webhooks/twilio/voice", CALL) for _ in range(2))
    assert (first["statusCode"], first["headers"]["Content-Type"]) == (200, "text/xml")
    assert "<Say" in first["body"]
    assert again == first
    over = doors.twilio("/webhooks/twilio/status", CALL | {"CallStatus": "completed"})
    assert (over["statusCode"], "<Response/>" in over["body"]) == (200, True)
    assert len(doors.channels.inbox()) == 2


@pytest.mark.mission("CAP-3")
@pytest.mark.fault("S7", "S9")
def test_the_signature_is_over_the_public_address_and_its_query(doors: Doors) -> None:
    path = "/webhooks/twilio/voice"
    assert doors.twilio(f"{path}?team=a%20b", CALL)["statusCode"] == 200
    for url in (f"http://api.example.com{path}", f"https://own.example.com{path}", f"{PUBLIC}/webhooks/twilio/status"):
        assert doors.twilio(path, CALL | {"CallStatus": "queued"}, url=url)["statusCode"] == 400
    bare = Doors(public_url="")
    assert bare.twilio(path, CALL, url=f"https://own.example.com{path}")["statusCode"] == 200
    assert len(doors.channels.inbox()) == 1


@pytest.mark.fault("S13")
def test_twilio_sends_forms_and_whatsapp_json(doors: Doors) -> None:
    refused = doors.twilio("/webhooks/twilio/voice", CALL, content_type="application/json")
    assert refused["statusCode"] == 415
    assert json.loads(refused["body"])["issues"][0]["accepted"] == "application/x-www-form-urlencoded"
    event = http_event("POST", "/webhooks/whatsapp", headers={"content-type": FORM}, raw="a=b")
    assert doors.api(event, None)["statusCode"] == 415
    event["body"], event["isBase64Encoded"] = base64.b64encode(b"\xff").decode(), True
    assert doors.api(event, None)["statusCode"] == 400

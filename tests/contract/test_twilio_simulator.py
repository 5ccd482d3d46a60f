"""The Twilio simulator keeps Twilio's rules: signed forms, strict TwiML, reports that are tried again."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from local.simulators.twilio.twiml import TwimlError, read_twiml
from local.simulators.twilio.vendor import Twilio
from revops.adapters.twilio_signature import verify_twilio_signature
from tests.builders.loopback import Received, Receiver, receiving
from tests.contract.channel_harness import running, word

TOKEN, ACCOUNT = word(), "AC1"
GREETING = "<Response><Say>Hello</Say></Response>"
FORWARD = '<Response><Dial action="status"><Number>+493090182001</Number></Dial></Response>'


class Line:
    """The simulator and who listens to it."""

    def __init__(self, client: httpx.Client, receiver: Receiver) -> None:
        self.client = client
        self.receiver = receiver
        self.twiml = GREETING
        receiver.answer = lambda _: (200, "text/xml", self.twiml)

    def rings(self, **said: Any) -> Any:
        return self.client.post("/_sim/calls", json={"from": "+4915112345678", "to": "+493090182000", **said})

    def heard(self, count: int) -> list[tuple[str, dict[str, str]]]:
        """Paths and fields of the requests, once there are so many; each signature is looked at."""
        deadline = time.monotonic() + 10
        while len(self.receiver.requests) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.receiver.requests) >= count
        return [(request.path, self._proven(request)) for request in self.receiver.requests]

    def _proven(self, request: Received) -> dict[str, str]:
        told = parse_qsl(request.body.decode(), keep_blank_values=True)
        verify_twilio_signature(self.receiver.url(request.path), told, request.headers["x-twilio-signature"], [TOKEN])
        return dict(told)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with receiving(Receiver()) as receiver:

        def make(world: Any) -> Twilio:
            return Twilio(world, receiver.url("/webhooks/twilio/voice"), TOKEN, ACCOUNT)

        with running(tmp_path, make) as client:
            yield Line(client, receiver)


def test_a_call_asks_the_webhook_and_then_tells_how_it_ended(line: Line) -> None:
    made = line.rings(name="Asha Rao", seconds=9).json()
    assert made["script"]["said"] == ["Hello"]
    (voice, asked), (status, told) = line.heard(2)
    assert (voice, asked["CallStatus"], asked["CallerName"]) == ("/webhooks/twilio/voice", "ringing", "Asha Rao")
    assert (status, told["CallStatus"], told["CallDuration"]) == ("/webhooks/twilio/status", "completed", "9")
    assert asked["CallSid"] == told["CallSid"] == made["sid"]
    held = line.client.get("/_sim/state").json()
    assert held == line.client.get("/_sim/state?kind=call").json() == {"call": {made["sid"]: held["call"][made["sid"]]}}
    assert line.client.get("/_sim/state", params={"kind": "call", "about": made["sid"]}).json() == held
    assert line.client.get("/_sim/state?about=nothing").json() == {"call": {}}
    assert line.client.get("/_sim/state?kind=fax").json() == {"fax": []}
    assert asked["AccountSid"] == ACCOUNT


@pytest.mark.parametrize(("answered", "through"), [(True, "completed"), (False, "no-answer")])
def test_putting_somebody_through_is_told_to_the_action(line: Line, answered: bool, through: str) -> None:
    line.twiml = FORWARD
    line.rings(answered=answered)
    told = [fields for path, fields in line.heard(3) if path.endswith("status")]
    assert [fields.get("DialCallStatus", "") for fields in told] == [through, ""]


def test_somebody_who_hangs_up_at_once_reached_nobody(line: Line) -> None:
    line.rings(hangs_up=True)
    assert line.heard(2)[-1][1]["CallStatus"] == "no-answer"


@pytest.mark.fault("R1")
def test_reports_are_tried_again_and_doubled_on_demand_and_a_call_may_be_asked_about_twice(line: Line) -> None:
    faults = [{"on": "webhook", "do": "duplicate", "copies": 2, "times": 1}]
    line.client.post("/_sim/faults", json=faults)
    line.receiver.statuses = [200, 503]
    made = line.rings().json()
    line.heard(5)
    again = line.client.post(f"/_sim/calls/{made['sid']}/again").json()
    assert again["answers"] == [200, 200]
    assert line.client.post("/_sim/calls/CA0/again").status_code == 400


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "{}"),
        ("text/xml", "<Response><Sing>la</Sing></Response>"),
        ("text/xml", '<Response><Say tempo="fast">x</Say></Response>'),
        ("text/xml", "<Answer/>"),
        ("text/xml", "<Response>"),
        ("text/xml", "<!DOCTYPE a><Response/>"),
        ("text/xml", "<Response><Number>1</Number></Response>"),
    ],
)
def test_what_twilio_would_not_carry_out_fails_the_call(line: Line, content_type: str, body: str) -> None:
    with pytest.raises(TwimlError):
        read_twiml(content_type, body)
    line.receiver.answer = lambda _: (200, content_type, body)
    assert line.rings().status_code == 400
    (violation,) = line.client.get("/_sim/violations").json()
    assert violation["call"] == "TwiML"


def test_every_endpoint_of_the_api_is_unknown(line: Line) -> None:
    assert line.client.post("/2010-04-01/Accounts/AC1/Calls.json").status_code == 404
    assert len(line.client.get("/_sim/violations").json()) == 1
    assert line.rings(colour="blue").status_code == 400

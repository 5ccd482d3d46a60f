"""WhatsApp out: every request is checked against the documented shape on the wire, and each ending is told apart."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from local.simulators.common import Call
from local.simulators.whatsapp import contract
from revops.adapters.whatsapp_gateway import HttpWhatsapp
from revops.kernel import DomainError, Refused, Unavailable
from revops.nurture.ports import OutcomeUnknown, WhatsappSender

pytestmark = pytest.mark.mission("LEAD-5")
SECRET = {"phone_number_id": "106540352242922", "access_token": "t-1"}
ACCEPTED = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "4915112345678", "wa_id": "4915112345678"}],
    "messages": [{"id": "wamid.1", "message_status": "accepted"}],
}
Answer = Callable[[httpx.Request], httpx.Response]


class Wire:
    """Meta's end: refuses what leaves the documented shape, then answers as told."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[Any] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        call = Call(request.method, request.url.path, request.url.query.decode(), {}, request.content)
        problems = contract.check_request(call)
        assert not problems, problems
        assert request.headers["authorization"] == f"Bearer {SECRET['access_token']}"
        assert request.headers["content-type"] == "application/json"
        self.requests.append((str(request.url), json.loads(request.content)))
        return self._answer(request)


def sender(answer: Answer) -> tuple[HttpWhatsapp, Wire]:
    wire = Wire(answer)
    return HttpWhatsapp(lambda: SECRET, transport=httpx.MockTransport(wire)), wire


def answered(status: int, body: Any) -> Answer:
    return lambda _: httpx.Response(status, json=body)


def failed(status: int, code: int) -> Answer:
    return answered(status, {"error": {"message": "secret +4915112345678", "code": code}})


def broken(error: type[httpx.TransportError]) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("", request=request)

    return answer


def test_a_template_and_a_text_go_out_as_meta_documents_them() -> None:
    gateway, wire = sender(answered(200, ACCEPTED))
    port: WhatsappSender = gateway
    assert port.send_template("+49 151 12345678", "follow_up_1", "en", ["Asha", "Nordlicht"]) == "wamid.1"
    assert port.send_template("+4915112345678", "plain", "de", []) == "wamid.1"
    assert port.send_text("+4915112345678", "Hello\nthere") == "wamid.1"
    (url, template), (_, plain), (_, text) = wire.requests
    assert url == "https://graph.facebook.com/v23.0/106540352242922/messages"
    assert (template["recipient_type"], template["to"]) == ("individual", "4915112345678")
    assert template["template"] == {
        "name": "follow_up_1",
        "language": {"policy": "deterministic", "code": "en"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Asha"}, {"type": "text", "text": "Nordlicht"}]}
        ],
    }
    assert "components" not in plain["template"]
    assert text["text"] == {"preview_url": False, "body": "Hello\nthere"}
    gateway.close()


@pytest.mark.fault("R8")
@pytest.mark.parametrize(
    ("answer", "ending", "retry_after"),
    [
        (failed(400, 132001), Refused, None),
        (failed(400, 131026), Refused, None),
        (failed(400, 100), Refused, None),
        (failed(404, 132000), Refused, None),
        (failed(429, 130429), Unavailable, 5.0),
        (failed(400, 131056), Unavailable, 5.0),
        (failed(400, 80007), Unavailable, 5.0),
        (failed(401, 190), Unavailable, 60.0),
        (failed(403, 10), Unavailable, 60.0),
        (broken(httpx.ConnectError), Unavailable, 5.0),
        (broken(httpx.ConnectTimeout), Unavailable, 5.0),
        (failed(500, 131000), OutcomeUnknown, None),
        (failed(503, 2), OutcomeUnknown, None),
        (broken(httpx.ReadTimeout), OutcomeUnknown, None),
        (broken(httpx.RemoteProtocolError), OutcomeUnknown, None),
        (lambda _: httpx.Response(200, content=b"<html>"), OutcomeUnknown, None),
        (answered(200, {"messages": []}), OutcomeUnknown, None),
        (answered(200, []), OutcomeUnknown, None),
        (lambda _: httpx.Response(502, content=b"<html>"), OutcomeUnknown, None),
        (lambda _: httpx.Response(400, content=b"no"), Refused, None),
    ],
)
def test_each_ending_is_told_apart_and_none_quotes_the_number(
    answer: Answer, ending: type[DomainError], retry_after: float | None
) -> None:
    gateway, wire = sender(answer)
    with pytest.raises(ending) as told:
        gateway.send_text("+4915112345678", "Hello")
    assert type(told.value) is ending
    assert getattr(told.value, "retry_after", None) == retry_after
    assert "4915112345678" not in told.value.detail
    assert len(wire.requests) == 1, "a message is tried once"


def test_an_answer_that_never_ends_is_given_up_in_time() -> None:
    now = [0.0]

    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                now[0] += 1.0
                yield b" "

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Dripping()))
    gateway = HttpWhatsapp(lambda: SECRET, transport=transport, monotonic=lambda: now[0])
    with pytest.raises(OutcomeUnknown):
        gateway.send_text("+4915112345678", "Hello")
    assert now[0] <= 8.0


@pytest.mark.fault("S21")
def test_a_message_whose_secret_came_late_does_not_leave() -> None:
    now, wire = [0.0], Wire(answered(200, ACCEPTED))

    def slow() -> dict[str, str]:
        now[0] += 12.0
        return SECRET

    gateway = HttpWhatsapp(slow, transport=httpx.MockTransport(wire), monotonic=lambda: now[0])
    with pytest.raises(Unavailable):
        gateway.send_text("+4915112345678", "Hello")
    assert wire.requests == []

"""The mail view shows what went out through the emulator's SES, and nothing a sender wrote becomes markup."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from tests.builders.loopback import Answer, Received, Receiver, free_port, receiving

EMULATOR = Path(__file__).resolve().parents[2] / ".venv-local" / "bin" / "python"
SCRIPT = "<script>alert(1)</script>"


def record(message_id: str, **fields: Any) -> dict[str, Any]:
    """One message as the emulator lists it."""
    plain = {
        "Source": "revops@example.com",
        "To": ["ada@example.com"],
        "CC": [],
        "BCC": [],
        "Subject": "Hello",
    }
    body = {"BodyText": "Text", "BodyHtml": None, "Timestamp": 1_795_167_955.25, "Type": "v2.SendEmail"}
    return {"MessageId": message_id, **plain, **body, **fields}


class FakeEmulator(Receiver):
    """Answers the emulator's listing of sent mail, and takes mail."""

    def __init__(self, *sent: dict[str, Any]) -> None:
        super().__init__(self._said)
        self.sent = list(sent)
        self.status = 200
        self.taken = 0

    def _said(self, request: Received) -> Answer:
        if request.method == "POST":
            self.taken += 1
            return 200, "application/json", json.dumps({"MessageId": f"taken-{self.taken}"})
        known = request.path == "/_ministack/ses/messages"
        listed = json.dumps({"messages": {"000000000000": self.sent}})
        return self.status if known else 404, "application/json", listed


@contextmanager
def process(command: list[str], url: str, **environment: str) -> Iterator[None]:
    """A server process that answers at `url` until the block ends; it stops by SIGTERM."""
    child = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(url).is_success:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


@contextmanager
def mail_view(folder: Path, emulator_port: int) -> Iterator[httpx.Client]:
    port = free_port()
    command = [sys.executable, "-m", "local.simulators.mail", "--port", str(port), "--state", str(folder)]
    command += ["--emulator-url", f"http://127.0.0.1:{emulator_port}"]
    base = f"http://127.0.0.1:{port}"
    with process(command, f"{base}/_sim/health"), httpx.Client(base_url=base) as client:
        yield client


@pytest.fixture(scope="module")
def emulator() -> Iterator[FakeEmulator]:
    with receiving(FakeEmulator()) as fake:
        yield fake


@pytest.fixture(scope="module")
def served(emulator: FakeEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with mail_view(tmp_path_factory.mktemp("mail"), emulator.port) as client:
        yield client


@pytest.fixture
def view(served: httpx.Client, emulator: FakeEmulator) -> httpx.Client:
    """The view with nothing in it."""
    emulator.sent.clear()
    emulator.status = 200
    served.delete("/messages")
    return served


def subjects(view: httpx.Client, **query: str) -> list[str]:
    body = view.get("/messages", params=query).json()
    assert body["count"] == len(body["messages"])
    return [message["subject"] for message in body["messages"]]


def test_messages_are_listed_newest_first_and_by_recipient(
    view: httpx.Client,
    emulator: FakeEmulator,
) -> None:
    emulator.sent.append(record("l1", Subject="First"))
    assert subjects(view) == ["First"]
    emulator.sent.append(
        record("l2", Subject="Zweite – पाटील", To=["Bo <BO@example.com>"], CC=["cc@example.com"]),
    )
    assert subjects(view) == ["Zweite – पाटील", "First"]
    assert subjects(view, to="bo@example.com") == ["Zweite – पाटील"]
    assert subjects(view, to="CC@example.com") == ["Zweite – पाटील"]
    assert subjects(view, to="nobody@example.com") == []
    assert subjects(view, about="पाटील") == subjects(view, about="l2") == ["Zweite – पाटील"]
    assert subjects(view, about="Zweite", to="ada@example.com") == subjects(view, about="Dritte") == []
    assert view.get("/messages/l1").json() == {
        "id": "l1",
        "account": "000000000000",
        "from": "revops@example.com",
        "to": ["ada@example.com"],
        "cc": [],
        "bcc": [],
        "subject": "First",
        "text": "Text",
        "html": "",
        "sent_at": "2026-11-20T09:45:55.250Z",
        "headers": {},
        "tags": {},
    }
    assert view.get("/messages/none").status_code == 404
    assert view.get("/view/none").status_code == 404


@pytest.mark.parametrize("name", ["Subject", "Source", "BodyText", "BodyHtml", "MessageId"])
def test_nothing_a_sender_wrote_becomes_markup(view: httpx.Client, emulator: FakeEmulator, name: str) -> None:
    value = f"{name}{SCRIPT}\"'"
    emulator.sent.append(record(f"escape-{name}", **{name: value, "To": [value], "CC": [value]}))
    (message,) = view.get("/messages").json()["messages"]
    assert value in (message["subject"], message["from"], message["text"], message["html"], message["id"])
    listing = view.get("/", params={"to": value})
    detail = view.get(f"/view/{quote(message['id'], safe='')}")
    for page in (listing, detail):
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<script" not in page.text
        assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize("name", ["Subject", "Source", "To", "CC", "BCC"])
@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"])
def test_a_line_break_in_a_header_is_refused(
    view: httpx.Client, emulator: FakeEmulator, name: str, line_break: str
) -> None:
    value = f"ada@example.com{line_break}Bcc: eve@example.com"
    message_id = f"crlf-{name}-{line_break.encode().hex()}"
    emulator.sent.append(record(message_id, **{name: value if name in ("Subject", "Source") else [value]}))
    assert subjects(view) == []
    assert view.get(f"/messages/{message_id}").status_code == 404
    shown = {"BCC": "bcc", "CC": "cc", "To": "to", "Source": "from", "Subject": "subject"}[name]
    reason = f"line break in the header field '{shown}'"
    assert {"id": message_id, "reason": reason} in view.get("/_sim/violations").json()


def test_a_body_may_have_lines(view: httpx.Client, emulator: FakeEmulator) -> None:
    emulator.sent.append(record("b1", BodyText="one\r\ntwo"))
    assert view.get("/messages/b1").json()["text"] == "one\r\ntwo"


def test_an_emulator_in_trouble_is_reported_and_what_was_seen_stays(
    view: httpx.Client,
    emulator: FakeEmulator,
) -> None:
    emulator.sent.append(record("s1", Subject="Kept"))
    assert subjects(view) == ["Kept"]
    emulator.status = 503
    health = view.get("/_sim/health").json()
    assert (health["status"], health["emulator"], health["messages"]) == ("ok", "answers 503", 1)
    assert subjects(view) == ["Kept"]


def test_mail_outlives_a_restart_of_both(tmp_path: Path) -> None:
    before, after = record("r1", Subject="Before"), record("r2", Subject="After")
    with receiving(FakeEmulator(before)) as emulator, mail_view(tmp_path, emulator.port) as view:
        assert subjects(view) == ["Before"]
    with receiving(FakeEmulator(after)) as emulator, mail_view(tmp_path, emulator.port) as view:
        assert subjects(view) == ["After", "Before"]
        assert view.delete("/messages").status_code == 204
        assert subjects(view) == []
    with FakeEmulator() as silent, mail_view(tmp_path, silent.port) as view:
        assert view.get("/_sim/health").json()["emulator"] == "unreachable: ConnectError"
        assert "No mail yet" in view.get("/").text


@pytest.mark.skipif(not EMULATOR.exists(), reason="the emulator's environment (.venv-local) is not built")
def test_what_ses_v2_sends_on_the_emulator_is_shown(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "ses",
        "AUTH": "true",
        "IOT_MTLS_PORT": "0",
    }
    started = process([os.fspath(EMULATOR), "-m", "ministack"], f"{url}/_ministack/health", **settings)
    with started, mail_view(tmp_path, port) as view:
        anyone: Any = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        ses = boto3.client("sesv2", endpoint_url=url, region_name="eu-west-2", **anyone)
        ses.create_email_identity(EmailIdentity="example.com")
        simple: Any = {
            "Simple": {
                "Subject": {"Data": "Grüße"},
                "Body": {"Text": {"Data": "t"}, "Html": {"Data": "<b>h"}},
            }
        }
        to: Any = {"ToAddresses": ["ada@example.com"]}
        sent = ses.send_email(FromEmailAddress="revops@example.com", Destination=to, Content=simple)
        (message,) = view.get("/messages", params={"to": "ada@example.com"}).json()["messages"]
        assert message["id"] == sent["MessageId"]
        assert (message["subject"], message["text"], message["html"]) == ("Grüße", "t", "<b>h")

        raw: Any = {
            "Raw": {"Data": b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nTo: bo@example.com\r\n\r\nbody\r\n"},
        }
        to = {"ToAddresses": ["bo@example.com"]}
        ses.send_email(FromEmailAddress="revops@example.com", Destination=to, Content=raw)
        (message,) = view.get("/messages", params={"to": "bo@example.com"}).json()["messages"]
        assert (message["from"], message["subject"], message["text"].strip()) == (
            "revops@example.com",
            "Grüße",
            "body",
        )

        forged: Any = {
            "Simple": {"Subject": {"Data": "Hi\r\nBcc: eve@example.com"}, "Body": {"Text": {"Data": "t"}}},
        }
        with pytest.raises(ClientError):
            ses.send_email(FromEmailAddress="revops@example.com", Destination=to, Content=forged)
        assert view.get("/messages").json()["count"] == 2


# ── the door to SES ───────────────────────────────────────────────────────────────────────────────────────────────

DOOR = "/v2/email/outbound-emails"


def simple(*headers: tuple[str, str]) -> dict[str, Any]:
    """A simple message with headers of its own."""
    return {
        "FromEmailAddress": "revops@example.com",
        "Destination": {"ToAddresses": ["ada@example.com"]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Hello"},
                "Body": {"Text": {"Data": "Text"}, "Html": {"Data": "<p>Text</p>"}},
                "Headers": [{"Name": name, "Value": value} for name, value in headers],
            }
        },
        "EmailTags": [{"Name": "message_id", "Value": "MSG_1"}],
    }


@pytest.mark.mission("LEAD-5")
def test_what_came_by_the_door_is_seen_with_its_headers(view: httpx.Client, emulator: FakeEmulator) -> None:
    sent = view.post(DOOR, json=simple(("List-Unsubscribe", "<https://x.example/u>")))
    assert sent.status_code == 200, sent.text
    emulator.sent.append(record(sent.json()["MessageId"]))
    [message] = view.get("/messages").json()["messages"]
    assert message["headers"] == {"List-Unsubscribe": "<https://x.example/u>"}
    assert message["tags"] == {"message_id": "MSG_1"}
    assert "List-Unsubscribe" in view.get(f"/view/{message['id']}").text


@pytest.mark.fault("S15")
@pytest.mark.parametrize(
    "header", [("X-A", "b\r\nBcc: c@x.example"), ("Bcc", "c@x.example"), ("X A", "b"), ("X-A", "b" * 871), ("X-A", "é")]
)
def test_a_header_that_ses_would_refuse_is_refused(view: httpx.Client, header: tuple[str, str]) -> None:
    assert view.post(DOOR, json=simple(header)).status_code == 400


def test_the_door_misbehaves_when_told(view: httpx.Client) -> None:
    view.post("/_sim/faults", json=[{"on": "request", "do": "status", "status": 429, "times": 1}])
    view.post("/_sim/faults", json=[{"on": "request", "do": "lose_response", "times": 1}])
    refused = view.post(DOOR, json=simple())
    assert (refused.status_code, refused.headers["x-amzn-errortype"]) == (429, "TooManyRequestsException")
    with pytest.raises(httpx.TransportError):
        view.post(DOOR, json=simple())
    assert view.post(DOOR, json=simple()).status_code == 200
    assert view.post("/_sim/faults", json=[{"on": "nothing"}]).status_code == 400

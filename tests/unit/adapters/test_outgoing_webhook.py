"""S10: a written-down address reaches the open internet or nothing; what arrives is signed."""

import hashlib
import hmac
import ipaddress
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from revops.adapters.outgoing_webhook import OutgoingWebhook, is_public
from revops.kernel import Invalid, Unavailable
from tests.builders.clock import ManualClock
from tests.builders.loopback import free_port

INSIDE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1",
    "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "::127.0.0.1",
    "2001:0:7f00:1::", "2001::1", "100::1",
]  # fmt: skip
OUTSIDE = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"]
KEYS = [secrets.token_hex(16), secrets.token_hex(16)]


class Receiver(HTTPServer):
    """Takes what comes, and answers as told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.location = 204, ""
        super().__init__(("127.0.0.1", 0), _Take)


class _Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:  # the base class's name for it
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((self.path, {name.lower(): said for name, said in self.headers.items()}, body))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("location", self.server.location)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def canary() -> Iterator[Receiver]:
    """A server inside, which nothing may reach unless it is allowed to."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def webhook(*answers: str, loopback: bool = False) -> OutgoingWebhook:
    """A webhook whose host resolves to given addresses."""

    def resolve(host: str, port: int) -> Sequence[str]:
        return answers

    return OutgoingWebhook(lambda: KEYS, ManualClock(), loopback=loopback, resolve=resolve)


@pytest.mark.fault("S10")
@pytest.mark.parametrize("address", INSIDE)
def test_nothing_inside_is_reached(canary: Receiver, address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    for url in (f"https://rebind.example.com:{canary.server_port}/", "https://rebind.example.com/"):
        with pytest.raises(Invalid):
            webhook(address)(url, "E:1", b"{}")
        with pytest.raises(Invalid):
            webhook("1.1.1.1", address)(url, "E:1", b"{}")
    assert canary.taken == []


@pytest.mark.fault("S10")
@pytest.mark.parametrize("address", OUTSIDE)
def test_the_open_internet_is_connected_to_at_the_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    assert is_public(ipaddress.ip_address(address))
    asked: list[Any] = []

    def refuse(where: Any, _timeout: float) -> socket.socket:
        asked.append(where)
        raise OSError("no network in a test")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(Unavailable):
        webhook(address)("https://hooks.example.com/a", "E:1", b"{}")
    assert asked == [(address, 443)]


@pytest.mark.fault("S10")
@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/", "ftp://hooks.example.com/", "https://u:p@hooks.example.com/", "https:///x", "hooks"],
)
def test_only_https_without_a_user_is_posted_to(url: str) -> None:
    with pytest.raises(Invalid):
        webhook("1.1.1.1")(url, "E:1", b"{}")


@pytest.mark.fault("S10")
def test_the_machine_itself_is_reached_only_where_it_is_allowed(canary: Receiver) -> None:
    url = f"http://127.0.0.1:{canary.server_port}/hooks?a=1"
    with pytest.raises(Invalid):
        OutgoingWebhook(lambda: KEYS, ManualClock())(url, "E:1", b"{}")
    with pytest.raises(Invalid):
        webhook("10.0.0.1", loopback=True)(url, "E:1", b"{}")
    assert canary.taken == []
    OutgoingWebhook(lambda: KEYS, ManualClock(), loopback=True)(url, "E:1", b"{}")
    assert [path for path, _, _ in canary.taken] == ["/hooks?a=1"]


@pytest.mark.mission("CAP-14")
@pytest.mark.fault("S8")
def test_a_message_is_signed_with_every_key_in_force(canary: Receiver) -> None:
    clock = ManualClock()
    body = b'{"type":"lead.assigned"}'
    OutgoingWebhook(lambda: KEYS, clock, loopback=True)(f"http://127.0.0.1:{canary.server_port}/", "E:7", body)
    [(_, headers, got)] = canary.taken
    assert got == body
    assert headers["x-revops-event-id"] == "E:7"
    stamp = headers["x-revops-timestamp"]
    assert int(stamp) == int(clock.now().timestamp())
    made = [hmac.new(key.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest() for key in KEYS]
    assert headers["x-revops-signature"] == ",".join(f"v1={each}" for each in made)


@pytest.mark.fault("S10")
@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500])
def test_what_is_no_success_is_tried_again_and_no_redirect_is_followed(canary: Receiver, status: int) -> None:
    canary.status, canary.location = status, f"http://127.0.0.1:{canary.server_port}/elsewhere"
    with pytest.raises(Unavailable):
        OutgoingWebhook(lambda: KEYS, ManualClock(), loopback=True)(
            f"http://127.0.0.1:{canary.server_port}/", "E:1", b"{}"
        )
    assert len(canary.taken) == 1


def test_a_host_that_does_not_resolve_or_answer_is_tried_again() -> None:
    with pytest.raises(Unavailable):
        webhook()("https://hooks.example.com/", "E:1", b"{}")
    with pytest.raises(Unavailable):
        OutgoingWebhook(lambda: KEYS, ManualClock())("https://nobody.invalid/", "E:1", b"{}")
    with pytest.raises(Unavailable):
        OutgoingWebhook(lambda: KEYS, ManualClock(), loopback=True)(f"http://127.0.0.1:{free_port()}/", "E:1", b"{}")

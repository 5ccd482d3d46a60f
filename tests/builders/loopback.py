"""Servers on loopback: a port for one that a test starts, and a receiver of webhooks in this process."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
type Answer = tuple[int, str, str]


def free_port() -> int:
    """A port where nobody listens now. Whoever can keep it from the beginning binds port 0 instead."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def _accepted(_: Received) -> Answer:
    return 200, "application/json", "{}"


@dataclass
class Receiver:
    """A webhook address that keeps what it gets, and answers what it is told to.

    While it is entered its port is its own; until `listen` nobody listens there.
    `answer` makes status, content type and body of a request; what stands in `statuses` goes before its status, in
    order, once each.
    """

    answer: Callable[[Received], Answer] = _accepted
    requests: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = field(default=None, init=False)
    _listens: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((HOST, 0), self._handler(), bind_and_activate=False)
        self._server.server_bind()
        self.port = self._server.server_address[1]
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        assert self._server is not None
        if self._listens:
            self._server.shutdown()
        self._server.server_close()
        self._server, self._listens = None, False

    def listen(self) -> None:
        """Take what comes from now on."""
        assert self._server is not None
        self._server.server_activate()
        self._listens = True
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def take(self, request: Received) -> Answer:
        """Keep a request and say what to answer."""
        self.requests.append(request)
        status, kind, text = self.answer(request)
        return (self.statuses.pop(0) if self.statuses else status), kind, text

    def url(self, path: str) -> str:
        """The address of a path here."""
        return f"http://{HOST}:{self.port}{path}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.command, self.path, headers, self.rfile.read(length))
                status, kind, text = receiver.take(request)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on the terminal."""

        return Handler


@contextmanager
def receiving[R: Receiver](receiver: R) -> Iterator[R]:
    """A receiver that listens until the block ends."""
    with receiver:
        receiver.listen()
        yield receiver

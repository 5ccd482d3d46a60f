"""The WhatsApp and Twilio simulators in this process, and somebody who receives their webhooks."""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from local.simulators.common import Clock, Faults, Outbox, RetryPolicy, Simulator, Store, Vendor, World

IMPATIENT = RetryPolicy(first_seconds=0.02, factor=1.0, longest_seconds=0.05, tries=20, timeout_seconds=5.0)


@dataclass
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A webhook address that keeps what it gets, and answers what it is told to."""

    answer: Callable[[Received], tuple[int, str, str]] = lambda _: (200, "application/json", "{}")
    requests: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    port: int = 0

    def take(self, request: Received) -> tuple[int, str, str]:
        self.requests.append(request)
        status, kind, text = self.answer(request)
        return (self.statuses.pop(0) if self.statuses else status), kind, text

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """The address, open."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.command, self.path, headers, self.rfile.read(length))
            status, kind, text = receiver.take(request)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def running(
    folder: Path, make: Callable[[World], Vendor], config: dict[str, Any] | None = None, batch: int = 1
) -> Iterator[httpx.Client]:
    """A simulator on loopback, with its state in a folder."""
    store = Store(folder)
    faults = Faults(store)
    world = World(store, Clock(store), faults, Outbox(store, faults, IMPATIENT, batch), config or {})
    settings = uvicorn.Config(Simulator(world, make(world)), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{door.getsockname()[1]}", timeout=20) as client:
            yield client
        server.should_exit = True
        thread.join(timeout=10)


def word() -> str:
    """A secret made for one test."""
    return secrets.token_hex(16)

"""The Stripe simulator in a process of its own, a receiver for its webhooks, and an official client for it."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import stripe

from revops.adapters.stripe_client import stripe_client

ROOT = Path(__file__).resolve().parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RunningSimulator:
    """A simulator that runs. `received` is what its webhooks brought: raw body and signature header."""

    url: str
    api_key: str
    secret: str
    received: list[tuple[bytes, str]] = field(default_factory=list)

    def client(self) -> stripe.StripeClient:
        return stripe_client(self.api_key, self.url, retries=0)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.url}/_sim/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def settled(self) -> list[tuple[bytes, str]]:
        """Everything received so far, once no webhook waits any more."""
        self.control("POST", "flush")
        eventually(lambda: self.control("GET", "health")["pending_deliveries"] == 0)
        return list(self.received)


def eventually(look: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.05)


@contextmanager
def running_simulator(state: Path, key_prefix: str = "") -> Iterator[RunningSimulator]:
    """Starts simulator and receiver on loopback; ends both, the simulator by SIGTERM."""
    received: list[tuple[bytes, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            received.append((raw, self.headers["stripe-signature"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    port, key, secret = _free_port(), key_prefix + secrets.token_hex(16), secrets.token_hex(16)
    command = [sys.executable, "-m", "local.simulators.stripe", "--port", str(port), "--state", str(state)]
    command += ["--webhook-url", f"http://127.0.0.1:{server.server_port}/webhooks/stripe"]
    environment = os.environ | {"STRIPE_SIM_API_KEY": key, "STRIPE_SIM_WEBHOOK_SECRET": secret}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        simulator = RunningSimulator(f"http://127.0.0.1:{port}", key, secret, received)
        eventually(lambda: _answers(simulator, process))
        yield simulator
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        server.shutdown()
        server.server_close()


def _answers(simulator: RunningSimulator, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise AssertionError("the simulator ended at once")
    try:
        simulator.control("GET", "health")
    except httpx.HTTPError:
        return False
    return True

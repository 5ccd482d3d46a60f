"""The Stripe simulator in a process of its own, a receiver for its webhooks, and an official client for it."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import stripe

from revops.adapters.stripe_client import stripe_client
from tests.builders.loopback import Received, Receiver, free_port, receiving

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunningSimulator:
    """A simulator that runs. `received` is what its webhooks brought."""

    url: str
    api_key: str
    secret: str
    receiver: Receiver

    @property
    def received(self) -> list[Received]:
        return self.receiver.requests

    def client(self) -> stripe.StripeClient:
        return stripe_client(self.api_key, self.url, retries=0)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.url}/_sim/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def settled(self) -> list[Received]:
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
    with receiving(Receiver()) as receiver:
        yield from _running(state, key_prefix, receiver)


def _running(state: Path, key_prefix: str, receiver: Receiver) -> Iterator[RunningSimulator]:
    port, key, secret = free_port(), key_prefix + secrets.token_hex(16), secrets.token_hex(16)
    command = [sys.executable, "-m", "local.simulators.stripe", "--port", str(port), "--state", str(state)]
    command += ["--webhook-url", receiver.url("/webhooks/stripe")]
    environment = os.environ | {"STRIPE_SIM_API_KEY": key, "STRIPE_SIM_WEBHOOK_SECRET": secret}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        simulator = RunningSimulator(f"http://127.0.0.1:{port}", key, secret, receiver)
        eventually(lambda: _answers(simulator, process))
        yield simulator
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _answers(simulator: RunningSimulator, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise AssertionError("the simulator ended at once")
    try:
        simulator.control("GET", "health")
    except httpx.HTTPError:
        return False
    return True

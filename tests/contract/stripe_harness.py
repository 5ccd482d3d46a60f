"""A Stripe simulator in its own process, a receiver that verifies its webhooks, and the official client."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import stripe

from tests.builders.loopback import Answer, Received, Receiver, free_port, receiving

ROOT = Path(__file__).resolve().parents[2]
SECRET = secrets.token_hex(16)
DAY = 86_400


class Endpoint(Receiver):
    """A webhook endpoint that verifies every signature and can refuse the next few deliveries."""

    def __init__(self) -> None:
        super().__init__(self._verified)
        self.events: list[dict[str, Any]] = []
        self.signatures: list[str] = []
        self.refuse = 0

    def _verified(self, request: Received) -> Answer:
        signature = request.headers["stripe-signature"]
        stripe.WebhookSignature.verify_header(request.body.decode(), signature, SECRET, 300)
        self.signatures.append(signature)
        if self.refuse:
            self.refuse -= 1
            return 500, "text/plain", ""
        self.events.append(json.loads(request.body))
        return 200, "text/plain", ""


class Bench:
    """A running simulator, its client and its receiver."""

    def __init__(self, folder: Path, receiver: Endpoint, **config: Any) -> None:
        self.folder = folder
        self.config: dict[str, Any] = {"retry": {"first_seconds": 0.2}, "dunning_days": [1], **config}
        self.receiver = receiver
        self.key = "_".join(("sk", "test", secrets.token_hex(20)))
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.client = self.make_client(self.key)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def make_client(self, key: str, version: str | None = None) -> stripe.StripeClient:
        """A client that talks to the simulator and never retries by itself."""
        return stripe.StripeClient(
            key, base_addresses={"api": self.base}, max_network_retries=0, stripe_version=version
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        (self.folder / "config.json").write_text(json.dumps(self.config))
        command = [sys.executable, "-m", "local.simulators.stripe", "--port", str(self.port)]
        command += ["--state", str(self.folder / "state"), "--webhook-url", self.receiver.url("/webhooks/stripe")]
        command += ["--config", str(self.folder / "config.json")]
        environment = {**os.environ, "STRIPE_SIM_API_KEY": self.key, "STRIPE_SIM_WEBHOOK_SECRET": f"{SECRET},older"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment)
        wait_for(self.alive, 20)

    def alive(self) -> bool:
        """Whether the simulator answers."""
        try:
            return httpx.get(f"{self.base}/_sim/health").is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Stop by SIGTERM."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)

    def sim(self, method: str, path: str, body: Any = None) -> Any:
        """A control route."""
        answer = httpx.request(method, f"{self.base}/_sim/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def advance(self, seconds: int) -> None:
        """Move the clock."""
        self.sim("POST", "clock", {"advance_seconds": seconds})

    def advance_to(self, moment: int) -> None:
        """Move the clock to a time."""
        self.advance(moment - self.sim("GET", "clock")["now"])

    def types(self, object_id: str | None = None) -> list[str]:
        """Event types received so far, of everything that mentions an id."""
        wait_for(lambda: self.sim("GET", "health")["pending_deliveries"] == 0)
        return [e["type"] for e in self.receiver.events if object_id is None or object_id in json.dumps(e)]

    def customer(self, token: str = "pm_card_visa", **more: Any) -> stripe.Customer:  # noqa: S107
        """A customer who pays with a test card."""
        params: Any = {"payment_method": token, "invoice_settings": {"default_payment_method": token}, **more}
        return self.client.v1.customers.create(params)

    def price(self, amount: int = 1500, interval: str = "month", **more: Any) -> stripe.Price:
        """A recurring price of its own product."""
        params: Any = {
            "currency": "gbp",
            "unit_amount": amount,
            "product_data": {"name": "Seat"},
            "recurring": {"interval": interval},
            **more,
        }
        return self.client.v1.prices.create(params)

    def subscribe(self, customer: str, price: str, options: Any = None, **more: Any) -> stripe.Subscription:
        """A subscription of one item."""
        params: Any = {"customer": customer, "items": [{"price": price, "quantity": 1}], **more}
        return self.client.v1.subscriptions.create(params, options)


def wait_for(done: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@contextmanager
def serving(folder: Path, **config: Any) -> Iterator[Bench]:
    """A simulator and its receiver until the block ends."""
    with receiving(Endpoint()) as receiver:
        bench = Bench(folder, receiver, **config)
        try:
            yield bench
        finally:
            bench.stop()


@contextmanager
def fresh(bench: Bench) -> Iterator[Bench]:
    """An empty simulator; afterwards nothing it answered may have left the contract."""
    bench.sim("POST", "reset")
    bench.receiver.events.clear()
    bench.receiver.signatures.clear()
    yield bench
    wrong = [entry for entry in bench.sim("GET", "violations") if entry["side"] != "request"]
    assert wrong == []


def period_of(subscription: stripe.Subscription) -> tuple[int, int]:
    """Start and end of the current period, which lives on the items."""
    item = subscription.items.data[0]
    return item.current_period_start, item.current_period_end

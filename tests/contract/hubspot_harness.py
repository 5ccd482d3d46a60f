"""A HubSpot simulator in its own process, a receiver for its notifications, and what tests say to both."""

import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.builders.loopback import Receiver, free_port

CONTACTS = "/crm/objects/2026-09/contacts"
DEALS = "/crm/objects/2026-09/deals"
SECRET = secrets.token_hex(16)
TOKEN = secrets.token_hex(16)
PORTAL = 48_000_001
SEARCH = {"after": "0", "sorts": [], "filterGroups": [], "properties": [], "limit": 100}


def eventually[T](look: Callable[[], T], seconds: float = 10.0) -> T:
    """What `look` finds as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing within {seconds} s")


class Notices(Receiver):
    """Where HubSpot's notifications go."""

    @property
    def address(self) -> str:
        return self.url("/webhooks/hubspot")

    def batches(self) -> list[list[dict[str, Any]]]:
        return [json.loads(one.body) for one in list(self.requests)]

    def events(self) -> list[dict[str, Any]]:
        return list(itertools.chain.from_iterable(self.batches()))


@dataclass
class Simulator:
    folder: Path
    receiver: Notices
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "local.simulators.hubspot", "--port", str(self.port)]
        command += ["--state", str(self.folder), "--webhook-url", self.receiver.address]
        identity = {"HUBSPOT_SIM_TOKEN": TOKEN, "HUBSPOT_SIM_CLIENT_SECRET": SECRET}
        identity |= {"HUBSPOT_SIM_PORTAL_ID": str(PORTAL)}
        self.process = subprocess.Popen(command, env={**os.environ, **identity, **self.environment})
        eventually(self._answers, 30)
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20
        )

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/_sim/health").is_success
        except httpx.TransportError:
            return False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Served until the block ends, whatever ends it."""
        try:
            self.start()
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        assert self.process is not None
        if hasattr(self, "api"):
            self.api.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.api.request(method, f"/_sim/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def settings(self, **wanted: Any) -> None:
        self.control("POST", "settings", wanted)

    def faults(self, *rules: dict[str, Any]) -> None:
        self.control("POST", "faults", list(rules))

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = self.api.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def contact(self, **properties: str) -> str:
        created = self.post(CONTACTS, {"properties": properties, "associations": []}, 201)
        return str(created["id"])

    def read(self, record_id: str, *names: str) -> dict[str, Any]:
        answer = self.api.get(
            f"{CONTACTS}/{record_id}",
            params={"properties": ",".join(names)} if names else {},
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def emails(self) -> set[str]:
        found = self.post(f"{CONTACTS}/search", {**SEARCH, "properties": ["email"]})
        return {one["properties"]["email"] for one in found["results"]}

    def unique_property(self, name: str = "revops_person_id") -> str:
        body = {
            "name": name,
            "label": "Person",
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": True,
        }
        self.post("/crm/v3/properties/contacts", {**body, "groupName": "contactinformation"}, 201)
        return name

    def settled(self) -> None:
        """Wait until every notification is delivered."""
        eventually(lambda: self.control("GET", "health")["pending_deliveries"] == 0)

    def fresh(self) -> None:
        """An empty portal without rate limits, and an empty receiver."""
        self.control("POST", "reset")
        self.receiver.requests.clear()
        self.receiver.statuses.clear()
        self.settings(rate_limit=0, search_rate_limit=0)


def refused(answer: httpx.Response, status: int, category: str) -> dict[str, Any]:
    """The body of a refusal in HubSpot's shape."""
    body = answer.json()
    assert (answer.status_code, body["status"], body["category"]) == (status, "error", category), body
    assert body["message"]
    assert len(body["correlationId"]) == 36
    return dict(body)

"""What a vendor's simulator has to say for itself, and the shapes it exchanges with the server."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from local.simulators.common.clock import Clock
from local.simulators.common.contract import Problem
from local.simulators.common.faults import Faults, Rule
from local.simulators.common.outbox import Delivery, Outbox, Outgoing
from local.simulators.common.state import Store

type Json = dict[str, Any]


@dataclass
class Call:
    """One request. `params`, `idempotency_key` and `note` are filled in by the vendor for the journal."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    id: str = ""
    params: Json = field(default_factory=dict)
    idempotency_key: str | None = None
    note: str | None = None


@dataclass
class Answer:
    """One response; `body` is sent as JSON, None as an empty body, bytes as they are (name their type in `headers`)."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The body as it goes out."""
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body, indent=2, ensure_ascii=False).encode()


@dataclass(frozen=True)
class World:
    """Everything a vendor works with."""

    store: Store
    clock: Clock
    faults: Faults
    outbox: Outbox
    config: Json


class Vendor(Protocol):
    """A simulated vendor. All methods run one at a time, inside one transaction of the store."""

    name: str

    def handle(self, call: Call) -> Answer:
        """Answer one request; vendor errors are answers too, an exception is a bug in the simulator."""

    def injected(self, call: Call, rule: Rule) -> Answer:
        """Answer with the status a fault rule asks for, in the vendor's own error shape."""

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One webhook request for these deliveries, freshly signed: called on each try."""

    def clock_moved(self) -> None:
        """Do what is due at the clock's new time."""

    def check_request(self, call: Call) -> list[Problem]:
        """Where the request leaves the vendor's contract."""

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Where the answer leaves the vendor's contract."""

    def refuse(self, call: Call, problems: list[Problem]) -> Answer:
        """The vendor's answer to a request outside its contract."""

    def contract_state(self) -> str:
        """Whether contract checks are on, and against what: one line for `/_sim/health`."""

    def visible_state(self) -> Mapping[str, Mapping[str, Json] | Iterable[Json]]:
        """Objects by kind for `/_sim/state`, by id or in order. What is made one by one is made only if it is asked
        for."""


@runtime_checkable
class OwnControls(Protocol):
    """A vendor with control routes of its own under `/_sim/`."""

    def control(self, method: str, path: str, asked: Any) -> Answer | None:
        """Answer a control request (path without `/_sim/`, body parsed); None if there is no such route."""

"""WhatsApp's messages and statuses as they are received: proven, stored once. What follows is `whatsapp.py`'s; a
webhook that verifies and stores does not load it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from revops.inbox import ReceiveSignal, Signal
from revops.kernel import CallContext, several

PROVIDER = "whatsapp"


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """What a person sent. `sender` and `number` (ours) are E.164 as far as they can be read, `text` is what can be
    read of any kind of message, `said` are the words that count as the person's own choice (text, button), `facts` what
    belongs to the kind. `ad` is what brought them here, if an advertisement did."""

    id: str
    sender: str
    name: str
    at: datetime
    kind: str
    text: str
    number: str
    said: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    ad: Mapping[str, str] = field(default_factory=dict)
    personal: bool = True
    """False for what WhatsApp itself says in a conversation, such as a changed number."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What became of a message of ours: sent, delivered, read or failed, with the reason; `unreachable` when the number
    takes no messages at all."""

    message_id: str
    status: str
    at: datetime
    reason: str = ""
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """An event that nothing here follows, and why."""

    reason: str


WhatsappEvent = InboundMessage | DeliveryStatus | Passed


class ProveWhatsapp(Protocol):
    """Proves who sent a body. Raises Invalid."""

    def __call__(self, raw: bytes, signature: str, secrets: Sequence[str]) -> None: ...


class ReceiveWhatsapp:
    """Proves the sender, stores each message and status once."""

    def __init__(
        self,
        receive: ReceiveSignal,
        prove: ProveWhatsapp,
        read: Callable[[bytes, Sequence[str]], list[Signal]],
        secret: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._receive = receive
        self._prove = prove
        self._read = read
        self._secret = secret

    def __call__(self, raw: bytes, signature: str, call: CallContext) -> int:
        """How many were new. Raises Invalid for what is not proven, or of an account that is not ours."""
        secret = self._secret()
        self._prove(raw, signature, several(secret, "app_secrets"))
        return sum(self._receive(signal, call) for signal in self._read(raw, several(secret, "accounts")))

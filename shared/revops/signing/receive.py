"""Receiving what e-sign providers tell: all that their webhooks load of signing."""

from collections.abc import Callable, Mapping
from typing import Any

from revops.inbox import ReceiveSignal, Signal
from revops.kernel import CallContext

Prove = Callable[[bytes, Mapping[str, str], Mapping[str, Any]], None]
"""Proves from body, headers (lower case) and secret who sent a body. Raises Invalid, or Unavailable when there is
nothing to prove with."""
Read = Callable[[bytes, Mapping[str, Any]], Signal]
"""What a proven body is about. Raises Invalid for what is none, or is of an account that is not ours (S9)."""


class ReceiveEnvelopeEvent:
    """Proves the sender, stores the event once. What it says is asked of the provider again behind."""

    def __init__(
        self, receive: ReceiveSignal, prove: Prove, read: Read, secret: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._receive = receive
        self._prove = prove
        self._read = read
        self._secret = secret

    def __call__(self, raw: bytes, headers: Mapping[str, str], call: CallContext) -> bool:
        """True when the event is new, False for a repeat. Raises Invalid for what is not proven or not ours."""
        secret = self._secret()
        self._prove(raw, headers, secret)
        return self._receive(self._read(raw, secret), call)

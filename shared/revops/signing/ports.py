"""What signing needs from outside: the e-sign provider, and the queue of the worker that asks it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from revops.kernel import DomainError
from revops.orders.model import ESignMethod
from revops.signing.model import EnvelopeFact, EnvelopeRequest, SignedPapers

QUEUES: Mapping[ESignMethod, str] = {ESignMethod.DOCUSIGN: "docusign", ESignMethod.ADOBE_SIGN: "adobe_sign"}
"""What a provider's inbox entries, and the queue that works on them, are named like."""


class EnvelopeRefused(DomainError):
    """The provider understood and said no; the same again is answered the same. `code` is the provider's own."""

    status = 409
    title = "Refused by the e-sign provider"
    slug = "envelope-refused"

    def __init__(self, detail: str, code: str = "") -> None:
        super().__init__(detail)
        self.code = code


class NoSuchEnvelope(EnvelopeRefused):
    """The provider knows no such envelope: it was never sent, or is of another account."""

    title = "Unknown envelope"
    slug = "unknown-envelope"


class OutcomeUnknown(DomainError):
    """The provider did not tell whether it sent the envelope. Its keys do not make a repeat harmless, so nothing may be
    sent again before the call is surely over and the provider was asked what it has.

    On purpose not an `Unavailable`: `CreateOnce` keeps its lease on an error it does not know.
    """

    status = 503
    title = "Outcome unknown"
    slug = "outcome-unknown"
    retryable = True


class SignatureProvider(Protocol):
    """One e-sign provider. Everything raises Unavailable when asking again can help, EnvelopeRefused when not."""

    def find(self, order_id: str, number: int, since: datetime, keys: Sequence[str]) -> str | None:
        """The id of the envelope sent for an order under a number, at the earliest `since`, under one of `keys`."""
        ...

    def send(self, request: EnvelopeRequest, key: str) -> str:
        """Sends it and tells its id. Raises OutcomeUnknown too. Ends within ten seconds."""
        ...

    def state(self, envelope_id: str) -> EnvelopeFact:
        """How it stands now. Raises NoSuchEnvelope too."""
        ...

    def void(self, envelope_id: str, reason: str) -> None:
        """Takes it back. Raises EnvelopeRefused for one that is final already."""
        ...

    def documents(self, envelope_id: str) -> SignedPapers:
        """What a completed envelope left behind, as the provider gives it out."""
        ...


class WorkQueue(Protocol):
    """The workers' queues, by name."""

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Sends and returns the positions that were refused."""
        ...

"""What an e-sign provider is asked and what it answers; and the envelope as we follow it (ORD-3)."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime

from revops.orders.model import EnvelopeStatus, ESignMethod
from revops.table import Entity


@dataclass(frozen=True, slots=True)
class EnvelopeRequest:
    """One document for one signatory. `order_id` and `number` (which envelope of the order) are how it is found again;
    `expires_after_days` counts from sending, `remind_after_days` of 0 means never."""

    order_id: str
    number: int
    title: str
    message: str
    signatory_name: str
    signatory_email: str
    document: bytes
    sent_at: datetime
    expires_after_days: int
    remind_after_days: int = 0


@dataclass(frozen=True, slots=True)
class EnvelopeFact:
    """How an envelope stands at its provider now. `reason` is in the words of whoever declined or voided it; of one
    that is out, what keeps it from being signed, such as an address that nothing reaches. `signer` is the name the
    provider has for who acted, `at` when the state came about."""

    status: EnvelopeStatus
    at: datetime
    reason: str = ""
    signer: str = ""


@dataclass(frozen=True, slots=True)
class SignedPapers:
    """What is kept of a completed envelope: the signed document, and the provider's account of how it was signed."""

    document: bytes
    certificate: bytes


class WatchedEnvelope(Entity):
    """An envelope we follow. The id is the order's with the envelope's number: `ORD_….1`.

    It exists before anything is sent, so that what was sent is never lost sight of, and is one version on with every
    look at the provider, changed or not: it is the fence between two who looked. `envelope_id` is empty until the
    provider's is known. `settled` says how it ended, empty while it has to be looked after; `check_at` is when it is
    looked at next, if nothing calls for it before.
    """

    order_id: str
    number: int
    provider: ESignMethod
    envelope_id: str = ""
    settled: str = ""
    check_at: AwareDatetime

"""Receiving Stripe's signals (STR-1): all that the webhook loads of billing."""

from collections.abc import Callable
from dataclasses import dataclass

from revops.billing.ports import EventReader, SenderProof
from revops.inbox import ReceiveSignal, Signal
from revops.kernel import CallContext, Clock, Invalid

PROVIDER = "stripe"


@dataclass(frozen=True, slots=True)
class StripeIdentity:
    """Which Stripe account this deployment belongs to, and whether it is the live one (S9)."""

    account: str
    livemode: bool


class ReceiveStripeEvent:
    """Proves the sender, checks that the event is ours, stores it once. Nothing else happens before the 2xx."""

    def __init__(
        self,
        receive: ReceiveSignal,
        prove: SenderProof,
        read: EventReader,
        identity: Callable[[], StripeIdentity],
        clock: Clock,
    ) -> None:
        self._receive = receive
        self._prove = prove
        self._read = read
        self._identity = identity
        self._clock = clock

    def __call__(self, raw: bytes, signature: str, call: CallContext) -> bool:
        """True when the event is new, False for a repeat. Raises Invalid for what Stripe did not send us."""
        self._prove(raw, signature, self._clock.now())
        event = self._read(raw)
        ours = self._identity()
        if event.livemode is not ours.livemode:
            raise Invalid.field("livemode", "livemode", "the event is of the other mode", str(ours.livemode))
        if event.account and event.account != ours.account:
            raise Invalid.field("account", "account", "the event is of another Stripe account", "our own account")
        signal = Signal(PROVIDER, event.id, event.type, event.subject, raw.decode(), event.object_id)
        return self._receive(signal, call)

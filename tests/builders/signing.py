"""An e-sign provider of our own, and signing wired over the desk of orders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any

from revops.inbox import ReceiveSignal, Settlement, Signal, inbox_id
from revops.kernel import Clock, Unavailable, system_call
from revops.orders.model import EnvelopeStatus, ESignMethod, OrderForm
from revops.orders.ports import ManualSigning, SignatureSender
from revops.settings import SettingsReader
from revops.signing.converging import ConvergeEnvelope
from revops.signing.model import EnvelopeFact, EnvelopeRequest, SignedPapers
from revops.signing.ports import QUEUES, EnvelopeRefused, NoSuchEnvelope, OutcomeUnknown
from revops.signing.sending import SendForSignature
from revops.signing.sweep import HandOverEnvelopes, SweepEnvelopes
from revops.table import Table
from tests.builders.clock import ManualClock
from tests.builders.orders import Desk

WORKER = system_call("esign_worker")
FORM = b"%PDF-1.7\n% order form\n%%EOF\n"
SIGNED = b"%PDF-1.7\n% signed\n%%EOF\n"
CERTIFICATE = b"%PDF-1.7\n% certificate\n%%EOF\n"


class PlainDocument:
    """`OrderDocument` that prints nothing but the order's id."""

    def pdf(self, order: OrderForm) -> bytes:
        return FORM + order.id.encode()


@dataclass(slots=True)
class Sent:
    """One envelope at the provider."""

    request: EnvelopeRequest
    fact: EnvelopeFact
    papers: SignedPapers = field(default_factory=lambda: SignedPapers(SIGNED, CERTIFICATE))


class FakeProvider:
    """`SignatureProvider` in memory. `before` and `after_send` may raise what a wire may. Keys do not make a repeat
    harmless, as those of the real ones do not: each send that arrives makes an envelope."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = Lock()
        self.sent: dict[str, Sent] = {}
        self.calls: list[str] = []
        self.voided: dict[str, str] = {}
        self.before: Callable[[str], None] = lambda _: None
        self.after_send: Callable[[], None] = lambda: None

    def find(self, order_id: str, number: int, since: datetime, keys: Sequence[str]) -> str | None:
        self._called("find")
        for envelope_id, sent in self.sent.items():
            if (sent.request.order_id, sent.request.number) == (order_id, number) and sent.request.sent_at >= since:
                return envelope_id
        return None

    def send(self, request: EnvelopeRequest, key: str) -> str:
        self._called("send")
        with self.lock:
            envelope_id = f"env-{len(self.sent) + 1}"
            self.sent[envelope_id] = Sent(request, EnvelopeFact(EnvelopeStatus.SENT, self.clock.now()))
        self.after_send()
        return envelope_id

    def state(self, envelope_id: str) -> EnvelopeFact:
        self._called("state")
        if envelope_id not in self.sent:
            raise NoSuchEnvelope("no such envelope")
        return self.sent[envelope_id].fact

    def void(self, envelope_id: str, reason: str) -> None:
        self._called("void")
        if self.sent[envelope_id].fact.status is not EnvelopeStatus.SENT:
            raise EnvelopeRefused("the envelope is final")
        self.voided[envelope_id] = reason
        self.becomes(envelope_id, EnvelopeStatus.VOIDED, reason)

    def documents(self, envelope_id: str) -> SignedPapers:
        self._called("documents")
        return self.sent[envelope_id].papers

    def becomes(self, envelope_id: str, status: EnvelopeStatus, reason: str = "", signer: str = "") -> None:
        """The signatory, a colleague or the clock did something there."""
        fact = EnvelopeFact(status, self.clock.now(), reason, signer)
        self.sent[envelope_id].fact = fact

    def gives_out(self, envelope_id: str, **papers: bytes) -> None:
        sent = self.sent[envelope_id]
        sent.papers = replace(sent.papers, **papers)

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        self.before(verb)


class FakeQueues:
    """`WorkQueue` that remembers; `refuses` names the entities it does not take."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.refuses: set[str] = set()

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        refused = [position for position, each in enumerate(messages) if each["entity_id"] in self.refuses]
        self.sent += [(queue, each) for position, each in enumerate(messages) if position not in refused]
        return refused

    def take(self) -> list[str]:
        """What was handed over since it was last asked."""
        taken = [str(message["entity_id"]) for _, message in self.sent]
        self.sent.clear()
        return taken


def lost_answer() -> None:
    """The envelope was sent; nobody heard."""
    raise OutcomeUnknown("no answer")


def cut_line() -> None:
    """The envelope was sent and the worker died."""
    raise KeyboardInterrupt


def unreachable(_: str) -> None:
    raise Unavailable("cannot be reached")


class SigningDesk(Desk):
    """The desk of orders with e-sign behind it, and the worker, the webhook's store and the sweep beside it."""

    def __init__(self, table: Table | None = None, clock: ManualClock | None = None, seed: int = 1) -> None:
        super().__init__(table, clock, seed, signing=self._senders)
        self.queues = FakeQueues()
        self.receive = ReceiveSignal(self.table, self.clock, self.blobs)
        self.settlement = Settlement(self.table, self.clock, self.blobs, "test")
        settings = SettingsReader(self.table, ttl=0)
        providers = dict.fromkeys((ESignMethod.DOCUSIGN, ESignMethod.ADOBE_SIGN), self.provider)
        self.converge = ConvergeEnvelope(
            self.table, self.clock, self.blobs, self.crm, providers, settings, self.settlement, sleep=lambda _: None
        )
        self.sweep = SweepEnvelopes(self.table, self.clock, self.queues, settings)
        self.hand_over = HandOverEnvelopes(self.table, self.queues)

    def _senders(self, desk: Desk) -> Mapping[ESignMethod, SignatureSender]:
        self.provider = FakeProvider(desk.clock)
        settings, documents = SettingsReader(desk.table, ttl=0), PlainDocument()
        sign = [
            (method, SendForSignature(method, self.provider, documents, desk.table, desk.clock, desk.blobs, settings))
            for method in QUEUES
        ]
        self.senders: dict[ESignMethod, SignatureSender] = {ESignMethod.MANUAL: ManualSigning(), **dict(sign)}
        return self.senders

    def sent_out(self, **changes: Any) -> OrderForm:
        """A standard order whose form is at the signatory's."""
        order = self.submitted(**{"esign_method": "DocuSign", **changes})
        return self.run_until_it_waits(order.id)

    def told(self, envelope_id: str, event_id: str = "evt-1", event_type: str = "envelope-completed") -> str:
        """A webhook arrives and is stored; the id of its inbox entry."""
        signal = Signal("docusign", event_id, event_type, envelope_id, "{}")
        self.receive(signal, WORKER)
        return inbox_id("docusign", event_id)

    def work(self) -> None:
        """The worker takes what was handed over."""
        for identifier in self.queues.take():
            self.converge.converge(identifier, WORKER)

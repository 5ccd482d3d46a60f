"""E-sign in the fault world: providers that lose answers and notifications, signatories who sign, decline or wait, and
what must be true of every envelope (ORD-3)."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from revops.kernel import Unavailable
from revops.orders.model import EnvelopeStatus, ESignMethod, OrderForm, OrderStatus
from revops.orders.policies.lifecycle import is_executed
from revops.orders.store import ORDERS
from revops.signing.model import EnvelopeFact, EnvelopeRequest, SignedPapers
from revops.signing.ports import QUEUES, EnvelopeRefused, OutcomeUnknown
from revops.signing.store import ENVELOPES
from tests.builders.clock import ManualClock
from tests.builders.signing import FakeProvider
from tests.faults.trouble import Killed, Mishap, Trouble
from tests.faults.vendors import Webhook, remote

if TYPE_CHECKING:
    from tests.faults.world import World

_SEND = (
    Mishap.KILL_BEFORE,
    Mishap.KILL_AFTER,
    Mishap.LOST,
    Mishap.SILENT,
    Mishap.UNREACHED,
    Mishap.THROTTLED_OUT,
    Mishap.REFUSED,
)
_PATIENCE = 60
S = EnvelopeStatus


class Provider(FakeProvider):
    """`SignatureProvider` whose calls cross a port. A send whose answer is lost may arrive after its caller hung up. It
    tells of what happens by a notification that may be lost, come twice or late, or say what is not so (yet)."""

    def __init__(
        self,
        method: ESignMethod,
        clock: ManualClock,
        rng: random.Random,
        trouble: Trouble,
        turn: Callable[[str], None],
        outbox: list[Webhook],
    ) -> None:
        super().__init__(clock)
        self.method = method
        self.name = QUEUES[method]
        self.loss = rng.choice((0.0, 0.3, 0.7))
        self._rng = rng
        self._trouble = trouble
        self._turn = turn
        self._outbox = outbox
        self._late: list[tuple[datetime, EnvelopeRequest]] = []
        self._told = 0

    # -- the port ------------------------------------------------------------------------------------------------

    def find(self, order_id: str, number: int, since: datetime, keys: Sequence[str]) -> str | None:
        return self._asked("find", lambda: FakeProvider.find(self, order_id, number, since, keys))

    def state(self, envelope_id: str) -> EnvelopeFact:
        return self._asked("state", lambda: FakeProvider.state(self, envelope_id))

    def documents(self, envelope_id: str) -> SignedPapers:
        return self._asked("documents", lambda: FakeProvider.documents(self, envelope_id))

    def void(self, envelope_id: str, reason: str) -> None:
        def work() -> None:
            FakeProvider.void(self, envelope_id, reason)

        remote(f"{self.name} void", self._trouble, self._turn, work, writes=True)

    def send(self, request: EnvelopeRequest, key: str) -> str:
        site = f"{self.name} send"
        self._turn(site)
        mishap = self._trouble.strikes(site, _SEND)
        if mishap is Mishap.KILL_BEFORE:
            raise Killed
        if mishap is Mishap.THROTTLED_OUT:
            raise Unavailable("slow down")
        if mishap is Mishap.REFUSED:
            raise EnvelopeRefused("this address gets no mail")
        if mishap is Mishap.LOST:
            self._late.append((self.clock.now() + timedelta(seconds=self._rng.randint(1, 50)), request))
        if mishap in (Mishap.LOST, Mishap.UNREACHED):
            raise OutcomeUnknown("no answer")
        made = self._make(request)
        self._turn(site)
        if mishap is Mishap.KILL_AFTER:
            raise Killed
        if mishap is Mishap.SILENT:
            raise OutcomeUnknown("no answer")
        return made

    def _asked[T](self, verb: str, work: Callable[[], T]) -> T:
        def look() -> T:
            self.settle()
            return work()

        return remote(f"{self.name} {verb}", self._trouble, self._turn, look)

    # -- what happens there --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """What was on the line arrives."""
        late, self._late = self._late, []
        for at, request in late:
            if at <= self.clock.now():
                self._make(request)
            else:
                self._late.append((at, request))

    @property
    def idle(self) -> bool:
        return not self._late

    def becomes(self, envelope_id: str, status: EnvelopeStatus, reason: str = "", signer: str = "") -> None:
        super().becomes(envelope_id, status, reason, signer)
        self._tell(envelope_id, status)

    def open(self) -> list[str]:
        """Envelopes that wait for their signatory."""
        return [name for name, sent in self.sent.items() if sent.fact.status is S.SENT]

    def _make(self, request: EnvelopeRequest) -> str:
        made = f"{self.name}-{len(self.sent) + 1}"
        super_send = FakeProvider.send(self, request, "")
        self.sent[made] = self.sent.pop(super_send)
        self._tell(made, S.SENT)
        if self._rng.random() < 0.15:  # somebody tests the connection with an event that says what is not so
            self._tell(made, self._rng.choice((S.COMPLETED, S.VOIDED)))
        return made

    def _tell(self, envelope_id: str, status: EnvelopeStatus) -> None:
        if self._rng.random() < self.loss:
            return
        self._told += 1
        for _ in range(self._rng.choice((1, 1, 2))):
            event = f"{self.name}-evt-{self._told}"
            self._outbox.append(Webhook(event, status.value, envelope_id, "{}", provider=self.name))


# -- who acts ----------------------------------------------------------------------------------------------------------


def sign_envelopes(world: "World", rng: random.Random, name: str) -> None:
    """Signatories open what they got: most sign, some decline once, some leave it; colleagues void, time runs out."""
    patience = _PATIENCE
    for _ in range(rng.randint(20, 60)):
        world.idle()
        waiting = _waiting(world)
        if not waiting:
            patience -= 1
            if not patience:
                return
            continue
        act_on(world, rng, *rng.choice(waiting))


def _waiting(world: "World") -> list[tuple[Provider, str]]:
    return [(each, name) for each in world.outside.signing.values() for name in each.open()]


def act_on(world: "World", rng: random.Random, provider: Provider, envelope_id: str) -> None:
    """What the signatory of one envelope does, or others do with it."""
    request = provider.sent[envelope_id].request
    if rng.random() < 0.5:
        return
    if request.order_id in world.diary.to_sign:
        if request.number == 1 and rng.random() < 0.2:
            provider.becomes(envelope_id, S.DECLINED, "not what was agreed")
        else:
            provider.becomes(envelope_id, S.COMPLETED, signer="Anna Beispiel")
        return
    ends = rng.choice((S.DECLINED, S.VOIDED, S.EXPIRED, S.COMPLETED, None, None))
    if ends is not None:
        provider.becomes(envelope_id, ends, "they said so")


def settle_signatures(world: "World", rng: random.Random) -> bool:
    """At rest: what is on the line arrives, and whoever wants to sign does."""
    busy = False
    for provider in world.outside.signing.values():
        provider.settle()
        for name in provider.open():
            if provider.sent[name].request.order_id in world.diary.to_sign and _awaited(world, provider, name):
                provider.becomes(name, S.COMPLETED, signer="Anna Beispiel")
                busy = True
    return busy


def unheard(world: "World") -> bool:
    """Whether an envelope that is awaited is over at its provider, and only the look that is due can tell."""
    return any(
        sent.fact.status is not S.SENT and _awaited(world, provider, name)
        for provider in world.outside.signing.values()
        for name, sent in provider.sent.items()
    )


def _awaited(world: "World", provider: Provider, envelope_id: str) -> bool:
    """Whether the order waits for just this one; what it does not wait for is ours to take back."""
    row = world.peek(ORDERS.key(provider.sent[envelope_id].request.order_id))
    order = ORDERS.load(row) if row else None
    return (
        order is not None
        and order.status is OrderStatus.AWAITING_SIGNATURE
        and order.envelope is not None
        and order.envelope.id == envelope_id
    )


# -- invariants --------------------------------------------------------------------------------------------------------


def envelopes(world: "World") -> Iterator[str]:
    """One envelope per round, none left open for nothing, and executed means completed there."""
    orders = {order.id: order for order in map(ORDERS.load, world.rows_of("ORDER"))}
    for provider in world.outside.signing.values():
        rounds = Counter((sent.request.order_id, sent.request.number) for sent in provider.sent.values())
        for (order_id, number), count in rounds.items():
            if count > 1:
                yield f"{order_id} was sent {count} times in round {number}"
        for name, sent in provider.sent.items():
            order = orders.get(sent.request.order_id)
            if order is None:
                yield f"{name} was sent for {sent.request.order_id}, which nobody knows"
            else:
                yield from _agrees(order, name, sent.fact.status)
    for order in orders.values():
        yield from _signed(world, order)
    for row in world.rows_of(ENVELOPES.kind):
        watched = ENVELOPES.load(row)
        if not watched.settled and orders[watched.order_id].status is not OrderStatus.AWAITING_SIGNATURE:
            yield f"{watched.id} is not settled, and its order is {orders[watched.order_id].status}"


def _agrees(order: OrderForm, name: str, status: EnvelopeStatus) -> Iterator[str]:
    current = order.envelope is not None and order.envelope.id == name
    if status is S.SENT and not (current and order.status is OrderStatus.AWAITING_SIGNATURE):
        yield f"{name} is left open, and {order.id} is {order.status}"
    if status is not S.SENT and current and order.status is OrderStatus.AWAITING_SIGNATURE:
        yield f"{name} is {status}, and {order.id} still awaits it"
    if current and order.envelope is not None and order.envelope.status is not status:
        yield f"{name} is {status}, and {order.id} says {order.envelope.status}"


def _signed(world: "World", order: OrderForm) -> Iterator[str]:
    signature = order.signature
    if is_executed(order.status) is not (signature is not None):
        yield f"{order.id} is {order.status} and has {'a' if signature else 'no'} signature"
    if signature is None:
        return
    if signature.document not in world.outside.blobs.kept:
        yield f"the signed document of {order.id} is not kept"
    if signature.method is ESignMethod.MANUAL:
        return
    sent = world.outside.signing[signature.method].sent.get(signature.envelope_id)
    if sent is None or sent.request.order_id != order.id or sent.fact.status is not S.COMPLETED:
        yield f"{order.id} is executed by {signature.envelope_id}, which is {sent.fact.status if sent else 'nobody'}"
    if signature.certificate not in world.outside.blobs.kept:
        yield f"the certificate of {order.id} is not kept"

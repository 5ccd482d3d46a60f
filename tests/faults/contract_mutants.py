"""Planted bugs of signing, of changing what runs, and of what follows a sale."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from revops.inbox import InboxEntry
from revops.kernel import CallContext, DomainError, Unavailable
from revops.orders.changing import ChangeSubscription
from revops.orders.model import EnvelopeStatus, OrderForm, OrderKind
from revops.orders.policies.timeline import Timeline
from revops.orders.ports import OutcomeUnknown as KeyStillGood
from revops.orders.provisioning.ports import REVISION, LiveSubscription
from revops.orders.provisioning.service import ProvisionOrder
from revops.signing.converging import ConvergeEnvelope, _Outcome
from revops.signing.model import EnvelopeFact, EnvelopeRequest, WatchedEnvelope
from revops.signing.ports import OutcomeUnknown
from revops.signing.sending import SendForSignature
from revops.signing.store import ENVELOPES, claim_envelope, watched_id
from revops.signing.sweep import HandOverEnvelopes, SweepEnvelopes
from revops.table import Transaction
from tests.builders.fake_stripe import Mishap as StripeMishap
from tests.faults.planted import Mutant, Plant, create_once, no_lookup, random_key, unconditional
from tests.faults.signatures import Provider
from tests.faults.subscriptions import RunningStripe
from tests.faults.world import World

_SERVE = "relay-1 bus-1 flow-1 flow-2 schedules-1 time"
_SIGNING = frozenset(f"order-1 order-2 signatory-1 postman-1 esign-worker-1 esign-worker-2 {_SERVE}".split())
_CHANGING = frozenset(
    "order-1 order-2 change-1 change-2 desk-1 signatory-1 postman-1 esign-worker-1 stripe-worker-1 stripe-worker-2 "
    f"cancel-1 payer-1 {_SERVE}".split()
)
S = EnvelopeStatus


# -- signing -----------------------------------------------------------------------------------------------------------


@contextmanager
def _repeated_at_once() -> Iterator[None]:
    """An adapter that says of a lost answer what is true of Stripe: the same key makes a repeat harmless."""
    send = Provider.send

    def careless(self: Provider, request: EnvelopeRequest, key: str) -> str:
        try:
            return send(self, request, key)
        except OutcomeUnknown as error:
            raise KeyStillGood("no answer") from error

    with patch.object(Provider, "send", careless):
        yield


@contextmanager
def _written_afterwards() -> Iterator[None]:
    """The envelope is written down once its id is known, and not before it is sent."""

    def later(self: SendForSignature, order: OrderForm, number: int, call: CallContext) -> WatchedEnvelope:
        now = self._clock.now()
        return WatchedEnvelope(
            id=watched_id(order.id, number),
            created_at=now,
            modified_at=now,
            order_id=order.id,
            number=number,
            provider=self._method,
            check_at=now,
        )

    def watch(self: SendForSignature, transaction: Transaction, order: OrderForm, envelope: Any, now: Any) -> None:
        watched = later(self, order, envelope.number, None)  # type: ignore[arg-type]
        claim_envelope(transaction, envelope.provider, envelope.id, watched.id)
        ENVELOPES.create(transaction, watched.model_copy(update={"envelope_id": envelope.id}))

    with patch.object(SendForSignature, "_watched", later), patch.object(SendForSignature, "watch", watch):
        yield


@contextmanager
def _believed() -> Iterator[None]:
    """What a notification says is taken for what is so."""
    converge = ConvergeEnvelope._converge

    def trusting(self: ConvergeEnvelope, identifier: str, entry: InboxEntry | None, call: CallContext) -> None:
        said = entry.event_type if entry is not None else ""
        if said not in {S.COMPLETED, S.VOIDED}:
            converge(self, identifier, entry, call)
            return

        def state(provider: Provider, _: str) -> EnvelopeFact:
            return EnvelopeFact(S(said), provider.clock.now())

        with patch.object(Provider, "state", state):
            converge(self, identifier, entry, call)

    with patch.object(ConvergeEnvelope, "_converge", trusting):
        yield


@contextmanager
def _sweep_forgets() -> Iterator[None]:
    with patch.object(SweepEnvelopes, "__call__", lambda *_: 0):
        yield


@contextmanager
def _void_not_repeated() -> Iterator[None]:
    """Asked to take it back once: whatever came of that, it counts as done."""

    def once(watched: WatchedEnvelope, order: OrderForm, provider: Provider) -> EnvelopeFact:
        with suppress(DomainError):
            provider.void(watched.envelope_id, "not awaited")
        return EnvelopeFact(S.VOIDED, provider.clock.now())

    with patch.object(ConvergeEnvelope, "_take_back", staticmethod(once)):
        yield


def _hard_of_hearing(world: World) -> None:
    """Providers that half of the time cannot be reached when something is to be taken back, until all is calm."""
    for provider in world.outside.signing.values():
        provider.void = _flaky(world, provider)  # type: ignore[method-assign, assignment]


def _flaky(world: World, provider: Provider) -> Callable[[str, str], None]:
    real = provider.void

    def void(envelope_id: str, reason: str) -> None:
        if not world.trouble.calm and world.rng.random() < 0.5:
            raise Unavailable("cannot be reached")
        real(envelope_id, reason)

    return void


@contextmanager
def _end_not_followed() -> Iterator[None]:
    """An order that ended leaves its envelope to the signatory."""
    follow = ConvergeEnvelope._follow

    def blind(self: ConvergeEnvelope, transaction: Any, watched: Any, order: Any, fact: Any, *rest: Any) -> Any:
        waits = order.envelope is not None and order.envelope.number == watched.number
        if fact is not None and fact.status is S.SENT and not (waits and order.status == "AwaitingSignature"):
            return _Outcome(settled="left alone")
        return follow(self, transaction, watched, order, fact, *rest)

    with (
        patch.object(ConvergeEnvelope, "_follow", blind),
        patch.object(HandOverEnvelopes, "__call__", lambda *_: 0),
    ):
        yield


# -- what runs ---------------------------------------------------------------------------------------------------------


@contextmanager
def _amendment_of_its_own() -> Iterator[None]:
    """An amendment is provisioned like any order."""
    real = ProvisionOrder.__call__

    def alike(self: ProvisionOrder, order: OrderForm, call: CallContext) -> Any:
        return real(self, order.model_copy(update={"kind": OrderKind.NEW}), call)

    with patch.object(ProvisionOrder, "__call__", alike):
        yield


@contextmanager
def _future_forgotten() -> Iterator[None]:
    """What is agreed for later is left to later."""
    with patch.object(Timeline, "coming", lambda *_: ()):
        yield


@contextmanager
def _applied_unseen() -> Iterator[None]:
    """Nobody looks which form's terms the subscription carries already."""
    real = RunningStripe.subscription

    def blind(self: RunningStripe, subscription_id: str) -> LiveSubscription:
        live = real(self, subscription_id)
        return replace(live, metadata={name: text for name, text in live.metadata.items() if name != REVISION})

    with patch.object(RunningStripe, "subscription", blind):
        yield


@contextmanager
def _cancellation_taken_back() -> Iterator[None]:
    """A change of the terms brings the end that was agreed, whatever was cancelled."""
    real = ChangeSubscription.converge

    def agreed(self: ChangeSubscription, timeline: Timeline, subscription_id: str, call: CallContext) -> None:
        real(self, timeline, subscription_id, call)
        live = self._gateway.subscription(subscription_id)
        if live.cancel_at_period_end:
            self._gateway.end_at(live, 0)

    with patch.object(ChangeSubscription, "converge", agreed):
        yield


def _often(mishap: StripeMishap, plant: Plant) -> Plant:
    """A bug beside a Stripe whose changes of subscriptions have one mishap half of the time."""

    def strikes(stripe: RunningStripe) -> StripeMishap | None:
        return mishap if stripe.calls[-1].startswith("change ") and stripe.rng.random() < 0.5 else None

    @contextmanager
    def both() -> Iterator[None]:
        with plant(), patch.object(RunningStripe, "_mishap", strikes):
            yield

    return both


# -- after the sale ----------------------------------------------------------------------------------------------------


@contextmanager
def _mirrored_once() -> Iterator[None]:
    """What stands here of an invoice is left as it was first seen."""
    with patch("revops.sales.mirroring._differ", lambda *_: False):
        yield


CONTRACT_MUTANTS: tuple[Mutant, ...] = (
    Mutant("envelope sent again unseen", "ORD-3: two envelopes", create_once("ENVELOPE#", find=no_lookup)),
    Mutant("lost answer of a send repeated", "ORD-3: two envelopes", _repeated_at_once, cast=_SIGNING),
    Mutant("envelope written down afterwards", "ORD-3: left open", _written_afterwards, cast=_SIGNING, within=1000),
    Mutant("notification believed", "ORD-3: executed unsigned", _believed),
    Mutant("sweep of envelopes forgets", "ORD-3: signed and awaited", _sweep_forgets),
    Mutant("void not repeated", "ORD-3: left open", _void_not_repeated, _hard_of_hearing, cast=_SIGNING),
    Mutant("ended order leaves its envelope", "ORD-3: left open", _end_not_followed),
    Mutant("order put without version", "R19: executed and cancelled", unconditional("ORDER")),
    Mutant("amendment made its own subscription", "I1: two subscriptions", _amendment_of_its_own),
    Mutant(
        "amendment under a random key",
        "I8: applied twice",
        _often(StripeMishap.LATE, create_once("CHANGE#", create=random_key)),
        cast=_CHANGING,
    ),
    Mutant(
        "amendment applied without a look",
        "I8: applied twice",
        _often(StripeMishap.FAILED_AFTER, _applied_unseen),
        cast=_CHANGING,
    ),
    Mutant("terms of later forgotten", "I1: not what was agreed", _future_forgotten),
    Mutant("cancellation undone by a change", "STR-5: goes on", _cancellation_taken_back),
    Mutant("cancellation without version", "STR-5: an older wish wins", unconditional("CANCELLATION")),
    Mutant("invoices mirrored once", "ORD-9: old books stand", _mirrored_once),
)

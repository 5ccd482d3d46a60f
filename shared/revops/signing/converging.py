"""Converging an order on what the e-sign provider says of its envelope now (ORD-3).

A webhook, the sweep and the end of an order all lead here. What is read before the provider is asked is written against
afterwards: the envelope of ours is one version on with every look, so of two who looked only one writes, and the other
looks again.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from revops.inbox import INBOX, InboxEntry, Settlement
from revops.kernel import BlobStore, CallContext, Clock, Invalid, TooLarge, Unavailable
from revops.orders.model import Envelope, EnvelopeStatus, ESignMethod, OrderForm, OrderStatus
from revops.orders.ports import CrmRecords
from revops.orders.store import ORDERS
from revops.settings import SettingsReader
from revops.signing.endings import Ended, declined_because, end_order, execute_order, turn_back
from revops.signing.model import EnvelopeFact, WatchedEnvelope
from revops.signing.policies import SigningRules
from revops.signing.ports import QUEUES, EnvelopeRefused, NoSuchEnvelope, SignatureProvider
from revops.signing.store import ENVELOPES, watched_as
from revops.signing.unsent import find_unsent
from revops.table import ConditionFailed, Contention, Table, Transaction, attempts, begin

MAX_RACES = 8
_METHODS = {queue: method for method, queue in QUEUES.items()}
_UNKNOWN = "its provider knows no such envelope"
S = EnvelopeStatus


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a look came to: how the envelope ended (empty: it goes on), what the inbox notes, whether a person has to
    look at it, and whether there is more to do at once."""

    settled: str = ""
    reason: str = ""
    dead: bool = False
    again: bool = False


class ConvergeEnvelope:
    """Makes an order agree with its envelope, and the envelope with an order that has ended."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        blobs: BlobStore,
        crm: CrmRecords,
        providers: Mapping[ESignMethod, SignatureProvider],
        settings: SettingsReader,
        settlement: Settlement,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._blobs = blobs
        self._crm = crm
        self._providers = providers
        self._settings = settings
        self._settlement = settlement
        self._sleep = sleep
        self._jitter = jitter

    def __call__(self, inbox_id: str, call: CallContext) -> None:
        """Settles one inbox entry: applied in the transaction of its effects, or dead with the provider's reason.

        Raises Unavailable or Contention when it should be tried again.
        """
        entry = self._settlement.load(inbox_id)
        if not entry.waiting:
            return
        identifier = watched_as(self._table, _METHODS[entry.provider], entry.subject)
        try:
            if identifier is None:
                self._pass(entry, call)
            else:
                self._converge(identifier, entry, call)
        except EnvelopeRefused as error:
            self._settlement.dead(entry, error.detail, call)

    def converge(self, identifier: str, call: CallContext) -> None:
        """Looks without a webhook: the sweep asks, or the order has ended. What is settled is left alone.

        Raises NotFound, EnvelopeRefused, Unavailable, Contention.
        """
        if not ENVELOPES.require(self._table, identifier).settled:
            self._converge(identifier, None, call)

    def _pass(self, entry: InboxEntry, call: CallContext) -> None:
        """An envelope that is no order form's: the provider's account has others, and one that was sent a moment ago
        and is not on its order yet is looked at by the sweep."""
        transaction = begin(call, self._clock.now())
        self._settlement.applied(transaction, entry, "no order form was sent in this envelope")
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return  # another worker settled it

    def _converge(self, identifier: str, entry: InboxEntry | None, call: CallContext) -> None:
        for _ in attempts(MAX_RACES, self._sleep, self._jitter):
            watched = ENVELOPES.require(self._table, identifier)
            order = ORDERS.require(self._table, watched.order_id)
            now = self._clock.now()
            transaction = begin(call, now)
            try:
                outcome = self._look(transaction, watched, order, call)
                if entry is not None and not (outcome.dead or outcome.again):
                    self._settlement.applied(transaction, entry, outcome.reason)
                self._table.commit(transaction)
            except ConditionFailed as error:
                if entry is not None and error.at(INBOX.key(entry.id)):
                    return  # another worker settled this entry
                continue
            if outcome.again:
                continue
            if entry is not None and outcome.dead:
                self._settlement.dead(entry, outcome.reason, call)
            return
        raise Contention("others keep changing the same order; try again shortly")

    def _look(
        self, transaction: Transaction, watched: WatchedEnvelope, order: OrderForm, call: CallContext
    ) -> _Outcome:
        """Asks the provider and adds what follows to the transaction."""
        now = self._clock.now()
        check_at = now + self._settings.read(SigningRules).check_after
        provider = self._providers.get(watched.provider)
        if provider is None:
            raise Unavailable(f"{watched.provider} is not connected here")
        if not watched.envelope_id:
            found = find_unsent(self._table, transaction, watched, order, provider, now, check_at)
            return _Outcome(settled=found.settled, again=bool(found.envelope_id))
        try:
            fact: EnvelopeFact | None = provider.state(watched.envelope_id)
        except NoSuchEnvelope:
            fact = None
        outcome = self._follow(transaction, watched, order, fact, provider, call)
        ENVELOPES.update(transaction, watched.revised(now, settled=outcome.settled, check_at=check_at))
        return outcome

    def _follow(
        self,
        transaction: Transaction,
        watched: WatchedEnvelope,
        order: OrderForm,
        fact: EnvelopeFact | None,
        provider: SignatureProvider,
        call: CallContext,
    ) -> _Outcome:
        """What an envelope's state means to its order."""
        now = self._clock.now()
        envelope = order.envelope
        if envelope is None or envelope.number != watched.number:
            envelope = None  # of a round that is over: the order has another one, or none
        waits = envelope is not None and order.status is OrderStatus.AWAITING_SIGNATURE
        if fact is None and not waits:
            return _Outcome(settled=_UNKNOWN, reason=_UNKNOWN)
        if fact is None:
            return self._note(transaction, order, envelope, now, _UNKNOWN, dead=True)
        if waits and envelope is not None:
            return self._follow_waiting(transaction, Ended(order, envelope, fact), provider, call)
        if fact.status is S.SENT:
            fact = self._take_back(watched, order, provider)
        if fact.status is S.SENT:
            return _Outcome(reason="its provider has not taken it back yet")
        problem = _standing(order, envelope, fact)
        if envelope is not None and (envelope.status, envelope.problem) != (fact.status, problem):
            noted = {"status": fact.status, "checked_at": now, "problem": problem}
            ORDERS.update(transaction, order.revised(now, envelope=envelope.model_copy(update=noted)))
        return _Outcome(settled=fact.status, reason=problem)

    def _follow_waiting(
        self, transaction: Transaction, ended: Ended, provider: SignatureProvider, call: CallContext
    ) -> _Outcome:
        """The order awaits just this envelope."""
        now = self._clock.now()
        match ended.fact.status:
            case S.SENT:
                return self._note(transaction, ended.order, ended.envelope, now, ended.fact.reason)
            case S.COMPLETED:
                papers = provider.documents(ended.envelope.id)
                try:
                    execute_order(transaction, self._crm, self._blobs, ended, papers, call, now)
                except (Invalid, TooLarge) as error:
                    problem = f"completed, but what its provider gives out cannot be kept: {error.detail}"
                    return self._note(transaction, ended.order, ended.envelope, now, problem, dead=True)
            case S.DECLINED:
                turn_back(transaction, ended, call, now)
            case _:
                end_order(transaction, self._crm, ended, call, now)
        return _Outcome(settled=ended.fact.status)

    @staticmethod
    def _note(
        transaction: Transaction,
        order: OrderForm,
        envelope: Envelope | None,
        now: datetime,
        problem: str,
        *,
        dead: bool = False,
    ) -> _Outcome:
        """Nothing moves. What a person has to look at stands on the order, once, until it is over."""
        if envelope is not None and envelope.problem != problem:
            noted = envelope.model_copy(update={"problem": problem, "checked_at": now})
            ORDERS.update(transaction, order.revised(now, envelope=noted))
        return _Outcome(reason=problem, dead=dead)

    @staticmethod
    def _take_back(watched: WatchedEnvelope, order: OrderForm, provider: SignatureProvider) -> EnvelopeFact:
        """Voids an envelope that its order does not await any more, and tells how it stands then."""
        why = "signed by other means" if order.signature else order.end_reason or "the order form is not awaited"
        refusal: EnvelopeRefused | None = None
        try:
            provider.void(watched.envelope_id, why[:200])
        except EnvelopeRefused as error:  # it became final in between; what it became is asked next
            refusal = error
        fact = provider.state(watched.envelope_id)
        if fact.status is S.SENT and refusal is not None:
            raise refusal
        return fact


def _standing(order: OrderForm, envelope: Envelope | None, fact: EnvelopeFact) -> str:
    """What a person should know of an envelope that is over: why it was declined, or that it ended other than its
    order; empty when there is nothing."""
    executed_by_it = order.signature is not None and envelope is not None and order.signature.envelope_id == envelope.id
    if executed_by_it and fact.status is not S.COMPLETED:
        return f"{fact.status} at its provider after it was completed; the order form stays executed"
    if not executed_by_it and fact.status is S.COMPLETED:
        return f"completed although the order form is {order.status}; nothing follows from it"
    return declined_because(fact) if fact.status is S.DECLINED else ""

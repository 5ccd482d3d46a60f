"""Mirroring what Stripe billed and took: invoices, payments, credit notes, refunds, ends of subscriptions (ORD-9).

Level-triggered: a signal says whose, everything of that payer is fetched as it is now, and what differs is written.
What makes it safe is the order: read the payer's fence, then fetch, then commit against the fence, which moves with
every commit. Who lost a race throws away what was fetched and fetches again (R2), as billing does with the profile.

What makes it complete: it runs in the Stripe worker right after the profile was converged, in the same delivery of the
message. A worker that dies in between leaves the message in the queue; the profile is settled then and only this runs.
Nothing rests on it alone: the fence stands in the due index a day ahead, so every payer is mirrored once a day without
a signal, and the sales order of an order form puts its payer there at once. So neither a lost webhook, nor an invoice
that came before its sales order, nor an account that was linked later stays unseen.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from revops.kernel import CallContext, Clock
from revops.sales.dunning import end_dunning
from revops.sales.model import Credit, Invoice, Payment, Renewal, RenewalEvent, RenewalStatus
from revops.sales.policies.books import credit_entry, invoice_entry, payment_entry
from revops.sales.policies.dunning import DunningRules, watched
from revops.sales.ports import (
    CrmDesk,
    PayerFacts,
    PayerRef,
    Payers,
    PayerSignal,
    StripeBooks,
    SubscriptionFact,
)
from revops.sales.reflection import credits_of_facts, invoice_of_fact, payment_of_fact
from revops.sales.renewing import end_reminders
from revops.sales.store import (
    CREDITS,
    INVOICES,
    MIRROR_EVERY,
    PAYMENTS,
    RENEWALS,
    SALES_ORDERS,
    SUBSCRIPTION,
    BookEntry,
    MirrorState,
    enter,
    midnight,
    mirror_key,
    mirror_state,
    pass_mirror,
    running_term,
)
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Entity, EntityKind, Table, Transaction, begin, holder_of

MAX_RACES = 8
_ROOM = 99
"""Operations of a transaction, which takes 100, beside the fence."""
_RECORD, _TERM = 6, 7
"""Operations at most: a record takes its row, an entry of the books or two, and the tasks of three stages that end; a
term its row and the tasks of six reminders that end."""
_SKEW = timedelta(seconds=2)
_KEPT = {"id", "version", "created_at", "modified_at"}

type _Record = Invoice | Payment | Credit
type _Step = Callable[[Transaction, datetime], None]
type _Write = tuple[EntityKind[Any], _Record | None, _Record, BookEntry | None]


class MirrorPayer:
    """Makes our records of one payer agree with Stripe."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        stripe: StripeBooks,
        payers: Payers,
        desk: CrmDesk,
        settings: SettingsReader,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Who lost a race waits a little (`sleep`, spread by `jitter`) before fetching again."""
        self._table = table
        self._clock = clock
        self._stripe = stripe
        self._payers = payers
        self._desk = desk
        self._settings = settings
        self._sleep = sleep
        self._jitter = jitter

    def follow(self, signal: PayerSignal, call: CallContext) -> bool:
        """Mirrors the payer of a signal, unless that was begun after the signal came: one act of a customer makes a
        dozen events, and the first fetch after the last of them sees all. False when there was nothing left to do."""
        state = self._state(signal.payer)
        if state.fetched_at is not None and state.fetched_at > signal.received_at + _SKEW:
            return False
        self._mirror(signal.payer, state, call)
        return True

    def __call__(self, payer: str, call: CallContext) -> int:
        """How many records were written. Raises Unavailable, Contention, or what Stripe refuses."""
        return self._mirror(payer, self._state(payer), call)

    def _state(self, payer: str) -> MirrorState:
        return mirror_state(self._table.get(mirror_key(payer)))

    def _mirror(self, payer: str, state: MirrorState, call: CallContext) -> int:
        """`state` was read before anything is fetched, and again after each lost race."""
        for race in range(MAX_RACES):
            if race:
                self._sleep(self._jitter() * min(2.0, 0.05 * 2**race))  # seconds
                state = self._state(payer)
            began = self._clock.now()
            owner = self._payers.of_payer(payer)
            facts = self._stripe.of_payer(payer)
            try:
                return self._write(payer, owner, facts, state.fence, began, call)
            except ConditionFailed:
                continue
        raise Contention("others keep mirroring the same payer; try again shortly")

    def _write(
        self, payer: str, ref: PayerRef, facts: PayerFacts, fence: int, began: datetime, call: CallContext
    ) -> int:
        """In chunks, each of which passes the fence: a payer may have more invoices than a transaction takes. The last
        one says that the payer was mirrored, so one that breaks off is begun again."""
        records = [partial(self._put, write) for write in self._differences(payer, ref, facts, began)]
        terms = [partial(self._put_term, *each) for each in self._moved_terms(facts.subscriptions, began)]
        chunks = list(_chunks([*((_RECORD, put) for put in records), *((_TERM, put) for put in terms)]))
        for number, chunk in enumerate(chunks):
            now, last = self._clock.now(), number == len(chunks) - 1
            transaction = begin(call, now)
            for put in chunk:
                put(transaction, now)
            again = now + MIRROR_EVERY if last else now
            pass_mirror(transaction, payer, fence, began if last else None, again)
            self._table.commit(transaction)
            fence += 1
        return len(records)

    def _put(self, write: _Write, transaction: Transaction, now: datetime) -> None:
        kind, before, after, entry = write
        if before is None:
            kind.create(transaction, after)
        else:
            changes = {name: getattr(after, name) for name in type(after).model_fields if name not in _KEPT}
            kind.update(transaction, before.revised(now, **changes))
            if before.account_id and before.account_id != after.account_id:
                enter(transaction, before.account_id, None, after.id)
        enter(transaction, after.account_id, entry, after.id)
        if isinstance(after, Invoice) and isinstance(before, Invoice) and before.owed and not after.owed:
            end_dunning(self._desk, transaction, now, before)

    def _differences(self, payer: str, ref: PayerRef, facts: PayerFacts, now: datetime) -> Iterable[_Write]:
        rules = self._settings.read(DunningRules)
        sales = {fact.subscription_id: "" for fact in facts.invoices}
        sales = {name: (holder_of(self._table, SUBSCRIPTION, name) or "") if name else "" for name in sales}
        invoices = [invoice_of_fact(fact, payer, ref, sales[fact.subscription_id], now) for fact in facts.invoices]
        for before, after in self._compared(INVOICES, invoices):
            invoice = watched(_with_dunning(before, after), now, rules)
            if before is None or _differ(before, invoice):
                yield INVOICES, before, invoice, invoice_entry(invoice)
        payments = [one for fact in facts.payments for one in payment_of_fact(fact, payer, ref, now)]
        payments += [one for fact in facts.invoices for one in payment_of_fact(fact, payer, ref, now)]
        for was, payment in self._compared(PAYMENTS, payments):
            if was is None or _differ(was, payment):
                yield PAYMENTS, was, payment, payment_entry(payment)
        for had, credit in self._compared(CREDITS, credits_of_facts(facts, payer, ref, now)):
            if had is None or _differ(had, credit):
                yield CREDITS, had, credit, credit_entry(credit)

    def _compared[T: Entity](self, kind: EntityKind[T], wanted: list[T]) -> Iterable[tuple[T | None, T]]:
        rows = self._table.get_many([kind.key(one.id) for one in wanted]) if wanted else []
        for row, one in zip(rows, wanted, strict=True):
            yield (kind.load(row) if row is not None else None), one

    def _moved_terms(
        self, subscriptions: Iterable[SubscriptionFact], now: datetime
    ) -> Iterator[tuple[Renewal, Renewal]]:
        """What Stripe says of a subscription's end, on the term of it that runs: announced, or cancelled, or lapsed;
        of one that a person decided on, that it ended. Each term as it stands and as it is to be."""
        for fact in subscriptions:
            sold = SALES_ORDERS.get(self._table, holder_of(self._table, SUBSCRIPTION, fact.id) or "")
            term = running_term(self._table, sold.term_id) if sold else None
            if term is None or term.ended_at is not None or term.subscription_id != fact.id:
                continue
            announced = fact.cancels_at.date() if fact.cancels_at else None
            if fact.ended_at is not None:
                yield term, _over(term, fact.ended_at, announced, now)
            elif term.status is RenewalStatus.OPEN and announced != term.cancels_on:
                what = "cancellation announced" if announced else "cancellation withdrawn"
                look_at = now if announced is None else term.look_at  # it counts again: look what is due
                detail = announced.isoformat() if announced else ""
                yield term, _told(term, now, what, detail, cancels_on=announced, look_at=look_at)

    def _put_term(self, before: Renewal, after: Renewal, transaction: Transaction, now: datetime) -> None:
        RENEWALS.update(transaction, after)
        if after.status is not RenewalStatus.OPEN:
            end_reminders(self._desk, transaction, now, before)


def _over(term: Renewal, ended_at: datetime, announced: date | None, now: datetime) -> Renewal:
    """The term of a subscription that ended. What a person said of it before stays said."""
    detail = f"the subscription ended {ended_at:%Y-%m-%d}"
    ended = {"ended_at": ended_at, "look_at": None, "cancels_on": announced}
    if term.status is not RenewalStatus.OPEN:
        return _told(term, now, "ended", detail, **ended)
    status = RenewalStatus.LAPSED if ended_at >= midnight(term.ends_on) else RenewalStatus.CANCELLED
    return _told(term, now, status.lower(), detail, status=status, ended_by="Stripe", **ended)


def _told(term: Renewal, now: datetime, what: str, detail: str, **changes: object) -> Renewal:
    told = RenewalEvent(at=now, by="Stripe", what=what, detail=detail)
    return term.revised(now, **changes, history=(*term.history, told))


def _chunks(work: Iterable[tuple[int, _Step]]) -> Iterator[list[_Step]]:
    """Work with the operations it may take, in as few transactions as it fits into beside the fence; at least one."""
    chunk: list[_Step] = []
    room = _ROOM
    for operations, step in work:
        if operations > room:
            yield chunk
            chunk, room = [], _ROOM
        chunk.append(step)
        room -= operations
    yield chunk


def _with_dunning(before: Invoice | None, after: Invoice) -> Invoice:
    """What the sweep wrote of an invoice stays: Stripe knows nothing of it."""
    if before is None:
        return after
    kept = ("stage", "stage_since", "dun_at", "dunned")
    return after.model_copy(update={name: getattr(before, name) for name in kept})


def _differ(before: Entity, after: Entity) -> bool:
    return before.model_dump(exclude=_KEPT) != after.model_dump(exclude=_KEPT)

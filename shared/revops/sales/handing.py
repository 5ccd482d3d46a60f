"""Handing the Stripe worker what waits for it (ORD-9): credit requests, and payers that are to be mirrored."""

from collections.abc import Sequence

from revops.kernel import CallContext, Clock
from revops.sales.crediting import CHECK_AGAIN, PerformCredit
from revops.sales.mirroring import MirrorPayer
from revops.sales.model import CreditKind
from revops.sales.ports import Signals, WorkQueue
from revops.sales.store import (
    CREDIT_REQUESTS,
    CREDITING,
    INVOICES,
    MIRROR,
    MIRROR_AGAIN,
    MIRRORING,
    PAYMENTS,
    mirror_state,
    pass_mirror,
)
from revops.table import ConditionFailed, Row, Table, Transaction, begin, due_now

QUEUE = "stripe"


class HandOver:
    """Hands the Stripe worker what waits for it: requests that came to no end, payers not mirrored for a day. What is
    handed over moves on in the due index first, so that a queue that stands still is not filled with repeats."""

    def __init__(self, table: Table, clock: Clock, queue: WorkQueue) -> None:
        self._table = table
        self._clock = clock
        self._queue = queue

    def request(self, request_id: str) -> None:
        """A request that was just made. Raises nothing when the queue refuses: the sweep hands it over."""
        self._queue.send(QUEUE, [{"entity_id": request_id, "kind": CREDIT_REQUESTS.kind}])

    def requests(self, call: CallContext) -> int:
        """Every request that is due again; how many."""
        now = self._clock.now()
        handed: list[str] = []
        for due in due_now(self._table, CREDITING, now):
            request = CREDIT_REQUESTS.readable(self._table.get(due.key))
            if request is None or request.check_at is None or request.check_at > now:
                continue
            transaction = begin(call, now)
            CREDIT_REQUESTS.update(transaction, request.revised(now, check_at=now + 6 * CHECK_AGAIN))
            if self._committed(transaction):
                handed.append(request.id)
        return self._send([{"entity_id": name, "kind": CREDIT_REQUESTS.kind} for name in handed])

    def payers(self, call: CallContext, limit: int = 50) -> int:
        """Every payer that is due to be mirrored, some at a time; how many."""
        now = self._clock.now()
        handed: list[str] = []
        for due in due_now(self._table, MIRRORING, now, limit):
            row = self._table.get(due.key)
            if row is None or not _is_due(row, due.at):
                continue
            state = mirror_state(row)
            transaction = begin(call, now)
            pass_mirror(transaction, state.payer, state.fence, state.fetched_at, now + MIRROR_AGAIN)
            if self._committed(transaction):
                handed.append(state.payer)
        return self._send([{"entity_id": payer, "kind": MIRROR} for payer in handed])

    def _committed(self, transaction: Transaction) -> bool:
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return False  # somebody is at it
        return True

    def _send(self, messages: Sequence[dict[str, str]]) -> int:
        return len(messages) - len(self._queue.send(QUEUE, messages)) if messages else 0


def _is_due(row: Row, at: str) -> bool:
    """The index lags: the row itself says when it is due."""
    return row.index.get("due", ("", ""))[1].startswith(at)


class DoStripeWork:
    """What the Stripe worker does for this slice: a message of its own, or what a settled signal leaves to be done."""

    KINDS = frozenset({CREDIT_REQUESTS.kind, MIRROR})

    def __init__(self, table: Table, mirror: MirrorPayer, perform: PerformCredit, signals: Signals) -> None:
        self._table = table
        self._mirror = mirror
        self._perform = perform
        self._signals = signals

    def takes(self, kind: str) -> bool:
        """Whether a message of this kind is for this slice."""
        return kind in self.KINDS

    def __call__(self, kind: str, subject: str, call: CallContext) -> None:
        """A message of `HandOver`. Raises Unavailable, Contention when it should come again."""
        payer = self._credited(subject, call) if kind == CREDIT_REQUESTS.kind else subject
        if payer:
            self._mirror(payer, call)

    def follow(self, inbox_id: str, call: CallContext) -> None:
        """After a signal was settled: mirrors its payer, if it tells of invoices, payments or subscriptions."""
        signal = self._signals(inbox_id)
        if signal is not None:
            self._mirror.follow(signal, call)

    def _credited(self, request_id: str, call: CallContext) -> str:
        """The payer whose credit was made."""
        request = self._perform(request_id, call)
        if request.kind is CreditKind.CREDIT_NOTE:
            return INVOICES.require(self._table, request.invoice_id).payer
        return PAYMENTS.require(self._table, request.payment_id).payer

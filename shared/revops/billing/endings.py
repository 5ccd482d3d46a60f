"""Wishes about the end of a subscription, beside others who write its end (STR-5, ORD-5)."""

from revops.billing.cancellation import CANCELLATIONS, Cancellation, CancellationState, Mode, cancellation_id
from revops.billing.store import customer_of_payer
from revops.kernel import CallContext, Clock
from revops.table import ConditionFailed, Contention, Table, begin

_ATTEMPTS = 8
_STANDING = {CancellationState.REQUESTED, CancellationState.SCHEDULED}


class StandingWishes:
    """Keeps an end with the period from being overwritten. Stripe has no condition for a write: who looks at a
    subscription and then writes its end may undo what came between. A wish is written down before it is brought about,
    so one that came between is seen here afterwards, and goes to the worker once more."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def at(self, payer: str, subscription_id: str) -> int:
        """The version of the wish about a payer's subscription; 0 for none."""
        wish = self._wish(payer, subscription_id)
        return wish.version if wish else 0

    def again(self, payer: str, subscription_id: str, since: int, call: CallContext) -> None:
        """Requests an end with the period anew if it was asked for or settled since that version, or is on its way.
        Raises Contention."""
        for _ in range(_ATTEMPTS):
            wish = self._wish(payer, subscription_id)
            if wish is None or wish.mode is not Mode.PERIOD_END or wish.state not in _STANDING:
                return
            if wish.version == since and wish.state is CancellationState.SCHEDULED:
                return  # it was brought about before
            now = self._clock.now()
            transaction = begin(call, now)
            requested = wish.revised(now, state=CancellationState.REQUESTED, settled_at=None)
            CANCELLATIONS.update(transaction, requested)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # it was settled, or something else is wanted now
            return
        raise Contention("the cancellation keeps changing; try again shortly")

    def _wish(self, payer: str, subscription_id: str) -> Cancellation | None:
        customer_id = customer_of_payer(self._table, payer) if payer else None
        if customer_id is None:
            return None
        return CANCELLATIONS.get(self._table, cancellation_id(customer_id, subscription_id))

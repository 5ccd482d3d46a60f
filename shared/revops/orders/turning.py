"""The day comes from which other terms hold: what was agreed for later takes effect here as well (ORD-5).

The provider changes the subscription by its own schedule. What we hold ourselves, the caps on usage, follows by this;
and the change of the timeline has the Stripe worker look whether the schedule was still there (`catch_up`).
"""

from collections.abc import Callable

from revops.kernel import CallContext, Clock, DomainError
from revops.orders.store import TIMELINES
from revops.table import ConditionFailed, Table, begin, due_now


class TurnTimelines:
    """Puts the terms in force whose day has come. Safe to run twice, at once or late: what holds is read anew."""

    def __init__(self, table: Table, clock: Clock, apply_caps: Callable[[str, CallContext], object]) -> None:
        self._table = table
        self._clock = clock
        self._apply_caps = apply_caps

    def __call__(self, call: CallContext) -> int:
        """How many subscriptions came to other terms. What cannot be put in force (a spend cycle runs in another
        currency, nothing can be made of the form) stays due and holds no other up: the first such failure is raised
        when all had their turn."""
        now = self._clock.now()
        turned = 0
        failure: Exception | None = None
        for due in due_now(self._table, "timeline", now):
            timeline = TIMELINES.readable(self._table.get(due.key))
            if timeline is None or timeline.next_at is None or timeline.next_at > now:
                continue  # the index was behind
            try:
                self._apply_caps(timeline.in_force(int(now.timestamp())).order_id, call)
            except (DomainError, ValueError) as error:  # of a row that cannot be read: a ValueError
                failure = failure or error
                continue
            transaction = begin(call, now)
            TIMELINES.update(transaction, timeline.revised(now, next_at=timeline.next_after(int(now.timestamp()))))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # another form was agreed in this moment; it is due again if there is more to come
            turned += 1
        if failure is not None:
            raise failure
        return turned

"""One worker at a time on an order or a customer: a claim that is held while something is done to it.

Approving several repairs of one order makes several messages at once, so who comes second waits a little: most are done
within a second, and a message that failed comes again after five seconds, then twenty, and is one of eight.
"""

import random
import time
from collections.abc import Callable

from revops.kernel import CallContext, Clock, Unavailable
from revops.table import ConditionFailed, Contention, Key, Table, begin, claim, holder_of

_TRIES = 12
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0


class Hold:
    """Takes a value for a holder. `sleep` waits, spread by `jitter`."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._name = name
        self._sleep = sleep
        self._jitter = jitter

    def __call__(self, value: str, holder: str, stands: tuple[Key, int], call: CallContext) -> bool:
        """True when an earlier attempt of this holder had it already, and did not come to its end. `stands` is the
        holder's own row as it was read: what was settled since then takes nothing, for nobody would give it back.
        Raises Unavailable while somebody else has it, and Contention when the row moved on."""
        for attempt in range(_TRIES):
            if attempt:
                self._sleep((1 + self._jitter()) / 2 * min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt))
            had = holder_of(self._table, self._name, value)
            if had is not None:
                if had == holder:
                    return True
                continue
            transaction = begin(call, self._clock.now())
            claim(transaction, self._name, value, holder)
            transaction.check(*stands)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                if error.at(stands[0]):
                    raise Contention("another worker settled this") from error
                continue  # somebody was faster
            return False
        raise Unavailable("another worker is at it", retry_after=_LONGEST_WAIT)

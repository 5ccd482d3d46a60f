"""One way to move an order: the policy is asked, the next version and the record of the step go in one transaction."""

from collections.abc import Callable
from datetime import datetime

from revops.kernel import CallContext, Clock, Conflict, VersionConflict
from revops.orders.model import OrderForm, OrderStatus, Step, StepOutcome, StepRecord
from revops.orders.policies.lifecycle import require_move
from revops.orders.store import ORDERS, add_step
from revops.table import ConditionFailed, Table, Transaction, begin, commit_update

_TRIES = 3


def move(
    transaction: Transaction,
    order: OrderForm,
    to: OrderStatus,
    step: Step,
    call: CallContext,
    now: datetime,
    *,
    started_at: datetime | None = None,
    outcome: StepOutcome = StepOutcome.DONE,
    reason: str = "",
    **changes: object,
) -> OrderForm:
    """Adds the move to the transaction and tells the order as it then is. Raises Refused for an illegal one.

    A step of the workflow starts when its task does; one that people take started when the wait for it began.
    """
    if to is not order.status:
        require_move(order.id, order.status, to)
        changes = {"status_since": now, **changes}
    moved = order.revised(now, status=to, **changes)
    ORDERS.update(transaction, moved)
    record = StepRecord(
        name=step,
        started_at=started_at or order.status_since,
        ended_at=now,
        actor=call.principal.id,
        attempt=order.attempt,
        outcome=outcome,
        status=to,
        reason=reason,
    )
    add_step(transaction, moved, record)
    return moved


def commit_move(table: Table, transaction: Transaction, moved: OrderForm) -> OrderForm:
    """Commits a move that a person asked for. Raises VersionConflict when the order changed meanwhile, Conflict when
    something it goes with did, such as the deal or a task."""
    try:
        commit_update(table, transaction, ORDERS, moved)
    except ConditionFailed as error:
        raise Conflict("the deal of this order or a task about it was changed meanwhile; try again") from error
    return moved


def asked_by_a_person(
    table: Table, order_id: str, ask: Callable[[OrderForm], OrderForm], same: Callable[[OrderForm, OrderForm], bool]
) -> OrderForm:
    """What `ask` makes of the order as it stands. Whoever asks names no version, and the workflow and its notes of who
    was told change an order too: after such a change it is asked again of the very order that was compared, as long as
    that is the `same` thing to ask. Raises VersionConflict when it is not, and what `ask` raises."""
    order = ORDERS.require(table, order_id)
    for _ in range(_TRIES - 1):
        try:
            return ask(order)
        except VersionConflict:
            now = ORDERS.require(table, order_id)
            if not same(order, now):
                raise
            order = now
    return ask(order)


class TakeStep:
    """Moves an order to where a step of the workflow brought it, together with what the step wrote elsewhere."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def begin(self, call: CallContext) -> Transaction:
        """A transaction for what goes with the move."""
        return begin(call, self._clock.now())

    def __call__(
        self,
        order: OrderForm,
        to: OrderStatus,
        step: Step,
        call: CallContext,
        started_at: datetime,
        *,
        transaction: Transaction | None = None,
        outcome: StepOutcome = StepOutcome.DONE,
        reason: str = "",
        **changes: object,
    ) -> OrderForm:
        """The order as it stands afterwards. Raises Refused for an illegal move, VersionConflict or ConditionFailed
        when something of it changed meanwhile."""
        transaction = transaction or self.begin(call)
        now = self._clock.now()
        moved = move(
            transaction, order, to, step, call, now, started_at=started_at, outcome=outcome, reason=reason, **changes
        )
        self._table.commit(transaction)
        return moved

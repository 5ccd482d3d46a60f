"""The order's own side of the workflow. The order decides what happens; an execution is disposable (ORD-2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.kernel import CallContext, Clock, DomainError, VersionConflict
from revops.orders.decisions import end_deal
from revops.orders.model import Block, OrderForm, OrderStatus, Step, StepOutcome
from revops.orders.moves import TakeStep, move
from revops.orders.policies.lifecycle import WAITS, is_automatic, is_executed, next_step
from revops.orders.ports import CrmRecords, WorkflowEngine
from revops.orders.steps import StepAction
from revops.orders.store import ORDERS, STALLED_AFTER, add_wait, waits_of
from revops.table import ConditionFailed, Table, begin, due_now

OUTAGE = timedelta(days=3)
"""How long a step before execution may keep failing before the order ends for it."""
GIVE_UP = "give_up"
"""The task an execution runs when the retries of a step are used up."""


@dataclass(frozen=True, slots=True)
class StepTask:
    """What an execution asks for. Only `order_id` is needed: any other text than the order's own next step is
    answered with that step, so old executions and new code understand each other."""

    order_id: str
    step: str = ""
    task_token: str = ""
    failed_step: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Where the order stands now, and the step it calls for next."""

    order_id: str
    status: str
    next: str


class AnswerWait:
    """Wakes executions whose order no longer waits. A token that is gone is harmless: the order knows the way."""

    def __init__(self, table: Table, clock: Clock, engine: WorkflowEngine) -> None:
        self._table = table
        self._clock = clock
        self._engine = engine

    def __call__(self, order_id: str, call: CallContext) -> int:
        """How many executions were woken."""
        order = ORDERS.get(self._table, order_id)
        step = Step.DONE if order is None else next_step(order.status)
        woken = 0
        for task in waits_of(self._table, order_id):
            if task.step == step:
                continue  # the order still waits for just this
            woken += self._engine.answer(task.token, order_id)
            transaction = begin(call, self._clock.now())
            transaction.delete(task.key)
            self._table.commit(transaction)
        return woken


class StartWorkflow:
    """Starts an execution for an attempt of an order; the same attempt again starts nothing."""

    def __init__(self, engine: WorkflowEngine) -> None:
        self._engine = engine

    def __call__(self, order_id: str, attempt: int) -> None:
        self._engine.start(f"{order_id}-{attempt}", order_id, attempt)


class RestartStalledOrders:
    """Gives a new attempt to orders that should have been moved on long ago: their execution or event was lost."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, call: CallContext) -> int:
        """How many were restarted; the stream starts their executions."""
        now = self._clock.now()
        restarted = 0
        for due in due_now(self._table, "order", now):
            order = ORDERS.readable(self._table.get(due.key))
            if order is None or not is_automatic(order.status) or order.modified_at + STALLED_AFTER > now:
                continue  # the index was behind: it has moved on
            transaction = begin(call, now)
            reason = f"nothing happened since {order.modified_at.isoformat(timespec='seconds')}"
            move(
                transaction, order, order.status, Step.RESUME, call, now,
                started_at=now, reason=reason, attempt=order.attempt + 1,
            )  # fmt: skip
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # it moved on by itself meanwhile
            restarted += 1
        return restarted


class RunOrderStep:
    """Runs the step an order calls for, whoever asks and how often. The order's own state decides, never the task's.

    Before execution a step that fails for good ends the order and undoes what it did; after execution the order is
    blocked and says why.
    """

    def __init__(
        self,
        table: Table,
        clock: Clock,
        crm: CrmRecords,
        steps: Mapping[Step, StepAction],
        answer: AnswerWait,
    ) -> None:
        """`steps` are those the workflow takes by itself; `orders.steps.order_steps` makes them."""
        self._table = table
        self._clock = clock
        self._crm = crm
        self._steps = steps
        self._answer = answer
        self._take = TakeStep(table, clock)

    def __call__(self, task: StepTask, call: CallContext) -> StepResult:
        """Where the order stands afterwards. Raises what trying again may cure; the execution retries."""
        order = ORDERS.get(self._table, task.order_id)
        if order is None:
            return StepResult(task.order_id, "", Step.DONE)
        step = next_step(order.status)
        if task.step == GIVE_UP:
            return self._result(self._give_up(order, task, call))
        if task.task_token and task.step in WAITS:
            return self._wait(task, call)
        if task.step != step or step not in self._steps:
            return self._result(order)
        started_at = self._clock.now()
        try:
            moved = self._steps[step](order, call, started_at)
        except (VersionConflict, ConditionFailed):
            moved = ORDERS.require(self._table, order.id)  # somebody else moved something; the order says what now
        except DomainError as error:
            if error.retryable:
                raise
            moved = self._fail(order, step, error.detail, call, started_at)
        return self._result(moved)

    # -- waiting and failing ---------------------------------------------------------------------------------------

    def _wait(self, task: StepTask, call: CallContext) -> StepResult:
        """Keeps the token, then looks again: a decision that fell in between is answered at once."""
        now = self._clock.now()
        transaction = begin(call, now)
        add_wait(transaction, task.order_id, task.step, task.task_token, now)
        self._table.commit(transaction)
        order = ORDERS.require(self._table, task.order_id)
        if next_step(order.status) != task.step:
            self._answer(task.order_id, call)
        return self._result(order)

    def _give_up(self, order: OrderForm, task: StepTask, call: CallContext) -> OrderForm:
        step = next_step(order.status)
        if step != task.failed_step or not is_automatic(order.status):
            return order  # it moved on by itself meanwhile
        reason = f"{step} kept failing ({task.error[:200] or 'unknown error'})"
        now = self._clock.now()
        if not is_executed(order.status) and order.status_since + OUTAGE > now:
            # A vendor or a service that is away is no reason to lose a deal: the sweep gives the order another attempt.
            failed = StepOutcome.FAILED
            return self._take(order, order.status, step, call, now, outcome=failed, reason=f"{reason}; tried again")
        return self._fail(order, step, reason, call, now)

    def _fail(self, order: OrderForm, step: Step, reason: str, call: CallContext, started_at: datetime) -> OrderForm:
        reason = reason[:1000]
        if is_executed(order.status):
            block = Block(step=step, reason=reason, resume_to=order.status)
            blocked = StepOutcome.BLOCKED
            return self._take(
                order, OrderStatus.BLOCKED, step, call, started_at, outcome=blocked, reason=reason, block=block
            )
        now = self._clock.now()
        transaction = begin(call, now)
        end_deal(self._crm, transaction, now, order, "the order form could not be completed")
        return self._take(
            order,
            OrderStatus.CANCELLED,
            step,
            call,
            started_at,
            transaction=transaction,
            outcome=StepOutcome.FAILED,
            reason=reason,
            end_reason=reason,
        )

    @staticmethod
    def _result(order: OrderForm) -> StepResult:
        return StepResult(order.id, order.status, next_step(order.status))

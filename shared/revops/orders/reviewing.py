"""The stages of a review at work: the people of each decide, in turn, and are told and reminded (ORD-2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.access import USERS, Policy, Resource, User
from revops.access.directory import manager_over
from revops.access.store import users_with_role
from revops.kernel import CallContext, Clock, Forbidden, Invalid, Refused, Role, system_call
from revops.orders.decisions import end_deal
from revops.orders.model import OrderForm, OrderStatus, Step
from revops.orders.moves import asked_by_a_person, commit_move, move
from revops.orders.policies.lifecycle import legal
from revops.orders.policies.stages import current, decided, noted
from revops.orders.ports import CrmRecords, ReviewTask, ReviewTasks
from revops.orders.review_tasks import task_origin, withdraw_tasks
from revops.orders.reviews import ReviewDecision, ReviewStage
from revops.orders.store import ORDERS, REVIEW_TOPIC
from revops.table import ConditionFailed, Table, Transaction, begin, due_now

_OUTCOMES = {
    ReviewDecision.APPROVE: OrderStatus.APPROVED,
    ReviewDecision.REJECT: OrderStatus.REJECTED,
    ReviewDecision.ASK: OrderStatus.CHANGES_REQUESTED,
}
_TOLD = 10
"""So many people of a role get a task; the others find the order in the list of those in review."""


@dataclass(frozen=True, slots=True)
class Read:
    """What somebody has read who decides; what is not said is what stands now."""

    revision: int | None = None
    stage: str = ""


_NOW = Read()


class ReviewOrder:
    """The people of the present stage approve, reject or ask for a change."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, policy: Policy, tasks: ReviewTasks) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy
        self._tasks = tasks

    def __call__(
        self, order_id: str, decision: ReviewDecision, comment: str, call: CallContext, read: Read = _NOW
    ) -> OrderForm:
        """The order after the decision: in review still while another stage has to speak. Raises NotFound, Forbidden,
        Invalid, Refused, VersionConflict."""

        def decide(order: OrderForm) -> OrderForm:
            return self._decide(order, decision, comment, call, read)

        return asked_by_a_person(self._table, order_id, decide, _still_asked)

    def _decide(
        self, order: OrderForm, decision: ReviewDecision, comment: str, call: CallContext, read: Read
    ) -> OrderForm:
        stage = current(order.review) if order.status is OrderStatus.IN_REVIEW else None
        self._require_say(order, stage, call)
        if decision is not ReviewDecision.APPROVE and not comment.strip():
            raise Invalid.field("comment", "required", "a reason is needed to reject or ask for a change", "a text")
        stage = _in_turn(order, stage, read)
        now = self._clock.now()
        transaction = begin(call, now)
        review = decided(order.review, decision, comment, call.principal.id, now)
        moved = move(
            transaction,
            order,
            OrderStatus.IN_REVIEW if review.decision is None else _OUTCOMES[decision],
            Step.AWAIT_REVIEW,
            call,
            now,
            started_at=stage.opened_at or order.status_since,
            reason=comment if len(review.stages) == 1 else f"{stage.name}: {comment or decision}",
            review=review,
            end_reason=comment if decision is ReviewDecision.REJECT else "",
        )
        withdraw_tasks(transaction, self._tasks, order, now)
        if decision is ReviewDecision.REJECT:
            end_deal(self._crm, transaction, now, order, "rejected in review")
        return commit_move(self._table, transaction, moved)

    def _require_say(self, order: OrderForm, stage: ReviewStage | None, call: CallContext) -> None:
        owner_id = self._crm.account(order.account_id).owner_id
        what = f"order form {order.id}"
        spoke = {role for each in order.review.stages for role in each.roles}
        roles = stage.roles if stage else sorted({*spoke, Role.LEGAL})
        self._policy.require_named(call.principal, Resource.ORDERS, owner_id, roles, what)
        if stage is not None and call.principal.id in _authors(order):
            raise Forbidden("nobody decides on an order form of their own, or on terms they wrote")


def _authors(order: OrderForm) -> set[str]:
    """Whose form it is, and who wrote the present revision of its terms."""
    return {order.owner_id, order.revised_by}


def _still_asked(order: OrderForm, now: OrderForm) -> bool:
    """Whether the same question is open: notes of who was told change an order too and are no reason to refuse a
    decision, which never reaches a stage or terms that came meanwhile."""
    asked, open_now = current(order.review), current(now.review)
    same = asked is not None and open_now is not None and asked.name == open_now.name
    return same and (order.status, order.revision) == (now.status, now.revision)


def _in_turn(order: OrderForm, stage: ReviewStage | None, read: Read) -> ReviewStage:
    """The stage that decides now. Raises Refused when none does, or another than was read."""
    if stage is None:
        raise Refused(f"order {order.id} is {order.status}, not in review. Possible from here: {legal(order.status)}")
    if read.revision not in {None, order.revision} or read.stage not in {"", stage.name}:
        raise Refused(f"order {order.id} is at its stage {stage.name} with revision {order.revision}; read it again")
    return stage


class WatchReviews:
    """The scheduled look at reviews: the people of a stage get a task when it opens, others when it is late."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, tasks: ReviewTasks) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._tasks = tasks

    def __call__(self, period: str, limit: int = 200) -> int:
        """How many stages were told or escalated."""
        now, call, moved = self._clock.now(), system_call("order_reviews", period), 0
        for due in due_now(self._table, REVIEW_TOPIC, now, limit):
            order = ORDERS.readable(self._table.get(due.key))
            stage = current(order.review) if order is not None and order.status is OrderStatus.IN_REVIEW else None
            if order is None or stage is None or stage.look_at is None or stage.look_at > now:
                continue  # the index lags; the order itself says that nothing is due any more
            transaction = begin(call, now)
            say = self._opened if stage.told is None else self._late
            changes = say(transaction, order, stage, now)
            ORDERS.update(transaction, order.revised(now, review=noted(order.review, **changes)))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # decided meanwhile: it is looked at again
            moved += 1
        return moved

    def _opened(
        self, transaction: Transaction, order: OrderForm, stage: ReviewStage, now: datetime
    ) -> dict[str, object]:
        people = self._people(stage.roles, order, now)
        self._tell(transaction, order, stage, people, now)
        return {"told": tuple(people)}

    def _late(self, transaction: Transaction, order: OrderForm, stage: ReviewStage, now: datetime) -> dict[str, object]:
        told = stage.told or ()
        more = [each for each in self._people(stage.escalate_to, order, now) if each not in told]
        self._tell(transaction, order, stage, more, now, late=True)
        return {"escalated_at": now, "told": (*told, *more)}

    def _people(self, roles: Sequence[Role], order: OrderForm, now: datetime) -> list[str]:
        """Who is asked: of sales managers the nearest over the account's owner, of other roles those who are there;
        never whoever wrote the form."""
        owner_id = self._crm.account(order.account_id).owner_id
        found: dict[str, None] = {}
        for role in roles:
            if role is Role.SALES_MANAGER:
                manager = self._manager(owner_id, order, now)
                found |= {manager.id: None} if manager else {}
                continue
            keys = [USERS.key(each) for each in users_with_role(self._table, role)]
            users = USERS.load_all(self._table.get_many(keys)) if keys else []
            found |= dict.fromkeys(sorted(each.id for each in users if each.present(now)))
        return [each for each in found if each not in _authors(order)][:_TOLD]

    def _manager(self, owner_id: str, order: OrderForm, now: datetime) -> User | None:
        """The nearest manager who may decide: over one who wrote the form there is another."""
        authors, user = _authors(order), USERS.get(self._table, owner_id)
        for _ in range(1 + len(authors)):
            user = manager_over(self._table, user, now) if user else None
            if user is None or user.id not in authors:
                return user
        return None

    def _tell(
        self,
        transaction: Transaction,
        order: OrderForm,
        stage: ReviewStage,
        people: Sequence[str],
        now: datetime,
        *,
        late: bool = False,
    ) -> None:
        due_at = stage.due_at or now
        remind_at = now if late else max(now, due_at - timedelta(hours=stage.remind_hours))
        messages = [each.message for each in order.review.findings if each.rule in stage.rules]
        for user_id in people:
            wanted = ReviewTask(
                origin=task_origin(order, stage, user_id),
                title=f"{'Overdue: decide' if late else 'Decide'} on an order form ({stage.name})",
                about=order.account_id,
                owner_id=order.owner_id,
                assignee_id=user_id,
                due_at=due_at,
                remind_at=remind_at,
                details=f"Order {order.id}, revision {order.revision}: {'; '.join(messages)}"[:4000],
                urgent=late,
            )
            self._tasks.add(transaction, now, wanted)

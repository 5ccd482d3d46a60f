"""What people decide about an order: review it, cancel it, resume it (ORD-2)."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, Invalid, Refused
from revops.orders.model import (
    Executed,
    OrderForm,
    OrderStatus,
    OrderTerms,
    Review,
    ReviewDecision,
    SccStatus,
    Step,
)
from revops.orders.moves import commit_move, move
from revops.orders.policies.lifecycle import legal, next_step
from revops.orders.ports import CrmRecords
from revops.orders.store import ORDERS
from revops.table import Table, Transaction, begin

_OUTCOMES = {
    ReviewDecision.APPROVE: OrderStatus.APPROVED,
    ReviewDecision.REJECT: OrderStatus.REJECTED,
    ReviewDecision.ASK: OrderStatus.CHANGES_REQUESTED,
}


def end_deal(crm: CrmRecords, transaction: Transaction, now: datetime, order: OrderForm, reason: str) -> None:
    """Undoes what opening the order did to the deal. A deal that was there before the order stays open."""
    if order.opened_opportunity:
        crm.close_lost(transaction, now, order.opportunity_id, reason)


class ReviewOrder:
    """Legal approves, rejects or asks for a change."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy

    def __call__(self, order_id: str, decision: ReviewDecision, comment: str, call: CallContext) -> OrderForm:
        """The order after the decision. Raises NotFound, Forbidden, Invalid, Refused."""
        order = ORDERS.require(self._table, order_id)
        owner_id = self._crm.account(order.account_id).owner_id
        self._policy.require_review(call.principal, Resource.ORDERS, owner_id, f"order form {order_id}")
        if decision is not ReviewDecision.APPROVE and not comment.strip():
            raise Invalid.field("comment", "required", "a reason is needed to reject or ask for a change", "a text")
        if order.status is not OrderStatus.IN_REVIEW:
            raise Refused(
                f"order {order_id} is {order.status}, not in review. Possible from here: {legal(order.status)}"
            )
        now = self._clock.now()
        decided = {"decision": decision, "comment": comment, "decided_by": call.principal.id, "decided_at": now}
        transaction = begin(call, now)
        moved = move(
            transaction,
            order,
            _OUTCOMES[decision],
            Step.AWAIT_REVIEW,
            call,
            now,
            reason=comment,
            review=order.review.model_copy(update=decided),
            end_reason=comment if decision is ReviewDecision.REJECT else "",
        )
        if decision is ReviewDecision.REJECT:
            end_deal(self._crm, transaction, now, order, "rejected in legal review")
        return commit_move(self._table, transaction, moved)


class CancelOrder:
    """Ends an order before execution and undoes what it did."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy

    def __call__(self, order_id: str, reason: str, call: CallContext) -> OrderForm:
        """Raises NotFound, Forbidden and, once executed, Refused."""
        order = ORDERS.require(self._table, order_id)
        owner_id = self._crm.account(order.account_id).owner_id
        self._policy.require_write(call.principal, Resource.ORDERS, owner_id, f"order form {order_id}")
        if order.status is OrderStatus.CANCELLED:
            return order
        now = self._clock.now()
        transaction = begin(call, now)
        moved = move(
            transaction, order, OrderStatus.CANCELLED, Step.CANCEL, call, now, reason=reason, end_reason=reason
        )
        end_deal(self._crm, transaction, now, order, "the order form was cancelled")
        return commit_move(self._table, transaction, moved)


class Amendment(BaseModel):
    """What is brought along when an order is resumed: documents executed meanwhile, or changed terms."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    dpa: Executed | None = None
    sccs: SccStatus | None = None
    uk_idta: Executed | None = None
    terms: OrderTerms | None = None

    @property
    def names_documents(self) -> bool:
        """Whether it says something about the contract documents."""
        return any(value is not None for value in (self.dpa, self.sccs, self.uk_idta))


class ResumeOrder:
    """Starts the workflow of an order again at its step: after a block, after a requested change, or because an
    execution was lost. A new attempt beside a living execution is harmless."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy

    def __call__(self, order_id: str, amendment: Amendment, call: CallContext) -> OrderForm:
        """Raises NotFound, Forbidden, Invalid, and Refused for an order that has ended."""
        order = ORDERS.require(self._table, order_id)
        owner_id = self._crm.account(order.account_id).owner_id
        what = f"order form {order_id}"
        if amendment.names_documents and order.status is OrderStatus.BLOCKED:
            # The compliance gate is not opened by the seller who wants it open.
            self._policy.require_review(call.principal, Resource.ORDERS, owner_id, what)
        else:
            self._policy.require_write(call.principal, Resource.ORDERS, owner_id, what)
        to = _resumes_to(order, amendment)
        now = self._clock.now()
        transaction = begin(call, now)
        moved = move(
            transaction,
            order,
            to,
            Step.RESUME,
            call,
            now,
            started_at=now,
            attempt=order.attempt + 1,
            block=None,
            terms=_amended(order, amendment),
            review=Review() if to is OrderStatus.SUBMITTED else order.review,
        )
        return commit_move(self._table, transaction, moved)


def _resumes_to(order: OrderForm, amendment: Amendment) -> OrderStatus:
    if amendment.terms is not None and order.status is not OrderStatus.CHANGES_REQUESTED:
        raise Invalid.field(
            "terms", "not-changeable", f"the terms of an order that is {order.status} stand", "documents only"
        )
    if amendment.names_documents and order.status not in {OrderStatus.CHANGES_REQUESTED, OrderStatus.BLOCKED}:
        raise Invalid.field("dpa", "not-changeable", f"the documents of an order that is {order.status} stand")
    if order.status is OrderStatus.CHANGES_REQUESTED:
        return OrderStatus.SUBMITTED
    if order.block is not None:
        return order.block.resume_to
    if next_step(order.status) is Step.DONE:
        raise Refused(f"order {order.id} is {order.status}: there is nothing to resume")
    return order.status


def _amended(order: OrderForm, amendment: Amendment) -> OrderTerms:
    terms = amendment.terms or order.terms
    documents = {name: value for name in ("dpa", "sccs", "uk_idta") if (value := getattr(amendment, name)) is not None}
    return terms.model_copy(update=documents)

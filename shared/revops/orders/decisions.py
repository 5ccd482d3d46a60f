"""What people decide about an order: cancel it, resume it (ORD-2); `reviewing` has its review."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, Invalid, Refused
from revops.orders.findings import FindOdd
from revops.orders.model import (
    Executed,
    OrderForm,
    OrderStatus,
    OrderTerms,
    SccStatus,
    Step,
)
from revops.orders.moves import asked_by_a_person, commit_move, move
from revops.orders.policies.lifecycle import next_step
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.policies.terms import require_acceptable, require_fit
from revops.orders.ports import CrmRecords, ReviewTasks
from revops.orders.review_tasks import withdraw_tasks
from revops.orders.reviews import Review
from revops.orders.revisions import archive, changes_between
from revops.orders.store import ORDERS
from revops.settings import SettingsReader
from revops.table import Table, Transaction, begin


def end_deal(crm: CrmRecords, transaction: Transaction, now: datetime, order: OrderForm, reason: str) -> None:
    """Undoes what opening orders did to the deal, once none of those that name it goes on. A deal that was there before
    them stays open."""
    if order.opportunity_id:
        crm.close_lost(transaction, now, order, reason)


class CancelOrder:
    """Ends an order before execution and undoes what it did."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, policy: Policy, tasks: ReviewTasks) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy
        self._tasks = tasks

    def __call__(self, order_id: str, reason: str, call: CallContext) -> OrderForm:
        """Raises NotFound, Forbidden, VersionConflict and, once executed, Refused."""

        def end(order: OrderForm) -> OrderForm:
            return self._end(order, reason, call)

        return asked_by_a_person(self._table, order_id, end, lambda *_: True)

    def _end(self, order: OrderForm, reason: str, call: CallContext) -> OrderForm:
        owner_id = self._crm.account(order.account_id).owner_id
        self._policy.require_write(call.principal, Resource.ORDERS, owner_id, f"order form {order.id}")
        if order.status is OrderStatus.CANCELLED:
            return order
        now = self._clock.now()
        transaction = begin(call, now)
        moved = move(
            transaction, order, OrderStatus.CANCELLED, Step.CANCEL, call, now, reason=reason, end_reason=reason
        )
        withdraw_tasks(transaction, self._tasks, order, now)
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
    execution was lost. A new attempt beside a living execution is harmless. Changed terms are a new revision."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, policy: Policy, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy
        self._settings = settings
        self._find = FindOdd(settings)

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
        now, terms = self._clock.now(), _amended(order, amendment)
        changes: dict[str, Any] = {"attempt": order.attempt + 1, "block": None, "terms": terms}
        transaction, reason = begin(call, now), ""
        if to is OrderStatus.SUBMITTED:
            base = self._require_acceptable(order, terms, now)
            warnings = [each for each in self._find(terms, now, order.kind, base) if not each.needs_approval]
            changes["review"] = Review(findings=tuple(warnings))
            if terms != order.terms:
                archive(transaction, order)
                changes |= {"revision": order.revision + 1, "revised_at": now, "revised_by": call.principal.id}
                changed = ", ".join(change.field for change in changes_between(order.terms, terms))
                reason = f"revision {order.revision + 1}: {changed}"
        moved = move(transaction, order, to, Step.RESUME, call, now, started_at=now, reason=reason, **changes)
        return commit_move(self._table, transaction, moved)

    def _require_acceptable(self, order: OrderForm, terms: OrderTerms, now: datetime) -> OrderForm | None:
        """The order that a change of a live order starts from. Raises Invalid for terms that nobody can approve."""
        require_acceptable(terms, self._settings.read(PlanCatalogue), now.date())
        base = ORDERS.require(self._table, order.amends) if order.amends else None
        if base is not None:
            require_fit(base.terms, terms)
        return base


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

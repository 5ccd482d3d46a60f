"""What the company's provisioning system says of a tenant it was asked to open, and what happens when it says nothing
(ORD-2).

The request is the event TenantProvisioningRequested, which follows from the order's change. The answer is believed as
far as ids go: the order must have asked, and a tenant is one account's. It may come twice, in any order and late.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from revops.access import Policy
from revops.kernel import CallContext, Clock, Conflict, FieldIssue, Forbidden, Invalid, Refused, system_call
from revops.orders.model import Block, OneLine, OrderForm, OrderStatus, Step, StepOutcome, Tenant, TenantStatus
from revops.orders.moves import move
from revops.orders.policies.activation import ActivationRules
from revops.orders.ports import CrmRecords
from revops.orders.store import ORDERS, TENANT_TOPIC
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Table, Transaction, begin, claim, due_now, holder_of

READY_EVENT, FAILED_EVENT = "TenantProvisioned", "TenantProvisioningFailed"
"""What other systems say on the bus."""

_TENANT = "tenant"
_RACES = 5
_REASON = 300


class TenantAnswer(BaseModel):
    """`ready` with the tenant's id, or `failed`, best with a reason. `attempt` repeats that of the request: the failure
    of an earlier attempt says nothing about the present one."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    status: Literal["ready", "failed"]
    tenant_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{0,100}$", examples=["tnt-7f3a"])] = ""
    reason: Annotated[OneLine, Field(max_length=_REASON)] = ""
    attempt: Annotated[int | None, Field(ge=1)] = None

    @model_validator(mode="after")
    def _says_it(self) -> Self:
        if self.status == "ready" and not self.tenant_id:
            raise ValueError("tenant_id: a tenant that is ready has an id")
        return self


class _Said(BaseModel):
    """An answer as it comes by the bus; what else the sender adds is passed over."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")

    order_id: Annotated[str, Field(pattern=r"^ORD_[0-9A-Z]{1,40}$")]
    tenant_id: str = ""
    reason: str = ""
    attempt: int | None = None


class AcknowledgeTenant:
    """Takes the answer: the order becomes active, or blocked with the reason. Saying the same again changes nothing."""

    def __init__(self, table: Table, clock: Clock, crm: CrmRecords, policy: Policy, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._policy = policy
        self._settings = settings

    def __call__(self, order_id: str, answer: TenantAnswer, call: CallContext) -> OrderForm:
        """The order afterwards. Raises NotFound, Forbidden; Refused for an order that asked for no tenant; Conflict for
        a tenant that is another's; Contention."""
        for _ in range(_RACES):
            order = ORDERS.require(self._table, order_id)
            owner_id = self._crm.account(order.account_id).owner_id
            self._policy.require_tenant(call.principal, owner_id, f"order form {order_id}")
            now = self._clock.now()
            transaction = begin(call, now)
            moved = self._take(transaction, order, answer, call, now)
            if moved is None:
                return order
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # the order moved, or the tenant was taken: look again
            return moved
        raise Contention(f"order {order_id} is being changed too often; try again shortly")

    def from_bus(self, source: str, name: str, data: Mapping[str, Any], call: CallContext) -> OrderForm:
        """The same, from an event of another system. Raises Forbidden for a source that may not say so, Invalid for
        what does not fit, and what a call raises."""
        if source not in self._settings.read(ActivationRules).tenant.sources:
            raise Forbidden("this source of events opens no tenants; the settings name those that do")
        try:
            said = _Said.model_validate(dict(data))
            status: Literal["ready", "failed"] = "ready" if name == READY_EVENT else "failed"
            reason = " ".join("".join(char if char.isprintable() else " " for char in said.reason).split())[:_REASON]
            answer = TenantAnswer(status=status, tenant_id=said.tenant_id, reason=reason, attempt=said.attempt)
        except ValidationError as error:
            issues = [FieldIssue(".".join(map(str, each["loc"])), each["type"], each["msg"]) for each in error.errors()]
            raise Invalid("not an answer about a tenant", issues) from error
        return self(said.order_id, answer, call)

    # -- what the answer means to the order as it stands ---------------------------------------------------------------

    def _take(
        self, transaction: Transaction, order: OrderForm, answer: TenantAnswer, call: CallContext, now: datetime
    ) -> OrderForm | None:
        """None when there is nothing to write."""
        if order.tenant is None:
            raise Refused(f"order {order.id} asked for no tenant")
        if answer.status == "failed":
            return _failed(transaction, order, order.tenant, answer, call, now)
        if order.tenant.status is TenantStatus.READY:
            if order.tenant.tenant_id != answer.tenant_id:
                raise Conflict(f"order {order.id} has its tenant: {order.tenant.tenant_id}")
            return None
        self._hold(transaction, order, answer.tenant_id)
        ready = order.tenant.model_copy(
            update={"status": TenantStatus.READY, "tenant_id": answer.tenant_id, "reason": "", "answered_at": now}
        )
        return _ready(transaction, order, ready, call, now)

    def _hold(self, transaction: Transaction, order: OrderForm, tenant_id: str) -> None:
        """A tenant is one account's, of however many orders."""
        holder = holder_of(self._table, _TENANT, tenant_id)
        if holder is None:
            claim(transaction, _TENANT, tenant_id, order.account_id)
        elif holder != order.account_id:
            raise Conflict(f"tenant {tenant_id} is another account's")


def _ready(transaction: Transaction, order: OrderForm, ready: Tenant, call: CallContext, now: datetime) -> OrderForm:
    reason = f"tenant {ready.tenant_id} is open"
    if order.status is OrderStatus.AWAITING_TENANT:
        return move(transaction, order, OrderStatus.ACTIVE, Step.AWAIT_TENANT, call, now, reason=reason, tenant=ready)
    if order.block is not None and order.block.step is Step.AWAIT_TENANT:  # late: it goes on from where it was blocked
        return move(
            transaction,
            order,
            order.block.resume_to,
            Step.AWAIT_TENANT,
            call,
            now,
            reason=f"{reason}, late",
            tenant=ready,
            block=None,
            attempt=order.attempt + 1,
        )
    return move(transaction, order, order.status, Step.AWAIT_TENANT, call, now, reason=reason, tenant=ready)


def _failed(
    transaction: Transaction,
    order: OrderForm,
    tenant: Tenant,
    answer: TenantAnswer,
    call: CallContext,
    now: datetime,
) -> OrderForm | None:
    if tenant.status is TenantStatus.READY:
        raise Refused(f"order {order.id} has its tenant: {tenant.tenant_id}")
    blocked_here = order.block is not None and order.block.step is Step.AWAIT_TENANT
    if order.status is not OrderStatus.AWAITING_TENANT and not blocked_here:
        return None  # it went on to ask again, or needs no tenant any more
    if answer.attempt is not None and answer.attempt != tenant.attempt:
        return None
    reason = f"the tenant was not opened: {answer.reason.strip() or 'no reason was given'}"
    if blocked_here and tenant.reason == reason:
        return None
    return _block(transaction, order, tenant, reason, call, now)


def _block(
    transaction: Transaction, order: OrderForm, tenant: Tenant, reason: str, call: CallContext, now: datetime
) -> OrderForm:
    """Resumed, it goes through activation again, which asks anew."""
    return move(
        transaction,
        order,
        OrderStatus.BLOCKED,
        Step.AWAIT_TENANT,
        call,
        now,
        outcome=StepOutcome.BLOCKED,
        reason=reason,
        tenant=tenant.model_copy(update={"status": TenantStatus.FAILED, "reason": reason, "answered_at": now}),
        block=Block(step=Step.AWAIT_TENANT, reason=reason, resume_to=OrderStatus.PROVISIONED),
    )


class BlockUnacknowledged:
    """The scheduled look at orders whose tenant nobody acknowledged in time. Overlap and missed runs are harmless."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, period: str) -> int:
        """How many were blocked."""
        now, call, blocked = self._clock.now(), system_call("housekeeping", period), 0
        for due in due_now(self._table, TENANT_TOPIC, now):
            order = ORDERS.readable(self._table.get(due.key))
            if order is None or order.status is not OrderStatus.AWAITING_TENANT or order.tenant is None:
                continue  # the index was behind: it has moved on
            if order.tenant.due_at > now:
                continue
            transaction = begin(call, now)
            asked = order.tenant.requested_at.isoformat(timespec="seconds")
            _block(transaction, order, order.tenant, f"no acknowledgement of the tenant asked for {asked}", call, now)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # the answer came in between
            blocked += 1
        return blocked

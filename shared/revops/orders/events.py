"""What a change of an order says to the rest of the world: a pure function of before and after (BUS-1)."""

from collections.abc import Mapping
from typing import Any

from revops.catalogue import (
    CatalogueDrifted,
    Event,
    OrderFormActivated,
    OrderFormBlocked,
    OrderFormCancelled,
    OrderFormDeclined,
    OrderFormExecuted,
    OrderFormProvisioned,
    OrderFormResumed,
    OrderFormReviewed,
    OrderFormSubmitted,
    Payload,
    TenantProvisioningRequested,
    event,
)
from revops.orders.model import OrderForm, OrderStatus, Tenant
from revops.orders.policies.lifecycle import next_step
from revops.orders.provisioning.catalogue import CATALOGUE_CHECKS
from revops.orders.store import ORDERS, TIMELINES
from revops.table import Change

_PROVIDER = "stripe"
_SHOWN = 20
"""So many keys of a drifted catalogue are named; the difference itself is looked at with `make catalogue`."""

_REVIEWED = {OrderStatus.APPROVED, OrderStatus.REJECTED, OrderStatus.CHANGES_REQUESTED}


def work(change: Change) -> list[tuple[str, Mapping[str, Any]]]:
    """What the Stripe worker is to do after a change: see that the provider carries the terms whose day has come."""
    if change.kind != TIMELINES.kind or change.before is None or change.after is None:
        return []
    before, after = TIMELINES.load(change.before), TIMELINES.load(change.after)
    turned = before.segments == after.segments and before.next_at != after.next_at
    return [(_PROVIDER, {"kind": TIMELINES.kind, "entity_id": after.id})] if turned else []


def events(change: Change) -> list[Event]:
    """The events of one change of an order row, or of a check of the catalogue; none for other rows."""
    if change.kind == CATALOGUE_CHECKS.kind and change.after is not None:
        return _of_check(change)
    if change.kind != ORDERS.kind or change.after is None:
        return []
    before = ORDERS.load(change.before) if change.before else None
    after = ORDERS.load(change.after)
    stamp = change.after.stamp
    return [
        event(
            payload,
            entity_id=after.id,
            version=after.version,
            occurred_at=after.modified_at.isoformat(),
            causation_id=stamp.causation_id if stamp else "",
        )
        for payload in _payloads(before, after)
    ]


def _of_check(change: Change) -> list[Event]:
    """Word of a drift that the check before did not find."""
    if change.after is None:
        return []
    before = CATALOGUE_CHECKS.load(change.before).drifted if change.before else ()
    after = CATALOGUE_CHECKS.load(change.after)
    new = [finding for finding in after.drifted if finding not in before]
    if not new:
        return []
    payload = CatalogueDrifted(provider=after.id, count=len(new), keys=tuple(each.key for each in new[:_SHOWN]))
    at = after.modified_at.isoformat()
    return [event(payload, entity_id=f"CATALOGUE_{after.id}", version=after.version, occurred_at=at)]


def _payloads(before: OrderForm | None, after: OrderForm) -> list[Payload]:
    if before is None:
        return [_submitted(after)]
    said: list[Payload] = []
    if before.status is not after.status:
        said += _of_move(before.status, after)
    if after.attempt > before.attempt and after.status is not OrderStatus.SUBMITTED:
        said.append(OrderFormResumed(order_id=after.id, attempt=after.attempt, step=next_step(after.status)))
    elif after.attempt > before.attempt:
        said.append(_submitted(after))
    return said


def _of_move(came_from: OrderStatus, after: OrderForm) -> list[Payload]:
    said: list[Payload] = []
    if came_from is OrderStatus.IN_REVIEW and after.status in _REVIEWED:
        said.append(OrderFormReviewed(order_id=after.id, outcome=after.status))
    match after.status:
        case OrderStatus.EXECUTED if came_from is OrderStatus.AWAITING_SIGNATURE and after.signature:
            signature = after.signature
            said.append(
                OrderFormExecuted(order_id=after.id, document_hash=signature.sha256, executed_at=signature.recorded_at)
            )
        case OrderStatus.PROVISIONED if came_from is OrderStatus.EXECUTED:
            said.append(
                OrderFormProvisioned(
                    order_id=after.id,
                    stripe_customer_id=after.stripe_customer_id,
                    stripe_subscription_id=after.stripe_subscription_id,
                )
            )
        case OrderStatus.AWAITING_TENANT if after.tenant:
            said.append(_tenant_wanted(after, after.tenant))
        case OrderStatus.ACTIVE:
            tenant_id = after.tenant.tenant_id if after.tenant else ""
            said.append(OrderFormActivated(order_id=after.id, account_id=after.account_id, tenant_id=tenant_id))
        case OrderStatus.BLOCKED if after.block:
            said.append(OrderFormBlocked(order_id=after.id, step=after.block.step))
        case OrderStatus.CHANGES_REQUESTED if came_from is OrderStatus.AWAITING_SIGNATURE:
            said.append(OrderFormDeclined(order_id=after.id))
        case OrderStatus.CANCELLED:
            said.append(OrderFormCancelled(order_id=after.id))
    return said


def _tenant_wanted(order: OrderForm, asked: Tenant) -> TenantProvisioningRequested:
    return TenantProvisioningRequested(
        order_id=order.id,
        account_id=order.account_id,
        kind=order.kind,
        amends=order.amends,
        plan=order.terms.plan,
        region=order.terms.region,
        seats=order.terms.seats,
        starts_on=order.terms.start_date,
        attempt=asked.attempt,
        respond_by=asked.due_at,
    )


def _submitted(order: OrderForm) -> OrderFormSubmitted:
    return OrderFormSubmitted(
        order_id=order.id, account_id=order.account_id, opportunity_id=order.opportunity_id, attempt=order.attempt
    )

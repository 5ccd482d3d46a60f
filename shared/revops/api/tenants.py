"""What a provisioning system says of a tenant, over HTTP: by its key, or by an administrator in its stead (ORD-2)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from revops.access import TENANT_SCOPE, HoldRate
from revops.api.order_views import TenantView
from revops.api.orders import TAG
from revops.orders.model import OrderForm, OrderStatus
from revops.orders.tenant import AcknowledgeTenant, TenantAnswer
from revops.platform.http import Api


@dataclass(frozen=True, slots=True)
class TenantUseCases:
    """What the routes call."""

    acknowledge: AcknowledgeTenant
    hold_rate: Callable[[], HoldRate]


class TenantReceipt(BaseModel):
    """Where the order stands after the answer. Its terms are not shown to a machine that opens tenants."""

    model_config = ConfigDict(defer_build=True)

    order_id: str
    status: OrderStatus
    tenant: TenantView | None

    @classmethod
    def of(cls, order: OrderForm) -> Self:
        tenant = TenantView.model_validate(order.tenant, from_attributes=True) if order.tenant else None
        return cls(order_id=order.id, status=order.status, tenant=tenant)


_EXAMPLE = {
    "order_id": "ORD_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4",
    "status": "Active",
    "tenant": {
        "status": "ready",
        "attempt": 1,
        "requested_at": "2026-11-20T09:00:00Z",
        "due_at": "2026-11-20T10:00:00Z",
        "tenant_id": "tnt-7f3a",
        "reason": "",
        "answered_at": "2026-11-20T09:04:10Z",
    },
}


def add_tenant_routes(api: Api, use: TenantUseCases) -> None:
    """Registers the routes."""
    shown: dict[str, Any] = {"tag": TAG, "model": TenantReceipt, "example": _EXAMPLE}

    @api.post(
        "/api/v1/orders/{order_id}/tenant",
        "An administrator says that the order's tenant is open, or why it could not be opened",
        errors=(401, 403, 404, 409, 413, 415),
        **shown,
    )
    def acknowledge_tenant(order_id: str, body: TenantAnswer) -> TenantReceipt:
        return TenantReceipt.of(use.acknowledge(order_id, body, api.user_call()))

    @api.post(
        "/api/v1/partner/orders/{order_id}/tenant",
        "The provisioning system says that the order's tenant is open, or why it could not be opened",
        errors=(401, 403, 404, 409, 413, 415, 429),
        security=[{"apiKey": []}],
        **shown,
    )
    def answer_tenant(order_id: str, body: TenantAnswer) -> TenantReceipt:
        call = api.key_call(TENANT_SCOPE)
        use.hold_rate()(call.principal, call)
        return TenantReceipt.of(use.acknowledge(order_id, body, call))

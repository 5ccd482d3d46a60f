"""The last step: service starts when the region's contract documents are there (ORD-8) and, where the company's own
provisioning system opens the tenant, when that has said so (ORD-2)."""

from datetime import datetime

from revops.kernel import CallContext, Clock, Refused
from revops.orders.model import OrderForm, OrderStatus, Step, Tenant, TenantStatus
from revops.orders.moves import TakeStep
from revops.orders.policies.activation import ActivationRules
from revops.orders.policies.compliance import ComplianceRules, missing_documents
from revops.settings import SettingsReader


class ActivateOrder:
    """Activates, or asks for the tenant and waits. Raises Refused naming a document the region needs and lacks."""

    def __init__(self, take: TakeStep, clock: Clock, settings: SettingsReader) -> None:
        self._take = take
        self._clock = clock
        self._settings = settings

    def __call__(self, order: OrderForm, call: CallContext, started_at: datetime) -> OrderForm:
        now = self._clock.now()
        missing = missing_documents(order.terms, self._settings.read(ComplianceRules), now.date())
        if missing:
            raise Refused(f"service in {order.terms.region} needs: {', '.join(missing)}")
        rules = self._settings.read(ActivationRules).tenant
        opened = order.tenant is not None and order.tenant.status is TenantStatus.READY
        if opened or order.terms.plan not in rules.plans:
            return self._take(order, OrderStatus.ACTIVE, Step.ACTIVATE, call, started_at)
        asked = Tenant(
            status=TenantStatus.REQUESTED,
            attempt=order.attempt,
            requested_at=now,
            due_at=now + rules.acknowledge_within,
        )
        return self._take(order, OrderStatus.AWAITING_TENANT, Step.ACTIVATE, call, started_at, tenant=asked)

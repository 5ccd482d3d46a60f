"""The last step: service starts when the region's contract documents are there (ORD-8)."""

from datetime import datetime

from revops.kernel import CallContext, Clock, Refused
from revops.orders.model import OrderForm, OrderStatus, Step
from revops.orders.moves import TakeStep
from revops.orders.policies.compliance import ComplianceRules, missing_documents
from revops.settings import SettingsReader


class ActivateOrder:
    """Activates, unless a document the region needs is missing: then Refused names it."""

    def __init__(self, take: TakeStep, clock: Clock, settings: SettingsReader) -> None:
        self._take = take
        self._clock = clock
        self._settings = settings

    def __call__(self, order: OrderForm, call: CallContext, started_at: datetime) -> OrderForm:
        today = self._clock.now().date()
        missing = missing_documents(order.terms, self._settings.read(ComplianceRules), today)
        if missing:
            raise Refused(f"service in {order.terms.region} needs: {', '.join(missing)}")
        return self._take(order, OrderStatus.ACTIVE, Step.ACTIVATE, call, started_at)

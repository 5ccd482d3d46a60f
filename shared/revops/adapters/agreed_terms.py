"""What was signed about a subscription, for billing, which keeps one: orders behind `KeepAsAgreed`."""

from collections.abc import Callable

from revops.kernel import CallContext, DomainError
from revops.orders.changing import ChangeSubscription
from revops.orders.ports import ProvisioningGateway
from revops.orders.store import ORDERS
from revops.table import Table


class AgreedTerms:
    """Finds the order that made a subscription and has it brought back to what is agreed."""

    def __init__(
        self, table: Table, gateway: Callable[[], ProvisioningGateway], change: Callable[[], ChangeSubscription]
    ) -> None:
        self._table = table
        self._gateway = gateway
        self._change = change

    def __call__(self, subscription_id: str, call: CallContext) -> str:
        """What stood in the way; empty when nothing did, also for a subscription that no order made. Raises Unavailable
        and Contention."""
        try:
            named = self._gateway().subscription(subscription_id).metadata.get("order_form", "")
            order = ORDERS.get(self._table, named) if named else None
            if order is not None and order.stripe_subscription_id == subscription_id:
                self._change().keep(order, call)
        except DomainError as error:
            if error.retryable:
                raise
            return f"it goes on, and what was agreed could not be put back: {error.detail}"
        return ""

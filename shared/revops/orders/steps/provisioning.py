"""From an executed form to what stands at the billing provider; only then the deal is won (ORD-4, ORD-5)."""

from datetime import datetime

from revops.kernel import CallContext, Clock, Refused
from revops.orders.model import OrderForm, OrderStatus, Step
from revops.orders.moves import TakeStep
from revops.orders.ports import CrmRecords, OrderEvidence
from revops.orders.provisioning.service import ProvisionOrder


class ProvisionStep:
    """Provisions, and marks the deal won with its evidence in the transaction that moves the order."""

    def __init__(self, take: TakeStep, clock: Clock, crm: CrmRecords, provision: ProvisionOrder) -> None:
        self._take = take
        self._clock = clock
        self._crm = crm
        self._provision = provision

    def __call__(self, order: OrderForm, call: CallContext, started_at: datetime) -> OrderForm:
        signature = order.signature
        if signature is None:
            raise Refused("an executed order without its signed document")
        made = self._provision(order, call)
        transaction = self._take.begin(call)
        evidence = OrderEvidence(order.id, signature.sha256, signature.signed_on, made.subscription_id)
        if order.opportunity_id:
            self._crm.mark_won(transaction, self._clock.now(), order.opportunity_id, evidence)
        return self._take(
            order,
            OrderStatus.PROVISIONED,
            Step.PROVISION,
            call,
            started_at,
            transaction=transaction,
            stripe_customer_id=made.customer_id,
            stripe_subscription_id=made.subscription_id,
        )

"""Payloads of reconciling and adopting (ORD-7, STR-8); the catalogue names them with all the others."""

from revops.payload import Payload


class ReconciliationFinished(Payload):
    """Order forms and Stripe were compared; `order_id` is empty when all of them were (ORD-4, ORD-7)."""

    reconciliation_id: str
    order_id: str
    status: str
    orders: int
    subscriptions: int
    differences: int
    by_severity: dict[str, int]


class DifferenceSettled(Payload):
    """A repair that Finance approved came to an end: repaired, gone, changed meanwhile or refused (ORD-7)."""

    difference_id: str
    reconciliation_id: str
    order_id: str
    kind: str
    outcome: str


class CustomerAdopted(Payload):
    """A customer that Stripe had already belongs to an account from now on (STR-8)."""

    stripe_customer_id: str
    account_id: str

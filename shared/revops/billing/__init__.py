"""Billing: what Stripe says about a customer, converged into the customer's profile, log and notes.

Each name is loaded when it is first asked for: a webhook must not load what its worker needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from revops.billing.model import Customer, MembershipStatus
    from revops.billing.policies import MembershipDecision, MembershipPolicy, membership_status
    from revops.billing.queries import CustomerProfile, ReadCustomer
    from revops.billing.receive import ReceiveStripeEvent, StripeIdentity
    from revops.billing.service import ConvergeCustomer
    from revops.billing.store import customer_for_account, find_customer
    from revops.billing.sweep import SweepMemberships

_FOUND_IN = {
    "ConvergeCustomer": "service",
    "Customer": "model",
    "CustomerProfile": "queries",
    "MembershipDecision": "policies",
    "MembershipPolicy": "policies",
    "MembershipStatus": "model",
    "ReadCustomer": "queries",
    "ReceiveStripeEvent": "receive",
    "StripeIdentity": "receive",
    "SweepMemberships": "sweep",
    "customer_for_account": "store",
    "find_customer": "store",
    "membership_status": "policies",
}

__all__ = [
    "ConvergeCustomer",
    "Customer",
    "CustomerProfile",
    "MembershipDecision",
    "MembershipPolicy",
    "MembershipStatus",
    "ReadCustomer",
    "ReceiveStripeEvent",
    "StripeIdentity",
    "SweepMemberships",
    "customer_for_account",
    "find_customer",
    "membership_status",
]


def __getattr__(name: str) -> object:
    """The face of the package, part by part. Raises AttributeError."""
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_FOUND_IN[name]}"), name)
    globals()[name] = found
    return found

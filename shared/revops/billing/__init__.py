"""Billing: what Stripe says about a customer, converged into the customer's profile, log and notes.

Each name is loaded when it is first asked for: a webhook must not load what its worker needs.
"""

from typing import TYPE_CHECKING

from revops.kernel.face import face

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

__getattr__ = face(__name__, _FOUND_IN)

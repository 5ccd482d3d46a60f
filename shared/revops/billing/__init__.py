"""Billing: what Stripe says about a customer, converged into the customer's profile, log and notes."""

from revops.billing.model import Customer, MembershipStatus
from revops.billing.policies import MembershipDecision, MembershipPolicy, membership_status
from revops.billing.queries import CustomerProfile, ReadCustomer
from revops.billing.service import ConvergeCustomer, ReceiveStripeEvent, StripeIdentity
from revops.billing.store import customer_for_account, find_customer
from revops.billing.sweep import SweepMemberships

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

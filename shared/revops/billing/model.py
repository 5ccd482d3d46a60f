"""Customers, what Stripe says about them, and what is kept of it.

The `…Fact` classes are what a gateway hands over: the current state of remote objects, in our words. The entities are
what stands in the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.kernel import Money
from revops.table import Entity


class MembershipStatus(StrEnum):
    """STR-2, in the documents' words."""

    ACTIVE = "active"
    PAST_DUE = "past_due"
    SUSPENDED = "suspended"
    INACTIVE = "inactive"


class SubscriptionStatus(StrEnum):
    """Stripe's own."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class SubscriptionFact:
    """A subscription as it is now. `plan_id` is the price, `cancel_at` the announced end if there is one."""

    id: str
    status: SubscriptionStatus
    created: datetime
    period_start: datetime
    plan_id: str = ""
    plan_name: str = ""
    cancel_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InvoiceFact:
    """An invoice with money outstanding. `attempted`: an automatic charge was tried; without one, `due_date` says
    when it has to be paid."""

    id: str
    remaining: Money
    finalized: datetime
    automatic: bool = True
    attempted: bool = False
    due_date: datetime | None = None
    subscription_id: str = ""


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """A payment with an outcome. `id` is the payment intent, or the invoice that was paid without one."""

    id: str
    at: datetime
    succeeded: bool
    amount: Money


@dataclass(frozen=True, slots=True)
class BillingFacts:
    """Everything about one payer: a Stripe customer, or a payment intent that nobody's customer made.

    `lifetime` is what was paid less what was refunded, minor units by currency; `invoice_of` says which invoice a
    payment intent pays and `subscription_of` which subscription an invoice bills; `account_id` is the account the
    payer's metadata names; `features` are the lookup keys of what the payer is entitled to.
    """

    payer: str
    deleted: bool = False
    currency: str = ""
    account_id: str = ""
    subscriptions: tuple[SubscriptionFact, ...] = ()
    unpaid: tuple[InvoiceFact, ...] = ()
    payments: tuple[PaymentFact, ...] = ()
    lifetime: Mapping[str, int] = field(default_factory=dict)
    invoice_of: Mapping[str, str] = field(default_factory=dict)
    subscription_of: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()


def merged_facts(parts: tuple[BillingFacts, ...]) -> BillingFacts:
    """What is true of all payers of one customer together. Raises ValueError for none."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise ValueError("a customer without a payer")
    lifetime: dict[str, int] = {}
    for part in parts:
        for currency, minor in part.lifetime.items():
            lifetime[currency] = lifetime.get(currency, 0) + minor
    return BillingFacts(
        payer=parts[0].payer,
        deleted=all(part.deleted for part in parts),
        currency=next((part.currency for part in parts if part.currency), ""),
        account_id=next((part.account_id for part in parts if part.account_id), ""),
        subscriptions=tuple(subscription for part in parts for subscription in part.subscriptions),
        unpaid=tuple(invoice for part in parts for invoice in part.unpaid),
        payments=tuple(payment for part in parts for payment in part.payments),
        lifetime=lifetime,
        invoice_of={intent: invoice for part in parts for intent, invoice in part.invoice_of.items()},
        subscription_of={invoice: bills for part in parts for invoice, bills in part.subscription_of.items()},
        features=tuple(sorted({feature for part in parts for feature in part.features})),
    )


class Customer(Entity):
    """A customer's billing profile (STR-3): an account with one or more payers at Stripe.

    `notes`, `next_follow_up_at` are people's; `last_contact_at` is the time of the latest thing the activity log
    holds; the rest is converged from Stripe. `changes_at` is when the clock alone changes the status. `owner_id` is
    the seller responsible for the account, empty without one; `assets` counts its asset links by status (STR-4).
    """

    account_id: str = ""
    owner_id: str = ""
    payers: tuple[str, ...] = Field(description="Stripe customers; for a payment without one, its payment intent")
    membership_status: MembershipStatus
    membership_reason: str = Field(examples=["a subscription is active"])
    changes_at: AwareDatetime | None = None
    plan: str = ""
    plan_id: str = ""
    subscription_id: str = ""
    subscription_status: str = ""
    running: tuple[str, ...] = Field(default=(), description="Every subscription that has not ended")
    features: tuple[str, ...] = Field(default=(), description="Lookup keys of the features they are entitled to")
    currency: str = ""
    lifetime_value: dict[str, int] = Field(default_factory=dict, description="Minor units by currency")
    notes: str = ""
    last_contact_at: AwareDatetime | None = None
    next_follow_up_at: AwareDatetime | None = None
    assets: dict[str, int] = Field(default_factory=dict, description="Asset links by status")


class ActivityType(StrEnum):
    """What the activity log tells. The first four are the documents'."""

    PAYMENT_SUCCESS = "payment_success"
    PAYMENT_FAILURE = "payment_failure"
    SUBSCRIPTION_CANCELLED = "subscription_cancelled"
    SUBSCRIPTION_RENEWED = "subscription_renewed"
    SUBSCRIPTION_CREATED = "subscription_created"
    SUBSCRIPTION_UPDATED = "subscription_updated"
    SUBSCRIPTION_CANCELLATION_SCHEDULED = "subscription_cancellation_scheduled"
    SUBSCRIPTION_PAUSED = "subscription_paused"
    SUBSCRIPTION_RESUMED = "subscription_resumed"
    TRIAL_ENDING = "trial_ending"
    PAYMENT_ACTION_REQUIRED = "payment_action_required"
    PAYMENT_REFUNDED = "payment_refunded"
    PAYMENT_DISPUTED = "payment_disputed"
    DISPUTE_FUNDS_MOVED = "dispute_funds_moved"
    DISPUTE_CLOSED = "dispute_closed"
    CASH_BALANCE_MOVED = "cash_balance_moved"
    INVOICE_FINALIZED = "invoice_finalized"
    INVOICE_UPCOMING = "invoice_upcoming"
    INVOICE_VOIDED = "invoice_voided"
    INVOICE_UNCOLLECTIBLE = "invoice_uncollectible"
    SUBSCRIPTION_CHANGE_SCHEDULED = "subscription_change_scheduled"
    SUBSCRIPTION_SCHEDULE_ENDED = "subscription_schedule_ended"
    SUBSCRIPTION_CHANGE_LAPSED = "subscription_change_lapsed"
    BILLING_ALERT = "billing_alert"
    CREDIT_GRANTED = "credit_granted"
    CREDIT_CHANGED = "credit_changed"
    CREDIT_MOVED = "credit_moved"
    ENTITLEMENTS_CHANGED = "entitlements_changed"
    CUSTOMER_DELETED = "customer_deleted"
    FULL_SYNC = "full_sync"


class PaymentType(StrEnum):
    """Which part of a price a payment is; from the intent's metadata."""

    DEPOSIT = "deposit"
    BALANCE = "balance"


class ActivityMetadata(BaseModel):
    """The full metadata of an entry; what does not apply is absent."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    event_type: str
    payment_intent_id: str | None = None
    invoice_id: str | None = None
    charge_id: str | None = None
    object_id: str | None = Field(default=None, description="The Stripe object, where no field of its own names it")
    reference: str | None = Field(default=None, description="The company's own id of what was paid for")
    asset_id: str | None = Field(default=None, description="The asset that was paid for, by the company's own id")
    amount: Money | None = None
    payment_type: PaymentType | None = None
    error_code: str | None = None
    error_message: str | None = None
    subscription_id: str | None = None
    plan_id: str | None = None
    plan_name: str | None = None
    immediate: bool | None = None
    cancelled_at: AwareDatetime | None = None
    cancel_at: AwareDatetime | None = None
    cancellation_reason: str | None = None
    status: str | None = Field(default=None, description="What Stripe says of the object: won, released, funded …")
    due_at: AwareDatetime | None = None
    features: tuple[str, ...] | None = None
    assets: dict[str, int] | None = None


class ActivityLogEntry(Entity):
    """Something that happened at Stripe, as its event told it. Written once; only `owner_id`, by which it is listed,
    follows the account when that is handed over."""

    customer_id: str
    owner_id: str = ""
    type: ActivityType
    occurred_at: AwareDatetime
    details: str
    metadata: ActivityMetadata


class AssetApproval(StrEnum):
    """Where the approval of an asset stands."""

    APPROVED = "approved"
    PENDING = "pending"
    REJECTED = "rejected"


class LinkStatus(StrEnum):
    """Whether an asset counts for its customer."""

    ACTIVE = "active"
    PENDING = "pending"
    INACTIVE = "inactive"


class AssetLink(Entity):
    """An asset a customer brings (STR-4). `approved_at` is when the approval was given its present value, as whoever
    gave it says; an older word never replaces a newer one."""

    customer_id: str
    asset_id: str = Field(examples=["flat-17"])
    name: str = ""
    approval: AssetApproval
    link_status: LinkStatus
    approved_at: AwareDatetime | None = None

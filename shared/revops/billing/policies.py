"""Membership status as a pure function (STR-2), and what an asset's approval means for its link (STR-4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field

from revops.billing.model import (
    AssetApproval,
    BillingFacts,
    InvoiceFact,
    LinkStatus,
    MembershipStatus,
    SubscriptionFact,
    SubscriptionStatus,
)
from revops.settings import SettingsDocument

_ENDED = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED})
_RANK: Final = {status: rank for rank, status in enumerate(SubscriptionStatus)}


class MembershipPolicy(SettingsDocument):
    """How long a failed payment is tolerated, and when a follow-up is due."""

    SETTING: ClassVar[str] = "membership"

    grace_days: Annotated[int, Field(ge=0, le=90, description="Days a failed payment leaves the customer past_due")] = 0
    follow_up_days: Annotated[int, Field(ge=0, le=90, description="Days until a note's reminder")] = 1


@dataclass(frozen=True, slots=True)
class MembershipDecision:
    """The status, the rule that gave it, and when the clock alone gives another one (None: never)."""

    status: MembershipStatus
    reason: str
    until: datetime | None = None


def membership_status(facts: BillingFacts, now: datetime, policy: MembershipPolicy) -> MembershipDecision:
    """The membership status of a customer. The first rule that fits decides:

    1. The payer is deleted at Stripe → inactive.
    2. Every subscription the customer ever had has ended → inactive, whatever is still owed. Ended is: canceled
       (even with a paid period left: cancelled now is inactive now), incomplete_expired, and one whose announced
       end has passed. One cancelled at the period's end is not ended before that.
    3. A subscription is unpaid (Stripe gave up collecting) → suspended.
    4. A payment has been failing for longer than the grace → suspended. Failing is: an open or uncollectible invoice
       whose automatic charge was tried, from its finalisation on; one to be paid by hand, from its due date on; a
       past_due subscription without such an invoice, from the start of its period on. One failing invoice is enough,
       however many subscriptions are paid. An invoice of an incomplete subscription counts only while there is no
       running one: the attempt to buy more does not take away what is paid for.
    5. A payment is failing within the grace → past_due.
    6. A subscription is active or trialing → active (also while its collection is paused: Stripe keeps it active).
    7. A subscription is paused (its trial ended without a way to pay) → suspended.
    8. There are only incomplete subscriptions → inactive: nothing was ever paid.
    9. There was never a subscription: the most recent payment with an outcome decides, succeeded → active, failed →
       past_due within the grace and suspended after it; without any → inactive.
    """
    status, reason = _status_at(facts, now, policy)
    for moment in sorted(_turning_points(facts, policy)):
        if moment > now and _status_at(facts, moment, policy)[0] is not status:
            return MembershipDecision(status, reason, moment)
    return MembershipDecision(status, reason)


def _status_at(facts: BillingFacts, now: datetime, policy: MembershipPolicy) -> tuple[MembershipStatus, str]:
    if facts.deleted:
        return MembershipStatus.INACTIVE, "the customer was deleted at Stripe"
    running = [each for each in facts.subscriptions if not has_ended(each, now)]
    if facts.subscriptions and not running:
        last = max(facts.subscriptions, key=lambda each: (each.ended_at or each.cancel_at or each.created, each.id))
        return MembershipStatus.INACTIVE, f"no subscription is running; {last.id} was the last to end"
    for subscription in sorted(running, key=lambda each: each.id):
        if subscription.status is SubscriptionStatus.UNPAID:
            return MembershipStatus.SUSPENDED, f"subscription {subscription.id} is unpaid"
    failing = min(_failing(facts, running, now), default=None)
    if failing is not None:
        return _failed(failing[0], failing[1], now, policy)
    for status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING):
        for subscription in sorted(running, key=lambda each: each.id):
            if subscription.status is status:
                return MembershipStatus.ACTIVE, f"subscription {subscription.id} is {status}"
    for subscription in sorted(running, key=lambda each: each.id):
        if subscription.status is SubscriptionStatus.PAUSED:
            return MembershipStatus.SUSPENDED, f"subscription {subscription.id} is paused"
    if running:
        return MembershipStatus.INACTIVE, "the first payment of a subscription is still open"
    return _by_payment(facts, now, policy)


def _by_payment(facts: BillingFacts, now: datetime, policy: MembershipPolicy) -> tuple[MembershipStatus, str]:
    last = max(facts.payments, key=lambda payment: (payment.at, payment.succeeded, payment.id), default=None)
    if last is None:
        return MembershipStatus.INACTIVE, "no subscription and no payment"
    if last.succeeded:
        return MembershipStatus.ACTIVE, f"no subscription; the last payment {last.id} succeeded"
    return _failed(min(last.at, now), f"payment {last.id}", now, policy)


def _failed(since: datetime, what: str, now: datetime, policy: MembershipPolicy) -> tuple[MembershipStatus, str]:
    if now >= since + timedelta(days=policy.grace_days):
        return MembershipStatus.SUSPENDED, f"{what} failed and the grace of {policy.grace_days} days is over"
    return MembershipStatus.PAST_DUE, f"{what} failed; within the grace of {policy.grace_days} days"


def has_ended(subscription: SubscriptionFact, now: datetime) -> bool:
    """Whether a subscription is over: by its status, or because its announced end has passed."""
    announced = subscription.cancel_at is not None and subscription.cancel_at <= now
    return subscription.status in _ENDED or announced


def _failing(facts: BillingFacts, running: list[SubscriptionFact], now: datetime) -> Iterator[tuple[datetime, str]]:
    """Since when which payment has been failing."""
    incomplete = {each.id for each in running if each.status is SubscriptionStatus.INCOMPLETE}
    paid_for = len(running) > len(incomplete)
    covered: set[str] = set()
    for invoice in facts.unpaid:
        since = failing_since(invoice, now)
        if since is None or (paid_for and invoice.subscription_id in incomplete):
            continue
        covered.add(invoice.subscription_id)
        yield since, f"invoice {invoice.id}"
    for subscription in running:
        if subscription.status is SubscriptionStatus.PAST_DUE and subscription.id not in covered:
            yield min(subscription.period_start, now), f"the payment of subscription {subscription.id}"


def failing_since(invoice: InvoiceFact, now: datetime) -> datetime | None:
    """Since when an unpaid invoice is a failed payment; None while it is not.

    A charge that failed has failed, even if Stripe's clock is ahead of ours; a due date has to come.
    """
    if invoice.automatic:
        return min(invoice.finalized, now) if invoice.attempted else None
    return invoice.due_date if invoice.due_date is not None and invoice.due_date <= now else None


def _turning_points(facts: BillingFacts, policy: MembershipPolicy) -> set[datetime]:
    """Every moment at which the clock could change the answer."""
    grace = timedelta(days=policy.grace_days)
    starts = {invoice.finalized for invoice in facts.unpaid}
    starts |= {invoice.due_date for invoice in facts.unpaid if invoice.due_date is not None}
    starts |= {each.period_start for each in facts.subscriptions}
    starts |= {payment.at for payment in facts.payments if not payment.succeeded}
    ends = {each.cancel_at for each in facts.subscriptions if each.cancel_at is not None}
    return starts | {start + grace for start in starts} | ends


def leading_subscription(facts: BillingFacts, now: datetime) -> SubscriptionFact | None:
    """The subscription a profile shows: running before ended, then in Stripe's order of health, then the newest."""
    return min(
        facts.subscriptions,
        key=lambda each: (has_ended(each, now), _RANK[each.status], -each.created.timestamp(), each.id),
        default=None,
    )


def link_status(approval: AssetApproval) -> LinkStatus:
    """approved → active, pending → pending, rejected → inactive (STR-4)."""
    return {
        AssetApproval.APPROVED: LinkStatus.ACTIVE,
        AssetApproval.PENDING: LinkStatus.PENDING,
        AssetApproval.REJECTED: LinkStatus.INACTIVE,
    }[approval]

"""What somebody did at the provider so that less comes in than the items say: collection that is paused, discounts
that no order form agreed. An order form's own discount is in its prices (ORD-7)."""

from collections.abc import Iterator

from revops.reconcile.model import DifferenceKind, Finding, SeenSubscription, Severity
from revops.reconcile.policies.money import Units, cost_of, effect_of


def withheld(order_id: str, seen: SeenSubscription, units: Units) -> Iterator[Finding]:
    """Both are for a person: who paused or gave a discount had a reason, which is known to nobody here."""
    known = {"severity": Severity.HIGH, "order_id": order_id, "subscription_id": seen.id}
    known |= {"customer_id": seen.customer_id, "subject": seen.id}
    if seen.paused:
        cost = cost_of(seen, units)
        yield Finding.model_validate(
            {
                **known,
                "kind": DifferenceKind.PAUSED,
                "words": f"Subscription {seen.id} runs, and its collection is paused: {seen.paused}",
                "expected": "collected",
                "actual": seen.paused,
                "effect": effect_of(None if cost is None else -cost, seen.currency),
            }
        )
    if seen.discounts:
        named = ", ".join(seen.discounts)
        yield Finding.model_validate(
            {
                **known,
                "kind": DifferenceKind.DISCOUNT,
                "words": f"Subscription {seen.id} has discounts that were not agreed: {named}",
                "expected": "none",
                "actual": named,
            }
        )

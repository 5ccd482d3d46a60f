"""What the story looks at again and again: an order's progress, a customer's profile, the payer at Stripe."""

from typing import Any

from local.story.teller import StoryFailed, Teller


def at(teller: Teller, order_id: str, status: str) -> dict[str, Any] | None:
    """An order's progress once it has that status."""
    progress: dict[str, Any] = teller.ok("GET", f"/api/v1/orders/{order_id}/progress", user="rep")
    if progress["status"] in {"Blocked", "Cancelled"} and progress["status"] != status:
        raise StoryFailed(f"order {order_id} is {progress['status']}: {progress['reason']}")
    return progress if progress["status"] == status else None


def profile(teller: Teller, order: dict[str, Any], status: str) -> dict[str, Any] | None:
    """The profile of an order's customer once its membership has that status."""
    payer = payer_of(teller, order)
    answer = teller.call("GET", f"/api/v1/customers/{payer}", user="finance")
    if answer.status_code != 200:
        return None
    profile: dict[str, Any] = answer.json()
    return profile if profile["customer"]["membership_status"] == status else None


def payer_of(teller: Teller, order: dict[str, Any]) -> str:
    """The Stripe customer of an order's subscription."""
    return str(teller.stripe("GET", f"subscriptions/{order['stripe_subscription_id']}")["customer"])


def left_check(teller: Teller, order_id: str) -> str:
    """The status of an order that the review rules were applied to; empty while they were not."""
    status = str(teller.ok("GET", f"/api/v1/orders/{order_id}/progress", user="rep")["status"])
    return status if status in {"InReview", "AwaitingSignature"} else ""

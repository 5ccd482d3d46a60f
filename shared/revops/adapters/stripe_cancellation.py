"""Ending subscriptions at Stripe: `CancellationGateway` over the official library (STR-5).

Level-triggered: each call looks at the subscription first and does only what is missing, so that a lost answer or a
second worker does nothing twice. There is no idempotency key: cancelling and announcing an end set a state, and a key
would have Stripe repeat a saved failure for a day. A period end on a subscription that a schedule manages is reached
by releasing the schedule, for Stripe takes it on no other way
(https://docs.stripe.com/billing/subscriptions/subscription-schedules).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from revops.adapters.stripe_client import stripe_errors
from revops.adapters.stripe_fields import Json, id_of, object_of
from revops.billing.cancellation import Cancellation, Mode, Standing
from revops.billing.ports import StripeRefused

if TYPE_CHECKING:
    from stripe import StripeClient

_ENDED = frozenset({"canceled", "incomplete_expired"})


class StripeCancellations:
    """`connect` makes the client when it is first needed."""

    def __init__(self, connect: "Callable[[], StripeClient]") -> None:
        self._connect = connect

    def bring(self, wish: Cancellation, payers: tuple[str, ...]) -> Standing:
        """Raises Unavailable, StripeRefused."""
        client = self._connect().v1
        held = self._look(client, wish)
        if id_of(held.get("customer")) not in payers:
            raise StripeRefused(f"subscription {wish.subscription_id} is not this customer's")
        if held["status"] not in _ENDED:
            try:
                with stripe_errors():
                    held = _act(client, held, wish)
            except StripeRefused:
                held = self._look(client, wish)
                if held["status"] not in _ENDED:  # else it ended between our look and our act
                    raise
        return _standing(held)

    def _look(self, client: Any, wish: Cancellation) -> Json:
        with stripe_errors():
            return object_of(client.subscriptions.retrieve(wish.subscription_id).to_dict())


def _act(client: Any, held: Json, wish: Cancellation) -> Json:
    """What the wish lacks, done."""
    subscriptions, named = client.subscriptions, wish.subscription_id
    announced = bool(held.get("cancel_at_period_end") or held.get("cancel_at"))
    if wish.mode is Mode.NOW:
        return object_of(subscriptions.cancel(named, _why(wish)).to_dict())
    if wish.mode is Mode.PERIOD_END and not held.get("cancel_at_period_end"):
        if schedule := id_of(held.get("schedule")):
            client.subscription_schedules.release(schedule)
        return object_of(subscriptions.update(named, {"cancel_at_period_end": True, **_why(wish)}).to_dict())
    if wish.mode is Mode.KEEP and announced:
        undo = {"cancel_at_period_end": False} if held.get("cancel_at_period_end") else {"cancel_at": ""}
        return object_of(subscriptions.update(named, undo).to_dict())
    return held


def _why(wish: Cancellation) -> dict[str, Any]:
    details: dict[str, str] = {}
    if wish.reason:
        details["comment"] = wish.reason
    if wish.feedback is not None:
        details["feedback"] = wish.feedback.value
    return {"cancellation_details": details} if details else {}


def _standing(held: Json) -> Standing:
    ended = held["status"] in _ENDED
    moment = held.get("ended_at") if ended else held.get("cancel_at")
    if not moment and held.get("cancel_at_period_end"):
        items = object_of(held.get("items")).get("data") or ()
        moment = max((item["current_period_end"] for item in items if item.get("current_period_end")), default=None)
    return Standing(ended, datetime.fromtimestamp(moment, UTC) if moment else None)

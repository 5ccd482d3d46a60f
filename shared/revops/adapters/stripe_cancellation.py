"""Ending subscriptions at Stripe: `CancellationGateway` over the official library (STR-5).

Level-triggered: each call looks at the subscription first and does only what is missing, so that a lost answer or a
second worker does nothing twice. There is no idempotency key: cancelling and announcing an end set a state, and a key
would have Stripe repeat a saved failure for a day. On a subscription that a schedule manages Stripe takes no word about
its end: the schedule is released first (https://docs.stripe.com/billing/subscriptions/subscription-schedules).
The period that counts is the longest: of a year's seats with monthly usage it is the year.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from revops.adapters.stripe_client import stripe_errors
from revops.adapters.stripe_fields import ENDING, PERIOD_END, Json, ends_with_period, id_of, object_of, period_ends
from revops.billing.cancellation import Cancellation, Mode, Standing
from revops.billing.ports import StripeRefused
from revops.kernel import Unavailable

if TYPE_CHECKING:
    from stripe import StripeClient

_ENDED = frozenset({"canceled", "incomplete_expired"})
_ROUNDS = 3


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
        for _ in range(_ROUNDS):
            if held["status"] in _ENDED:
                return _standing(held)
            try:
                with stripe_errors():
                    return _standing(_act(client, held, wish))
            except StripeRefused:
                seen, held = held, self._look(client, wish)
                if held["status"] == seen["status"] and id_of(held.get("schedule")) == id_of(seen.get("schedule")):
                    raise  # else it ended, or was planned otherwise, between our look and our act
        raise Unavailable("others keep changing the subscription")

    def _look(self, client: Any, wish: Cancellation) -> Json:
        with stripe_errors():
            return object_of(client.subscriptions.retrieve(wish.subscription_id).to_dict())


def _act(client: Any, held: Json, wish: Cancellation) -> Json:
    """What the wish lacks, done."""
    subscriptions, named, schedule = client.subscriptions, wish.subscription_id, id_of(held.get("schedule"))
    if wish.mode is Mode.NOW:
        return object_of(subscriptions.cancel(named, _why(wish)).to_dict())
    announced = ends_with_period(held)
    if wish.mode is Mode.PERIOD_END and (schedule or not announced):
        change = {**_with_period(held), **_why(wish)}
    elif wish.mode is Mode.KEEP and (announced or held.get("cancel_at")):
        change = _without_end(held)
    else:
        return held
    if schedule:
        client.subscription_schedules.release(schedule)
    return object_of(subscriptions.update(named, change).to_dict())


def _with_period(held: Json) -> dict[str, Any]:
    if len(set(period_ends(held))) <= 1:
        return {"cancel_at_period_end": True}
    return {"cancel_at": "max_period_end", "metadata": {ENDING: PERIOD_END}}


def _without_end(held: Json) -> dict[str, Any]:
    if held.get("cancel_at_period_end"):
        return {"cancel_at_period_end": False}
    return {"cancel_at": "", "metadata": {ENDING: ""}}


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
        moment = min(period_ends(held), default=None)
    return Standing(ended, datetime.fromtimestamp(moment, UTC) if moment else None)

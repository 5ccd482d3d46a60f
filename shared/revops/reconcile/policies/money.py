"""What subscriptions cost a month: exact fractions of minor units, as a twelfth of a year's price seldom is whole."""

from collections.abc import Mapping
from fractions import Fraction

from revops.orders.policies.pricing import SeatPrice, UsagePrice
from revops.reconcile.model import Effect, SeenItem, SeenSubscription

type Units = Mapping[str, int]
"""Units of the last whole month by the product they are billed as."""


def cost_of_seats(price: SeatPrice, seats: int) -> Fraction:
    """A month of so many seats."""
    return Fraction(price.unit_amount) * seats / price.cycle.months


def cost_of_usage(included: int, unit_amount: str, used: int) -> Fraction:
    """A month of so much usage, of which some is included."""
    return Fraction(unit_amount) * max(0, used - included)


def cost_of_agreed(price: SeatPrice | UsagePrice, seats: int | None, units: Units) -> Fraction:
    """A month of what was agreed."""
    if isinstance(price, SeatPrice):
        return cost_of_seats(price, seats or 0)
    return cost_of_usage(price.included, price.unit_amount, units.get(price.product_id, 0))


def cost_of_item(item: SeenItem, units: Units) -> Fraction | None:
    """A month of an item as it stands; None for a price that is not one number."""
    if not item.unit_amount:
        return None
    if item.quantity is None:
        return cost_of_usage(item.included, item.unit_amount, units.get(item.product_id, 0)) / Fraction(item.months)
    return Fraction(item.unit_amount) * item.quantity / Fraction(item.months)


def cost_of(seen: SeenSubscription, units: Units) -> Fraction | None:
    """A month of a whole subscription; None when one of its prices is not one number."""
    costs = [cost_of_item(item, units) for item in seen.items]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Fraction(0)) if len(known) == len(costs) else None


def effect_of(amount: Fraction | None, currency: str, from_time: int = 0) -> Effect | None:
    """An amount a month as an effect; None when it is not known."""
    return None if amount is None else Effect(currency=currency, exact=str(amount), from_time=from_time)

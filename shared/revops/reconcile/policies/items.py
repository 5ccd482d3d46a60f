"""Item by item: what was agreed beside what is billed, with the price of each difference (ORD-7).

The effects add up: quantity at the agreed price, price at the billed quantity, together are billed less agreed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from revops.orders.policies.expected import ExpectedSubscription
from revops.orders.policies.pricing import SeatPrice, UsagePrice
from revops.reconcile.model import Action, ActionKind, DifferenceKind, Finding, SeenItem, SeenSubscription, Severity
from revops.reconcile.policies.money import Units, cost_of_agreed, cost_of_item, cost_of_seats, effect_of


@dataclass(frozen=True, slots=True)
class _Pair:
    """An agreed price and the item that stands for it."""

    price: SeatPrice | UsagePrice
    item: SeenItem | None


def item_findings(
    order_id: str, expected: ExpectedSubscription, seen: SeenSubscription, units: Units
) -> Iterator[Finding]:
    """Every difference between the items that were agreed and those that stand."""
    pairs, extra = _paired(expected, seen)
    told = _Told(order_id, expected, seen, units)
    for pair in pairs:
        if pair.item is None:
            yield told.missing(pair.price)
        elif isinstance(pair.price, SeatPrice):
            yield from told.seats(pair.price, pair.item)
        else:
            yield from told.usage(pair.price, pair.item)
    yield from (told.unagreed(item) for item in extra)


def _paired(expected: ExpectedSubscription, seen: SeenSubscription) -> tuple[list[_Pair], list[SeenItem]]:
    """Each agreed price with the item that stands for it: the one under its key, else one of its product, and for the
    seats whatever else is licensed. What is left over was not agreed."""
    left = {item.id: item for item in seen.items}
    chosen: dict[str, SeenItem] = {}
    for price in expected.prices:  # who has its own key is not given to another
        same = next((item for item in left.values() if _under_key(item, price)), None)
        if same is not None:
            chosen[price.lookup_key] = left.pop(same.id)
    for price in expected.prices:
        like = next((item for item in left.values() if _alike(item, price)), None)
        if price.lookup_key not in chosen and like is not None:
            chosen[price.lookup_key] = left.pop(like.id)
    licensed = next((item for item in left.values() if item.quantity is not None), None)
    if expected.seat.lookup_key not in chosen and licensed is not None:
        chosen[expected.seat.lookup_key] = left.pop(licensed.id)
    return [_Pair(price, chosen.get(price.lookup_key)) for price in expected.prices], list(left.values())


def _under_key(item: SeenItem, price: SeatPrice | UsagePrice) -> bool:
    return item.lookup_key == price.lookup_key and isinstance(price, SeatPrice) is (item.quantity is not None)


def _alike(item: SeenItem, price: SeatPrice | UsagePrice) -> bool:
    return item.product_id == price.product_id and isinstance(price, SeatPrice) is (item.quantity is not None)


@dataclass(frozen=True, slots=True)
class _Told:
    """Makes the findings about one subscription."""

    order_id: str
    expected: ExpectedSubscription
    seen: SeenSubscription
    units: Units

    def seats(self, price: SeatPrice, item: SeenItem) -> Iterator[Finding]:
        agreed, billed = self.expected.items[price.lookup_key] or 0, item.quantity or 0
        if billed != agreed:
            yield self._finding(
                DifferenceKind.QUANTITY,
                price.lookup_key,
                f"{agreed} seats are agreed, {billed} are billed",
                (str(agreed), str(billed)),
                cost_of_seats(price, billed) - cost_of_seats(price, agreed),
                Action(
                    kind=ActionKind.SET_QUANTITY,
                    words=f"Bill {agreed} seats instead of {billed}",
                    subscription_id=self.seen.id,
                    item_id=item.id,
                    quantity=agreed,
                ),
            )
        yield from self._price(price, item, cost_of_seats(price, billed))

    def usage(self, price: UsagePrice, item: SeenItem) -> Iterator[Finding]:
        yield from self._price(price, item, cost_of_agreed(price, None, self.units))

    def _price(self, price: SeatPrice | UsagePrice, item: SeenItem, agreed_cost: Fraction) -> Iterator[Finding]:
        right, found = _terms_agreed(price), _terms_of(item, self.seen.currency)
        keyed = item.lookup_key == price.lookup_key
        if right == found and keyed:
            return
        billed = cost_of_item(item, self.units)
        words = f"The agreed price is {right}, billed is {found}"
        if right == found:
            words = f"The price {item.price_id} is right but not under its key {price.lookup_key}"
        yield self._finding(
            DifferenceKind.PRICE,
            price.lookup_key,
            words,
            (f"{right} under {price.lookup_key}", f"{found} under {item.lookup_key or 'no key'} ({item.price_id})"),
            None if billed is None else billed - agreed_cost,
            Action(
                kind=ActionKind.SWAP_PRICE,
                words=f"Bill {right} instead of {found}",
                subscription_id=self.seen.id,
                item_id=item.id,
                price_key=price.lookup_key,
            ),
            Severity.LOW if right == found else Severity.HIGH,
        )

    def missing(self, price: SeatPrice | UsagePrice) -> Finding:
        quantity = self.expected.items[price.lookup_key]
        what = f"{quantity} seats" if isinstance(price, SeatPrice) else price.product_name
        return self._finding(
            DifferenceKind.MISSING_ITEM,
            price.lookup_key,
            f"{what} at {_terms_agreed(price)} are agreed and not billed",
            (price.lookup_key, "none"),
            -cost_of_agreed(price, quantity, self.units),
            Action(
                kind=ActionKind.ADD_ITEM,
                words=f"Bill {what} at {_terms_agreed(price)} as well",
                subscription_id=self.seen.id,
                price_key=price.lookup_key,
                quantity=quantity,
            ),
        )

    def unagreed(self, item: SeenItem) -> Finding:
        found = _terms_of(item, self.seen.currency)
        count = "usage" if item.quantity is None else f"{item.quantity} units"
        return self._finding(
            DifferenceKind.EXTRA_ITEM,
            item.id,
            f"{count} at {found} are billed and were not agreed",
            ("none", f"{count} at {found} ({item.price_id})"),
            cost_of_item(item, self.units),
            Action(
                kind=ActionKind.REMOVE_ITEM,
                words=f"Bill {count} at {found} no more",
                subscription_id=self.seen.id,
                item_id=item.id,
            ),
        )

    def _finding(
        self,
        kind: DifferenceKind,
        subject: str,
        words: str,
        sides: tuple[str, str],
        effect: Fraction | None,
        action: Action,
        severity: Severity = Severity.HIGH,
    ) -> Finding:
        return Finding(
            kind=kind,
            severity=severity,
            order_id=self.order_id,
            subject=subject,
            subscription_id=self.seen.id,
            customer_id=self.seen.customer_id,
            words=f"Order form {self.order_id}, subscription {self.seen.id}: {words}",
            expected=sides[0],
            actual=sides[1],
            effect=effect_of(effect, self.seen.currency),
            action=action,
        )


def _terms_agreed(price: SeatPrice | UsagePrice) -> str:
    if isinstance(price, SeatPrice):
        return _terms(price.unit_amount, price.currency, str(price.cycle.months), price.product_id)
    return _usage_terms(price.unit_amount, price.currency, price.included, price.product_id)


def _terms_of(item: SeenItem, currency: str) -> str:
    if not item.unit_amount:
        return f"a price of several steps of {item.product_id}"
    if item.quantity is None:
        return _usage_terms(item.unit_amount, currency, item.included, item.product_id)
    return _terms(item.unit_amount, currency, item.months, item.product_id)


def _terms(amount: str, currency: str, months: str, product: str) -> str:
    every = {"1": "a month", "12": "a year"}.get(months, f"every {months} months")
    return f"{amount} minor units of {currency} a unit {every} ({product})"


def _usage_terms(amount: str, currency: str, included: int, product: str) -> str:
    return f"{amount} minor units of {currency} a unit beyond {included} a month ({product})"

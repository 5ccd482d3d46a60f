"""Whatever somebody does to subscriptions behind our back is found, costs what an independent sum says, and is put
right by the repairs that the plan proposes (ORD-7)."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from revops.orders.model import Meter, OrderForm
from revops.reconcile.model import DifferenceKind
from tests.builders.clock import ManualClock
from tests.builders.reconcile import Bench, OddPrice, billed

pytestmark = pytest.mark.mission("ORD-4", "ORD-7")

_MONEY = {
    DifferenceKind.QUANTITY,
    DifferenceKind.PRICE,
    DifferenceKind.MISSING_ITEM,
    DifferenceKind.EXTRA_ITEM,
    DifferenceKind.DOUBLED,
}

_METERS: tuple[Meter, ...] = (Meter.API_CALLS, Meter.SIGNATURES, Meter.VERIFICATIONS)

Drift = Callable[[Bench, str, random.Random], None]


def _seats(bench: Bench, name: str, rng: random.Random) -> None:
    changed = [
        replace(item, quantity=rng.randint(0, 80)) if item.quantity is not None else item
        for item in bench.stripe.live[name].items
    ]
    bench.stripe.set_items(name, changed)


def _price(bench: Bench, name: str, rng: random.Random) -> None:
    """Any item comes to stand on another price of its product."""
    live = bench.stripe.live[name]
    if not live.items:
        return
    place = rng.randrange(len(live.items))
    item = live.items[place]
    product = next(held.product_id for held in bench.stripe.seen(name).items if held.id == item.id)
    odd = OddPrice(
        product_id=product,
        unit_amount=rng.choice(["0", "1", "4900.5", "5900", "123456", "0.000125"]),
        months="1" if item.quantity is None else rng.choice(["1", "3", "12"]),
        metered=item.quantity is None,
        included=rng.choice([0, 500, 50_000]) if item.quantity is None else 0,
    )
    price_id = f"price_odd_{len(bench.stripe.odd)}"
    bench.stripe.odd[price_id] = odd
    changed = [*live.items]
    changed[place] = replace(item, price_id=price_id, lookup_key="")
    bench.stripe.set_items(name, changed)


def _less(bench: Bench, name: str, rng: random.Random) -> None:
    live = bench.stripe.live[name]
    if live.items:
        gone = rng.choice(live.items)
        bench.stripe.set_items(name, [item for item in live.items if item is not gone])


def _more(bench: Bench, name: str, rng: random.Random) -> None:
    live = bench.stripe.live[name]
    metered = rng.random() < 0.5
    price_id = f"price_odd_{len(bench.stripe.odd)}"
    bench.stripe.odd[price_id] = OddPrice(f"extra_{len(bench.stripe.odd)}", "333", metered=metered, included=0)
    quantity = None if metered else rng.randint(1, 9)
    bench.stripe.set_items(name, [*live.items, bench.stripe._item(f"si_{price_id}", price_id, quantity)])


def _metadata(bench: Bench, name: str, rng: random.Random) -> None:
    metadata = dict(bench.stripe.live[name].metadata)
    for key in rng.sample(sorted(metadata), rng.randint(0, len(metadata))):
        metadata.pop(key)
    bench.stripe.drift(name, metadata=metadata)


def _collection(bench: Bench, name: str, rng: random.Random) -> None:
    bench.stripe.terms[name].automatic = rng.random() < 0.5
    bench.stripe.terms[name].days_until_due = rng.choice([1, 30, 60])


def _ending(bench: Bench, name: str, rng: random.Random) -> None:
    now = int(bench.clock.now().timestamp())
    bench.stripe.drift(name, cancel_at=rng.choice([0, now + 86_400, now + 700 * 86_400]))


def _twin(bench: Bench, name: str, rng: random.Random) -> None:
    if bench.stripe.live[name].metadata.get("order_form"):
        bench.stripe.twin(name)


DRIFTS: tuple[Drift, ...] = (_seats, _price, _less, _more, _metadata, _collection, _ending, _twin)


def _world(seed: int) -> tuple[Bench, list[OrderForm], random.Random]:
    rng = random.Random(seed)
    bench = Bench(ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)), seed=seed)
    orders = []
    for _ in range(rng.randint(1, 3)):
        lines = [
            {"meter": meter, "monthly_cap": rng.choice([0, 1_000]), "overage_price": rng.choice(["0.015", "0.0000125"])}
            for meter in rng.sample(["API Calls", "Signatures", "Verifications"], rng.randint(0, 3))
        ]
        order = bench.sold(
            seats=rng.randint(1, 40),
            billing_cycle=rng.choice(["Monthly", "Annual"]),
            discount_percent=rng.choice(["0", "12.5"]),
            usage=lines,
            payment_method=rng.choice(["Invoice", "Wire Transfer"]),
            auto_renewal=rng.random() < 0.7,
            spend_cap=None,
        )
        used = {meter: rng.choice([0, 700, 12_345]) for meter in _METERS}
        bench.usage.used[order.account_id] = {"2026-10": used}
        orders.append(order)
    return bench, orders, rng


def _units(bench: Bench, order: OrderForm) -> dict[str, int]:
    used = bench.usage.used[order.account_id]["2026-10"]
    names = {
        Meter.API_CALLS: "usage_revops_api_calls",
        Meter.SIGNATURES: "usage_revops_signatures",
        Meter.VERIFICATIONS: "usage_revops_verifications",
    }
    return {name: used[meter] for meter, name in names.items()}


def _bill(bench: Bench, order: OrderForm) -> Fraction:
    """A month of everything that bills for an order."""
    names = {order.stripe_subscription_id} | {
        name for name, live in bench.stripe.live.items() if live.metadata.get("order_form") == order.id
    }
    seen = [bench.stripe.seen(name) for name in names]
    return sum((billed(each, _units(bench, order)) for each in seen if not each.ended), Fraction(0))


@pytest.mark.parametrize("block", range(6))
def test_any_drift_is_found_priced_and_put_right(block: int) -> None:
    for seed in range(block * 25, block * 25 + 25):
        bench, orders, rng = _world(seed)
        agreed = {order.id: _bill(bench, order) for order in orders}
        assert bench.found() == []
        for _ in range(rng.randint(1, 4)):
            rng.choice(DRIFTS)(bench, rng.choice(orders).stripe_subscription_id, rng)
        found = bench.found()
        for order in orders:
            told = [
                each.finding.effect
                for each in found
                if each.finding.order_id == order.id and each.finding.kind in _MONEY
            ]
            effects = sum((effect.amount for effect in told if effect is not None), Fraction(0))
            assert effects == _bill(bench, order) - agreed[order.id], f"seed {seed}"
        before = {name: bench.stripe.seen(name) for name in bench.stripe.live}
        bench.found()
        assert before == {name: bench.stripe.seen(name) for name in bench.stripe.live}, "looking changed something"
        bench.all_repaired()
        assert bench.found() == [], f"seed {seed}"
        assert {order.id: _bill(bench, order) for order in orders} == agreed, f"seed {seed}"
        assert bench.stripe.violations == []

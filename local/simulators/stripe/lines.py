"""Invoice lines: what a quantity of a price costs, prorations, usage, discounts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from local.simulators.stripe.catalogue import plain
from local.simulators.stripe.context import Context, Object
from local.simulators.stripe.metering import usage_between

type Period = tuple[int, int]


@dataclass(frozen=True)
class Part:
    """A share of a price's cost: one tier, or all of it."""

    amount: int
    quantity: Decimal
    unit: Decimal | None
    note: str = ""


def rounded(amount: Decimal) -> int:
    """Whole minor units, halves away from zero."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def cost(price: Object, quantity: Decimal) -> list[Part]:
    """What a quantity costs, by tier where the price has tiers."""
    if price["billing_scheme"] == "per_unit":
        unit = Decimal(price["unit_amount_decimal"])
        return [Part(rounded(unit * quantity), quantity, unit)]
    parts: list[Part] = []
    below = Decimal(0)
    for tier in price["_tiers"]:
        top = Decimal(tier["up_to"]) if tier["up_to"] is not None else None
        unit, flat = Decimal(tier["unit_amount_decimal"] or 0), Decimal(tier["flat_amount_decimal"] or 0)
        within = top is None or quantity <= top
        if price["tiers_mode"] == "volume":
            if within:
                return [Part(rounded(unit * quantity + flat), quantity, unit)]
            continue
        share = (quantity if within or top is None else top) - below
        name = f"Tier {len(parts) + 1}"
        parts.append(Part(rounded(unit * share), share, unit, f"({name} at {plain(unit)} each)"))
        if flat:
            parts.append(Part(rounded(flat), Decimal(1), flat, f"({name} flat fee)"))
        if within or top is None:
            break
        below = top
    return parts


def total_cost(price: Object, quantity: int) -> int:
    """What a quantity costs in whole minor units."""
    return sum(part.amount for part in cost(price, Decimal(quantity)))


def new_line(ctx: Context, amount: int, currency: str, description: str | None, period: Period, **more: Any) -> Object:
    """A line of an invoice; `more` overrides any field."""
    return {
        "id": ctx.new_id("il_"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": 1,
        "subscription": None,
        "subtotal": amount,
        "taxes": [],
        **more,
    }


def pricing_of(price: Object, unit: Decimal | None = None) -> Object:
    """How a line names its price."""
    shown = plain(unit) if unit is not None else price["unit_amount_decimal"]
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": shown,
    }


def _parent(subscription: Object, item: Object, *, proration: bool) -> Object:
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": None,
            "proration": proration,
            "proration_details": {"credited_items": None},
            "subscription": subscription["id"],
            "subscription_item": item["id"],
        },
        "type": "subscription_item_details",
    }


def product_name(ctx: Context, price: Object) -> str:
    """The name of a price's product."""
    return str((ctx.find("product", price["product"]) or {"name": price["product"]})["name"])


def is_metered(item: Object) -> bool:
    """Whether an item is billed by usage, in arrears."""
    return bool(item["price"]["recurring"]["usage_type"] == "metered")


def advance_lines(
    ctx: Context, subscription: Object, items: list[Object], period: Period, share: Fraction = Fraction(1)
) -> list[Object]:
    """Lines for licensed items, in advance for a period; `share` below one bills part of it."""
    lines: list[Object] = []
    for item in items:
        if is_metered(item):
            continue
        price = ctx.get("price", item["price"]["id"])
        name, quantity = product_name(ctx, price), int(item["quantity"])
        for part in cost(price, Decimal(quantity)):
            amount = part.amount if share == 1 else _share(part.amount, share)
            lines.append(
                new_line(
                    ctx,
                    amount,
                    price["currency"],
                    f"{int(part.quantity)} × {name} {part.note}".strip(),
                    period,
                    quantity=int(part.quantity),
                    pricing=pricing_of(price, part.unit),
                    parent=_parent(subscription, item, proration=False),
                    subscription=subscription["id"],
                    metadata=dict(subscription["metadata"]),
                )
            )
    return lines


def _share(amount: int, share: Fraction) -> int:
    exact = Fraction(amount) * share
    return rounded(Decimal(exact.numerator) / Decimal(exact.denominator))


def trial_lines(ctx: Context, subscription: Object, period: Period) -> list[Object]:
    """Free lines for a trial."""
    return [
        new_line(
            ctx,
            0,
            item["price"]["currency"],
            f"Trial period for {product_name(ctx, item['price'])}",
            period,
            quantity=item.get("quantity", 0),
            pricing=pricing_of(item["price"]),
            parent=_parent(subscription, item, proration=False),
            subscription=subscription["id"],
        )
        for item in subscription["items"]["data"]
    ]


def usage_lines(ctx: Context, subscription: Object, item: Object, period: Period) -> list[Object]:
    """Lines for a metered item: the usage of a past period."""
    price = ctx.get("price", item["price"]["id"])
    used = usage_between(ctx, price["recurring"]["meter"], subscription["customer"], *period)
    name = product_name(ctx, price)
    return [
        new_line(
            ctx,
            part.amount,
            price["currency"],
            f"{plain(part.quantity)} × {name} {part.note}".strip(),
            period,
            quantity=int(part.quantity),
            quantity_decimal=plain(part.quantity),
            pricing=pricing_of(price, part.unit),
            parent=_parent(subscription, item, proration=False),
            subscription=subscription["id"],
            _usage=True,
        )
        for part in cost(price, used)
    ]


def prorations(
    ctx: Context, subscription: Object, before: list[Object], after: list[Object], at: int, *, charge: bool = True
) -> list[Object]:
    """Lines that credit what is unused and charge what remains when items change at a moment.

    The share is by the second of the item's current period. `charge=False` leaves out the charges: the change
    starts a new period that is billed whole. Nothing is prorated during a trial.
    """
    if subscription["status"] == "trialing":
        return []
    lines: list[Object] = []
    held = {item["id"]: item for item in before}
    wanted = {item["id"]: item for item in after}
    day = datetime.fromtimestamp(at, UTC).strftime("%d %b %Y")
    for id_ in [*held, *(id_ for id_ in wanted if id_ not in held)]:
        old, new = held.get(id_), wanted.get(id_)
        if charge and old and new and _same(old, new):
            continue
        frame = old or new
        assert frame is not None  # noqa: S101 - an id is of one of the two
        start, end = frame["current_period_start"], frame["current_period_end"]
        share = Fraction(max(end - at, 0), max(end - start, 1))
        if not share:
            continue
        for item, sign, words in ((old, -1, "Unused time on"), (new, 1, "Remaining time on")):
            if item is None or is_metered(item) or (sign == 1 and not charge):
                continue
            price, quantity = ctx.get("price", item["price"]["id"]), int(item["quantity"])
            text = f"{words} {quantity} × {product_name(ctx, price)} after {day}"
            lines.append(
                new_line(
                    ctx,
                    sign * _share(total_cost(price, quantity), share),
                    price["currency"],
                    text,
                    (at, end),
                    quantity=quantity,
                    pricing=pricing_of(price),
                    parent=_parent(subscription, item, proration=True),
                    subscription=subscription["id"],
                )
            )
    return lines


def _same(old: Object, new: Object) -> bool:
    return bool(old["price"]["id"] == new["price"]["id"] and old.get("quantity") == new.get("quantity"))


def apply_discounts(ctx: Context, invoice: Object, discounts: list[str]) -> None:
    """Take coupons off an invoice: percentages per line, amounts from the lines in order."""
    lines = [line for line in invoice["lines"]["data"] if line["discountable"]]
    totals: dict[str, int] = {}
    for id_ in discounts:
        discount = ctx.get("discount", id_)
        coupon = ctx.get("coupon", discount["source"]["coupon"])
        left = coupon["amount_off"] or 0
        for line in lines:
            taken = sum(entry["amount"] for entry in line["discount_amounts"])
            if coupon["percent_off"] is not None:
                off = rounded(Decimal(line["amount"] - taken) * Decimal(str(coupon["percent_off"])) / 100)
            else:
                off = min(left, max(line["amount"] - taken, 0))
                left -= off
            line["discount_amounts"].append({"amount": off, "discount": id_})
            totals[id_] = totals.get(id_, 0) + off
    invoice["discounts"] = list(discounts)
    invoice["total_discount_amounts"] = [{"amount": off, "discount": id_} for id_, off in totals.items()]


def pending_items(
    ctx: Context, customer: str, subscription: str | None, *, any_subscription: bool = False
) -> list[Object]:
    """Invoice items that wait for the next invoice of a customer or subscription."""
    return [
        item
        for item in ctx.all("invoiceitem")
        if item["customer"] == customer
        and item["invoice"] is None
        and (any_subscription or item["_subscription"] in (None, subscription))
    ]


def item_line(ctx: Context, item: Object) -> Object:
    """The invoice line of an invoice item."""
    parent: Object = {
        "invoice_item_details": {
            "invoice_item": item["id"],
            "proration": item["proration"],
            "proration_details": {"credited_items": None},
            "subscription": item["_subscription"],
        },
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    return new_line(
        ctx,
        item["amount"],
        item["currency"],
        item["description"],
        (item["period"]["start"], item["period"]["end"]),
        quantity=item["quantity"],
        pricing=item["pricing"],
        parent=parent,
        discountable=item["discountable"],
        metadata=dict(item["metadata"]),
        subscription=item["_subscription"],
    )

"""Discounts: a coupon at work on a customer's subscription."""

from typing import Any

from local.simulators.stripe.context import Context, Object
from local.simulators.stripe.dates import add_interval
from local.simulators.stripe.errors import invalid


def discounts_for(ctx: Context, sent: Any, customer: str, subscription: str | None) -> list[str]:
    """Ids of new discounts for the coupons sent; none for an empty value."""
    kept: list[str] = []
    for index, entry in enumerate(sent or []):
        if entry.get("discount"):
            kept.append(ctx.get("discount", entry["discount"], f"discounts[{index}][discount]")["id"])
            continue
        if not entry.get("coupon"):
            raise invalid("This simulator takes discounts as coupons.", f"discounts[{index}]")
        coupon = ctx.get("coupon", entry["coupon"], f"discounts[{index}][coupon]")
        months = coupon["duration_in_months"]
        discount: Object = {
            "id": ctx.new_id("di_"),
            "object": "discount",
            "checkout_session": None,
            "customer": customer,
            "end": add_interval(ctx.now, "month", months, ctx.now) if months else None,
            "invoice": None,
            "invoice_item": None,
            "promotion_code": None,
            "source": {"coupon": coupon["id"], "type": "coupon"},
            "start": ctx.now,
            "subscription": subscription,
            "subscription_item": None,
        }
        coupon["times_redeemed"] += 1
        ctx.save(coupon)
        kept.append(ctx.save(discount)["id"])
    return kept


def still_running(ctx: Context, subscription: Object, at: int | None = None) -> list[str]:
    """The subscription's discounts that apply to a renewal now or at a time: not the used one-time ones, not the
    expired."""
    moment = ctx.now if at is None else at
    kept = []
    for id_ in subscription["discounts"]:
        discount = ctx.get("discount", id_)
        once = ctx.get("coupon", discount["source"]["coupon"])["duration"] == "once"
        if not once and (discount["end"] is None or discount["end"] > moment):
            kept.append(id_)
    return kept

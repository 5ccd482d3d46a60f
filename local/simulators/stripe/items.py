"""Subscription items: what creation and update parameters turn into, and how items meet their periods."""

import copy

from local.simulators.stripe.catalogue import new_price, plan_of
from local.simulators.stripe.context import Context, Object, merge_metadata, public
from local.simulators.stripe.dates import add_interval
from local.simulators.stripe.errors import invalid, missing, parameter_missing
from local.simulators.stripe.forms import Params, boolean, integer


def price_for(ctx: Context, sent: Params, where: str) -> Object:
    """The price an item names or describes."""
    if sent.get("price") or sent.get("plan"):
        price = ctx.get("price", sent.get("price") or sent["plan"], f"{where}[price]")
    elif sent.get("price_data"):
        price = new_price(ctx, sent["price_data"])
    else:
        raise parameter_missing(f"{where}[price]")
    if price["type"] != "recurring":
        message = f"The price specified is `type=one_time`; this field only accepts recurring prices: {price['id']}"
        raise invalid(message, f"{where}[price]")
    if not price["active"]:
        raise invalid(f"The price specified is inactive. This field only accepts active prices: {price['id']}")
    return price


def new_item(ctx: Context, sent: Params, where: str, subscription_id: str) -> Object:
    """An item without a period yet."""
    price = price_for(ctx, sent, where)
    item: Object = {
        "id": ctx.new_id("si_"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": ctx.now,
        "current_period_end": 0,
        "current_period_start": 0,
        "discounts": [],
        "metadata": merge_metadata({}, sent.get("metadata")),
        "subscription": subscription_id,
        "tax_rates": [],
    }
    set_price(item, price)
    quantity = integer(sent.get("quantity"))
    if price["recurring"]["usage_type"] == "licensed":
        item["quantity"] = 1 if quantity is None else quantity
    elif quantity is not None:
        raise invalid("You cannot set the quantity for metered prices.", f"{where}[quantity]")
    return item


def set_price(item: Object, price: Object) -> None:
    """Give an item a price and the plan that mirrors it."""
    item["price"] = public(price)
    item["plan"] = plan_of(price)


def set_period(item: Object, start: int, end: int) -> None:
    """Give an item its current period."""
    item |= {"current_period_start": start, "current_period_end": end}


def period_end(item: Object, start: int, anchor: int) -> int:
    """The end of an item's period that begins at `start`."""
    recurring = item["price"]["recurring"]
    return add_interval(start, recurring["interval"], recurring["interval_count"], anchor)


def interval_of(item: Object) -> tuple[str, int]:
    """How often an item is billed."""
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def restarts(present: list[Object], revised: list[Object]) -> bool:
    """Whether a change of items begins a new period: no item billed in advance keeps its interval."""
    before = {interval_of(item) for item in present if "quantity" in item} or {interval_of(item) for item in present}
    after = {interval_of(item) for item in revised if "quantity" in item} or {interval_of(item) for item in revised}
    return not before & after


def _join(item: Object, subscription: Object, now: int) -> None:
    """A new item joins the periods of the others of its interval, else begins one of its own within the anchor's."""
    held = subscription["items"]["data"]
    same = next((other for other in held if interval_of(other) == interval_of(item)), None)
    if same is not None:
        set_period(item, same["current_period_start"], same["current_period_end"])
        return
    start = anchor = subscription["billing_cycle_anchor"]
    if start > now:  # a trial: everything begins with its end
        set_period(item, held[0]["current_period_start"], start)
        return
    end = period_end(item, start, anchor)
    while end <= now:
        start, end = end, period_end(item, end, anchor)
    set_period(item, start, end)


def revised_items(ctx: Context, subscription: Object, sent: list[Params]) -> list[Object]:
    """The items a subscription would have after an update, without touching the present ones.

    A changed price sets the quantity to 1 unless one is sent, as the API does.
    """
    items: list[Object] = copy.deepcopy(subscription["items"]["data"])
    for index, change in enumerate(sent):
        where = f"items[{index}]"
        if "id" not in change:
            item = new_item(ctx, change, where, subscription["id"])
            _join(item, subscription, ctx.now)
            items.append(item)
            continue
        held = next((item for item in items if item["id"] == change["id"]), None)
        if held is None:
            raise missing("subscription item", change["id"], f"{where}[id]")
        if boolean(change.get("deleted")):
            items.remove(held)
            continue
        if change.get("price") or change.get("plan") or change.get("price_data"):
            price = price_for(ctx, change, where)
            if price["id"] != held["price"]["id"]:
                held["quantity"] = 1
            set_price(held, price)
        if "quantity" in change:
            held["quantity"] = integer(change["quantity"])
        if held["price"]["recurring"]["usage_type"] == "metered":
            held.pop("quantity", None)
        else:
            held.setdefault("quantity", 1)
        held["metadata"] = merge_metadata(held["metadata"], change.get("metadata"))
    if not items:
        raise invalid("A subscription must have at least one active item.", "items")
    return items

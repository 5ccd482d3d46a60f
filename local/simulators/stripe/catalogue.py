"""Products, prices (licensed, metered, tiered) and coupons."""

from decimal import Decimal
from typing import Any

from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import invalid, parameter_missing
from local.simulators.stripe.forms import Params, boolean, integer
from local.simulators.stripe.query import in_range, page


@routes("POST", "/v1/products")
def create_product(ctx: Context, params: Params) -> Object:
    """Create a product; the caller may choose its id."""
    name = required(params, "name")
    id_ = params.get("id") or ctx.new_id("prod_")
    if ctx.find("product", id_):
        raise invalid(f"Product already exists: {id_}", "id", "resource_already_exists")
    product: Object = {
        "id": id_,
        "object": "product",
        "active": boolean(params.get("active"), True),
        "created": ctx.now,
        "default_price": None,
        "description": params.get("description"),
        "images": params.get("images", []),
        "livemode": False,
        "marketing_features": [],
        "metadata": merge_metadata({}, params.get("metadata")),
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": params.get("statement_descriptor"),
        "tax_code": None,
        "type": "service",
        "unit_label": params.get("unit_label"),
        "updated": ctx.now,
        "url": params.get("url"),
    }
    ctx.save(product)
    ctx.emit("product.created", product)
    return product


@routes("POST", "/v1/products/{id}")
def update_product(ctx: Context, params: Params, id: str) -> Object:
    """Change a product."""
    product = ctx.get("product", id)
    before = snapshot(product)
    for name in ("name", "description", "statement_descriptor", "unit_label", "url", "default_price"):
        if name in params:
            product[name] = params[name] or None
    product["active"] = boolean(params.get("active"), product["active"])
    product["metadata"] = merge_metadata(product["metadata"], params.get("metadata"))
    product["updated"] = ctx.now
    ctx.emit("product.updated", ctx.save(product), changed(before, product))
    return product


@routes("DELETE", "/v1/products/{id}")
def delete_product(ctx: Context, params: Params, id: str) -> Object:
    """Delete a product that has no price."""
    product = ctx.get("product", id)
    if any(price["product"] == id for price in ctx.all("price")):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    ctx.store.delete("product", id)
    ctx.emit("product.deleted", product)
    return {"id": id, "object": "product", "deleted": True}


@routes("GET", "/v1/products/{id}")
def retrieve_product(ctx: Context, params: Params, id: str) -> Object:
    """One product."""
    return ctx.get("product", id)


@routes("GET", "/v1/products")
def list_products(ctx: Context, params: Params) -> Object:
    """Products by state, ids and time."""
    ids = params.get("ids")
    found = [
        product
        for product in ctx.all("product")
        if ("active" not in params or product["active"] == boolean(params["active"]))
        and (not ids or product["id"] in ids)
        and in_range(product["created"], params.get("created"))
    ]
    return page(params, found, "/v1/products")


def new_price(ctx: Context, params: Params) -> Object:
    """Build and keep a price from its parameters; also serves `price_data`."""
    currency = str(required(params, "currency")).lower()
    product = params.get("product")
    if product is None and "product_data" in params:
        product = create_product(ctx, params["product_data"])["id"]
    if product is None:
        raise parameter_missing("product")
    ctx.get("product", product, "product")
    tiered = params.get("billing_scheme") == "tiered"
    recurring = _recurring(ctx, params["recurring"]) if params.get("recurring") else None
    unit = params.get("unit_amount_decimal", params.get("unit_amount"))
    if not tiered and unit is None:
        raise invalid("Prices require an `unit_amount` or `unit_amount_decimal` parameter.", "unit_amount")
    if tiered and not (params.get("tiers") and params.get("tiers_mode")):
        raise parameter_missing("tiers_mode" if params.get("tiers") else "tiers")
    _claim_lookup_key(ctx, params)
    price: Object = {
        "id": ctx.new_id("price_"),
        "object": "price",
        "active": boolean(params.get("active"), True),
        "billing_scheme": "tiered" if tiered else "per_unit",
        "created": ctx.now,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.get("lookup_key"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product,
        "recurring": recurring,
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params.get("tiers_mode") if tiered else None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": None if tiered else _whole(unit),
        "unit_amount_decimal": None if tiered else plain(Decimal(str(unit))),
    }
    if tiered:
        price["_tiers"] = [_tier(tier) for tier in params["tiers"]]
        if price["_tiers"][-1]["up_to"] is not None:
            raise invalid("The last tier must have `up_to` set to `inf`.", "tiers")
    return ctx.save(price)


def _recurring(ctx: Context, sent: Params) -> Object:
    usage = sent.get("usage_type", "licensed")
    meter = sent.get("meter")
    if usage == "metered" and not meter:
        raise invalid("Metered prices must be backed by meters: pass `recurring[meter]`.", "recurring[meter]")
    if meter:
        ctx.get("billing.meter", meter, "recurring[meter]")
    return {
        "interval": sent["interval"],
        "interval_count": integer(sent.get("interval_count"), 1),
        "meter": meter,
        "trial_period_days": None,
        "usage_type": usage,
    }


def _claim_lookup_key(ctx: Context, params: Params) -> None:
    key = params.get("lookup_key")
    for price in ctx.all("price") if key else ():
        if price["lookup_key"] == key:
            if not boolean(params.get("transfer_lookup_key")):
                message = f"A price (`{price['id']}`) already uses that lookup key."
                raise invalid(message, "lookup_key", "resource_already_exists")
            price["lookup_key"] = None
            ctx.save(price)


def _tier(sent: Params) -> Object:
    tier: Object = {"up_to": None if sent["up_to"] == "inf" else int(sent["up_to"])}
    for name in ("flat_amount", "unit_amount"):
        value = sent.get(f"{name}_decimal", sent.get(name))
        tier[name] = None if value is None else _whole(value)
        tier[f"{name}_decimal"] = None if value is None else plain(Decimal(str(value)))
    return tier


def plain(number: Decimal) -> str:
    """A decimal as Stripe writes it: no exponent, no trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _whole(value: Any) -> int | None:
    number = Decimal(str(value))
    return int(number) if number == number.to_integral_value() else None


@routes("POST", "/v1/prices")
def create_price(ctx: Context, params: Params) -> Object:
    """Create a price."""
    price = new_price(ctx, params)
    ctx.emit("price.created", price)
    return price


@routes("POST", "/v1/prices/{price}")
def update_price(ctx: Context, params: Params, price: str) -> Object:
    """Change what may change of a price: state, name, lookup key, metadata."""
    held = ctx.get("price", price)
    before = snapshot(held)
    _claim_lookup_key(ctx, params)
    for name in ("nickname", "lookup_key", "tax_behavior"):
        if name in params:
            held[name] = params[name] or None
    held["active"] = boolean(params.get("active"), held["active"])
    held["metadata"] = merge_metadata(held["metadata"], params.get("metadata"))
    ctx.emit("price.updated", ctx.save(held), changed(before, held))
    return held


@routes("GET", "/v1/prices/{price}")
def retrieve_price(ctx: Context, params: Params, price: str) -> Object:
    """One price; its tiers on request."""
    return ctx.get("price", price)


@routes("GET", "/v1/prices")
def list_prices(ctx: Context, params: Params) -> Object:
    """Prices by product, lookup keys, state, type and time."""
    keys = params.get("lookup_keys")
    found = [
        price
        for price in ctx.all("price")
        if ("active" not in params or price["active"] == boolean(params["active"]))
        and ("product" not in params or price["product"] == params["product"])
        and ("type" not in params or price["type"] == params["type"])
        and ("currency" not in params or price["currency"] == params["currency"])
        and (not keys or price["lookup_key"] in keys)
        and in_range(price["created"], params.get("created"))
    ]
    return page(params, found, "/v1/prices")


def plan_of(price: Object) -> Object:
    """The legacy plan that every subscription item still shows beside its price."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": recurring["usage_type"],
    }


@routes("POST", "/v1/coupons")
def create_coupon(ctx: Context, params: Params) -> Object:
    """Create a coupon: a percentage or an amount off, once, for months or for ever."""
    if not params.get("percent_off") and not params.get("amount_off"):
        raise invalid("Must provide percent_off or amount_off.")
    coupon: Object = {
        "id": params.get("id") or ctx.new_id("")[:8],
        "object": "coupon",
        "amount_off": integer(params.get("amount_off")),
        "created": ctx.now,
        "currency": params.get("currency"),
        "duration": params.get("duration", "once"),
        "duration_in_months": integer(params.get("duration_in_months")),
        "livemode": False,
        "max_redemptions": integer(params.get("max_redemptions")),
        "metadata": merge_metadata({}, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": float(params["percent_off"]) if params.get("percent_off") else None,
        "redeem_by": integer(params.get("redeem_by")),
        "times_redeemed": 0,
        "valid": True,
    }
    if ctx.find("coupon", coupon["id"]):
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    ctx.emit("coupon.created", ctx.save(coupon))
    return coupon


@routes("GET", "/v1/coupons/{coupon}")
def retrieve_coupon(ctx: Context, params: Params, coupon: str) -> Object:
    """One coupon."""
    return ctx.get("coupon", coupon)

"""Entitlement features, what a product grants, and what a customer is entitled to by its subscriptions."""

from local.simulators.stripe.context import Context, Object, changed, merge_metadata, required, routes, snapshot
from local.simulators.stripe.errors import invalid, missing
from local.simulators.stripe.forms import Params, boolean
from local.simulators.stripe.query import page

_GRANTING = ("active", "trialing", "past_due")


@routes("POST", "/v1/entitlements/features")
def create_feature(ctx: Context, params: Params) -> Object:
    """Create a feature; its lookup key is exclusive, archived ones included."""
    key = required(params, "lookup_key")
    if any(feature["lookup_key"] == key for feature in ctx.all("entitlements.feature")):
        raise invalid(f"A feature with lookup_key {key} already exists.", "lookup_key", "resource_already_exists")
    return ctx.save(
        {
            "id": ctx.new_id("feat_"),
            "object": "entitlements.feature",
            "active": True,
            "livemode": False,
            "lookup_key": key,
            "metadata": merge_metadata({}, params.get("metadata")),
            "name": required(params, "name"),
        }
    )


@routes("POST", "/v1/entitlements/features/{id}")
def update_feature(ctx: Context, params: Params, id: str) -> Object:
    """Rename, archive or bring back a feature."""
    feature = ctx.get("entitlements.feature", id)
    before = snapshot(feature)
    feature["name"] = params.get("name", feature["name"])
    feature["active"] = boolean(params.get("active"), feature["active"])
    feature["metadata"] = merge_metadata(feature["metadata"], params.get("metadata"))
    if changed(before, feature):
        ctx.save(feature)
    return feature


@routes("GET", "/v1/entitlements/features/{id}")
def retrieve_feature(ctx: Context, params: Params, id: str) -> Object:
    """One feature."""
    return ctx.get("entitlements.feature", id)


@routes("GET", "/v1/entitlements/features")
def list_features(ctx: Context, params: Params) -> Object:
    """Features by lookup key; archived ones only when asked for."""
    archived = boolean(params.get("archived"), False)
    found = [
        feature
        for feature in ctx.all("entitlements.feature")
        if params.get("lookup_key") in (None, feature["lookup_key"]) and feature["active"] != archived
    ]
    return page(params, found, "/v1/entitlements/features")


@routes("POST", "/v1/products/{product}/features")
def attach_feature(ctx: Context, params: Params, product: str) -> Object:
    """A product grants a feature, once."""
    ctx.get("product", product)
    feature = ctx.get("entitlements.feature", required(params, "entitlement_feature"), "entitlement_feature")
    if any(held["_feature"] == feature["id"] for held in _attached(ctx, product)):
        raise invalid("This feature is already attached to the product.", "entitlement_feature")
    held: Object = {
        "id": ctx.new_id("prodft_"),
        "object": "product_feature",
        "entitlement_feature": dict(feature),
        "livemode": False,
        "_product": product,
        "_feature": feature["id"],
    }
    return ctx.save(held)


def _attached(ctx: Context, product: str) -> list[Object]:
    return [held for held in ctx.all("product_feature") if held["_product"] == product]


@routes("GET", "/v1/products/{product}/features")
def list_product_features(ctx: Context, params: Params, product: str) -> Object:
    """What a product grants."""
    ctx.get("product", product)
    found = [
        held | {"entitlement_feature": ctx.get("entitlements.feature", held["_feature"])}
        for held in _attached(ctx, product)
    ]
    return page(params, found, f"/v1/products/{product}/features")


@routes("DELETE", "/v1/products/{product}/features/{id}")
def detach_feature(ctx: Context, params: Params, product: str, id: str) -> Object:
    """A product no longer grants a feature."""
    if all(held["id"] != id for held in _attached(ctx, product)):
        raise missing("product_feature", id)
    ctx.store.delete("product_feature", id)
    return {"id": id, "object": "product_feature", "deleted": True}


@routes("GET", "/v1/entitlements/active_entitlements")
def list_active_entitlements(ctx: Context, params: Params) -> Object:
    """What a customer is entitled to: the features of the products of its subscriptions that run."""
    customer = required(params, "customer")
    ctx.get("customer", customer, "customer")
    products = {
        item["price"]["product"]
        for subscription in ctx.all("subscription")
        if subscription["customer"] == customer and subscription["status"] in _GRANTING
        for item in subscription["items"]["data"]
    }
    granted = {held["_feature"] for product in products for held in _attached(ctx, product)}
    found = [
        {
            "id": f"ent_{customer.removeprefix('cus_')}{feature['id'].removeprefix('feat_')}",
            "object": "entitlements.active_entitlement",
            "feature": feature["id"],
            "livemode": False,
            "lookup_key": feature["lookup_key"],
        }
        for feature in ctx.all("entitlements.feature")
        if feature["id"] in granted
    ]
    return page(params, found, "/v1/entitlements/active_entitlements")

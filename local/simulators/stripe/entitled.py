"""Telling that a customer's entitlements changed: `entitlements.active_entitlement_summary.updated`."""

from local.simulators.stripe.context import Context, Object
from local.simulators.stripe.entitlements import list_active_entitlements


def tell_changes(ctx: Context) -> None:
    """After a call: customers whose subscriptions it touched and who are entitled to something else now."""
    touched = {
        str(emission.object["customer"])
        for emission in ctx.emitted
        if emission.type.startswith("customer.subscription.")
    }
    for customer in sorted(touched):
        held = _held(ctx, customer)
        before: list[Object] = (ctx.store.get("_entitled", customer) or {"data": []})["data"]
        if [each["id"] for each in before] == [each["id"] for each in held]:
            continue
        ctx.store.put("_entitled", customer, {"data": held})
        summary: Object = {
            "object": "entitlements.active_entitlement_summary",
            "customer": customer,
            "entitlements": _listed(customer, held),
            "livemode": False,
        }
        previous = {"entitlements": _listed(customer, before)}
        ctx.emit("entitlements.active_entitlement_summary.updated", summary, previous)


def _held(ctx: Context, customer: str) -> list[Object]:
    found = ctx.find("customer", customer)
    if found is None or found.get("deleted"):
        return []
    listed: list[Object] = list_active_entitlements(ctx, {"customer": customer, "limit": "100"})["data"]
    return sorted(listed, key=lambda each: str(each["id"]))


def _listed(customer: str, held: list[Object]) -> Object:
    url = f"/v1/customer/{customer}/entitlements"
    return {"object": "list", "data": held, "has_more": False, "url": url}

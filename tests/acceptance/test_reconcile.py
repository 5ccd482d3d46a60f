"""Order forms and Stripe side by side, and the customers that Stripe had before us, through their real triggers."""

import pytest

from tests.acceptance import orders
from tests.acceptance.stack import Json, Stack, eventually, fresh


def _reconciled(stack: Stack, order_id: str = "") -> Json:
    """A run that ended, with its first differences."""
    begun = stack.ok("POST", "/api/v1/reconciliations", expect=202, user="finance", json={"order_id": order_id})

    def look() -> Json | None:
        told: Json = stack.ok("GET", f"/api/v1/reconciliations/{begun['id']}?limit=100", user="finance")
        return told if told["reconciliation"]["status"] != "Running" else None

    told = eventually(f"the end of reconciliation {begun['id']}", look) or {}
    assert told["reconciliation"]["status"] == "Done", told
    return told


@pytest.mark.mission("ORD-4", "ORD-7")
def test_a_drift_is_found_priced_and_repaired_when_told_to(stack: Stack) -> None:
    order = orders.active(stack)
    subscription = order["stripe_subscription_id"]
    assert _reconciled(stack, order["id"])["differences"] == []
    held = stack.stripe("GET", f"subscriptions/{subscription}")
    (seats,) = [item for item in held["items"]["data"] if item.get("quantity")]
    changed = {"items[0][id]": seats["id"], "items[0][quantity]": "8", "proration_behavior": "none"}
    stack.stripe("POST", f"subscriptions/{subscription}", **changed)
    twin = stack.stripe(
        "POST",
        "subscriptions",
        **{
            "customer": order["stripe_customer_id"],
            "items[0][price]": seats["price"]["id"],
            "collection_method": "send_invoice",
            "days_until_due": "30",
            "metadata[order_form]": order["id"],
        },
    )
    told = _reconciled(stack, order["id"])
    doubled, more = told["differences"]
    assert (doubled["kind"], doubled["subscription_id"]) == ("doubled", twin["id"])
    assert (more["kind"], more["effect"]["minor"], more["effect"]["currency"]) == ("quantity", 3 * 5900, "EUR")
    assert {total["kind"]: total["count"] for total in told["reconciliation"]["totals"]} == {
        "doubled": 1,
        "quantity": 1,
    }
    path = f"/api/v1/reconciliations/{told['reconciliation']['id']}"
    eventually("mail to operations", lambda: stack.mails(told["reconciliation"]["id"]))
    wanted = {"version": told["reconciliation"]["version"], "differences": [doubled["id"], more["id"]]}
    stack.refused("POST", f"{path}/repairs", expect=403, user="rep", json=wanted)
    assert stack.stripe("GET", f"subscriptions/{subscription}")["items"]["data"][0]["quantity"] == 8
    stack.ok("POST", f"{path}/repairs", expect=202, user="finance", json=wanted)
    eventually(
        "both repairs",
        lambda: {each["state"] for each in stack.ok("GET", path, user="finance")["differences"]} == {"repaired"},
    )
    (kept,) = [each for each in orders.subscriptions_of(stack, order["id"]) if each["status"] != "canceled"]
    assert (kept["id"], kept["items"]["data"][0]["quantity"]) == (subscription, 5)
    assert _reconciled(stack, order["id"])["differences"] == []
    audited = stack.ok("GET", f"{path}", user="rep")["differences"]
    assert {each["id"] for each in audited} == set(wanted["differences"])
    stack.refused("GET", path, expect=404, user="legal")


@pytest.mark.mission("ORD-4", "ORD-7")
def test_a_run_over_everything_finds_a_subscription_of_no_order(stack: Stack) -> None:
    waiting = orders.submitted(stack)
    customer = stack.stripe("POST", "customers", name=f"{fresh()} GmbH")
    price = stack.stripe(
        "POST",
        "prices",
        **{
            "currency": "eur",
            "unit_amount": "1200",
            "recurring[interval]": "year",
            "product_data[name]": "By hand",
        },
    )
    made = stack.stripe(
        "POST",
        "subscriptions",
        **{
            "customer": customer["id"],
            "items[0][price]": price["id"],
            "collection_method": "send_invoice",
            "days_until_due": "30",
            "metadata[order_form]": waiting["id"],
        },
    )
    told = _reconciled(stack)
    assert told["reconciliation"]["subscriptions"] >= 1
    (orphan,) = [each for each in told["differences"] if each["subscription_id"] == made["id"]]
    assert (orphan["kind"], orphan["effect"]["minor"]) == ("orphan", 100)
    stack.stripe("DELETE", f"subscriptions/{made['id']}")


@pytest.mark.mission("STR-8")
def test_customers_that_stripe_had_before_are_adopted(stack: Stack) -> None:
    order = orders.submitted(stack)  # its account holds the mail domain of its contact
    domain = order["contact_email"].partition("@")[2]
    known = stack.stripe("POST", "customers", name=order["legal_entity_name"], email=f"billing@{domain}")
    word = fresh()
    other = stack.stripe("POST", "customers", name=f"{word} Alte Kundschaft", email=f"x@{word}.example")
    plan = stack.ok("POST", "/api/v1/adoptions", expect=202, user="finance")
    path = f"/api/v1/adoptions/{plan['id']}"

    def look() -> Json | None:
        told: Json = stack.ok("GET", f"{path}?limit=1", user="finance")["adoption"]
        return told if told["status"] == "Planned" else None

    planned = eventually("the plan", look) or {}
    held = {payer: _candidate(stack, path, payer) for payer in (known["id"], other["id"])}
    assert (held[known["id"]]["verdict"], held[known["id"]]["account_id"]) == ("certain", order["account_id"])
    assert (held[other["id"]]["verdict"], held[other["id"]]["create"]) == ("none", True)
    chosen = [{"stripe_customer_id": payer} for payer in held]
    body = {"version": planned["version"], "customers": chosen}
    stack.refused("POST", f"{path}/adopt", expect=403, user="rep", json=body)
    for _ in range(2):  # said twice, done once
        stack.ok("POST", f"{path}/adopt", expect=202, user="finance", json=body)
    done = {payer: _adopted(stack, path, payer) for payer in held}
    assert done[known["id"]]["account_id"] == order["account_id"]
    for payer, candidate in done.items():
        assert stack.stripe("GET", f"customers/{payer}")["metadata"]["account_id"] == candidate["account_id"]
        profile = stack.ok("GET", f"/api/v1/customers/{payer}", user="finance")
        assert profile["customer"]["account_id"] == candidate["account_id"]
    stack.refused("GET", path, expect=404, user="rep")


def _candidate(stack: Stack, path: str, payer: str) -> Json:
    cursor = ""
    while True:
        page = stack.ok("GET", f"{path}?limit=100&cursor={cursor}", user="finance")
        for each in page["candidates"]:
            if each["stripe_customer_id"] == payer:
                result: Json = each
                return result
        cursor = page["next"]
        assert cursor, f"{payer} is not in the plan"


def _adopted(stack: Stack, path: str, payer: str) -> Json:
    def look() -> Json | None:
        now = _candidate(stack, path, payer)
        assert now["state"] in ("approved", "adopted"), now
        return now if now["state"] == "adopted" else None

    return eventually(f"{payer} adopted", look) or {}

"""After the sale, through its real triggers: order form → sales order → Stripe's invoices and payments → credit note,
and an invoice and a payment by hand (ORD-9)."""

import pytest

from tests.acceptance import orders
from tests.acceptance.stack import Json, Stack, eventually, fresh

pytestmark = pytest.mark.mission("ORD-9")


def _statement(stack: Stack, account_id: str, user: str = "finance") -> Json:
    told = stack.ok("GET", f"/api/v1/accounts/{account_id}/statement", user=user)["totals"]
    total: Json = told[0] if told else {}
    return total


def _sold(stack: Stack, account_id: str) -> Json:
    def look() -> Json:
        listed = stack.ok("GET", f"/api/v1/sales-orders?account_id={account_id}", user="rep")["sales_orders"]
        return listed[0] if listed else {}

    return eventually("the sales order", look)


def _invoiced(stack: Stack, account_id: str, status: str, linked: bool = False) -> Json:
    def look() -> Json:
        listed = stack.ok("GET", f"/api/v1/invoices?account_id={account_id}", user="finance")["invoices"]
        found = [one for one in listed if one["status"] == status and (one["sales_order_id"] or not linked)]
        return found[0] if found else {}

    return eventually(f"an invoice that is {status}", look)


_CAP = {"minor": 100_000, "period": "Monthly"}


def test_from_order_form_to_sales_order_renewal_and_invoice(stack: Stack) -> None:
    order = orders.active(stack, spend_cap=_CAP)
    account = order["account_id"]
    sold = _sold(stack, account)
    assert (sold["order_id"], sold["total"]) == (order["id"], 5 * order["list_price"] * 12)
    assert sold["number"].startswith("SO-20")
    listed = stack.ok("GET", "/api/v1/renewals?days=730&limit=100", user="rep")["renewals"]
    (term,) = [one for one in listed if one["account_id"] == account]
    assert (term["sales_order_id"], term["ends_on"]) == (sold["id"], order["renewal_date"])
    subscription = order["stripe_subscription_id"]
    (sent,) = [
        one
        for one in stack.held("stripe", "invoice", subscription)
        if ((one["parent"] or {}).get("subscription_details") or {}).get("subscription") == subscription
    ]
    if sent["status"] == "draft":
        stack.stripe("POST", f"invoices/{sent['id']}/finalize")
    opened = _invoiced(stack, account, "Open", linked=True)
    assert (opened["remote_id"], opened["sales_order_id"]) == (sent["id"], sold["id"])


def test_stripes_invoice_its_payment_and_a_credit_note_end_up_in_the_statement(stack: Stack) -> None:
    account = orders.submitted(stack, spend_cap=_CAP)["account_id"]
    who = {"email": f"pay@{fresh()}.example", "metadata[account_id]": account}
    customer = stack.stripe("POST", "customers", **who)["id"]
    stack.stripe("POST", "invoiceitems", customer=customer, amount=29_500, currency="eur")
    terms = {"collection_method": "send_invoice", "days_until_due": 14, "pending_invoice_items_behavior": "include"}
    sent = stack.stripe("POST", "invoices", customer=customer, **terms)["id"]
    stack.stripe("POST", f"invoices/{sent}/finalize")
    opened = _invoiced(stack, account, "Open")
    assert (opened["remote_id"], opened["total"], opened["stage"]) == (sent, 29_500, "None")
    assert _statement(stack, account)["balance"] == 29_500
    stack.stripe("POST", f"invoices/{sent}/pay", paid_out_of_band="true")
    paid = _invoiced(stack, account, "Paid")
    assert (paid["id"], paid["remaining"]) == (opened["id"], 0)
    assert _statement(stack, account, "rep")["balance"] == 0
    stack.refused("GET", f"/api/v1/invoices/{paid['id']}", expect=404, user="rep2")
    wanted = {"amount": 500, "settlement": "balance", "reason": "order_change"}
    path, key = f"/api/v1/invoices/{paid['id']}/credit-notes", {"Idempotency-Key": fresh()}
    asked = [stack.ok("POST", path, expect=202, user="finance", json=wanted, headers=key) for _ in range(2)]
    assert asked[0]["id"] == asked[1]["id"]
    stack.refused("POST", path, expect=403, user="rep", json=wanted, headers=key)
    progress = f"/api/v1/credit-requests/{asked[0]['id']}"
    eventually("the credit note", lambda: stack.ok("GET", progress, user="finance")["status"] == "Done")
    made = stack.ok("GET", progress, user="finance")["remote_id"]
    notes = stack.held("stripe", "credit_note", sent)
    assert [one["id"] for one in notes if one["invoice"] == sent] == [made]
    eventually("the credit in the books", lambda: _statement(stack, account)["balance"] == -500)


@pytest.mark.mission("SAFE-1", "SAFE-3")
def test_an_invoice_and_a_payment_by_hand(stack: Stack) -> None:
    account = orders.submitted(stack, spend_cap=_CAP)["account_id"]
    day = orders.today().isoformat()
    bill = {
        "account_id": account, "number": f"R-{fresh()}", "amount": 120_000, "currency": "EUR", "issued_on": day,
        "due_on": day,
    }  # fmt: skip
    key = {"Idempotency-Key": fresh()}
    stack.refused("POST", "/api/v1/invoices", expect=403, user="rep", json=bill, headers=key)
    made = stack.ok("POST", "/api/v1/invoices", expect=201, user="finance", json=bill, headers=key)
    assert stack.ok("POST", "/api/v1/invoices", user="finance", json=bill, headers=key)["id"] == made["id"]
    wire = {
        "account_id": account, "paid_on": day, "amount": 150_000, "currency": "EUR", "method": "Wire Transfer",
        "reference": "TRN 4711",
    }  # fmt: skip
    key = {"Idempotency-Key": fresh()}
    paid = stack.ok("POST", "/api/v1/payments", expect=201, user="finance", json=wire, headers=key)
    assert (paid["applications"], paid["unapplied"]) == ([{"invoice_id": made["id"], "amount": 120_000}], 30_000)
    assert stack.ok("GET", f"/api/v1/invoices/{made['id']}", user="rep")["status"] == "Paid"
    assert (_statement(stack, account)["balance"], _statement(stack, account)["unapplied"]) == (-30_000, 30_000)
    body = {"version": paid["version"], "reason": "recalled"}
    stack.ok("POST", f"/api/v1/payments/{paid['id']}/reversal", user="finance", json=body)
    assert _statement(stack, account)["balance"] == 120_000
    stack.refused("POST", f"/api/v1/payments/{paid['id']}/reversal", expect=409, user="finance", json=body)

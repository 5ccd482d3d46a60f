"""The life of a subscription: changed by signed forms, past due and paid again, renewed, cancelled."""

import base64
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from local.story.looks import at, left_check, payer_of, profile
from local.story.teller import Teller, require

_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_GRACE = "/api/v1/settings/membership"


def tell_account(teller: Teller, order: dict[str, Any], customer: dict[str, Any]) -> None:
    """Tells it for an order that is active."""
    changed = _upgrade(teller, order)
    _payment_fails(teller, order, customer)
    _paid_again(teller, order)
    _renewed(teller, changed)
    _cancelled(teller, order)


def _money(amount: dict[str, Any]) -> str:
    return f"{amount['minor'] / 100:,.2f} {amount['currency']}"


def _signed(teller: Teller, order: dict[str, Any], **agreed: Any) -> dict[str, Any]:
    """A form about the subscription of an order, handed in, signed by hand and active."""
    form = {"amends": order["id"], "esign_method": "Manual", **agreed}
    headers = {"Idempotency-Key": f"story-{uuid.uuid4().hex}"}
    made = teller.ok("POST", "/api/v1/orders", expect=201, user="rep", json=form, headers=headers)
    if teller.until("the review rules", lambda: left_check(teller, made["id"])) == "InReview":
        teller.ok("POST", f"/api/v1/orders/{made['id']}/review", user="legal", json={"decision": "approve"})
    teller.until("the form", lambda: at(teller, made["id"], "AwaitingSignature"))
    paper = {
        "signatory_name": "राहुल पाटील",
        "signed_on": datetime.now(UTC).date().isoformat(),
        "document": base64.b64encode(_PDF).decode(),
    }
    teller.ok("POST", f"/api/v1/orders/{made['id']}/signature", user="rep", json=paper)
    teller.until("the change at Stripe", lambda: at(teller, made["id"], "Active"))
    return dict(teller.ok("GET", f"/api/v1/orders/{made['id']}", user="rep"))


def _upgrade(teller: Teller, order: dict[str, Any]) -> dict[str, Any]:
    with teller.step("Five seats more in the middle of the term: what it costs is known before") as say:
        trial = {"seats": 30}
        answer = teller.ok("POST", f"/api/v1/orders/{order['id']}/what-if", user="rep", json=trial)
        now, then = (_money(answer[name]["seats_per_month"]) for name in ("now", "then"))
        say(f"what if 30 seats: {now} → {then} a month")
        say(f"at once: {_money(answer['at_once']['ours'])} by our own arithmetic, Stripe's preview says the same")
        made = _signed(teller, order, kind="Amendment", start_date=datetime.now(UTC).date().isoformat(), **trial)
        held = teller.stripe("GET", f"subscriptions/{order['stripe_subscription_id']}")
        seats = [item["quantity"] for item in held["items"]["data"] if item.get("quantity")]
        require(seats == [30], "the same subscription has the seats that were signed")
        require(held["metadata"]["revision"] == made["id"], "and says by which form")
        say(f"{made['id']} signed; subscription {held['id']} has {seats[0]} seats, still the only one")
    return made


def _payment_fails(teller: Teller, order: dict[str, Any], customer: dict[str, Any]) -> None:
    with teller.step("A payment fails: past due within the grace of seven days, and a note that somebody reads") as say:
        payer = payer_of(teller, order)
        card = teller.stripe("POST", "payment_methods/pm_card_chargeCustomerFail/attach", customer=payer)["id"]
        charge = {"collection_method": "charge_automatically", "default_payment_method": card}
        teller.stripe("POST", f"subscriptions/{order['stripe_subscription_id']}", **charge)
        month = int(timedelta(days=32).total_seconds())
        teller.simulator("stripe", "POST", "/_sim/clock", json={"advance_seconds": month})
        found = teller.until("past due", lambda: _past_due(teller, order, payer))
        say(f"{customer['id']}: {found['customer']['membership_status']} ({found['customer']['membership_reason']})")
        note = found["notes"][0]
        require(note["priority"] == "high", "a failed payment makes a high-priority note")
        say(f"note {note['id']} ({note['priority']}): {note['content'][:100]}")


def _past_due(teller: Teller, order: dict[str, Any], payer: str) -> dict[str, Any] | None:
    """The profile once it is past due. A worker may go by the old grace for half a minute: it is asked to look again
    once it suspended."""
    if profile(teller, order, "suspended"):
        teller.ok("POST", f"/api/v1/customers/{payer}/sync", expect=202, user="finance")
    return profile(teller, order, "past_due")


@contextmanager
def grace(teller: Teller, days: int) -> Iterator[None]:
    """While this lasts the membership policy has so many days of grace; afterwards as many as before."""
    before = _set_grace(teller, days)
    try:
        yield
    finally:
        _set_grace(teller, before)


def _set_grace(teller: Teller, days: int) -> int:
    """Sets the grace as an administrator does, under the version that was read. The days it had."""
    stands = teller.ok("GET", _GRACE, user="admin")
    content = {**stands["content"], "grace_days": days}
    if content != stands["content"]:
        teller.ok("PUT", _GRACE, user="admin", json={"version": stands["version"], "content": content})
    return int(stands["content"]["grace_days"])


def _paid_again(teller: Teller, order: dict[str, Any]) -> None:
    with teller.step("A good card, the open invoices are paid: active again, and the books agree") as say:
        payer = payer_of(teller, order)
        card = teller.stripe("POST", "payment_methods/pm_card_visa/attach", customer=payer)["id"]
        teller.stripe("POST", f"subscriptions/{order['stripe_subscription_id']}", default_payment_method=card)
        for invoice in teller.stripe("GET", f"invoices?customer={payer}&status=open")["data"]:
            teller.stripe("POST", f"invoices/{invoice['id']}/pay", payment_method=card)
        found = teller.until("the recovery", lambda: profile(teller, order, "active"))
        say(f"membership {found['customer']['membership_status']}; paid so far {found['customer']['lifetime_value']}")
        statement = teller.until("the books", lambda: _settled(teller, order))
        for sums in statement["totals"]:
            billed, paid = (f"{sums[name] / 100:,.2f}" for name in ("billed", "paid"))
            say(f"statement of {order['account_id']}: {billed} {sums['currency']} billed, {paid} paid, nothing open")


def _settled(teller: Teller, order: dict[str, Any]) -> dict[str, Any] | None:
    """The account's statement once nothing is open on it."""
    statement: dict[str, Any] = teller.ok("GET", f"/api/v1/accounts/{order['account_id']}/statement", user="finance")
    return statement if statement["totals"] and not any(sums["open"] for sums in statement["totals"]) else None


def _renewed(teller: Teller, order: dict[str, Any]) -> None:
    with teller.step("Renewed before its time: a form for another term, planned at Stripe for its day") as say:
        renewal = _signed(teller, order, kind="Renewal", seats=40)
        held = teller.stripe("GET", f"subscriptions/{order['stripe_subscription_id']}")
        schedule = teller.stripe("GET", f"subscription_schedules/{held['schedule']}")
        last = schedule["phases"][-1]
        require(last["metadata"]["revision"] == renewal["id"], "the next term is planned")
        opens = datetime.fromtimestamp(last["start_date"], UTC).date()
        say(f"{renewal['id']}: 40 seats from {opens}; until then nothing changes")


def _cancelled(teller: Teller, order: dict[str, Any]) -> None:
    with teller.step("And they leave: cancelled at Stripe by one request, inactive here, with a note") as say:
        payer = payer_of(teller, order)
        path = f"/api/v1/customers/{payer}/cancellation"
        wish = {
            "mode": "now",
            "feedback": "switched_service",
            "reason": "bought by somebody with another system",
        }
        teller.ok("POST", path, expect=202, user="finance", json=wish)
        found = teller.until("the end", lambda: profile(teller, order, "inactive"))
        say(f"membership {found['customer']['membership_status']} ({found['customer']['membership_reason']})")
        note = next(each for each in found["notes"] if "cancel" in each["content"].lower())
        require(note["priority"] == "high", "a cancellation makes a high-priority note")
        say(f"note {note['id']} ({note['priority']}): {note['content'][:100]}")

"""From the order form to collected cash: signed, provisioned once, synced, metered, capped, dunned, audited."""

import base64
import json
import uuid
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from local.story.teller import StoryFailed, Teller, clock, name_of, require

_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def tell_cash(teller: Teller, lead: dict[str, Any], run: str) -> None:
    """Tells it for a lead that was worked on."""
    order = _order(teller, lead, run)
    customer = _paying(teller, order)
    _in_hubspot(teller, lead)
    _usage(teller, order)
    _payment_fails(teller, order, customer)
    _trail(teller, lead, order)


def _order(teller: Teller, lead: dict[str, Any], run: str) -> dict[str, Any]:
    order: dict[str, Any]
    start = datetime.now(UTC).date()
    form = {
        "legal_entity_name": lead["company"],
        "signatory_name": "राहुल पाटील",
        "contact_email": lead["email"],
        "contact_phone": "+49 30 901820",
        "billing_address": {"line1": "Hafenweg 1", "city": "Hamburg", "postal_code": "20457", "country": "DE"},
        "plan": "Professional",
        "currency": "EUR",
        "start_date": start.isoformat(),
        "term_months": 12,
        "list_price": 5900,
        "discount_percent": "0",
        "seats": 25,
        "usage": [{"meter": "Pooled", "monthly_cap": 1000, "overage_price": "0.015"}],
        "region": "EU",
        "renewal_date": _year_after(start).isoformat(),
        "spend_cap": {"minor": 15000, "period": "Monthly"},
        "billing_cycle": "Monthly",
        "payment_method": "Invoice",
        "stripe_customer_id": "",
        "auto_renewal": True,
        "proration": True,
        "dpa": "Yes",
        "sccs": "Module 2",
        "uk_idta": "No",
        "esign_method": "Manual",
    }
    with teller.step("A seller hands in the order form") as say:
        headers = {"Idempotency-Key": f"story-order-{run}"}
        order = teller.ok("POST", "/api/v1/orders", expect=201, user="rep", json=form, headers=headers)
        say(f"{order['id']} · 25 seats Professional · deal {order['opportunity_id']} at {order['account_id']}")
        waiting = teller.until("the workflow", lambda: _at(teller, order["id"], "AwaitingSignature"))
        say(f"workflow: {' → '.join(each['name'] for each in waiting['steps'])} → waits for {waiting['waits_for']}")
        deal = teller.ok("GET", f"/api/v1/opportunities/{order['opportunity_id']}", user="rep")
        require(deal["stage"] != "Closed Won", "submitted is not won")
        say(f"deal: {deal['stage']} {deal['probability']} %")
    with teller.step("The signed PDF comes back: executed, provisioned once, won, active") as say:
        signed = {
            "signatory_name": "राहुल पाटील",
            "signed_on": start.isoformat(),
            "document": base64.b64encode(_PDF).decode(),
        }
        teller.ok("POST", f"/api/v1/orders/{order['id']}/signature", user="rep", json=signed)
        progress = teller.until("the subscription", lambda: _at(teller, order["id"], "Active"))
        for each in progress["steps"]:
            say(f"{each['name']:<16} {clock(each['ended_at'])}  {name_of(teller, each['actor'])}")
        order = teller.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
        deal = teller.ok("GET", f"/api/v1/opportunities/{order['opportunity_id']}", user="rep")
        require(deal["stage"] == "Closed Won", "an executed, provisioned order wins the deal")
        say(f"subscription {order['stripe_subscription_id']}")
        say(f"deal {deal['stage']} on the evidence of {deal['evidence']['order_id']}")
    return order


def _at(teller: Teller, order_id: str, status: str) -> dict[str, Any] | None:
    progress: dict[str, Any] = teller.ok("GET", f"/api/v1/orders/{order_id}/progress", user="rep")
    if progress["status"] in {"Blocked", "Cancelled"} and progress["status"] != status:
        raise StoryFailed(f"order {order_id} is {progress['status']}: {progress['reason']}")
    return progress if progress["status"] == status else None


def _paying(teller: Teller, order: dict[str, Any]) -> dict[str, Any]:
    with teller.step("Stripe tells of it; the CRM fetches what is true and converges") as say:
        found = teller.until("the customer's profile", lambda: _profile(teller, order, "active"))
        customer: dict[str, Any] = found["customer"]
        say(f"{customer['id']} · membership {customer['membership_status']} ({customer['membership_reason']})")
        for entry in found["activity"][:4]:
            say(f"log: {entry['type']} – {entry['details']}")
    return customer


def _profile(teller: Teller, order: dict[str, Any], status: str) -> dict[str, Any] | None:
    payer = _payer(teller, order)
    answer = teller.call("GET", f"/api/v1/customers/{payer}", user="finance")
    if answer.status_code != 200:
        return None
    profile: dict[str, Any] = answer.json()
    return profile if profile["customer"]["membership_status"] == status else None


def _payer(teller: Teller, order: dict[str, Any]) -> str:
    answer = teller.http.get(
        f"{teller.stack['stripe']['simulator_url']}/v1/subscriptions/{order['stripe_subscription_id']}",
        headers={"authorization": f"Bearer {teller.stack['stripe']['api_key']}"},
    )
    answer.raise_for_status()
    return str(answer.json()["customer"])


def _in_hubspot(teller: Teller, lead: dict[str, Any]) -> None:
    with teller.step("HubSpot shows the same, and a change there comes back") as say:
        contact = teller.until("the contact in HubSpot", lambda: _contact(teller, lead, "active"))
        shown = contact["properties"]
        say(f"contact {contact['id']}: {shown['firstname']} {shown['lastname']}, plan {shown['subscription_plan']}")
        say(f"subscription_status {shown['subscription_status']}")
        teller.simulator(
            "hubspot", "POST", f"/_sim/ui/contacts/{contact['id']}", json={"properties": {"lastname": "Patil"}}
        )
        changed = teller.until(
            "the change to come back",
            lambda: _if(teller.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr"), "last_name", "Patil"),
        )
        say(f"renamed there: here version {changed['version']} says {changed['last_name']}, and no echo")


def _contact(teller: Teller, lead: dict[str, Any], status: str) -> dict[str, Any] | None:
    names = "firstname,lastname,email,subscription_status,subscription_plan,revops_person_id"
    answer = teller.http.get(
        f"{teller.stack['hubspot']['simulator_url']}/crm/objects/2026-09/contacts/{lead['person_id']}",
        params={"idProperty": "revops_person_id", "properties": names},
        headers={"authorization": f"Bearer {teller.stack['hubspot']['token']}"},
    )
    if answer.status_code != 200:
        return None
    contact: dict[str, Any] = answer.json()
    return contact if contact["properties"].get("subscription_status") == status else None


def _usage(teller: Teller, order: dict[str, Any]) -> None:
    with teller.step("Usage is metered, the cap holds, the alert comes once") as say:
        first = teller.until("the caps of the order", lambda: _use(teller, order, 500))
        say(f"500 API calls: included, {first['remaining']['included']} left")
        more = _use(teller, order, 8_500)
        say(f"8,500 more: {more['overage_units']} beyond, {more['overage_cost']} {more['currency']}" if more else "")
        over = teller.call("POST", "/api/v1/usage/events", key="usage_api_key", json=_event(order, 5_000))
        require(over.status_code == 402, "a spend cap must stop")
        say(f"5,000 more: 402 {over.json()['detail']}")
        report = teller.run_schedule("spend-cap-alerts")
        again = teller.run_schedule("spend-cap-alerts")
        say(f"sweep: {_counts(report)}; again: {_counts(again)}")
        mail = teller.until("the alert's mail", lambda: _mail(teller, order["account_id"], "cap is used"))
        say(f"mail to {', '.join(mail['to'])}: {mail['subject']}")


def _event(order: dict[str, Any], quantity: int) -> dict[str, Any]:
    return {"id": uuid.uuid4().hex, "account_id": order["account_id"], "meter": "API Calls", "quantity": quantity}


def _use(teller: Teller, order: dict[str, Any], quantity: int) -> dict[str, Any] | None:
    answer = teller.call("POST", "/api/v1/usage/events", key="usage_api_key", json=_event(order, quantity))
    if answer.status_code == 404:
        return None
    if answer.status_code != 201:
        raise StoryFailed(f"usage answered {answer.status_code}: {answer.text[:400]}")
    receipt: dict[str, Any] = answer.json()
    return receipt


def _mail(teller: Teller, about: str, subject: str) -> dict[str, Any] | None:
    messages = teller.simulator("mail", "GET", "/messages")
    listed = messages["messages"] if isinstance(messages, dict) else messages
    return next((each for each in listed if about in json.dumps(each) and subject in each["subject"]), None)


def _payment_fails(teller: Teller, order: dict[str, Any], customer: dict[str, Any]) -> None:
    with teller.step("A payment fails: suspended, with a note that somebody reads") as say:
        payer = _payer(teller, order)
        headers = {"authorization": f"Bearer {teller.stack['stripe']['api_key']}"}
        base = teller.stack["stripe"]["simulator_url"]
        subscription = order["stripe_subscription_id"]
        bad = {"payment_method": "pm_card_chargeCustomerFail"}
        attached = teller.http.post(
            f"{base}/v1/payment_methods/{bad['payment_method']}/attach", data={"customer": payer}, headers=headers
        )
        attached.raise_for_status()
        method = attached.json()["id"]
        charge = {"collection_method": "charge_automatically", "default_payment_method": method}
        teller.http.post(f"{base}/v1/subscriptions/{subscription}", data=charge, headers=headers).raise_for_status()
        month = int(timedelta(days=32).total_seconds())
        teller.simulator("stripe", "POST", "/_sim/clock", json={"advance_seconds": month})
        found = teller.until("the suspension", lambda: _profile(teller, order, "suspended"))
        say(f"{customer['id']}: {found['customer']['membership_status']} ({found['customer']['membership_reason']})")
        note = found["notes"][0]
        require(note["priority"] == "high", "a failed payment makes a high-priority note")
        say(f"note {note['id']} ({note['priority']}): {note['content'][:100]}")


def _trail(teller: Teller, lead: dict[str, Any], order: dict[str, Any]) -> None:
    with teller.step("The trail: every field of every version, chained") as say:
        for entity in (lead["id"], order["id"]):
            trail = teller.until("the audit", partial(_audit, teller, entity))
            require(not trail["faults"], f"the chain of {entity} must verify")
            fields = sum(len(entry["changes"]) for entry in trail["entries"])
            say(f"{entity}: {len(trail['entries'])} versions, {fields} changed fields, chain verifies")
        counts = teller.ok("GET", "/api/v1/leads/counts", user="admin")["counts"]
        say(f"leads by status, counted as they change: {counts}")


def _audit(teller: Teller, entity: str) -> dict[str, Any] | None:
    answer = teller.call("GET", f"/api/v1/audit/{entity}", user="admin")
    return answer.json() if answer.status_code == 200 else None


def _counts(report: dict[str, Any]) -> str:
    return ", ".join(
        f"{count} {name.replace('_', ' ')}"
        for name, count in report.items()
        if isinstance(count, int) and name != "skipped"
    )


def _year_after(day: date) -> date:
    return day.replace(year=day.year + 1) if (day.month, day.day) != (2, 29) else day.replace(year=day.year + 1, day=28)


def _if(value: dict[str, Any], name: str, wanted: str) -> dict[str, Any] | None:
    return value if value[name] == wanted else None

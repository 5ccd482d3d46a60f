"""From the order form to collected cash: signed, provisioned once, synced, metered, capped, dunned, audited."""

import json
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

from local.story.account import grace, tell_account
from local.story.looks import at, profile
from local.story.teller import StoryFailed, Teller, clock, name_of, require


def tell_cash(teller: Teller, lead: dict[str, Any], run: str) -> None:
    """Tells it for a lead that was worked on."""
    with grace(teller, 7):
        order = _order(teller, lead, run)
        customer = _paying(teller, order)
        _in_hubspot(teller, lead)
        _usage(teller, order)
        tell_account(teller, order, customer)
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
        "term_months": 48,
        "list_price": 5900,
        "discount_percent": "0",
        "seats": 25,
        "usage": [{"meter": "Pooled", "monthly_cap": 1000, "overage_price": "0.15"}],
        "region": "EU",
        "spend_cap": {"minor": 240000, "period": "Monthly"},
        "billing_cycle": "Monthly",
        "payment_method": "Invoice",
        "stripe_customer_id": "",
        "auto_renewal": True,
        "proration": True,
        "dpa": "Yes",
        "sccs": "Module 2",
        "uk_idta": "No",
        "esign_method": "DocuSign",
    }
    with teller.step("A seller hands in the order form; its term is not standard, so legal looks first") as say:
        headers = {"Idempotency-Key": f"story-order-{run}"}
        order = teller.ok("POST", "/api/v1/orders", expect=201, user="rep", json=form, headers=headers)
        say(f"{order['id']} · 25 seats Professional · deal {order['opportunity_id']} at {order['account_id']}")
        asked = teller.until("the review", lambda: at(teller, order["id"], "InReview"))
        say(f"waits for {asked['waits_for']}: {asked['findings'][0]}")
        printed = teller.ok("GET", f"/api/v1/orders/{order['id']}/document", user="legal")
        say(f"the form as a PDF: revision {printed['revision']}, sha256 {printed['sha256'][:12]}…")
        approved = {"decision": "approve", "comment": "agreed with the board"}
        teller.ok("POST", f"/api/v1/orders/{order['id']}/review", user="legal", json=approved)
        waiting = teller.until("the workflow", lambda: at(teller, order["id"], "AwaitingSignature"))
        say(f"workflow: {' → '.join(each['name'] for each in waiting['steps'])} → waits for {waiting['waits_for']}")
        deal = teller.ok("GET", f"/api/v1/opportunities/{order['opportunity_id']}", user="rep")
        require(deal["stage"] != "Closed Won", "submitted is not won")
        say(f"deal: {deal['stage']} {deal['probability']} %")
    with teller.step("Signed at DocuSign: executed, provisioned once, won, active") as say:
        envelope = teller.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")["envelope"]
        teller.simulator("docusign", "POST", f"/_sim/envelopes/{envelope['id']}/sign", json={})
        progress = teller.until("the subscription", lambda: at(teller, order["id"], "Active"))
        for each in progress["steps"]:
            say(f"{each['name']:<18} {clock(each['ended_at'])}  {name_of(teller, each['actor'])}")
        order = teller.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
        deal = teller.ok("GET", f"/api/v1/opportunities/{order['opportunity_id']}", user="rep")
        require(deal["stage"] == "Closed Won", "an executed, provisioned order wins the deal")
        say(f"envelope {envelope['id']} · signed form {order['signature']['sha256'][:12]}…, certificate kept beside it")
        say(f"subscription {order['stripe_subscription_id']}")
        say(f"deal {deal['stage']} on the evidence of {deal['evidence']['order_id']}")
    return order


def _paying(teller: Teller, order: dict[str, Any]) -> dict[str, Any]:
    with teller.step("Stripe tells of it; the CRM fetches what is true and converges") as say:
        found = teller.until("the customer's profile", lambda: profile(teller, order, "active"))
        customer: dict[str, Any] = found["customer"]
        say(f"{customer['id']} · membership {customer['membership_status']} ({customer['membership_reason']})")
        for entry in found["activity"][:4]:
            say(f"log: {entry['type']} – {entry['details']}")
    return customer


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
        over = teller.call("POST", "/api/v1/usage/events", key="usage_api_key", json=_event(order, 9_000))
        require(over.status_code == 402, "a spend cap must stop")
        say(f"9,000 more: 402 {over.json()['detail']}")
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


def _if(value: dict[str, Any], name: str, wanted: str) -> dict[str, Any] | None:
    return value if value[name] == wanted else None

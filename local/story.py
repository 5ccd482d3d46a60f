"""The demo story: one company from first touch to collected cash, told step by step against the deployed stack.

    python -m local.story [--stack FILE]

Everything goes through the doors an outside program would use: HTTP, webhooks, schedules. Each step checks what it
prints, and a step that does not come true ends the story with what was expected and where to look.
"""

import argparse
import base64
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from local.aws import client

_WAIT_SECONDS = 60.0
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


class StoryFailed(Exception):
    """A step did not come true."""


@dataclass
class Teller:
    """The stack, who is asking, and what was told so far."""

    stack: Mapping[str, Any]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    number: int = 0

    def call(self, method: str, path: str, *, user: str = "", key: str = "", **more: Any) -> httpx.Response:
        """One request as a user or with a machine's key."""
        headers = dict(more.pop("headers", {}))
        if user:
            headers["authorization"] = f"Bearer {self.stack['tokens'][user]}"
        if key:
            headers["x-api-key"] = self.stack[key]
        return self.http.request(method, self.stack["api_url"] + path, headers=headers, **more)

    def ok(self, method: str, path: str, *, expect: int = 200, **more: Any) -> Any:
        """The answer's body. Raises StoryFailed for another status."""
        answer = self.call(method, path, **more)
        if answer.status_code != expect:
            raise StoryFailed(f"{method} {path} answered {answer.status_code}, not {expect}: {answer.text[:600]}")
        return answer.json()

    def simulator(self, vendor: str, method: str, path: str, **more: Any) -> Any:
        """A vendor simulator's own door."""
        answer = self.http.request(method, self.stack[vendor]["simulator_url"] + path, **more)
        answer.raise_for_status()
        return answer.json()

    def run_schedule(self, function: str) -> dict[str, Any]:
        """Fires a scheduled function now, as its schedule does every few minutes."""
        answer = client(self.stack, "lambda").invoke(
            FunctionName=f"revops-local-{function}",
            Payload=json.dumps({"period": f"story-{uuid.uuid4().hex[:12]}"}).encode(),
        )
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise StoryFailed(f"{function} failed: {json.dumps(result)[:600]}")
        return result

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` finds once it finds something. Raises StoryFailed after a minute."""
        deadline = time.monotonic() + _WAIT_SECONDS
        pause = 0.1
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        raise StoryFailed(f"waited {_WAIT_SECONDS:.0f} s in vain for: {what}")

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Tells one step: its lines as they come, its time at the end."""
        self.number += 1
        print(f"\n  {self.number:>2}. {title}", flush=True)
        began = time.monotonic()
        yield lambda line: print(f"      {line}", flush=True)
        print(f"      ({time.monotonic() - began:.2f} s)", flush=True)


def tell(stack: Mapping[str, Any]) -> None:
    """Tells the whole story. Raises StoryFailed at the first step that does not come true."""
    teller = Teller(stack)
    print("\n  From first touch to collected cash")
    run = uuid.uuid4().hex[:6]
    lead = _first_touch(teller, run)
    _one_person_many_forms(teller, run)
    lead = _worked(teller, lead)
    order = _order(teller, lead, run)
    customer = _paying(teller, order)
    _in_hubspot(teller, lead)
    _usage(teller, order)
    _payment_fails(teller, order, customer)
    _trail(teller, lead, order)
    print(f"\n  told in {teller.number} steps; every line above was read back from the stack")


def _first_touch(teller: Teller, run: str) -> dict[str, Any]:
    body = {
        "first_name": "राहुल",
        "last_name": "पाटील",
        "company": f"Nordlicht {run} GmbH",
        "email": f"rahul@nordlicht-{run}.example",
        "phone": "+49 30 901820",
        "country": "Germany",
        "company_size": "50–100",
        "industry": "Software",
        "budget_range": "10k-50k",
        "timeline": "0-3 months",
        "job_title": "Head of Operations",
        "consent": [{"channel": "email", "purpose": "marketing", "granted": True, "wording_version": "2026-03"}],
        "attribution": {"source": "Partner One", "campaign": "autumn", "medium": "referral", "term": "crm"},
    }
    key = {"Idempotency-Key": f"story-{run}"}
    with teller.step("A partner hands in a lead") as say:
        post = {"key": "partner_api_key", "json": body, "headers": key}
        lead: dict[str, Any] = teller.ok("POST", "/api/v1/partner/leads", expect=201, **post)
        say(f"{lead['id']} · {lead['first_name']} {lead['last_name']} at {lead['company']}")
        say(f"owner {_name(teller, lead['owner_id'])} ({lead['assigned_by']})")
        say(f"score {lead['score']} = " + " + ".join(_points(lead)))
        again = teller.ok("POST", "/api/v1/partner/leads", expect=201, **post)
        _require(again["id"] == lead["id"], "the same key must give the same lead")
        say("the same key again: the same lead")
    return lead


def _one_person_many_forms(teller: Teller, run: str) -> None:
    email = f"eva@fjord-{run}.example"
    body = {
        "first_name": "Eva",
        "last_name": "Ek",
        "company": "Fjord AS",
        "email": email,
        "phone": "+47 22 12 34 56",
        "country": "NO",
        "consent": [{"channel": "email", "granted": False}],
        "favourite_colour": "blue",
    }
    with teller.step("Sixteen impatient clicks on the website form, at once") as say:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: teller.call("POST", "/api/v1/leads", json=body), range(16)))
        _require({answer.status_code for answer in answers} == {202}, "the form must always answer 202")
        receipts = {answer.json()["receipt"] for answer in answers}
        found = teller.ok("GET", f"/api/v1/leads?email={email}", user="admin")["leads"]
        _require(len(found) == 1, "sixteen submissions of one person must make one lead")
        say(f"16 × 202 with {len(receipts)} receipts that tell nothing; one lead {found[0]['id']}")
        say(f"attribution derived: {found[0]['attribution']['source']}; unknown field kept: {found[0]['metadata']}")


def _worked(teller: Teller, lead: dict[str, Any]) -> dict[str, Any]:
    with teller.step("The SDR opens the ranked list, calls, and learns who decides") as say:
        page = teller.ok("GET", "/api/v1/leads?sort=score&limit=3", user="sdr")["leads"]
        say("best first: " + ", ".join(f"{each['company']} {each['score']}" for each in page))
        change = {"version": lead["version"], "status": "Contacted", "authority_level": "Decision Maker"}
        lead = teller.until("the change", lambda: _patched(teller, lead["id"], change))
        say(f"{lead['status']} at {_clock(lead['contacted_at'])}; score still {lead['score']} until it is rescored")
        report = teller.until("scheduled scoring", lambda: _rescored(teller, lead))
        lead = teller.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")
        say(f"scheduled scoring: {report} → score {lead['score']} = " + " + ".join(_points(lead)))
        other = teller.call("GET", f"/api/v1/leads/{lead['id']}", user="rep2")
        _require(other.status_code == 404, "another team must not see the lead")
        say("a seller of another team gets 404 for it")
    return lead


def _patched(teller: Teller, lead_id: str, change: dict[str, Any]) -> dict[str, Any] | None:
    """The changed lead; None when somebody changed it meanwhile, after taking over the version that stands."""
    answer = teller.call("PATCH", f"/api/v1/leads/{lead_id}", user="sdr", json=change)
    if answer.status_code == 409:
        change["version"] = answer.json()["current_version"]
        return None
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def _rescored(teller: Teller, lead: dict[str, Any]) -> str:
    report = teller.run_schedule("score-leads")
    now = teller.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")["score"]
    return f"{report.get('looked_at', 0)} looked at" if now != lead["score"] else ""


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
        _require(deal["stage"] != "Closed Won", "submitted is not won")
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
            say(f"{each['name']:<16} {_clock(each['ended_at'])}  {each['actor']}")
        order = teller.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
        deal = teller.ok("GET", f"/api/v1/opportunities/{order['opportunity_id']}", user="rep")
        _require(deal["stage"] == "Closed Won", "an executed, provisioned order wins the deal")
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
        _require(over.status_code == 402, "a spend cap must stop")
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
        _require(note["priority"] == "high", "a failed payment makes a high-priority note")
        say(f"note {note['id']} ({note['priority']}): {note['content'][:100]}")


def _trail(teller: Teller, lead: dict[str, Any], order: dict[str, Any]) -> None:
    with teller.step("The trail: every field of every version, chained") as say:
        for entity in (lead["id"], order["id"]):
            trail = teller.until("the audit", partial(_audit, teller, entity))
            _require(not trail["faults"], f"the chain of {entity} must verify")
            fields = sum(len(entry["changes"]) for entry in trail["entries"])
            say(f"{entity}: {len(trail['entries'])} versions, {fields} changed fields, chain verifies")
        counts = teller.ok("GET", "/api/v1/leads/counts", user="admin")["counts"]
        say(f"leads by status, counted as they change: {counts}")


def _audit(teller: Teller, entity: str) -> dict[str, Any] | None:
    answer = teller.call("GET", f"/api/v1/audit/{entity}", user="admin")
    return answer.json() if answer.status_code == 200 else None


def _points(lead: dict[str, Any]) -> list[str]:
    return [f"{part['points']} {part['factor']}" for part in lead["score_card"]["points"] if part["points"]]


def _name(teller: Teller, user_id: str) -> str:
    return next((name for name, user in teller.stack["users"].items() if user["id"] == user_id), user_id)


def _counts(report: dict[str, Any]) -> str:
    return ", ".join(
        f"{count} {name.replace('_', ' ')}"
        for name, count in report.items()
        if isinstance(count, int) and name != "skipped"
    )


def _clock(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%d/%m/%Y %H:%M:%S")


def _year_after(day: date) -> date:
    return day.replace(year=day.year + 1) if (day.month, day.day) != (2, 29) else day.replace(year=day.year + 1, day=28)


def _if(value: dict[str, Any], name: str, wanted: str) -> dict[str, Any] | None:
    return value if value[name] == wanted else None


def _require(truth: bool, what: str) -> None:
    if not truth:
        raise StoryFailed(what)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.story", description=__doc__)
    parser.add_argument("--stack", type=Path, default=Path(".local/stack.json"))
    path = parser.parse_args().stack
    if not path.exists():
        print(f"✗ {path} is not there\n  why:  no stack was started here\n  next: make up", file=sys.stderr)
        return 1
    try:
        tell(json.loads(path.read_text(encoding="utf-8")))
    except (StoryFailed, httpx.HTTPError) as error:
        hint = "make log FUNCTION=change-relay (or another function) shows what it logged"
        print(f"\n✗ the story ends here\n  why:  {error}\n  next: {hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

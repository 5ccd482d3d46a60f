"""Who acts on a world. Each actor is a plain function that runs to its end; the baton interleaves them."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from revops.crm.model import LeadStatus
from revops.crm.service import LeadChange
from revops.crm.store import LEADS
from revops.crm.submission import AttributionClaim, LeadSubmission
from revops.inbox import Signal
from revops.kernel import CapReached, Conflict, Role, VersionConflict, system_call
from revops.orders.decisions import Amendment
from revops.orders.model import ESignMethod, OrderStatus
from revops.orders.reviews import ReviewDecision
from revops.orders.signature import SignedDocument
from revops.orders.store import ORDERS
from revops.usage import CapTerms, Meter, UsageEvent
from tests.builders.nurture import BOTH
from tests.builders.orders import PDF, submission
from tests.faults.contracts import cancel_subscriptions, change_orders, hopeless, open_tenants, pay_invoices
from tests.faults.conversions import convert_leads
from tests.faults.nurturing import change_their_mind
from tests.faults.serving import ELSEWHERE, SERVING
from tests.faults.signatures import sign_envelopes
from tests.faults.vendors import Webhook
from tests.faults.wiring import ADMIN, LEGAL, user
from tests.faults.world import World

Act = Callable[[], None]

PEOPLE: tuple[dict[str, str], ...] = (
    {"first_name": "Asha", "last_name": "Rao", "company": "Nordlicht GmbH", "email": "asha.rao@nordlicht.example"},
    {"first_name": "Asha", "last_name": "Rao", "company": "Nordlicht", "email": "Asha.Rao@Nordlicht.EXAMPLE "},
    {"first_name": "Bruno", "last_name": "Keller", "company": "Talwerk AG", "email": "keller@talwerk.example"},
    {"first_name": "Bruno", "last_name": "Keler", "company": "Talwerk", "email": "b.keller@talwerk.example"},
    {"first_name": "Chika", "last_name": "Obi", "company": "Lagune", "phone": "+49 30 901821"},
    {"first_name": "Chika", "last_name": "Obi", "company": "Lagune", "phone": "004930901821", "email": ""},
)
"""Two spellings of one person each; the second pair are two people who look alike."""
PAYERS = ("cus_Alpha", "cus_Beta")
CAP_ACCOUNT = "ACC_CAPPED"
UNIT_LIMIT = 60
SPEND_CAP = 300
_ONE_ACT = 0.3


def actors_of(world: World) -> dict[str, Act]:
    """The actors of a world: a seeded choice of those who want something, and all of those who serve."""
    rng = world.rng
    wanting: dict[str, Callable[[World, random.Random, str], None]] = {
        "form-1": fill_form,
        "form-2": fill_form,
        "partner-1": send_partner_leads,
        "partner-2": send_partner_leads,
        "seller-1": edit_leads,
        "seller-2": edit_leads,
        "stripe-1": live_at_stripe,
        "stripe-2": live_at_stripe,
        "postman-1": deliver_webhooks,
        "postman-2": deliver_webhooks,
        "order-1": take_order,
        "order-2": take_order,
        "desk-1": run_orders,
        "cancel-1": cancel_subscriptions,
        "payer-1": pay_invoices,
        "signatory-1": sign_envelopes,
        "signatory-2": sign_envelopes,
        "tenant-1": open_tenants,
        "meter-1": use_up,
        "meter-2": use_up,
        "hubspot-1": edit_in_hubspot,
        "mind-1": change_their_mind,
        "mind-2": change_their_mind,
        "converter-1": convert_leads,
        "converter-2": convert_leads,
    }
    dense = rng.choice((0.25, 0.5, 0.8))
    chosen = {name: act for name, act in wanting.items() if rng.random() < dense}
    chosen |= SERVING
    if world.plan.cast:
        chosen = {name: act for name, act in (wanting | SERVING).items() if name in world.plan.cast}
    return {
        name: _bound(act, world, random.Random(f"{world.plan.seed}/{name}/acts"), name)
        for name, act in chosen.items()
        if name not in world.plan.without
    }


def actors_later(world: World) -> dict[str, Act]:
    """A second act, in worlds where orders were handed in: what runs by then is amended, renewed, cancelled, paid."""
    if not world.diary.orders or (not world.plan.cast and world.rng.random() < _ONE_ACT):
        return {}
    lives: dict[str, Callable[[World, random.Random, str], None]] = {
        "change-1": change_orders,
        "change-2": change_orders,
        "desk-1": run_orders,
        "desk-2": run_orders,
        "cancel-1": cancel_subscriptions,
        "payer-1": pay_invoices,
        "postman-1": deliver_webhooks,
        "signatory-1": sign_envelopes,
        "tenant-1": open_tenants,
    }
    chosen = {name: act for name, act in lives.items() if world.rng.random() < 0.8}
    chosen |= {name: act for name, act in SERVING.items() if name not in ELSEWHERE}
    return {
        name: _bound(act, world, random.Random(f"{world.plan.seed}/{name}/later"), name)
        for name, act in chosen.items()
        if name not in world.plan.without and (not world.plan.cast or name in world.plan.cast)
    }


def _bound(act: Callable[[World, random.Random, str], None], world: World, rng: random.Random, name: str) -> Act:
    return lambda: act(world, rng, name)


# -- people and partners ----------


def _lead(person: Mapping[str, str], channel: str, **more: Any) -> LeadSubmission:
    fields: dict[str, Any] = {
        "channel": channel,
        "country": "DE",
        "phone": "",
        "company_size": "50-100",
        "industry": "Software",
        "consents": BOTH,
        **person,
        **more,
    }
    return LeadSubmission.model_validate(fields)


def fill_form(world: World, rng: random.Random, name: str) -> None:
    """A visitor fills the form in, and again when no answer came."""
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(PEOPLE))
        said = _lead(PEOPLE[place], "form")
        for _ in range(rng.randint(1, 3)):
            answer = world.ask(lambda said=said: world.wiring.submit_lead(said, system_call("form")))  # type: ignore[misc]
            if answer.good:
                world.diary.leads_promised[answer.value.lead.id] = name
                world.diary.people_promised.add(canonical(PEOPLE[place]))
                break


def canonical(person: Mapping[str, str]) -> str:
    """What makes a person of `PEOPLE` one and the same."""
    return person.get("email", "").strip().lower() or "+4930901821"


def send_partner_leads(world: World, rng: random.Random, name: str) -> None:
    """A partner sends leads with a key each, and repeats a key until it is answered, sometimes once more."""
    call = user(f"KEY_{name}", Role.INTEGRATION)
    for number in range(rng.randint(1, 2)):
        place = rng.randrange(len(PEOPLE))
        key = f"{name}-{number}"
        source = AttributionClaim(source="Partner", campaign="autumn", medium="referral", term="crm")
        said = _lead(PEOPLE[place], "partner", attribution=source, idempotency_key=key)
        answered = 0
        for _ in range(5):
            answer = world.ask(lambda said=said: world.wiring.submit_lead(said, call))  # type: ignore[misc]
            if answer.refusal is not None:
                world.diary.escaped.append(f"partner was refused: {answer.refusal}")
                return
            if answer.good:
                receipt = answer.value
                world.diary.partner_answers.setdefault(f"{name}/{number}", set()).add(
                    f"{receipt.lead.id} {receipt.created}"
                )
                world.diary.people_promised.add(canonical(PEOPLE[place]))
                answered += 1
                if answered == 2 or rng.random() < 0.6:
                    break


def edit_leads(world: World, rng: random.Random, name: str) -> None:
    """A seller changes leads; every edit writes a text of its own, so that it can be found in the audit."""
    for number in range(rng.randint(10, 30)):
        lead_ids = sorted(world.diary.leads_promised)
        if not lead_ids:
            world.idle()
            continue
        lead_id, text = rng.choice(lead_ids), f"{name} edit {number}"

        def change(lead_id: str = lead_id, text: str = text) -> object:
            lead = LEADS.require(world.table, lead_id)
            wanted: dict[str, Any] = {"version": lead.version, "job_title": text}
            if rng.random() < 0.4 and lead.status is LeadStatus.NEW:
                wanted["status"] = LeadStatus.CONTACTED
            if lead.email and rng.random() < 0.3:
                wanted["phone"] = f"+49 30 9018{rng.randrange(10, 99)}"
            return world.wiring.change_lead(lead_id, LeadChange.model_validate(wanted), ADMIN)

        answer = world.ask(change)
        if answer.good:
            world.diary.edits_done.add(text)
        elif isinstance(answer.refusal, VersionConflict):
            world.diary.edits_refused.add(text)


# -- vendors ----------


def live_at_stripe(world: World, rng: random.Random, name: str) -> None:
    """Things happen to payers."""
    for _ in range(rng.randint(1, 12)):
        world.idle(rng.randint(1, 20))
        world.outside.stripe.happens(rng.choice(PAYERS))


def deliver_webhooks(world: World, rng: random.Random, name: str) -> None:
    """Stripe and HubSpot tell: in any order, again when they are not answered, and sometimes although they were."""
    for _ in range(rng.randint(5, 30)):
        world.idle()
        deliver_one(world, rng)


def deliver_one(world: World, rng: random.Random) -> bool:
    """One delivery of one webhook; False when there is none left to deliver."""
    world.outside.provisioning.tell()
    ring(world)
    outbox = world.outside.stripe.outbox
    if not outbox:
        return False
    webhook = outbox[rng.randrange(len(outbox))]
    provider = webhook.provider
    signal = Signal(provider, webhook.event_id, webhook.event_type, webhook.subject, webhook.body)
    answer = world.ask(lambda: world.wiring.receive_signal(signal, system_call(f"{provider}_webhook")))
    if answer.good:
        world.diary.webhooks_acknowledged.add((provider, webhook.event_id))
        webhook.delivered += 1
        if (world.trouble.calm or webhook.delivered > 2 or rng.random() < 0.7) and webhook in outbox:
            outbox.remove(webhook)
    return True


def ring(world: World) -> None:
    """HubSpot's bells become webhooks."""
    rung = world.outside.hubspot.rung
    while rung:
        event = rung.pop(0)
        number = world.outside.hubspot.told = world.outside.hubspot.told + 1
        body = json.dumps([event])
        webhook = Webhook(f"bell-{number}", event["topic"], event["objectId"], body, provider="hubspot")
        world.outside.stripe.outbox.append(webhook)


def edit_in_hubspot(world: World, rng: random.Random, name: str) -> None:
    """People work in HubSpot as well."""
    hubspot = world.outside.hubspot
    for number in range(rng.randint(1, 4)):
        world.idle()
        if not hubspot.records or rng.random() < 0.25:
            person = rng.choice(PEOPLE)
            taken = any(
                record.get("email") == person.get("email", "").strip().lower() for record in hubspot.records.values()
            )
            if person.get("email") and not taken:
                hubspot.create(
                    firstname=person["first_name"], lastname=person["last_name"], email=person["email"].strip()
                )
            continue
        contact = rng.choice(sorted(hubspot.records))
        named = rng.choice(
            ("firstname", "phone", "company") if hubspot.records[contact].get("email") else ("firstname",)
        )
        hubspot.edit(contact, **{named: f"+49 30 9018{number}" if named == "phone" else f"there {number}"})


# -- orders ----------


def take_order(world: World, rng: random.Random, name: str) -> None:
    """A seller hands an order form in, legal decides where it must, and it is signed, or cancelled."""
    odd = {"discount_percent": "60"} if rng.random() < 0.3 else {}
    method = rng.choice(("Manual", "DocuSign", "DocuSign", "Adobe Sign"))
    said = submission(payment_method=rng.choice(("Invoice", "Credit Card")), esign_method=method, **odd)
    seller = user("USR_ana")
    order_id = ""
    for _ in range(4):
        answer = world.ask(lambda: world.wiring.orders.submit(said, seller, name))
        if answer.good:
            order_id = answer.value.order.id
            world.diary.orders.setdefault(name, set()).add(order_id)
            break
    if not order_id:
        return
    fate = rng.choice(("sign", "sign", "sign", "cancel", "wait"))
    if fate == "sign":
        world.diary.to_sign.add(order_id)
    for _ in range(rng.randint(40, 150)):
        world.idle()
        if fate == "cancel" and rng.random() < 0.1:
            world.ask(lambda: world.wiring.orders.cancel(order_id, "changed their mind", seller))
            return
        decide(world, rng, order_id, sign=fate == "sign")


def run_orders(world: World, rng: random.Random, name: str) -> None:
    """People look after the orders that others handed in."""
    for _ in range(rng.randint(20, 60)):
        world.idle()
        order_ids = sorted(order_id for ids in world.diary.orders.values() for order_id in ids)
        if order_ids:
            chosen = rng.choice(order_ids)
            decide(world, rng, chosen, sign=chosen in world.diary.to_sign)


def decide(world: World, rng: random.Random, order_id: str, *, sign: bool) -> None:
    """What people do about an order that waits for them."""
    row = world.peek(ORDERS.key(order_id))
    if row is None:
        return
    order = ORDERS.load(row)
    status = order.status
    if status is OrderStatus.IN_REVIEW:
        outcome = rng.choice((ReviewDecision.APPROVE, ReviewDecision.APPROVE, ReviewDecision.REJECT))
        who = rng.choice((LEGAL, ADMIN))  # whose turn it is not is refused
        world.ask(lambda: world.wiring.orders.review(order_id, outcome, "a comment", who))
    elif status is OrderStatus.AWAITING_SIGNATURE and sign:
        if order.terms.esign_method is not ESignMethod.MANUAL and rng.random() < 0.95:
            return  # it is with the signatory; now and then they sign on paper all the same
        signed = SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF)
        if world.ask(lambda: world.wiring.orders.sign(order_id, signed, ADMIN)).good:
            world.diary.signed.add(order_id)
    elif status is OrderStatus.CHANGES_REQUESTED or (status is OrderStatus.BLOCKED and not hopeless(world, order)):
        world.ask(lambda: world.wiring.orders.resume(order_id, Amendment(), ADMIN))


# -- usage ----------


def cap_terms(unit_limit: int = UNIT_LIMIT, spend_cap: int = SPEND_CAP) -> CapTerms:
    return CapTerms.model_validate(
        {
            "account_id": CAP_ACCOUNT,
            "currency": "EUR",
            "allowances": [
                {"line": "API Calls", "included": 30, "overage_price": "0.13", "unit_limit": unit_limit},
            ],
            "spend_cap": spend_cap,
        }
    )


def use_up(world: World, rng: random.Random, name: str) -> None:
    """Usage arrives, repeated when it was not answered; once the plan is changed under it."""
    if not world.ask(lambda: world.wiring.set_caps(cap_terms(), ADMIN)).good:
        return
    for number in range(rng.randint(2, 8)):
        quantity = rng.randint(1, 12)
        event = UsageEvent(id=f"{name}-{number}", account_id=CAP_ACCOUNT, meter=Meter.API_CALLS, quantity=quantity)
        for _ in range(rng.randint(1, 4)):
            answer = world.ask(lambda event=event: world.wiring.record_usage(event, system_call("usage")))  # type: ignore[misc]
            if answer.good:
                world.diary.usage_done[event.id] = (CAP_ACCOUNT, quantity)
                if rng.random() < 0.7:
                    break
            elif isinstance(answer.refusal, CapReached):
                world.diary.usage_refused.add(event.id)
                break
            elif isinstance(answer.refusal, Conflict):
                world.diary.escaped.append(f"usage {event.id}: {answer.refusal}")

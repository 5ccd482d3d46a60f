"""What must be true of a world at rest, checked against what happened: the stream's own history, the truth at Stripe
and HubSpot, and what callers were told. Nothing here calls the code under test to judge itself, but for decoding rows
and for the pure policies that say what a state means.

| check | design.md |
|---|---|
| `subscriptions` | I1 one Stripe subscription per executed order, none otherwise; promised orders stand |
| `terms` | I1 what runs is what the executed forms say, each change made once |
| `envelopes` | one envelope a round, executed means completed, none left open |
| `tenants`, `cancellations` | in service with its tenant; what was wanted last stands at Stripe |
| `sales` | one sales order per executed form, invoices as Stripe has them |
| `membership` | I2 status = f(current Stripe objects, clock, policy) |
| `usage`, `alerts` | I3 counter = Σ accepted ≤ cap, each id once; one alert per threshold and cycle |
| `rollups` | I3 counters = recount of the rows |
| `audit` | I4 one entry per version, each changed field once, old = previous new, chain unbroken |
| `people` | I5 one lead per person, claims and leads agree, round-robin fair to within one |
| `conversions` | I7 a converted lead has one of everything, one that is not has nothing active |
| `nominations` | every lead is nominated or not as its score says, each time with one task |
| `nurture` | I11 nothing leaves after a withdrawal, nothing twice, no step is lost |
| `inbox` | I6 every acknowledged event applied, or dead with a reason |
| `sync` | both sides equal on the mapped fields |
| `events`, `mails` | every event is published, with one content per id; no mail twice unless its sender died over it |
| `edits` | a change that was refused was not done, one that was accepted was done once |
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import Any

from revops.audit.model import AuditEntry
from revops.billing.model import merged_facts
from revops.billing.policies import MembershipPolicy, membership_status
from revops.billing.store import CUSTOMER
from revops.bootstrap import AUDITED, events_of
from revops.crm.known import known_as
from revops.crm.model import Lead, OpportunityStage
from revops.crm.normalise import canonical_email, canonical_phone
from revops.crm.policies.assignment import UNASSIGNED
from revops.crm.store import CONTACTS, LEADS, OPPORTUNITIES
from revops.inbox import INBOX, InboxStatus, inbox_id
from revops.notices.service import NOTICE
from revops.orders.model import OrderKind, OrderStatus
from revops.orders.store import ORDERS
from revops.settings import SETTINGS
from revops.sync.fields import Direction, HubspotFields
from revops.table import Change, Key, Row, claim_key
from tests.faults.actors import PAYERS, PEOPLE, canonical
from tests.faults.contracts import cancellations, sales, stands, tenants, terms
from tests.faults.conversions import conversions, nominations
from tests.faults.counting import alerts, rollups, usage
from tests.faults.nurturing import nurture
from tests.faults.signatures import envelopes
from tests.faults.world import World

Check = Callable[[World], Iterator[str]]
_EXECUTED = {
    OrderStatus.EXECUTED,
    OrderStatus.PROVISIONED,
    OrderStatus.AWAITING_TENANT,
    OrderStatus.ACTIVE,
    OrderStatus.BLOCKED,
}


def violations(world: World) -> list[str]:
    """Everything that is wrong, each line beginning with the check that found it."""
    found = [f"actors: {error!r}" for error in world.baton.broken]
    found += [f"answers: {line}" for line in world.diary.escaped]
    for check in CHECKS:
        found += [f"{check.__name__}: {line}" for line in check(world)]
    return found


# -- I1 ----------


def subscriptions(world: World) -> Iterator[str]:
    stripe = world.outside.provisioning
    yield from stripe.violations
    made = Counter(request.order_id for request in stripe.subscriptions.values())
    known = set()
    orders = [ORDERS.load(row) for row in world.rows_of("ORDER")]
    won = {order.opportunity_id for order in orders if stands(order)}
    for order in orders:
        known.add(order.id)
        wanted = 1 if order.status in _EXECUTED and order.kind is OrderKind.NEW else 0
        if made[order.id] != wanted:
            yield f"{order.id} is {order.status} and has {made[order.id]} subscriptions"
        if wanted and stripe.subscriptions.get(order.stripe_subscription_id, None) is None:
            yield f"{order.id} is {order.status} and points at {order.stripe_subscription_id or 'nothing'}"
        if not order.opportunity_id:
            continue  # a change that is no deal
        deal = OPPORTUNITIES.load(world.rows()[OPPORTUNITIES.key(order.opportunity_id)])
        if (deal.stage is OpportunityStage.CLOSED_WON) is not (deal.id in won):
            yield f"{order.id} is {order.status} and its deal is {deal.stage}"
    for order_id in made.keys() - known:
        yield f"a subscription of {order_id}, which nobody knows"
    for seller, promised in world.diary.orders.items():
        if len(promised) > 1 or not promised <= known:
            yield f"{seller} was promised {sorted(promised)}"
    for order_id in world.diary.signed:
        if ORDERS.load(world.rows()[ORDERS.key(order_id)]).status not in _EXECUTED:
            yield f"{order_id} was signed and is not executed"
    accounts = Counter(request.account_id for request in stripe.customers.values())
    for account_id, count in accounts.items():
        if count > 1:
            yield f"{account_id} has {count} customers at Stripe"


# -- I2 ----------


def membership(world: World) -> Iterator[str]:
    now, stripe = world.clock.now(), world.outside.stripe
    policy = MembershipPolicy.model_validate(SETTINGS.load(world.rows()[SETTINGS.key("membership")]).content)
    seen: Counter[str] = Counter()
    for row in world.rows_of("CUSTOMER"):
        customer = CUSTOMER.load(row)
        seen.update(customer.payers)
        facts = merged_facts(tuple(stripe.at(payer) for payer in customer.payers))
        wanted = membership_status(facts, now, policy)
        if customer.membership_status is not wanted.status:
            yield f"{customer.payers} is {customer.membership_status}, should be {wanted.status} ({wanted.reason})"
        if customer.lifetime_value != dict(facts.lifetime):
            yield f"{customer.payers} is worth {customer.lifetime_value}, should be {dict(facts.lifetime)}"
    told = {payer for payer in PAYERS if stripe.at(payer).currency}
    for payer in told | set(seen):
        if seen[payer] != 1:
            yield f"{payer} stands on {seen[payer]} customers"
    notes = [row for row in world.rows_of("NOTE") if '"payment_failure"' in row.doc]
    for intent in stripe.failed_intents:
        about = [row for row in notes if intent in row.doc]
        if len(about) != 1:
            yield f"{len(about)} notes about the failure of {intent}"


# -- I4 ----------


def audit(world: World) -> Iterator[str]:
    versions: dict[Key, list[Change]] = defaultdict(list)
    for change in world.history:
        if change.kind in AUDITED:
            versions[change.key].append(change)
    entries: dict[str, list[AuditEntry]] = defaultdict(list)
    for row in world.rows_of("AUDIT"):
        entry = AuditEntry.model_validate_json(row.doc)
        entries[entry.record].append(entry)
    for change in world.history:
        if change.kind == "AUDIT" and change.before is not None:
            yield f"{change.key} was written twice"
    for key, changes in versions.items():
        yield from _chain(world, key, changes, sorted(entries[f"{key.pk}|{key.sk}"], key=lambda each: each.version))


def _chain(world: World, key: Key, changes: list[Change], entries: list[AuditEntry]) -> Iterator[str]:
    numbers = [entry.version for entry in entries]
    if numbers != list(range(1, len(changes) + 1)):
        yield f"{key.pk} has {len(changes)} versions and entries for {numbers}"
        return
    previous, values = "", dict[str, Any]()
    for change, entry in zip(changes, entries, strict=True):
        body = entry.model_dump(mode="json", exclude={"hash"})
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if entry.hash != hashlib.sha256(text.encode()).hexdigest() or entry.previous_hash != previous:
            yield f"{key.pk} version {entry.version}: the chain is broken"
        previous = entry.hash
        after = _fields(change.after)
        if entry.gap:
            if (key, entry.version) not in world.diary.late | world.diary.overtaken:
                yield f"{key.pk} version {entry.version}: a gap, although nothing was lost"
        else:
            wanted = {
                name: (values.get(name), after.get(name))
                for name in values.keys() | after.keys()
                if values.get(name) != after.get(name)
            }
            told = [(each.field, (each.old, each.new)) for each in entry.changes]
            if len(dict(told)) < len(told) or dict(told) != wanted:
                yield f"{key.pk} version {entry.version}: says {sorted(dict(told))}, changed {sorted(wanted)}"
            stamp = change.row.stamp
            if stamp is None or (entry.by, entry.at) != (stamp.by, stamp.at):
                yield f"{key.pk} version {entry.version}: by {entry.by} at {entry.at}"
        values = after


def _fields(row: Row | None) -> dict[str, Any]:
    if row is None:
        return {}
    fields: dict[str, Any] = json.loads(row.doc) if row.doc else {}
    return {name: value for name, value in (fields | row.counters).items() if name not in ("version", "modified_at")}


def edits(world: World) -> Iterator[str]:
    written: Counter[str] = Counter()
    for change in world.history:
        if change.kind == "LEAD" and change.before is not None and change.after is not None:
            before, after = LEADS.load(change.before).job_title, LEADS.load(change.after).job_title
            if before != after and " edit " in after:
                written[after] += 1
    for text in world.diary.edits_done:
        if written[text] != 1:
            yield f"{text!r} was accepted and written {written[text]} times"
    for text in world.diary.edits_refused:
        if written[text]:
            yield f"{text!r} was refused for another version, and written"


# -- I5 ----------


def people(world: World) -> Iterator[str]:
    rows = world.rows()
    leads = [LEADS.load(row) for row in world.rows_of("LEAD")]
    holders: dict[str, list[str]] = defaultdict(list)
    for lead in map(_as_known, leads, repeat(rows)):
        email = canonical_email(lead.email) if lead.email.strip() else None
        phone = canonical_phone(lead.phone, lead.country) if lead.phone.strip() else None
        name = f"email {email.address}" if email else f"phone {phone}"
        holders[name].append(lead.id)
        kind, _, value = name.partition(" ")
        row = rows.get(claim_key(kind, value))
        if row is None or json.loads(row.doc)["holder"] != lead.id:
            yield f"{lead.id} does not hold its claim on {name}"
    for name, ids in holders.items():
        if len(ids) > 1:
            yield f"{name} is {len(ids)} leads"
    for person in world.diary.people_promised:
        wanted = f"email {person}" if "@" in person else f"phone {person}"
        if wanted not in holders:
            yield f"{person} was acknowledged and is no lead"
    known = {lead.id for lead in leads}
    for lead_id in world.diary.leads_promised:
        if lead_id not in known:
            yield f"{lead_id} was promised and is not there"
    for key, answers in world.diary.partner_answers.items():
        if len(answers) > 1:
            yield f"the key {key} got the answers {sorted(answers)}"
    turns = Counter(lead.assignment.owner_id for lead in leads if lead.assignment.rule == "round-robin")
    if turns and max(turns.values()) - min(turns.get(seller, 0) for seller in ("USR_ana", "USR_ben", "USR_cem")) > 1:
        yield f"the round is unfair: {dict(turns)}"
    if turns[UNASSIGNED]:
        yield "a lead was left without an owner"
    for row in world.rows_of("CLAIM"):
        if row.pk.startswith(("CLAIM#email#", "CLAIM#phone#")) and json.loads(row.doc)["holder"] not in known:
            yield f"{row.pk} is held by nobody's lead"


def _as_known(lead: Lead, rows: Mapping[Key, Row]) -> Lead:
    """A lead as its person is known today: once converted, by what their contact says."""
    row = rows.get(CONTACTS.key(lead.conversion.contact_id)) if lead.conversion else None
    contact = CONTACTS.load(row) if row else None
    return known_as(lead, contact) if contact and contact.person_id == lead.person_id else lead


# -- I6 ----------


def inbox(world: World) -> Iterator[str]:
    rows = world.rows()
    for provider, event_id in world.diary.webhooks_acknowledged:
        row = rows.get(INBOX.key(inbox_id(provider, event_id)))
        entry = INBOX.load(row) if row else None
        if entry is None:
            yield f"{event_id} was acknowledged and is not there"
        elif entry.status is InboxStatus.RECEIVED or (entry.status is InboxStatus.DEAD and not entry.reason):
            yield f"{event_id} is {entry.status} {entry.reason}"
        elif entry.status is InboxStatus.DEAD:
            yield f"{event_id} is dead although all is well: {entry.reason}"


# -- what goes out ----------


def events(world: World) -> Iterator[str]:
    yield from (f"{name} was published with two contents" for name in world.outside.bus.differing)
    lost = world.diary.late
    for change in world.history:
        if change.kind not in AUDITED or (change.key, change.row.version) in lost:
            continue
        for events_of_slice in events_of():
            for said in events_of_slice(change):
                if said.id not in world.outside.bus.published:
                    yield f"{said.id} was never published"


def mails(world: World) -> Iterator[str]:
    """Every loud event is told, and a second mail is only excused by a sender that died over the first."""
    shaken = sum(fired.site.startswith(("mail", "commit NOTICE")) for fired in world.trouble.fired)
    shaken += len(world.timeouts)
    told = {row.pk.removeprefix("NOTICE#") for row in world.rows_of(NOTICE) if json.loads(row.doc)["state"] == "sent"}
    for event in world.outside.bus.published.values():
        loud = event.name in ("SpendCapAlertRaised", "OrderFormBlocked") or (
            event.name == "NoteCreated" and event.data["priority"] in ("high", "urgent")
        )
        if loud and event.id not in told:
            yield f"nobody was told of {event.id}"
    sent = len(world.outside.mail.sent)
    if not len(told) <= sent <= len(told) + shaken:
        yield f"{len(told)} notices, {sent} mails, {shaken} senders died"


def sync(world: World) -> Iterator[str]:
    hubspot, rows = world.outside.hubspot, world.rows()
    states = [json.loads(row.doc) for row in world.rows_of("SYNC_STATE")]
    fields = [line for line in HubspotFields().contacts if line.direction is not Direction.READ]
    if world.days:  # a score that only faded is not sent out (LEAD-4)
        fields = [line for line in fields if line.property != "revops_lead_score"]
    contacts: Counter[str] = Counter(
        record["revops_person_id"] for record in hubspot.records.values() if record.get("revops_person_id")
    )
    for person_id, count in contacts.items():
        if count > 1:
            yield f"{person_id} is {count} contacts in HubSpot"
    linked = {state["person_id"]: state for state in states}
    for row in world.rows_of("LEAD"):
        lead = LEADS.load(row)
        state = linked.get(lead.person_id)
        if state is None or not state.get("remote_id"):
            if (row.key, row.version) not in world.diary.late and not (state or {}).get("refused"):
                yield f"{lead.id} never reached HubSpot"
            continue
        if state.get("detached") or state.get("refused"):
            continue
        person, record = world.wiring.people.snapshot(lead.person_id), hubspot.records.get(state["remote_id"], {})
        if person is None:
            continue
        for line in fields:
            here, there = line.outbound(person), record.get(line.property, "")
            base = state["bases"].get(line.property, {})
            spelt = not base.get("pending") and (here, there) == (base.get("local", ""), base.get("remote", ""))
            if here != there and not spelt:
                yield f"{line.property} of {lead.id} is {here!r} here and {there!r} in HubSpot"
    del rows


CHECKS: tuple[Check, ...] = (
    subscriptions,
    terms,
    envelopes,
    tenants,
    cancellations,
    sales,
    membership,
    usage,
    alerts,
    rollups,
    audit,
    edits,
    people,
    conversions,
    nominations,
    nurture,
    inbox,
    events,
    mails,
    sync,
)
_KNOWN = (PEOPLE, canonical)

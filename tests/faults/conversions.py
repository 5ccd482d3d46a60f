"""Sellers that qualify, convert and take back, several on one lead at once; and what must be true of it (I7)."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from revops.crm.activities import ACTIVITIES
from revops.crm.conversion import ConversionAsked
from revops.crm.factors import Bant, Conversion, OutcomeKind
from revops.crm.model import Account, Contact, DuplicateCheck, Lead, LeadStage, LeadStatus, Opportunity
from revops.crm.policies.qualification import QualificationRules, accepted, answers_of, nominated
from revops.crm.qualification import OutcomeGiven, QualificationGiven
from revops.crm.service import LeadChange
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES, person_key
from revops.crm.tasks import TASKS
from revops.kernel import VersionConflict
from revops.orders.store import ORDERS
from revops.settings import SETTINGS
from revops.table import ConditionFailed, begin
from tests.builders.orders import submission
from tests.faults.wiring import ADMIN, user
from tests.faults.world import World


def convert_leads(world: World, rng: random.Random, name: str) -> None:
    """A seller brings leads to conversion, step by step over whatever stands; sometimes it is taken back, sometimes an
    order is handed in on what it made."""
    for _ in range(rng.randint(15, 40)):
        lead_ids = sorted(world.diary.leads_promised)
        row = world.peek(LEADS.key(rng.choice(lead_ids))) if lead_ids else None
        if row is None:
            world.idle()
            continue
        lead = LEADS.load(row)
        if lead.conversion is not None:
            _go_on(world, rng, lead, lead.conversion, name)
        elif not _next_step(world, lead):
            _convert(world, lead)


def _next_step(world: World, lead: Lead) -> bool:
    """What is still to be done before a lead can be converted; False when it is ready."""
    wiring = world.wiring
    if lead.status is LeadStatus.NEW or not lead.phone:
        wanted: dict[str, Any] = {"version": lead.version}
        wanted |= {"status": "Contacted"} if lead.status is LeadStatus.NEW else {}
        wanted |= {} if lead.phone else {"phone": "+49 30 901899"}
        world.ask(lambda: wiring.change_lead(lead.id, LeadChange.model_validate(wanted), ADMIN))
    elif len(answers_of(lead)) < len(Bant):
        answers = {factor.value: {"state": "met"} for factor in Bant}
        given = QualificationGiven.model_validate({"version": lead.version, "bant": answers})
        world.ask(lambda: wiring.qualify.answer(lead.id, given, ADMIN))
    elif not accepted(lead):
        outcome = OutcomeGiven(version=lead.version, outcome=OutcomeKind.ACCEPTED)
        world.ask(lambda: wiring.qualify.decide(lead.id, outcome, ADMIN))
    elif lead.duplicate_check is DuplicateCheck.PENDING:
        world.ask(lambda: _say_who_it_is(world, lead))
    else:
        return False
    return True


def _say_who_it_is(world: World, lead: Lead) -> None:
    """Somebody looked: this is nobody else."""
    now = world.clock.now()
    transaction = begin(ADMIN, now)
    LEADS.update(transaction, lead.revised(now, duplicate_check=DuplicateCheck.PASS))
    try:
        world.table.commit(transaction)
    except ConditionFailed as error:
        raise VersionConflict("changed meanwhile") from error


def _convert(world: World, lead: Lead) -> None:
    asked = ConversionAsked(version=lead.version)
    for _ in range(3):
        answer = world.ask(lambda: world.wiring.convert(lead.id, asked, ADMIN))
        if answer.good:
            world.diary.converted.add((lead.id, answer.value.conversion.opportunity_id))
        if not answer.unknown:
            return


def _go_on(world: World, rng: random.Random, lead: Lead, made: Conversion, name: str) -> None:
    chance = rng.random()
    if chance < 0.3:
        answer = world.ask(lambda: world.wiring.undo(lead.id, lead.version, ADMIN))
        if answer.good:
            world.diary.taken_back.add((lead.id, made.opportunity_id))
    elif chance < 0.4:
        named = {"opportunity_id": made.opportunity_id} if rng.random() < 0.5 else {}
        said = submission(account_id=made.account_id, **named)
        who = f"{name} on {made.opportunity_id}"
        answer = world.ask(lambda: world.wiring.orders.submit(said, user("USR_ana"), who))
        if answer.good:
            world.diary.orders.setdefault(who, set()).add(answer.value.order.id)
            world.diary.to_sign.add(answer.value.order.id)
    else:
        world.idle()


# -- what follows from a score ----------


def nominations(world: World) -> Iterator[str]:
    """At rest every lead is nominated or not as its score says, and each nomination made one task."""
    rules = QualificationRules.model_validate(
        SETTINGS.load(world.rows()[SETTINGS.key(QualificationRules.SETTING)]).content
    )
    wanted = set[str]()
    for row in world.rows_of("LEAD"):
        lead = LEADS.load(row)
        if nominated(lead, rules, world.clock.now()) != lead.nomination:
            yield f"{lead.id} scores {lead.score} and its nomination is {lead.nomination}"
        made = lead.nomination.number if lead.nomination else 0
        wanted |= {f"nomination:{lead.id}:{number}" for number in range(1, made + 1)}
    origins = Counter(TASKS.load(row).origin for row in world.rows_of("TASK"))
    found = {origin for origin in origins if origin.startswith("nomination:")}
    if found != wanted:
        yield f"there are tasks for {sorted(found)}, and nominations {sorted(wanted)}"
    yield from (f"{origin} made {count} tasks" for origin, count in origins.items() if count > 1)


# -- I7 ----------


def conversions(world: World) -> Iterator[str]:
    """A converted lead has one of everything, and they point at each other; one that is not has nothing active."""
    leads = {lead.id: lead for lead in map(LEADS.load, world.rows_of("LEAD"))}
    accounts = {account.id: account for account in map(ACCOUNTS.load, world.rows_of("ACCOUNT"))}
    contacts = {contact.id: contact for contact in map(CONTACTS.load, world.rows_of("CONTACT"))}
    deals = {deal.id: deal for deal in map(OPPORTUNITIES.load, world.rows_of("OPPORTUNITY"))}
    for lead in leads.values():
        if (lead.status is LeadStatus.CONVERTED) != (lead.conversion is not None):
            yield f"{lead.id} is {lead.status} and {'was' if lead.conversion else 'never'} converted"
        if lead.conversion is not None:
            yield from _whole(world, lead, lead.conversion, accounts, contacts, deals)
    for deal in deals.values():
        came_of = leads.get(deal.lead_id)
        made = came_of.conversion if came_of is not None else None
        current = made is not None and made.opportunity_id == deal.id
        if deal.lead_id and deal.active is not current:
            yield f"{deal.id} is {'active' if deal.active else 'not active'}, and {deal.lead_id} says otherwise"
        if deal.active and not accounts[deal.account_id].active:
            yield f"{deal.id} stands on an account that is not active"
    for row in world.rows_of("ORDER"):
        order = ORDERS.load(row)
        stands = not order.opportunity_id or deals[order.opportunity_id].active  # a change may be no deal
        if not accounts[order.account_id].active or not stands:
            yield f"{order.id} stands on what was taken back"
    yield from _people(leads, accounts, contacts)
    for lead_id, deal_id in world.diary.converted:
        if deal_id not in deals or deals[deal_id].lead_id != lead_id:
            yield f"{lead_id} was said to be {deal_id}, which is not there"
    for lead_id, deal_id in world.diary.taken_back:
        if deals[deal_id].active:
            yield f"{deal_id} of {lead_id} was said to be taken back, and is active"


def _whole(
    world: World,
    lead: Lead,
    made: Conversion,
    accounts: dict[str, Account],
    contacts: dict[str, Contact],
    deals: dict[str, Opportunity],
) -> Iterator[str]:
    account, contact, deal = (
        accounts.get(made.account_id),
        contacts.get(made.contact_id),
        deals.get(made.opportunity_id),
    )
    if account is None or contact is None or deal is None or ACTIVITIES.key(made.activity_id) not in world.rows():
        yield f"{lead.id} is converted, and part of what it became is missing"
        return
    if not (account.active and contact.active and deal.active):
        yield f"{lead.id} is converted into what is not active"
    if lead.stage is not LeadStage.CONVERTED or lead.rescore_at is not None:
        yield f"{lead.id} is converted and not archived"
    if not (contact.account_id == deal.account_id == lead.account_id == account.id):
        yield f"{lead.id}, its contact and its deal stand at different accounts"
    roles = json.loads(world.rows()[person_key(lead.person_id)].doc)
    if contact.person_id == lead.person_id and roles["contact"] != contact.id:
        yield f"the person of {lead.id} does not know that it is {contact.id}"


def _people(leads: dict[str, Lead], accounts: dict[str, Account], contacts: dict[str, Contact]) -> Iterator[str]:
    primary = Counter(contact.account_id for contact in contacts.values() if contact.active and contact.primary)
    for account_id, count in primary.items():
        if count > 1:
            yield f"{account_id} has {count} primary contacts"
    for contact in contacts.values():
        if contact.primary and accounts[contact.account_id].primary_person_id != contact.person_id:
            yield f"{contact.id} is primary, and its account names somebody else"
        lead = leads.get(contact.lead_id)
        current = lead is not None and lead.conversion is not None and lead.conversion.contact_id == contact.id
        if contact.active is not current:
            yield f"{contact.id} {'is' if contact.active else 'is not'} active, and {contact.lead_id} says otherwise"

"""Conversion (LEAD-8): account, contact, their link, opportunity and first activity out of a lead, in one transaction.

What a lead becomes is chosen from what is known and proved by the commit: the lead at the version that was read, the
account as it was read, the domain still free. Otherwise nothing was written and everything is looked at again. So a
conversion is whole or has not happened, and of two of one lead at once one makes everything and the other answers with
it. Two leads of a company without a domain of its own, converted in the same moment, make two accounts of one name:
names are compared, and no commit proves that there is no other.

The person keeps their id, their claims and their consents: the claim on an e-mail or phone goes on naming the lead,
through which the person and their contact are found, and a further submission of theirs meets the archived lead
(`crm.returning`).
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from revops.access import Policy, Resource
from revops.crm.activities import ACTIVITIES, Activity, ActivityType
from revops.crm.built_on import built_on_account, built_on_contact
from revops.crm.conversion_choice import AccountChoice, Choose, ContactChoice, Wishes, account_name, domain_of
from revops.crm.factors import Before, Conversion
from revops.crm.known import CARRIED
from revops.crm.model import (
    STAGE_PROBABILITY,
    Account,
    Contact,
    Lead,
    LeadStage,
    LeadStatus,
    Opportunity,
    OpportunityStage,
)
from revops.crm.policies.assignment import UNASSIGNED
from revops.crm.policies.conversion import (
    Obstacle,
    budget_amount,
    contact_role,
    expected_close,
    influence,
    obstacles,
    preferred_channel,
)
from revops.crm.policies.qualification import QualificationRules
from revops.crm.ports import Roster
from revops.crm.qualification import withdraw_nominations
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES, person_key, with_contact
from revops.kernel import (
    CallContext,
    Clock,
    Conflict,
    IdFactory,
    Invalid,
    Money,
    Principal,
    Refused,
    Role,
    Unavailable,
    VersionConflict,
)
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Table, Transaction, attempts, begin, claim

_ATTEMPTS = 12
_STAGE = OpportunityStage.QUALIFIED


class ConversionAsked(Wishes):
    """A conversion, under the version of the lead that was read."""

    version: Annotated[
        int, Field(ge=1, examples=[7], description="The version that was read; another one stands → 409")
    ]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a conversion would make or use, and what stands in its way."""

    lead: Lead
    obstacles: tuple[Obstacle, ...]
    account: AccountChoice
    contact: ContactChoice
    owner_id: str
    deal_name: str
    value: Money
    expected_close: date


@dataclass(frozen=True, slots=True)
class ConversionReceipt:
    """The converted lead with what it became, and whether this call did it."""

    lead: Lead
    conversion: Conversion
    created: bool


class ConvertLead:
    """Converts leads, and says beforehand what that would do. Whoever may change a lead may convert it: what is made
    is made by the system on their behalf, since an SDR may not make accounts, and the audit names both."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        policy: Policy,
        settings: SettingsReader,
        roster: Roster,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._settings = settings
        self._roster = roster
        self._choose = Choose(table, policy)
        self._sleep = sleep
        self._jitter = jitter

    def propose(self, lead_id: str, wishes: Wishes, call: CallContext) -> Proposal:
        """Writes nothing. Raises NotFound, Forbidden, Invalid, Refused for a lead that is converted."""
        lead = self._writable(lead_id, call)
        if lead.status is LeadStatus.CONVERTED:
            raise Refused("the lead is converted already", {"legal": []})
        return self._proposal(lead, wishes, call)

    def __call__(self, lead_id: str, asked: ConversionAsked, call: CallContext) -> ConversionReceipt:
        """Converts a lead once; whoever asks again gets the same answer. Raises NotFound, Forbidden, Invalid,
        VersionConflict, Refused with every condition that is not met or with the accounts to choose from, Conflict
        when it was converted into something else than what is named, Unavailable."""
        for _ in attempts(_ATTEMPTS, self._sleep, self._jitter):
            lead = self._writable(lead_id, call)
            if lead.status is LeadStatus.CONVERTED and lead.conversion is not None:
                return _same_again(lead, lead.conversion, asked)
            if lead.version != asked.version:
                raise VersionConflict(f"lead {lead_id} was changed by someone else", lead.version)
            proposal = self._proposal(lead, asked, call)
            _require_possible(proposal)
            transaction = begin(on_behalf_of(call), self._clock.now())
            converted, conversion = self._compose(transaction, proposal, call)
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue  # the lead, the account or the domain changed meanwhile: look again
            return ConversionReceipt(converted, conversion, created=True)
        raise Unavailable("what this lead would become keeps changing; try again shortly", retry_after=1)

    def _writable(self, lead_id: str, call: CallContext) -> Lead:
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        return lead

    def _proposal(self, lead: Lead, wishes: Wishes, call: CallContext) -> Proposal:
        rules = self._settings.read(QualificationRules)
        account = self._choose.account(lead, wishes, rules, call)
        return Proposal(
            lead=lead,
            obstacles=obstacles(lead, rules),
            account=account,
            contact=self._choose.contact(lead, account.account, wishes, call),
            owner_id=self._owner(lead, account.account, wishes, call),
            deal_name=f"{account.account.name if account.account else account_name(lead)} – "
            f"{lead.interest_product or 'new business'}",
            value=budget_amount(lead.budget_range, rules),
            expected_close=expected_close(lead.timeline, self._clock.now(), rules),
        )

    def _owner(self, lead: Lead, account: Account | None, wishes: Wishes, call: CallContext) -> str:
        """The owner of the deal: the account's, or for a new account who is named, else the lead's."""
        if account is not None:
            if wishes.owner_id not in ("", account.owner_id):
                raise Invalid.field("owner_id", "CAP-12 account-owner", "the account has an owner", "leave it out")
            return account.owner_id
        if wishes.owner_id:
            if not self._roster.sellers({wishes.owner_id}):
                raise Invalid.field("owner_id", "SAFE-6 active-user", "no seller who is here", "the id of a seller")
            return wishes.owner_id
        return call.principal.id if lead.owner_id == UNASSIGNED else lead.owner_id

    # -- the transaction -----------------------------------------------------------------------------------------

    def _compose(self, transaction: Transaction, proposal: Proposal, call: CallContext) -> tuple[Lead, Conversion]:
        """Adds account, contact, link, deal, activity and the archived lead, in this order, and takes back the task of
        its nomination."""
        lead, now = proposal.lead, self._clock.now()
        deal_id, contact_id = self._ids.new("OPP"), self._ids.new("CON")
        account, made_primary = self._account(transaction, proposal, deal_id, now)
        contact = self._contact(transaction, proposal, account, contact_id, deal_id, now)
        deal = self._deal(transaction, proposal, account, contact, deal_id, now)
        activity = self._activity(transaction, proposal, deal, now)
        conversion = Conversion(
            at=now,
            by=call.principal.id,
            account_id=account.id,
            contact_id=contact.id,
            opportunity_id=deal.id,
            activity_id=activity.id,
            account_made=proposal.account.account is None,
            contact_made=proposal.contact.contact is None,
            account_by=proposal.account.by,
            contact_by=proposal.contact.by,
            made_primary=made_primary,
            value=deal.value,
            before=Before(status=lead.status, stage=lead.stage, account_id=lead.account_id),
        )
        archived = lead.revised(
            now,
            status=LeadStatus.CONVERTED,
            stage=LeadStage.CONVERTED,
            account_id=account.id,
            conversion=conversion,
            rescore_at=None,
        )
        LEADS.update(transaction, archived)
        withdraw_nominations(self._table, transaction, lead, now)
        return archived, conversion

    def _account(
        self, transaction: Transaction, proposal: Proposal, deal_id: str, now: datetime
    ) -> tuple[Account, bool]:
        """The account, and whether the person is the first primary one of an account that was there before."""
        lead, chosen = proposal.lead, proposal.account.account
        if chosen is None:
            account = Account(
                id=self._ids.new("ACC"),
                created_at=now,
                modified_at=now,
                name=account_name(lead),
                industry=lead.industry,
                company_size=lead.company_size,
                owner_id=proposal.owner_id,
                domain=domain_of(lead),
                primary_person_id=lead.person_id,
            )
            ACCOUNTS.create(transaction, account)
            if proposal.account.domain:
                claim(transaction, "domain", proposal.account.domain, account.id)
            return account, False
        built_on_account(self._table, chosen.id).add(transaction, deal_id)
        if proposal.contact.contact is None and not chosen.primary_person_id:
            account = chosen.revised(now, primary_person_id=lead.person_id)
            ACCOUNTS.update(transaction, account)
            return account, True
        transaction.check(ACCOUNTS.key(chosen.id), chosen.version)
        return chosen, False

    def _contact(
        self,
        transaction: Transaction,
        proposal: Proposal,
        account: Account,
        contact_id: str,
        deal_id: str,
        now: datetime,
    ) -> Contact:
        """The contact, linked to its account and, when it is the lead's own person, to the person."""
        lead, chosen = proposal.lead, proposal.contact.contact
        if chosen is not None:
            built_on_contact(self._table, chosen.id).add(transaction, deal_id)
            transaction.check(CONTACTS.key(chosen.id), chosen.version)
            contact = chosen
        else:
            rules = self._settings.read(QualificationRules)
            contact = Contact(
                id=contact_id,
                created_at=now,
                modified_at=now,
                person_id=lead.person_id,
                account_id=account.id,
                role=contact_role(lead.authority_level),
                preferred_channel=preferred_channel(lead),
                influence=influence(lead.authority_level, rules),
                primary=account.primary_person_id == lead.person_id,
                lead_id=lead.id,
                **{name: getattr(lead, name) for name in CARRIED},
            )
            CONTACTS.create(transaction, contact)
        roles = self._table.get(person_key(lead.person_id))
        if roles is not None and contact.person_id == lead.person_id:
            transaction.put(with_contact(roles, contact.id), roles.version)
        return contact

    def _deal(
        self,
        transaction: Transaction,
        proposal: Proposal,
        account: Account,
        contact: Contact,
        deal_id: str,
        now: datetime,
    ) -> Opportunity:
        lead = proposal.lead
        deal = Opportunity(
            id=deal_id,
            created_at=now,
            modified_at=now,
            name=proposal.deal_name,
            account_id=account.id,
            primary_contact_id=contact.id,
            value=proposal.value,
            stage=_STAGE,
            probability=STAGE_PROBABILITY[_STAGE],
            expected_close=proposal.expected_close,
            owner_id=proposal.owner_id,
            source=lead.attribution.source,
            description=f"Budget: {lead.budget_range or 'not stated'}. Timeline: {lead.timeline or 'not stated'}.",
            lead_id=lead.id,
        )
        OPPORTUNITIES.create(transaction, deal)
        return deal

    def _activity(self, transaction: Transaction, proposal: Proposal, deal: Opportunity, now: datetime) -> Activity:
        lead = proposal.lead
        activity = Activity(
            id=self._ids.new("ACT"),
            created_at=now,
            modified_at=now,
            type=ActivityType.NOTE,
            subject="Converted from a lead",
            related_to=deal.id,
            owner_id=proposal.owner_id,
            at=now,
            content=f"Lead {lead.id} of {lead.attribution.source} became this deal at a score of {lead.score}.",
            ref=lead.id,
        )
        ACTIVITIES.create(transaction, activity)
        return activity


def on_behalf_of(call: CallContext) -> CallContext:
    """The system acting for a caller: from the same place, in the same request."""
    return replace(call, principal=Principal("system:conversion", Role.SYSTEM), on_behalf_of=call.principal.id)


def _same_again(lead: Lead, conversion: Conversion, asked: Wishes) -> ConversionReceipt:
    for name, wanted, stands in (
        ("account_id", asked.account_id, conversion.account_id),
        ("contact_id", asked.contact_id, conversion.contact_id),
    ):
        if wanted not in ("", stands):
            raise Conflict(f"the lead is converted already, and its {name} is another", {name: stands})
    return ConversionReceipt(lead, conversion, created=False)


def _require_possible(proposal: Proposal) -> None:
    if proposal.obstacles:
        said = [each.model_dump() for each in proposal.obstacles]
        details = "; ".join(each.detail for each in proposal.obstacles)
        raise Refused(f"this lead cannot be converted: {details}", {"obstacles": said})
    if proposal.account.undecided:
        said = [each.model_dump() for each in proposal.account.candidates]
        raise Refused(
            "several accounts look like this lead's company: name one as account_id, or ask for new_account",
            {"candidates": said},
        )

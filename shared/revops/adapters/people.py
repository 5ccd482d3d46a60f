"""The people of this side, for syncing: leads and contacts behind one door."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from revops.billing.store import CUSTOMER, customer_for_account
from revops.crm.duplicates import listed_with
from revops.crm.intake import SubmitLead
from revops.crm.known import known_as, known_today
from revops.crm.model import Channel, Contact, Lead
from revops.crm.normalise import canonical_email, tidy
from revops.crm.policies.matching import MatchRules
from revops.crm.reading import Reading, move_identity, other_holders, validity
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, person_key, standing_at
from revops.crm.submission import LeadSubmission
from revops.kernel import Clock, Invalid, id_prefix, system_call, time_text
from revops.kernel.money import minor_digits
from revops.settings import SettingsReader
from revops.sync.fields import HubspotFields
from revops.sync.marks import dirty_marks, mark_dirty, push_message
from revops.sync.model import PersonField, PersonSnapshot, RemoteContact
from revops.table import Change, Table, Transaction, holder_of


class CrmPeople:
    """`PeopleDirectory` over leads and contacts. Once a person was converted, the contact is what is exchanged; the
    archived lead goes on saying what came of it. A person's subscription is that of the account they are the primary
    person of."""

    def __init__(self, table: Table, intake: SubmitLead, settings: SettingsReader) -> None:
        self._table = table
        self._intake = intake
        self._settings = settings

    def snapshot(self, person_id: str) -> PersonSnapshot | None:
        lead, contact = self._roles(person_id)
        role = contact or lead
        return None if role is None else self._of(role, lead)

    def find_by_email(self, email: str) -> str | None:
        canonical = canonical_email(email)
        holder = holder_of(self._table, "email", canonical.address) if canonical else None
        lead = LEADS.get(self._table, holder) if holder else None
        return lead.person_id if lead else None

    def create(self, transaction: Transaction, contact: RemoteContact, now: datetime) -> PersonSnapshot:  # noqa: ARG002 - the port tells the time; intake asks its own clock
        call = system_call("hubspot_sync", f"hubspot:{contact.id}")
        submission = LeadSubmission(
            channel=Channel.HUBSPOT,
            first_name=tidy(contact.text("firstname"))[:120],
            last_name=tidy(contact.text("lastname"))[:120],
            company=tidy(contact.text("company"))[:120],
            email=contact.text("email")[:320],
            phone=contact.text("phone")[:40],
            country=tidy(contact.text("country"))[:120],
            job_title=tidy(contact.text("jobtitle"))[:120],
        )
        reading = Reading.of(submission, call)
        if not reading.address and not reading.phone:
            raise Invalid.field("email", "CAP-10 reachable", "neither a usable e-mail nor a usable phone")
        account, resembles = self._intake.account_of(reading), self._intake.lookalikes(reading)
        lead = self._intake.compose(transaction, reading, account, call, resembles).lead
        return self._of(lead, lead)

    def update(
        self, transaction: Transaction, person: PersonSnapshot, changes: Mapping[PersonField, str], now: datetime
    ) -> PersonSnapshot:
        if id_prefix(person.record_id) == "CON":
            return self._update_contact(transaction, person, changes, now)
        lead = LEADS.require(self._table, person.record_id)
        if lead.version != person.record_version:
            lead = lead.model_copy(update={"version": person.record_version})  # the commit refuses it, as it must
        values: dict[str, object] = {name.value: tidy(value) for name, value in changes.items()}
        changed = lead.revised(now, **values, **validity(lead, values))
        holders = [standing_at(self._table, each) for each in other_holders(self._table, lead, changed)]
        if others := known_today(self._table, [each for each in holders if each is not None and each.id != lead.id]):
            changed = listed_with(self._table, transaction, changed, others, self._settings.read(MatchRules), now)
        LEADS.update(transaction, changed)
        move_identity(self._table, transaction, lead, changed)
        return self._of(changed, changed)

    def _update_contact(
        self, transaction: Transaction, person: PersonSnapshot, changes: Mapping[PersonField, str], now: datetime
    ) -> PersonSnapshot:
        """A contact's next version. What the person is known by follows: their claims and match entries go on naming
        the lead, with the contact's fields."""
        contact = CONTACTS.require(self._table, person.record_id)
        if contact.version != person.record_version:
            contact = contact.model_copy(update={"version": person.record_version})  # the commit refuses it
        changed = contact.revised(now, **{name.value: tidy(value) for name, value in changes.items()})
        CONTACTS.update(transaction, changed)
        lead = LEADS.get(self._table, contact.lead_id) if contact.lead_id else None
        if lead is not None:
            move_identity(self._table, transaction, known_as(lead, contact), known_as(lead, changed))
        return self._of(changed, lead)

    def _roles(self, person_id: str) -> tuple[Lead | None, Contact | None]:
        """A person's lead and, once they are one, their contact."""
        row = self._table.get(person_key(person_id))
        roles = json.loads(row.doc) if row else {}
        lead = LEADS.get(self._table, roles["lead"]) if roles.get("lead") else None
        contact = CONTACTS.get(self._table, roles["contact"]) if roles.get("contact") else None
        return lead, contact

    def _of(self, role: Lead | Contact, lead: Lead | None) -> PersonSnapshot:
        """The fields of the role; status and score are the lead's, which is the role or what it came from."""
        person = PersonSnapshot(
            person_id=role.person_id,
            record_id=role.id,
            record_version=role.version,
            modified_at=role.modified_at,
            email=role.email.strip(),
            first_name=role.first_name,
            last_name=role.last_name,
            phone=role.phone,
            company=role.company,
            job_title=role.job_title,
            created_at=time_text(lead.created_at if lead else role.created_at),
            lead_status=lead.status if lead else "",
            lead_score=str(lead.score) if lead else "",
        )
        return self._at_account(person, role.account_id)

    def _at_account(self, person: PersonSnapshot, account_id: str) -> PersonSnapshot:
        """With what a person has from the account they are at: its health and, as its primary person, its
        subscription."""
        account = ACCOUNTS.get(self._table, account_id) if account_id else None
        customer = None
        if account is not None and account.primary_person_id == person.person_id:
            customer = customer_for_account(self._table, account.id)
        currency = customer.currency.upper() if customer else ""
        value = customer.lifetime_value.get(currency, 0) if customer else 0
        return replace(
            person,
            subscription_plan=customer.plan if customer else "",
            subscription_status=customer.membership_status if customer else "",
            lifetime_value=str(Decimal(value).scaleb(-minor_digits(currency))) if customer else "",
            health_score=account.health if account else "",
            active_assets=str(customer.assets.get("active", 0)) if customer and customer.assets else "",
            pending_assets=str(customer.assets.get("pending", 0)) if customer and customer.assets else "",
        )


class MarkPeopleDirty:
    """`MarkDirty` for the stream: marks the people whose mapped fields a change touches, and says whom to push.

    A customer's change concerns the primary person of its account.
    """

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings

    def __call__(self, change: Change) -> list[Mapping[str, Any]]:
        """The messages for the HubSpot worker."""
        messages: list[Mapping[str, Any]] = []
        for mark in dirty_marks(self._with_people(change), self._settings.read(HubspotFields)):
            mark_dirty(self._table, mark, self._clock.now())
            messages.append(push_message(mark.person_id))
        return messages

    def _with_people(self, change: Change) -> Change:
        """A customer's change, naming the primary person of its account; any other as it is."""
        after = change.after
        if change.kind != CUSTOMER.kind or after is None:
            return change
        document = json.loads(after.doc)
        account_id = document.get("account_id", "")
        account = ACCOUNTS.get(self._table, account_id) if account_id else None
        if account is None or not account.primary_person_id:
            return change
        document["person_ids"] = [account.primary_person_id]
        return replace(change, after=replace(after, doc=json.dumps(document)))

"""Undoing a conversion (LEAD-8): possible while nothing was built on it, in one transaction, and all of it or nothing.

Nothing is deleted (CRM-1): what the conversion made is deactivated and leaves the lists and counts; the lead goes back
to where it was, with its data as it is now. A later conversion starts anew; a sequence that ended stays ended.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from revops.access import Policy, Resource
from revops.crm.activities import activities_about
from revops.crm.built_on import BuiltOn, built_on_account, built_on_contact, built_on_deal
from revops.crm.conversion import on_behalf_of
from revops.crm.factors import Conversion
from revops.crm.model import Account, Contact, Lead, LeadStatus, Opportunity
from revops.crm.notes import notes_about
from revops.crm.policies.conversion import Obstacle
from revops.crm.ports import AccountUses
from revops.crm.returning import give_back_to_lead
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES, person_key, with_contact
from revops.crm.tasks import TaskStatus, tasks_about
from revops.kernel import CallContext, Clock, Refused, Unavailable, VersionConflict
from revops.table import ConditionFailed, Contention, Table, Transaction, attempts, begin, holder_of, release

_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class _Made:
    """What a conversion made or used, as it stands, with what stands on it. The notes are read first."""

    conversion: Conversion
    on_account: BuiltOn
    on_contact: BuiltOn
    on_deal: BuiltOn
    account: Account
    contact: Contact
    deal: Opportunity


class UndoConversion:
    """Takes a conversion back, on behalf of whoever may change the lead."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        policy: Policy,
        uses: AccountUses,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._uses = uses
        self._sleep = sleep
        self._jitter = jitter

    def __call__(self, lead_id: str, version: int, call: CallContext) -> Lead:
        """The lead as it is again. Raises NotFound, Forbidden, VersionConflict, Refused for a lead that is not
        converted and, with everything that stands in the way, for one on whose conversion something was built,
        Unavailable."""
        for _ in attempts(_ATTEMPTS, self._sleep, self._jitter):
            lead = LEADS.require(self._table, lead_id)
            self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
            if lead.version != version:
                raise VersionConflict(f"lead {lead_id} was changed by someone else", lead.version)
            if lead.conversion is None or lead.status is not LeadStatus.CONVERTED:
                raise Refused("the lead is not converted", {"obstacles": []})
            made, now = self._read(lead.conversion), self._clock.now()
            transaction = begin(on_behalf_of(call), now)
            found = list(self._in_the_way(transaction, made))
            if found:
                details = "; ".join(each.detail for each in found)
                raise Refused(
                    f"something was built on this conversion: {details}",
                    {"obstacles": [each.model_dump() for each in found]},
                )
            restored = self._compose(transaction, lead, made, now)
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue  # something changed meanwhile: look again whether it stands in the way
            return restored
        raise Unavailable("what this lead became keeps changing; try again shortly", retry_after=1)

    def _read(self, conversion: Conversion) -> _Made:
        return _Made(
            conversion,
            built_on_account(self._table, conversion.account_id),
            built_on_contact(self._table, conversion.contact_id),
            built_on_deal(self._table, conversion.opportunity_id),
            ACCOUNTS.require(self._table, conversion.account_id),
            CONTACTS.require(self._table, conversion.contact_id),
            OPPORTUNITIES.require(self._table, conversion.opportunity_id),
        )

    # -- what stands in the way ----------------------------------------------------------------------------------

    def _in_the_way(self, transaction: Transaction, made: _Made) -> Iterator[Obstacle]:
        """Adds to the transaction what proves at the commit that there still is nothing."""
        conversion = made.conversion
        if made.deal.version > 1:
            yield _obstacle("opportunity", f"deal {made.deal.id} was changed since")
        yield from _standing("opportunity", f"deal {made.deal.id}", made.on_deal)
        if conversion.contact_made:
            if made.contact.version > 1:
                yield _obstacle("contact", f"contact {made.contact.id} was changed since")
            yield from _standing("contact", f"contact {made.contact.id}", made.on_contact)
        if conversion.account_made:
            if made.account.version > 1:
                yield _obstacle("account", f"account {made.account.id} was changed since")
            yield from _standing("account", f"account {made.account.id}", made.on_account)
            customer = self._uses.hold_unused(transaction, made.account.id)
            if customer:
                yield _obstacle("customer", f"account {made.account.id} is customer {customer}")
        yield from self._timeline(made)

    def _timeline(self, made: _Made) -> Iterator[Obstacle]:
        """Activities and notes besides our own, and tasks that somebody made. They are found by an index, which may lag
        by a moment: one that is written at the same time stays and is about something that is not active any more."""
        about = [made.deal.id]
        about += [made.contact.id] if made.conversion.contact_made else []
        about += [made.account.id] if made.conversion.account_made else []
        for record in about:
            found = [each.id for each in activities_about(self._table, record)]
            found += [each.id for each in notes_about(self._table, record)]
            others = [each for each in found if each != made.conversion.activity_id]
            if others:
                yield _obstacle("activity", f"about {record} there are {', '.join(others[:5])}")
            tasks = [each for each in tasks_about(self._table, record) if not each.origin]
            if made_by_hand := [each.id for each in tasks if each.status is not TaskStatus.CANCELLED]:
                yield _obstacle("task", f"about {record} there are {', '.join(made_by_hand[:5])}")

    # -- the transaction -----------------------------------------------------------------------------------------

    def _compose(self, transaction: Transaction, lead: Lead, made: _Made, now: datetime) -> Lead:
        conversion = made.conversion
        OPPORTUNITIES.update(transaction, made.deal.revised(now, active=False))
        made.on_deal.hold(transaction)
        self._give_up_contact(transaction, lead, made, now)
        self._give_up_account(transaction, lead, made, now)
        give_back_to_lead(self._table, transaction, lead, made.account.id, now)
        restored = lead.revised(
            now,
            status=conversion.before.status,
            stage=conversion.before.stage,
            account_id=conversion.before.account_id,
            conversion=None,
            rescore_at=now,
        )
        LEADS.update(transaction, restored)
        return restored

    def _give_up_contact(self, transaction: Transaction, lead: Lead, made: _Made, now: datetime) -> None:
        roles = self._table.get(person_key(lead.person_id))
        if roles is not None and made.contact.person_id == lead.person_id:
            transaction.put(with_contact(roles, "" if made.conversion.contact_made else made.contact.id), roles.version)
        if not made.conversion.contact_made:
            made.on_contact.remove(transaction, made.deal.id)
            return
        CONTACTS.update(transaction, made.contact.revised(now, active=False, primary=False))
        made.on_contact.hold(transaction)

    def _give_up_account(self, transaction: Transaction, lead: Lead, made: _Made, now: datetime) -> None:
        account = made.account
        if made.conversion.account_made:
            ACCOUNTS.update(transaction, account.revised(now, active=False))
            made.on_account.hold(transaction)
            if account.domain and holder_of(self._table, "domain", account.domain) == account.id:
                release(transaction, "domain", account.domain)
            return
        made.on_account.remove(transaction, made.deal.id)
        if made.conversion.made_primary and account.primary_person_id == lead.person_id:
            ACCOUNTS.update(transaction, account.revised(now, primary_person_id=""))


def _standing(condition: str, what: str, on: BuiltOn) -> Iterator[Obstacle]:
    if not on.nothing:
        yield _obstacle(condition, f"on {what} stand {', '.join(on.ids)}{' and more' if on.more else ''}")


def _obstacle(condition: str, detail: str) -> Obstacle:
    return Obstacle(condition=condition, detail=detail)

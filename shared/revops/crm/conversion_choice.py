"""Which account and which contact a lead becomes: named by the caller, known already, or to be made (LEAD-8)."""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.crm.model import Account, Contact, Lead
from revops.crm.normalise import CanonicalEmail, canonical_email, tidy
from revops.crm.policies.conversion import Candidate, candidates, the_one
from revops.crm.policies.qualification import QualificationRules
from revops.crm.reading import company_domain
from revops.crm.store import ACCOUNTS, CONTACTS, accounts_named_like, contacts_of
from revops.kernel import CallContext, Invalid, NotFound, Principal
from revops.table import Table, holder_of

_SHOWN = 5


class Wishes(BaseModel):
    """What a caller may settle about a conversion. `new_account` makes one although others look alike."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    account_id: Annotated[str, Field(max_length=60)] = ""
    contact_id: Annotated[str, Field(max_length=60)] = ""
    new_account: bool = False
    owner_id: Annotated[
        str, Field(max_length=128, description="Who owns a new account and its deal; the lead's owner unless given")
    ] = ""


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """The account to use, None for a new one, and by which rule. `candidates` look alike by name; with `undecided` the
    caller has to choose among them. A new one takes `domain`, the mail domain that was nobody's when it was looked at:
    whoever took it meanwhile has the account that should be used."""

    account: Account | None
    by: str
    candidates: tuple[Candidate, ...] = ()
    undecided: bool = False
    domain: str = ""


@dataclass(frozen=True, slots=True)
class ContactChoice:
    """The contact to use, None for a new one, and by which rule."""

    contact: Contact | None
    by: str


class Choose:
    """Finds the account and the contact. What a caller names must be theirs to read; of what only looks alike, nobody
    is shown what they may not read (S1)."""

    def __init__(self, table: Table, policy: Policy) -> None:
        self._table = table
        self._policy = policy

    def account(self, lead: Lead, wishes: Wishes, rules: QualificationRules, call: CallContext) -> AccountChoice:
        """Raises NotFound for a named account or contact that is not there or not for this caller, Invalid for one
        that is not active or wishes that contradict each other."""
        if wishes.account_id:
            if wishes.new_account:
                raise Invalid.field("new_account", "LEAD-8 one-account", "an account is named", "one of the two")
            return AccountChoice(self._named(wishes.account_id, call.principal), "named by the caller")
        if wishes.contact_id and not wishes.new_account:
            contact = self._contact_named(wishes.contact_id, call.principal)
            return AccountChoice(self._named(contact.account_id, call.principal), "the named contact's")
        domain = domain_of(lead)
        holder = holder_of(self._table, "domain", domain) if domain else None
        free = domain if holder is None else ""
        if wishes.new_account:
            return AccountChoice(None, "a new one, as the caller wishes", domain=free)
        known = self._active(lead.account_id)
        if known is not None:
            return AccountChoice(known, "the lead's")
        known = self._active(holder or "")
        if known is not None:
            return AccountChoice(known, "company domain")
        return replace(self._by_name(lead, rules, call.principal), domain=free)

    def contact(self, lead: Lead, account: Account | None, wishes: Wishes, call: CallContext) -> ContactChoice:
        """Raises NotFound as `account`, Invalid for a contact of another account."""
        if wishes.contact_id:
            named = self._contact_named(wishes.contact_id, call.principal)
            if account is None or named.account_id != account.id:
                raise Invalid.field("contact_id", "LEAD-8 contact-of-account", "not a contact of this account")
            return ContactChoice(named, "named by the caller")
        email = canonical_email(lead.email) if lead.email.strip() else None
        if account is not None:
            for contact in contacts_of(self._table, account.id):
                if contact.person_id == lead.person_id or _same(email, contact.email):
                    return ContactChoice(contact, "e-mail" if _same(email, contact.email) else "the same person")
        return ContactChoice(None, "a new one")

    def _named(self, account_id: str, principal: Principal) -> Account:
        what = f"account {account_id}"
        account = ACCOUNTS.require(self._table, account_id)
        self._policy.require_read(principal, Resource.ACCOUNTS, account.owner_id, what)
        if not account.active:
            raise Invalid.field("account_id", "CRM-1 active", "this account is not active", "an active account")
        return account

    def _contact_named(self, contact_id: str, principal: Principal) -> Contact:
        contact = CONTACTS.require(self._table, contact_id)
        account = ACCOUNTS.get(self._table, contact.account_id)
        if account is None or not self._policy.reads(principal, Resource.CONTACTS, account.owner_id):
            raise NotFound(CONTACTS.title, contact_id)
        if not contact.active:
            raise Invalid.field("contact_id", "CRM-2 active", "this contact is not active", "an active contact")
        return contact

    def _active(self, account_id: str) -> Account | None:
        account = ACCOUNTS.get(self._table, account_id) if account_id else None
        return account if account is not None and account.active else None

    def _by_name(self, lead: Lead, rules: QualificationRules, principal: Principal) -> AccountChoice:
        readable = {
            account.id: account
            for account in accounts_named_like(self._table, lead.company)
            if self._policy.reads(principal, Resource.ACCOUNTS, account.owner_id)
        }
        found = candidates(lead.company, ((each.id, each.name) for each in readable.values()), rules)
        if not found:
            return AccountChoice(None, "a new one: no account is known by this name or domain")
        sure = the_one(found, rules)
        if sure is not None:
            return AccountChoice(readable[sure.account_id], "company name", found)
        return AccountChoice(None, "several accounts look alike", found[:_SHOWN], undecided=True)


def domain_of(lead: Lead) -> str:
    """The mail domain that stands for a lead's company, if one does."""
    return company_domain(canonical_email(lead.email)) if lead.email.strip() else ""


def _same(email: CanonicalEmail | None, other: str) -> bool:
    """Whether two have one address, and it is somebody's own: behind a role mailbox stand several people (CAP-11)."""
    if email is None or email.role:
        return False
    found = canonical_email(other) if other.strip() else None
    return found is not None and email.address == found.address


def account_name(lead: Lead) -> str:
    """What an account made of a lead is called."""
    return tidy(lead.company)

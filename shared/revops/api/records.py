"""Accounts, contacts, deals and the audit of any record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.analytics import ReadCounts
from revops.api.views import AccountView, ContactView, CountsView, OpportunityView
from revops.audit import AuditEntry, ReadAudit
from revops.billing.store import CUSTOMER
from revops.crm.model import Contact
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES
from revops.kernel import NotFound, id_prefix
from revops.orders.store import ORDERS
from revops.platform.http import Api
from revops.sales.store import CREDIT_REQUESTS, CREDITS, INVOICES, PAYMENTS, RENEWALS, SALES_ORDERS
from revops.table import EntityKind, Key, Table


class AuditView(BaseModel):
    """A record's history; `faults` says what is wrong with its hash chain and is empty when nothing is."""

    model_config = ConfigDict(defer_build=True)

    entries: list[AuditEntry]
    faults: list[str] = Field(default_factory=list, examples=[["version 4: the entry was altered"]])


@dataclass(frozen=True, slots=True)
class RecordUseCases:
    """What the record routes call."""

    table: Table
    policy: Policy
    audit: ReadAudit
    counts: ReadCounts


Located = tuple[Key, str]
"""Where a record stands, and whose it is."""

_AUDITABLE = {
    "LEAD": Resource.LEADS,
    "ACC": Resource.ACCOUNTS,
    "CON": Resource.CONTACTS,
    "OPP": Resource.OPPORTUNITIES,
    "ORD": Resource.ORDERS,
    "CUST": Resource.BILLING,
    **dict.fromkeys(("INV", "PAY", "CRD", "CRQ"), Resource.BILLING),
    **dict.fromkeys(("SO", "REN"), Resource.ORDERS),
}
"""Prefix of an id → as what its record is governed."""


def add_record_routes(api: Api, use: RecordUseCases) -> None:
    """Registers the routes."""

    @api.get("/api/v1/accounts/{account_id}", "One account", tag="crm", model=AccountView, errors=(401, 404))
    def get_account(account_id: str) -> AccountView:
        call = api.user_call()
        account = ACCOUNTS.require(use.table, account_id)
        use.policy.require_read(call.principal, Resource.ACCOUNTS, account.owner_id, f"account {account_id}")
        return AccountView.of(account)

    @api.get("/api/v1/contacts/{contact_id}", "One contact", tag="crm", model=ContactView, errors=(401, 404))
    def get_contact(contact_id: str) -> ContactView:
        call = api.user_call()
        contact, owner_id = _contact(use.table, contact_id)
        use.policy.require_read(call.principal, Resource.CONTACTS, owner_id, f"{CONTACTS.title} {contact_id}")
        return ContactView.of(contact)

    @api.get("/api/v1/opportunities/{opportunity_id}", "One deal", tag="crm", model=OpportunityView, errors=(401, 404))
    def get_opportunity(opportunity_id: str) -> OpportunityView:
        call = api.user_call()
        deal = OPPORTUNITIES.require(use.table, opportunity_id)
        what = f"{OPPORTUNITIES.title} {opportunity_id}"
        use.policy.require_read(call.principal, Resource.OPPORTUNITIES, deal.owner_id, what)
        return OpportunityView.of(deal)

    @api.get(
        "/api/v1/pipeline/counts",
        "Deals per stage, in number and value, of what the caller may see",
        tag="crm",
        model=CountsView,
        errors=(401, 403),
    )
    def count_pipeline() -> CountsView:
        return CountsView(counts=use.counts.pipeline(api.user_call()))

    @api.get(
        "/api/v1/audit/{entity_id}",
        "Who changed what in a lead, account, contact, deal, order or customer, with the state of its hash chain",
        tag="audit",
        model=AuditView,
        errors=(401, 403, 404),
    )
    def get_audit(entity_id: str) -> AuditView:
        call = api.user_call()
        resource = _AUDITABLE.get(id_prefix(entity_id))
        if resource is None:
            raise NotFound("record", entity_id)
        use.audit.require_any(resource, call)
        try:
            key, owner_id = _locate(use.table, resource, entity_id)
            entries, faults = use.audit(f"{key.pk}|{key.sk}", resource, owner_id, call)
        except NotFound as error:  # not there, or not for this caller: one answer for both
            raise NotFound("record", entity_id) from error
        return AuditView(entries=entries, faults=faults)


_FOLLOWING_SALES: Mapping[str, EntityKind[Any]] = {
    "INV": INVOICES,
    "PAY": PAYMENTS,
    "CRD": CREDITS,
    "CRQ": CREDIT_REQUESTS,
    "SO": SALES_ORDERS,
    "REN": RENEWALS,
}


def _contact(table: Table, contact_id: str) -> tuple[Contact, str]:
    """A contact, and whose it is: its account's owner's. Raises NotFound."""
    contact = CONTACTS.require(table, contact_id)
    return contact, ACCOUNTS.require(table, contact.account_id).owner_id


def _locate(table: Table, resource: Resource, entity_id: str) -> Located:
    """Raises NotFound. An order is its account's owner's, whoever handed it in; so is what follows it."""
    booked = _FOLLOWING_SALES.get(id_prefix(entity_id))
    if booked is not None:
        record = booked.require(table, entity_id)
        account = ACCOUNTS.get(table, record.account_id) if record.account_id else None
        return booked.key(entity_id), account.owner_id if account else ""
    match resource:
        case Resource.LEADS:
            return LEADS.key(entity_id), LEADS.require(table, entity_id).owner_id
        case Resource.ACCOUNTS:
            return ACCOUNTS.key(entity_id), ACCOUNTS.require(table, entity_id).owner_id
        case Resource.CONTACTS:
            return CONTACTS.key(entity_id), _contact(table, entity_id)[1]
        case Resource.OPPORTUNITIES:
            return OPPORTUNITIES.key(entity_id), OPPORTUNITIES.require(table, entity_id).owner_id
        case Resource.BILLING:
            customer = CUSTOMER.require(table, entity_id)
            account = ACCOUNTS.get(table, customer.account_id) if customer.account_id else None
            return CUSTOMER.key(entity_id), account.owner_id if account else ""
        case _:
            order = ORDERS.require(table, entity_id)
            return ORDERS.key(entity_id), ACCOUNTS.require(table, order.account_id).owner_id

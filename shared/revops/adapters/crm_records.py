"""Accounts and deals, for orders and billing: the CRM's stores behind their ports."""

from collections.abc import Iterable
from datetime import datetime

from revops.crm.built_on import built_on_account, built_on_deal
from revops.crm.model import (
    STAGE_PROBABILITY,
    Account,
    AccountLifecycle,
    AccountType,
    ForecastCategory,
    Lead,
    Opportunity,
    OpportunityStage,
    WinEvidence,
)
from revops.crm.normalise import canonical_email
from revops.crm.reading import company_domain
from revops.crm.store import ACCOUNTS, LEADS, OPPORTUNITIES
from revops.kernel import IdFactory, Invalid, id_prefix
from revops.orders.model import OrderForm
from revops.orders.policies.lifecycle import all_ended
from revops.orders.ports import AccountRef, NewAccount, NewOpportunity, OrderEvidence
from revops.orders.store import ORDERS
from revops.table import Table, Transaction, claim, holder_of


class StoredCrmRecords:
    """`CrmRecords` and `AccountDirectory` over the CRM's stores. Writes join the caller's transaction."""

    def __init__(self, table: Table, ids: IdFactory) -> None:
        self._table = table
        self._ids = ids

    def account(self, account_id: str) -> AccountRef:
        account = ACCOUNTS.require(self._table, account_id)
        return AccountRef(account.id, account.owner_id, account.stripe_customer_id)

    def owner_of(self, account_id: str) -> str | None:
        account = ACCOUNTS.get(self._table, account_id)
        return account.owner_id if account else None

    def create_account(self, transaction: Transaction, now: datetime, wanted: NewAccount) -> AccountRef:
        """A new account; the person whom the order names as its contact, if known, becomes its primary person.

        The first account of a mail domain claims it: whoever writes from there goes to its owner (CAP-12).
        """
        lead = self._person(wanted.contact_email)
        account = Account(
            id=self._ids.new("ACC"),
            created_at=now,
            modified_at=now,
            name=wanted.name,
            billing_address=wanted.billing_address,
            owner_id=wanted.owner_id,
            primary_person_id=lead.person_id if lead else "",
        )
        ACCOUNTS.create(transaction, account)
        domain = company_domain(canonical_email(wanted.contact_email))
        if domain and holder_of(self._table, "domain", domain) is None:
            claim(transaction, "domain", domain, account.id)
        if lead is not None and not lead.account_id:
            LEADS.update(transaction, lead.revised(now, account_id=account.id))
        return AccountRef(account.id, account.owner_id)

    def _person(self, email: str) -> Lead | None:
        canonical = canonical_email(email)
        holder = holder_of(self._table, "email", canonical.address) if canonical else None
        return LEADS.get(self._table, holder) if holder else None

    def require_open_opportunity(self, opportunity_id: str, account_id: str) -> None:
        deal = OPPORTUNITIES.get(self._table, opportunity_id)
        if deal is None or deal.account_id != account_id or not deal.active:
            raise Invalid.field("opportunity_id", "ORD-2 own-deal", "not a deal of this account")
        if deal.stage.closed:
            raise Invalid.field("opportunity_id", "ORD-2 open-deal", f"the deal is {deal.stage}", "an open deal")

    def build_on(self, transaction: Transaction, account_id: str, opportunity_id: str, order_id: str) -> None:
        notes = [built_on_account(self._table, account_id)]  # read before what they are about
        if opportunity_id:
            notes.append(built_on_deal(self._table, opportunity_id))
            self.require_open_opportunity(opportunity_id, account_id)
        if not ACCOUNTS.require(self._table, account_id).active:
            raise Invalid.field("account_id", "CRM-1 active", "this account is not active", "an active account")
        for note in notes:
            note.add(transaction, order_id)

    def open_opportunity(self, transaction: Transaction, now: datetime, wanted: NewOpportunity) -> str:
        stage = OpportunityStage.PROPOSAL_SENT
        deal = Opportunity(
            id=self._ids.new("OPP"),
            created_at=now,
            modified_at=now,
            name=wanted.name,
            account_id=wanted.account_id,
            value=wanted.value,
            stage=stage,
            probability=STAGE_PROBABILITY[stage],
            forecast_category=ForecastCategory.MOST_LIKELY,
            expected_close=wanted.expected_close,
            owner_id=wanted.owner_id,
            source=wanted.source,
        )
        OPPORTUNITIES.create(transaction, deal)
        if wanted.order_id:
            built_on_deal(self._table, deal.id).add(transaction, wanted.order_id)
        return deal.id

    def record_signature(
        self, transaction: Transaction, now: datetime, opportunity_id: str, evidence: OrderEvidence
    ) -> None:
        deal = OPPORTUNITIES.require(self._table, opportunity_id)
        if not deal.stage.closed:
            said = f"Signed on {evidence.signed_on.isoformat()} (order {evidence.order_id})"
            OPPORTUNITIES.update(
                transaction,
                deal.revised(
                    now,
                    description=f"{deal.description}\n{said}".strip(),
                    stage=OpportunityStage.NEGOTIATION,
                    probability=max(deal.probability, STAGE_PROBABILITY[OpportunityStage.NEGOTIATION]),
                ),
            )

    def mark_won(self, transaction: Transaction, now: datetime, opportunity_id: str, evidence: OrderEvidence) -> None:
        deal = OPPORTUNITIES.require(self._table, opportunity_id)
        if deal.stage is OpportunityStage.CLOSED_WON:
            return
        proof = WinEvidence(order_id=evidence.order_id, kind="order_form", subscription_id=evidence.subscription_id)
        OPPORTUNITIES.update(
            transaction,
            deal.revised(now, stage=OpportunityStage.CLOSED_WON, probability=100, closed_at=now, evidence=proof),
        )
        account = ACCOUNTS.require(self._table, deal.account_id)
        if account.type is not AccountType.CUSTOMER:
            customer = account.revised(now, type=AccountType.CUSTOMER, lifecycle=AccountLifecycle.CUSTOMER)
            ACCOUNTS.update(transaction, customer)

    def owners_of(self, account_ids: Iterable[str]) -> dict[str, str]:
        keys = [ACCOUNTS.key(identifier) for identifier in sorted(set(account_ids))]
        found = ACCOUNTS.load_all(self._table.get_many(keys)) if keys else []
        return {account.id: account.owner_id for account in found}

    def close_lost(self, transaction: Transaction, now: datetime, order: OrderForm, reason: str) -> None:
        note = built_on_deal(self._table, order.opportunity_id)  # read before what it is about
        deal = OPPORTUNITIES.require(self._table, order.opportunity_id)
        if deal.stage.closed:
            return
        keys = [ORDERS.key(each) for each in note.ids if id_prefix(each) == "ORD" and each != order.id]
        others = ORDERS.load_all(self._table.get_many(keys)) if keys else []
        note.hold(transaction)
        if note.more or not all_ended(others) or not any(each.opened_opportunity for each in (order, *others)):
            return
        said = f"{deal.description}\nLost: {reason}".strip()
        OPPORTUNITIES.update(
            transaction,
            deal.revised(now, stage=OpportunityStage.CLOSED_LOST, probability=0, closed_at=now, description=said),
        )

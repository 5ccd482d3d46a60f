"""Requests to end a subscription, the order's own steps, accounts to adopt into: the other slices behind the ports of
`reconcile`."""

from collections.abc import Callable
from datetime import datetime

from revops.billing import ConvergeCustomer
from revops.billing.cancellation import CANCELLATIONS, CancellationState, Mode, cancellation_id
from revops.billing.store import CUSTOMER, customer_for_account, customer_of_payer
from revops.crm.model import Account
from revops.crm.normalise import canonical_email, company_core
from revops.crm.policies.conversion import candidates, the_one
from revops.crm.policies.matching import Features, flags_of
from revops.crm.policies.qualification import QualificationRules
from revops.crm.reading import company_domain
from revops.crm.store import ACCOUNTS, accounts_named_like
from revops.kernel import CallContext, IdFactory
from revops.orders.changing import ChangeSubscription
from revops.orders.decisions import Amendment, ResumeOrder
from revops.orders.policies.timeline import Timeline
from revops.reconcile.adopting_ports import AccountCard, Known, NameMatch, PayerCard
from revops.reconcile.ports import EndWish
from revops.settings import SettingsReader
from revops.table import Table, Transaction, claim, holder_of

_WANTED = {CancellationState.REQUESTED, CancellationState.SCHEDULED, CancellationState.CANCELLED}


class StoredEndWishes:
    """`EndWishes` over billing's cancellations."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def wanted(self, account_id: str, subscription_id: str) -> EndWish | None:
        customer = customer_for_account(self._table, account_id) if subscription_id else None
        if customer is None:
            return None
        wish = CANCELLATIONS.get(self._table, cancellation_id(customer.id, subscription_id))
        if wish is None or wish.mode is Mode.KEEP or wish.state not in _WANTED:
            return None
        planned = wish.ends_at if wish.state is CancellationState.SCHEDULED else None
        return EndWish(int(planned.timestamp()) if planned else 0)


class OrderWork:
    """`OrderDesk` over the use cases of orders, each made when it is first needed."""

    def __init__(self, resume: Callable[[], ResumeOrder], change: Callable[[], ChangeSubscription]) -> None:
        self._resume = resume
        self._change = change

    def resume(self, order_id: str, call: CallContext) -> None:
        self._resume()(order_id, Amendment(), call)

    def converge(self, timeline: Timeline, subscription_id: str, call: CallContext) -> None:
        self._change().converge(timeline, subscription_id, call)


class ConvergedProfiles:
    """`Profiles` over billing's converge."""

    def __init__(self, converge: ConvergeCustomer) -> None:
        self._converge = converge

    def adopt(self, payer: str, call: CallContext) -> None:
        self._converge.converge_payer(payer, call)


class CrmAccounts:
    """`Accounts` over the CRM's store, with the matcher that conversion goes by."""

    def __init__(self, table: Table, ids: IdFactory, settings: SettingsReader) -> None:
        self._table = table
        self._ids = ids
        self._settings = settings

    def known(self, card: PayerCard) -> Known:
        domain = company_domain(canonical_email(card.email)) if card.email.strip() else ""
        holder = holder_of(self._table, "domain", domain) if domain else None
        rules = self._settings.read(QualificationRules)
        alike = {each.id: each for each in accounts_named_like(self._table, card.name)} if card.name.strip() else {}
        found = candidates(card.name, ((each.id, each.name) for each in alike.values()), rules)
        by_domain = self.active(holder or "")
        sure = the_one(found, rules)
        matches = [NameMatch(_card(alike[each.account_id]), each.similarity) for each in found]
        if by_domain is not None and card.name.strip() and by_domain.id not in alike:
            # its name may begin with another word, which the index of names does not see
            own = candidates(card.name, [(by_domain.id, by_domain.name)], rules)
            matches += [NameMatch(by_domain, each.similarity) for each in own]
        return Known(
            domain=domain,
            named=self.active(card.account_id),
            profile=self._profile(card.id),
            by_domain=by_domain,
            domain_likeness=max((each.similarity for each in matches if by_domain == each.account), default=0.0),
            by_name=tuple(
                NameMatch(each.account, each.similarity, _flags(card.name, each.account.name)) for each in matches
            ),
            sure=sure.account_id if sure else "",
        )

    def active(self, account_id: str) -> AccountCard | None:
        account = ACCOUNTS.get(self._table, account_id) if account_id else None
        return _card(account) if account is not None and account.active else None

    def create(self, transaction: Transaction, now: datetime, card: PayerCard, domain: str, owner_id: str) -> str:
        account = Account(
            id=self._ids.new("ACC"),
            created_at=now,
            modified_at=now,
            name=card.name or domain or card.id,
            billing_address=card.address,
            owner_id=owner_id,
            domain=domain,
        )
        ACCOUNTS.create(transaction, account)
        if domain:
            claim(transaction, "domain", domain, account.id)
        return account.id

    def link(self, transaction: Transaction, now: datetime, account_id: str, payer: str) -> bool:
        account = ACCOUNTS.require(self._table, account_id)
        if account.stripe_customer_id:
            return False
        ACCOUNTS.update(transaction, account.revised(now, stripe_customer_id=payer))
        return True

    def _profile(self, payer: str) -> AccountCard | None:
        customer_id = customer_of_payer(self._table, payer)
        customer = CUSTOMER.get(self._table, customer_id) if customer_id else None
        return self.active(customer.account_id) if customer is not None and customer.account_id else None


def _card(account: Account) -> AccountCard:
    return AccountCard(account.id, account.name)


def _flags(one: str, other: str) -> tuple[str, ...]:
    """What is odd about two names beside one another (S14); nothing about names that are the same."""
    if company_core(one) == company_core(other):
        return flags_of(Features("", "", one, None, ""), Features("", "", "", None, ""))
    return flags_of(Features("", "", one, None, ""), Features("", "", other, None, ""))

"""Handing an order form in: account, opportunity and order in one transaction (ORD-1, ORD-2); or a change of one that
runs (ORD-5)."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, Conflict, Forbidden, IdFactory, Invalid, Money, add_months, canonical_json
from revops.orders.amending import ChangeSubmission, added_value, changed_terms, hold_change, require_base
from revops.orders.findings import FindOdd
from revops.orders.model import Address, OrderForm, OrderKind, OrderSubmission, OrderTerms, Step, StepRecord
from revops.orders.policies.pricing import PlanCatalogue, contract_value
from revops.orders.policies.terms import renewal_day, require_acceptable
from revops.orders.ports import AccountRef, CrmRecords, NewAccount, NewOpportunity
from revops.orders.reviews import Review
from revops.orders.store import ORDERS, add_step
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Row, Table, Transaction, begin, claim, claim_key

_CLAIM = "order-request"
_CLAIM_KEPT = timedelta(days=30)
_DERIVED = {"account_id", "opportunity_id", "list_price", "renewal_date"}


@dataclass(frozen=True, slots=True)
class SubmissionReceipt:
    """The order, and whether this call made it or an earlier one with the same idempotency key."""

    order: OrderForm
    created: bool


class SubmitOrder:
    """Takes an order form in. The caller owns what it creates."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        crm: CrmRecords,
        policy: Policy,
        settings: SettingsReader,
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._crm = crm
        self._policy = policy
        self._settings = settings
        self._find = FindOdd(settings)

    def __call__(
        self, submission: OrderSubmission | ChangeSubmission, call: CallContext, idempotency_key: str = ""
    ) -> SubmissionReceipt:
        """Raises Invalid, NotFound (the account, the order to be changed), Forbidden, and Conflict for a key that stood
        for another request."""
        fingerprint = _fingerprint(submission)
        claimed = f"{call.principal.id}\0{idempotency_key}" if idempotency_key else ""
        if claimed:
            row = self._table.get(claim_key(_CLAIM, claimed))
            if row is not None:
                return self._earlier(row, fingerprint)
        now = self._clock.now()
        transaction = begin(call, now)
        if isinstance(submission, ChangeSubmission):
            order = self._change(transaction, submission, call, now)
        else:
            order = self._new(transaction, submission, call, now)
        if claimed:
            expires = int((now + _CLAIM_KEPT).timestamp())
            claim(transaction, _CLAIM, claimed, order.id, ttl=expires, note=fingerprint)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            failure = error.at(claim_key(_CLAIM, claimed)) if claimed else None
            if failure is None or failure.current is None:
                raise Conflict("the account or the deal changed meanwhile; submit again") from error
            return self._earlier(failure.current, fingerprint)
        return SubmissionReceipt(order, created=True)

    def _new(
        self, transaction: Transaction, submission: OrderSubmission, call: CallContext, now: datetime
    ) -> OrderForm:
        if submission.kind is not OrderKind.NEW:
            message = f"{submission.kind} names the order it changes"
            raise Invalid.field("amends", "required", message, "the id of an Active order form")
        terms = self._terms(submission)
        require_acceptable(terms, self._settings.read(PlanCatalogue), now.date())
        account = self._account(submission, call)
        owner_id, order_id = call.principal.id, self._ids.new("ORD")
        if account is not None:
            self._crm.build_on(transaction, account.id, submission.opportunity_id, order_id)
        else:
            company = NewAccount(
                terms.legal_entity_name, address_text(terms.billing_address), owner_id, terms.contact_email
            )
            account = self._crm.create_account(transaction, now, company)
        opportunity_id = submission.opportunity_id
        if not opportunity_id:
            deal = _deal_of(terms, account.id, owner_id, order_id)
            opportunity_id = self._crm.open_opportunity(transaction, now, deal)
        order = OrderForm(
            id=order_id,
            created_at=now,
            modified_at=now,
            status_since=now,
            account_id=account.id,
            opportunity_id=opportunity_id,
            opened_opportunity=not submission.opportunity_id,
            owner_id=owner_id,
            terms=terms,
            review=self._warned(terms, now),
        )
        return _added(transaction, order)

    def _change(
        self, transaction: Transaction, submission: ChangeSubmission, call: CallContext, now: datetime
    ) -> OrderForm:
        before = ORDERS.require(self._table, submission.amends)
        account = self._crm.account(before.account_id)
        what = f"order form {before.id}"
        self._policy.require_write(call.principal, Resource.ORDERS, account.owner_id, what)
        base = require_base(self._table, before, submission, now)
        catalogue = self._settings.read(PlanCatalogue)
        currency = before.terms.currency
        listed = {
            plan: price for plan in catalogue.plans if (price := catalogue.seat_price(plan, currency)) is not None
        }
        terms = changed_terms(before, submission, listed)
        require_acceptable(terms, catalogue, now.date())
        if submission.opportunity_id:
            self._crm.require_open_opportunity(submission.opportunity_id, account.id)
        order_id = self._ids.new("ORD")
        hold_change(self._table, transaction, base, submission.kind, order_id)
        self._crm.build_on(transaction, account.id, submission.opportunity_id, order_id)
        opportunity_id = submission.opportunity_id
        deal = None if opportunity_id else _deal_of_change(before, terms, submission, call.principal.id, order_id)
        if deal is not None:
            opportunity_id = self._crm.open_opportunity(transaction, now, deal)
        order = OrderForm(
            id=order_id,
            created_at=now,
            modified_at=now,
            status_since=now,
            kind=submission.kind,
            amends=before.id,
            account_id=account.id,
            opportunity_id=opportunity_id,
            opened_opportunity=deal is not None,
            owner_id=call.principal.id,
            terms=terms,
            day_of_month=renewal_day(before) if submission.kind is OrderKind.AMENDMENT else 0,
            review=self._warned(terms, now, submission.kind, before),
        )
        return _added(transaction, order)

    def _warned(
        self, terms: OrderTerms, now: datetime, kind: OrderKind = OrderKind.NEW, base: OrderForm | None = None
    ) -> Review:
        """What is told at once: it holds nothing up now, and will later."""
        return Review(findings=tuple(each for each in self._find(terms, now, kind, base) if not each.needs_approval))

    def _account(self, submission: OrderSubmission, call: CallContext) -> AccountRef | None:
        """The account that was named, if the caller may order for it; None when one is to be made."""
        self._policy.require_any(call.principal, Resource.ORDERS, write=True)
        if not submission.account_id:
            if submission.opportunity_id:
                raise Invalid.field("account_id", "required", "a deal belongs to an account", "the deal's account")
            return None
        account = self._crm.account(submission.account_id)
        self._policy.require_read(
            call.principal, Resource.ACCOUNTS, account.owner_id, f"account {submission.account_id}"
        )
        if not self._policy.writes(call.principal, Resource.ORDERS, account.owner_id):
            raise Forbidden("this account is someone else's; its owner submits its orders")
        if submission.opportunity_id:
            self._crm.require_open_opportunity(submission.opportunity_id, account.id)
        return account

    def _terms(self, submission: OrderSubmission) -> OrderTerms:
        price = submission.list_price
        if price is None:
            price = self._settings.read(PlanCatalogue).seat_price(submission.plan, submission.currency)
        if price is None:
            raise Invalid.field(
                "list_price", "required", f"{submission.plan} has no list price in {submission.currency}", "minor units"
            )
        end = submission.renewal_date or add_months(submission.start_date, submission.term_months)
        if end <= submission.start_date:
            raise Invalid.field("renewal_date", "after-start", "not after start_date", "a later date")
        agreed = {name: getattr(submission, name) for name in OrderTerms.model_fields if name not in _DERIVED}
        return OrderTerms(**agreed, list_price=price, renewal_date=end)

    def _earlier(self, row: Row, fingerprint: str) -> SubmissionReceipt:
        doc = json.loads(row.doc)
        if doc.get("note") != fingerprint:
            raise Conflict("this Idempotency-Key was used for another order form; take a new one")
        return SubmissionReceipt(ORDERS.require(self._table, str(doc["holder"])), created=False)


def _fingerprint(submission: OrderSubmission | ChangeSubmission) -> str:
    """Of what was said. A change that says null and one that says nothing are two: null takes a cap away."""
    said = submission.model_dump(mode="json", exclude_unset=isinstance(submission, ChangeSubmission))
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def address_text(address: Address) -> str:
    """An address on one line."""
    town = f"{address.postal_code} {address.city}".strip()
    return ", ".join(part for part in (address.line1, address.line2, town, address.state, address.country) if part)


def _added(transaction: Transaction, order: OrderForm) -> OrderForm:
    """Adds a new order with the record of its submission."""
    ORDERS.create(transaction, order)
    at, by = order.created_at, order.owner_id
    add_step(
        transaction,
        order,
        StepRecord(name=Step.SUBMIT, started_at=at, ended_at=at, actor=by, attempt=1, status=order.status),
    )
    return order


def _deal_of(terms: OrderTerms, account_id: str, owner_id: str, order_id: str) -> NewOpportunity:
    """The deal that an order opens when it names none."""
    return NewOpportunity(
        name=f"{terms.legal_entity_name} – {terms.plan}",
        account_id=account_id,
        value=Money(minor=contract_value(terms), currency=terms.currency),
        expected_close=terms.start_date,
        owner_id=owner_id,
        order_id=order_id,
    )


def _deal_of_change(
    before: OrderForm, terms: OrderTerms, submission: ChangeSubmission, owner_id: str, order_id: str
) -> NewOpportunity | None:
    """The deal that a change opens, if it is one."""
    renews, added = submission.kind is OrderKind.RENEWAL, added_value(before.terms, terms)
    deal = submission.deal or ("renewal" if renews else "upsell" if added > 0 else "none")
    if deal == "none":
        return None
    value = contract_value(terms) if deal == "renewal" else max(added, 0)
    opened = _deal_of(terms, before.account_id, owner_id, order_id)
    title = deal.capitalize()
    worth = Money(minor=value, currency=terms.currency)
    return replace(opened, name=f"{opened.name} ({title})", value=worth, source=title)

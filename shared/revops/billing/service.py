"""Converging a customer on what Stripe says now (STR-2, 3, 6)."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from revops.billing.meters import add_meter_report
from revops.billing.model import BillingFacts, Customer, merged_facts
from revops.billing.policies import MembershipPolicy, has_ended, leading_subscription, membership_status
from revops.billing.ports import (
    AccountDirectory,
    Concern,
    EventReader,
    StripeEvent,
    StripeGateway,
    StripeRefused,
)
from revops.billing.record import Told, add_to_log, write_notes
from revops.billing.store import (
    ACCOUNT,
    CUSTOMER,
    PAYER,
    customer_of_payer,
    fence_at,
    pass_fence,
)
from revops.inbox import INBOX, InboxEntry, Settlement
from revops.kernel import CallContext, Clock, IdFactory, Invalid
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Table, Transaction, begin, claim, holder_of

MAX_RACES = 8
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stood in the table *before* Stripe was asked. `fence` is what makes a later commit notice a newer one."""

    customer: Customer | None
    fence: int


class Settled(StrEnum):
    """What became of a signal."""

    APPLIED = "applied"
    REPORTED = "reported"
    IGNORED = "ignored"
    DEAD = "dead"
    BEFORE = "settled before"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a signal of a type; `count` is of the usage events that a report is about."""

    settled: Settled
    event_type: str
    count: int = 0


class ConvergeCustomer:
    """Makes the table agree with Stripe about one customer: profile, status, activity log, notes.

    The order is what makes it right: read our fence, then fetch, then commit against the fence. Whoever committed in
    between fetched at another time, so nothing that was fetched here is trusted any more and all of it is fetched
    again. A worker that lost more than eight races gives the message back.
    """

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        stripe: StripeGateway,
        read: EventReader,
        accounts: AccountDirectory,
        settings: SettingsReader,
        settlement: Settlement,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Who lost a race waits a little (`sleep`, spread by `jitter`): one act of a customer makes a dozen events at
        once, and workers that all ask again at once lose again at once."""
        self._table = table
        self._clock = clock
        self._ids = ids
        self._sleep = sleep
        self._jitter = jitter
        self._stripe = stripe
        self._read = read
        self._accounts = accounts
        self._settings = settings
        self._settlement = settlement

    def __call__(self, inbox_id: str, call: CallContext) -> "Outcome":
        """Settles one inbox entry: applied together with its effects, ignored because it is of no concern here, or dead
        with Stripe's reason.

        Raises Unavailable or Contention when it should be tried again.
        """
        entry = self._settlement.load(inbox_id)
        if not entry.waiting:
            return Outcome(Settled.BEFORE, entry.event_type)
        try:
            event = self._read(entry.body)
            if event.concern is Concern.NOBODY:
                self._settlement.ignored(entry, f"nothing here acts upon {event.type}", call)
                return Outcome(Settled.IGNORED, entry.event_type)
            if event.concern is Concern.METER:
                return self._report(event, entry, call)
            payer = event.payer or self._stripe.payer_of(event.object_type, event.object_id)
            self._converge(payer, event, entry, call)
        except (Invalid, StripeRefused) as error:
            self._settlement.dead(entry, error.detail, call)
            return Outcome(Settled.DEAD, entry.event_type)
        return Outcome(Settled.APPLIED, entry.event_type)

    def _report(self, event: StripeEvent, entry: InboxEntry, call: CallContext) -> "Outcome":
        """Usage that Stripe did not take: kept for the operators in the transaction that settles the event."""
        transaction = begin(call, self._clock.now())
        errors = self._stripe.meter_errors(event.id)
        add_meter_report(self._table, transaction, event, errors, self._clock.now())
        self._settlement.applied(transaction, entry)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            if error.at(INBOX.key(entry.id)):
                return Outcome(Settled.BEFORE, entry.event_type)
            raise Contention("another worker keeps the same report") from error
        return Outcome(Settled.REPORTED, entry.event_type, errors.count)

    def converge(self, customer_id: str, call: CallContext) -> None:
        """Converges without an event: the clock changed the status, or somebody asks whether we still agree.

        Raises NotFound, StripeRefused, Unavailable, Contention.
        """
        self._converge(CUSTOMER.require(self._table, customer_id).payers[0], None, None, call)

    def converge_payer(self, payer: str, call: CallContext) -> None:
        """Converges on a payer without an event, whether or not there is a profile of it yet: somebody adopted it
        (STR-8). Raises StripeRefused, Unavailable, Contention."""
        self._converge(payer, None, None, call)

    def _converge(
        self, payer: str | None, event: StripeEvent | None, entry: InboxEntry | None, call: CallContext
    ) -> None:
        for race in range(MAX_RACES):
            if race:
                self._sleep(self._jitter() * min(_LONGEST_WAIT, _FIRST_WAIT * 2**race))
            try:
                transaction = begin(call, self._clock.now())
                if payer is not None:
                    self._apply(transaction, payer, event)
                if entry is not None:
                    self._settlement.applied(transaction, entry, "" if payer else "it concerns no payer")
                self._table.commit(transaction)
                return
            except ConditionFailed as error:
                if entry is not None and error.at(INBOX.key(entry.id)):
                    return  # another worker settled this entry
        raise Contention("others keep converging the same customer; try again shortly")

    def _apply(self, transaction: Transaction, payer: str, event: StripeEvent | None) -> None:
        now = self._clock.now()
        seen = self._seen(payer)
        facts = self._facts(payer, seen)
        if seen.customer is None and facts.account_id:
            adopted = self._seen_of_account(facts.account_id)
            if adopted is not None:  # the account has a customer: this is one more payer of it
                seen = adopted
                facts = self._facts(payer, seen)
        policy = self._settings.read(MembershipPolicy)
        before = seen.customer
        owner = self._owner((before.account_id if before else "") or facts.account_id)
        after = self._customer(transaction, payer, before, facts, owner is not None, now)
        after = after.model_copy(update={"owner_id": (owner or "") if after.account_id else ""})
        told = Told(event.occurrence, event.created, event.id) if event and event.occurrence else None
        if told is not None:
            add_to_log(self._table, transaction, after, told, facts, now)
            contacts = [moment for moment in (after.last_contact_at, told.at) if moment is not None]
            after = after.model_copy(update={"last_contact_at": max(contacts)})
        self._write(transaction, before, after, now)
        pass_fence(transaction, after.id, seen.fence)
        write_notes(self._table, transaction, after, facts, told, owner or "", policy, now)

    def _seen(self, payer: str) -> _Seen:
        customer_id = customer_of_payer(self._table, payer)
        return _Seen(None, 0) if customer_id is None else self._seen_customer(customer_id)

    def _seen_of_account(self, account_id: str) -> _Seen | None:
        customer_id = holder_of(self._table, ACCOUNT, account_id)
        return None if customer_id is None else self._seen_customer(customer_id)

    def _seen_customer(self, customer_id: str) -> _Seen:
        fence = fence_at(self._table, customer_id)
        return _Seen(CUSTOMER.require(self._table, customer_id), fence)

    def _facts(self, payer: str, seen: _Seen) -> BillingFacts:
        known = seen.customer.payers if seen.customer else ()
        return merged_facts(tuple(self._stripe.facts(each) for each in sorted({*known, payer})))

    def _owner(self, account_id: str) -> str | None:
        return self._accounts.owner_of(account_id) if account_id else None

    def _customer(
        self,
        transaction: Transaction,
        payer: str,
        before: Customer | None,
        facts: BillingFacts,
        account_exists: bool,
        now: datetime,
    ) -> Customer:
        """The profile as the facts make it, with the claims of what is new about it. A first one is made because its
        account had none: whoever made one since then fails the commit, and is found."""
        converged = _converged(facts, now, self._settings.read(MembershipPolicy))
        if before is None:
            identity = {"id": self._ids.new("CUST"), "created_at": now, "modified_at": now, "payers": (payer,)}
            after = Customer.model_validate(identity | converged)
        else:
            after = before.model_copy(update=converged)
        if payer not in (before.payers if before else ()):
            claim(transaction, PAYER, payer, after.id)
            after = after.model_copy(update={"payers": tuple(sorted({*after.payers, payer}))})
        named = facts.account_id
        linked = not named or not account_exists or bool(after.account_id)
        if not linked and (before is None or holder_of(self._table, ACCOUNT, named) is None):
            claim(transaction, ACCOUNT, named, after.id)
            after = after.model_copy(update={"account_id": named})
        return after

    def _write(self, transaction: Transaction, before: Customer | None, after: Customer, now: datetime) -> None:
        if before is None:
            CUSTOMER.create(transaction, after)
        elif after != before:
            changes = {name: getattr(after, name) for name in _CHANGING}
            CUSTOMER.update(transaction, before.revised(now, **changes))


_CHANGING = tuple(name for name in Customer.model_fields if name not in ("id", "version", "created_at", "modified_at"))


def _converged(facts: BillingFacts, now: datetime, policy: MembershipPolicy) -> dict[str, object]:
    """The fields of a profile that are a function of Stripe, the clock and the policy."""
    decision = membership_status(facts, now, policy)
    leading = leading_subscription(facts, now)
    return {
        "membership_status": decision.status,
        "membership_reason": decision.reason,
        "changes_at": decision.until,
        "plan": leading.plan_name if leading else "",
        "plan_id": leading.plan_id if leading else "",
        "subscription_id": leading.id if leading else "",
        "subscription_status": leading.status.value if leading else "",
        "running": tuple(sorted(each.id for each in facts.subscriptions if not has_ended(each, now))),
        "features": facts.features,
        "currency": facts.currency,
        "lifetime_value": dict(sorted(facts.lifetime.items())),
    }

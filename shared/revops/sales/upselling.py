"""More of the same, or more beside it: deals that the data calls for, and deals a person opens for a customer (ORD-9).

An alert on a cap makes the look: usage that comes close to its cap raises one, and so does every further threshold and
every further month. So a look that was lost is made by the next. A rule opens one deal per account and month, and none
while an earlier deal of the same rule is recent.
"""

import base64
import hashlib
from datetime import datetime, timedelta

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, IdFactory, Money, NotFound
from revops.sales.model import Signal, SignalKind, Upsell
from revops.sales.policies.upselling import UpsellRule, UpsellRules, months_back, signal
from revops.sales.ports import CrmDesk, NewDeal, NewTask, UsageHistory
from revops.sales.store import UPSELLS, renewals_of, upsells_of
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Table, Transaction, begin

_CLOSES_IN = timedelta(days=30)
_RACES = 8


class FindUpsells:
    """Looks whether an account is ready for more, and opens what the rules call for."""

    def __init__(
        self, table: Table, clock: Clock, desk: CrmDesk, usage: UsageHistory, settings: SettingsReader
    ) -> None:
        self._table = table
        self._clock = clock
        self._desk = desk
        self._usage = usage
        self._settings = settings

    def __call__(self, account_id: str, call: CallContext) -> list[Upsell]:
        """The deals that were opened. Safe to repeat: an account, a rule and a month have one."""
        owner_id = self._desk.owner_of(account_id)
        if not owner_id:
            return []  # nobody to work on it
        now, rules = self._clock.now(), self._settings.read(UpsellRules)
        month = f"{now:%Y-%m}"
        earlier = upsells_of(self._table, account_id)
        opened: list[Upsell] = []
        for rule in rules.rules:
            recent = set(months_back(month, rule.quiet_months))
            if any(one.signal.rule == rule.name and one.signal.period in recent for one in earlier):
                continue
            seen = self._seen(rule, account_id, month)
            made = self._open(account_id, owner_id, rule, seen, rules.task_days, call) if seen else None
            opened += [made] if made else []
        return opened

    def _seen(self, rule: UpsellRule, account_id: str, month: str) -> Signal | None:
        read = self._usage.spend if rule.kind is SignalKind.SPEND else self._usage.months
        return signal(rule, month, read(account_id, months_back(month, rule.months)))

    def _open(
        self, account_id: str, owner_id: str, rule: UpsellRule, seen: Signal, task_days: int, call: CallContext
    ) -> Upsell | None:
        """None when the account, the rule and the month have their deal. Raises Contention."""
        identifier = upsell_id(account_id, seen)
        for _ in range(_RACES):
            if UPSELLS.get(self._table, identifier) is not None:
                return None
            now = self._clock.now()
            transaction = begin(call, now)
            deal = NewDeal(
                name=f"Upsell: {rule.offer}",
                account_id=account_id,
                owner_id=owner_id,
                value=self._worth(account_id),
                expected_close=(now + _CLOSES_IN).date(),
                description=seen.evidence,
            )
            upsell = _opened(self._desk, transaction, now, identifier, deal, seen)
            task = NewTask(
                origin=f"upsell:{upsell.id}",
                title=f"Offer {rule.offer}",
                type="upsell",
                about=upsell.opportunity_id,
                assignee_id=owner_id,
                due_at=now + timedelta(days=task_days),
                details=seen.evidence,
            )
            self._desk.add_task(transaction, now, task)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # another look opened it, or something else came to stand on the account
            return upsell
        raise Contention("others keep building on this account; try again shortly")

    def _worth(self, account_id: str) -> Money:
        """What the deal is worth until somebody says better: a tenth of the running term, nothing without one."""
        terms = [one for one in renewals_of(self._table, account_id) if not one.next_id]
        latest = max(terms, key=lambda one: one.ends_on, default=None)
        if latest is None:
            return Money(minor=0, currency=self._usage.currency(account_id))
        return Money(minor=latest.amount // 10, currency=latest.currency)


class OpenUpsell:
    """Opens a deal for a customer by hand: more seats, another plan, another product."""

    def __init__(self, table: Table, clock: Clock, ids: IdFactory, policy: Policy, desk: CrmDesk) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._desk = desk

    def __call__(self, account_id: str, offer: str, why: str, value: Money, call: CallContext) -> Upsell:
        """Raises NotFound, Forbidden."""
        owner_id = self._desk.owner_of(account_id)
        if owner_id is None:
            raise NotFound("account", account_id)
        self._policy.require_read(call.principal, Resource.ACCOUNTS, owner_id, f"account {account_id}")
        self._policy.require_write(call.principal, Resource.OPPORTUNITIES, owner_id, f"account {account_id}")
        for _ in range(_RACES):
            now = self._clock.now()
            transaction = begin(call, now)
            deal = NewDeal(
                name=f"Upsell: {offer}",
                account_id=account_id,
                owner_id=owner_id or call.principal.id,
                value=value,
                expected_close=(now + _CLOSES_IN).date(),
                description=why,
            )
            said = Signal(rule="manual", kind=SignalKind.MANUAL, period=f"{now:%Y-%m}", evidence=why)
            upsell = _opened(self._desk, transaction, now, self._ids.new("UPS"), deal, said)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # something else came to stand on the account
            return upsell
        raise Contention("others keep building on this account; try again shortly")


def _opened(
    desk: CrmDesk, transaction: Transaction, now: datetime, identifier: str, deal: NewDeal, reason: Signal
) -> Upsell:
    """Adds the deal, and that it was opened for this reason."""
    upsell = Upsell(
        id=identifier,
        created_at=now,
        modified_at=now,
        account_id=deal.account_id,
        owner_id=deal.owner_id,
        opportunity_id=desk.open_deal(transaction, now, deal),
        signal=reason,
    )
    UPSELLS.create(transaction, upsell)
    return upsell


def upsell_id(account_id: str, reason: Signal) -> str:
    """The id of the one deal of an account, a rule and a month."""
    digest = hashlib.sha256(f"{account_id}\0{reason.rule}\0{reason.period}".encode()).digest()
    return "UPS_" + base64.b32encode(digest).decode()[:26]

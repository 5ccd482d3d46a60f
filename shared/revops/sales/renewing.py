"""Renewals: tasks before a term ends, what was decided, and what follows (ORD-9).

A term that is undecided stands in the due index for its next reminder, then for its end. The seller gets a task; the
Stripe side of a renewal is an order form's own. A term that renews by itself and was not cancelled is followed by the
next one at its end; any other waits for a decision, or for Stripe to say that the subscription ended.
"""

from datetime import date, datetime, timedelta

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, Conflict, Invalid, NotFound, Refused, VersionConflict, system_call
from revops.sales.model import Renewal, RenewalEvent, RenewalStatus
from revops.sales.policies.renewing import RenewalRules, look, next_end
from revops.sales.ports import CrmDesk, NewTask, Orders
from revops.sales.store import RENEWALS, RENEWING, midnight, renewal_id
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Table, Transaction, begin, commit_update, due_now

_TIME_FOR_TASK = timedelta(days=7)


def reminder(term: Renewal, days: int) -> str:
    """The origin of the task of a reminder. An origin's task is made once, so an end that was moved has others."""
    return f"renewal:{term.id}:{days}" + (f":{term.moved}" if term.moved else "")


def end_reminders(desk: CrmDesk, transaction: Transaction, now: datetime, term: Renewal) -> None:
    """Adds that nobody has to look at this end of a term any more."""
    for days in term.reminded:
        desk.withdraw_task(transaction, now, reminder(term, days))


class WatchRenewals:
    """The scheduled look at terms: reminders as tasks, and the end of a term."""

    def __init__(self, table: Table, clock: Clock, desk: CrmDesk, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._desk = desk
        self._settings = settings

    def __call__(self, period: str, limit: int = 200) -> int:
        """How many terms were reminded of or ended."""
        now, call, rules = self._clock.now(), system_call("renewals", period), self._settings.read(RenewalRules)
        moved = 0
        for due in due_now(self._table, RENEWING, now, limit):
            term = RENEWALS.readable(self._table.get(due.key))
            if term is None or term.look_at is None or term.look_at > now:
                continue  # the index lags; the term itself says that nothing is due any more
            transaction = begin(call, now)
            did = self._move(transaction, term, now, rules)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # decided or amended meanwhile: it is looked at again
            moved += did
        return moved

    def _move(self, transaction: Transaction, term: Renewal, now: datetime, rules: RenewalRules) -> bool:
        told = look(term, now, rules)
        owner_id = self._desk.owner_of(term.account_id) or term.owner_id
        if told.over and term.auto_renewal and not term.to_end:
            self._begin_next(transaction, term, owner_id, now, rules)
            return True
        changes: dict[str, object] = {"owner_id": owner_id, "look_at": told.next_at}
        if told.remind:
            self._remind(transaction, term, told.remind, owner_id, now)
            said = RenewalEvent(at=now, by=transaction.stamp.by, what="reminded", detail=f"{told.remind} days before")
            changes |= {"reminded": (*term.reminded, told.remind), "history": (*term.history, said)}
        RENEWALS.update(transaction, term.revised(now, **changes))
        return bool(told.remind)

    def _remind(self, transaction: Transaction, term: Renewal, days: int, owner_id: str, now: datetime) -> None:
        if not owner_id:
            return
        ends = f"{term.ends_on:%d/%m/%Y}"
        auto = "It renews by itself unless it is cancelled." if term.auto_renewal else "It ends unless it is renewed."
        wanted = NewTask(
            origin=reminder(term, days),
            title=f"{term.plan} ends on {ends}: {'check the renewal' if term.auto_renewal else 'decide and renew'}",
            type="renewal",
            about=term.account_id,
            assignee_id=owner_id,
            due_at=min(now + _TIME_FOR_TASK, midnight(term.ends_on)),
            details=f"{auto} Renewal {term.id}.",
            urgent=days <= min(self._settings.read(RenewalRules).remind_days, default=0),
        )
        self._desk.add_task(transaction, now, wanted)

    def _begin_next(
        self, transaction: Transaction, term: Renewal, owner_id: str, now: datetime, rules: RenewalRules
    ) -> None:
        told = RenewalEvent(at=now, by=transaction.stamp.by, what="renewed", detail="by itself, at the end of its term")
        begun = RenewalEvent(at=now, by=transaction.stamp.by, what="begun", detail=f"after {term.id}")
        ends_on, day_of_month = next_end(term)
        following = term.model_copy(
            update={
                "id": renewal_id(term.order_id, term.ends_on),
                "version": 1,
                "created_at": now,
                "modified_at": now,
                "owner_id": owner_id,
                "starts_on": term.ends_on,
                "ends_on": ends_on,
                "day_of_month": day_of_month,
                "reminded": (),
                "moved": 0,
                "history": (begun,),
            }
        )
        seen = look(following, now, rules)
        following = following.model_copy(update={"look_at": now if seen.remind or seen.over else seen.next_at})
        RENEWALS.create(transaction, following)
        renewed = {"status": RenewalStatus.RENEWED, "ended_by": "auto-renewal", "next_id": following.id}
        RENEWALS.update(transaction, term.revised(now, **renewed, look_at=None, history=(*term.history, told)))
        end_reminders(self._desk, transaction, now, term)


class DecideRenewal:
    """A person says how a term ends."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, desk: CrmDesk, orders: Orders) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._desk = desk
        self._orders = orders

    def __call__(
        self, renewal: str, outcome: RenewalStatus, version: int, order_id: str, reason: str, call: CallContext
    ) -> Renewal:
        """The term with its outcome. Renewed needs the order form that renews it, unless the term renews by itself;
        nothing is done at Stripe by it. Raises NotFound, Forbidden, Invalid, Refused, VersionConflict."""
        term = RENEWALS.require(self._table, renewal)
        owner = self._desk.owner_of(term.account_id) or ""
        self._policy.require_write(call.principal, Resource.ORDERS, owner, f"renewal {renewal}")
        if term.version != version:
            raise VersionConflict(f"renewal {renewal} was changed by someone else", term.version)
        if term.status is not RenewalStatus.OPEN:
            raise Refused(f"renewal {renewal} is {term.status} already")
        if outcome is RenewalStatus.OPEN:
            raise Invalid.field("outcome", "outcome", "an outcome ends it", "Renewed, Lapsed or Cancelled")
        self._require_order(term, outcome, order_id)
        now = self._clock.now()
        told = RenewalEvent(at=now, by=call.principal.id, what=outcome.lower(), detail=reason)
        decided = term.revised(
            now,
            status=outcome,
            ended_by=call.principal.id,
            renewal_order_id=order_id,
            look_at=None,
            history=(*term.history, told),
        )
        transaction = begin(call, now)
        RENEWALS.update(transaction, decided)
        end_reminders(self._desk, transaction, now, term)
        try:
            commit_update(self._table, transaction, RENEWALS, decided)
        except ConditionFailed as error:
            raise Conflict("a task of this renewal was changed meanwhile; try again") from error
        return decided

    def _require_order(self, term: Renewal, outcome: RenewalStatus, order_id: str) -> None:
        if outcome is not RenewalStatus.RENEWED:
            if order_id:
                raise Invalid.field("renewal_order_id", "renewed-only", f"a term that {outcome} has none", "nothing")
            return
        if not order_id:
            if not term.auto_renewal:
                raise Invalid.field(
                    "renewal_order_id",
                    "required",
                    "this term does not renew by itself",
                    "the order that renews it",
                )
            return
        executed = self._orders.executed(order_id)
        if executed is None or executed.account_id != term.account_id or order_id == term.order_id:
            raise Invalid.field(
                "renewal_order_id", "own-order", "no executed order form of this account", "one that renews the term"
            )


class ReadRenewals:
    """A renewal for somebody who may read its account's orders, with what a form for the next term would say."""

    def __init__(self, table: Table, policy: Policy, desk: CrmDesk, orders: Orders) -> None:
        self._table = table
        self._policy = policy
        self._desk = desk
        self._orders = orders

    def __call__(self, renewal: str, call: CallContext) -> Renewal:
        """Raises NotFound."""
        term = RENEWALS.get(self._table, renewal)
        if term is None:
            raise NotFound(RENEWALS.title, renewal)
        owner = self._desk.owner_of(term.account_id) or ""
        self._policy.require_read(call.principal, Resource.ORDERS, owner, f"renewal {renewal}")
        return term

    def suggestion(self, term: Renewal) -> dict[str, object]:
        """An order form for the next term, to be looked over and handed in by a person; nothing is stored. Empty when
        the term was decided."""
        if term.status is not RenewalStatus.OPEN:
            return {}
        return dict(self._orders.next_form(term.order_id, term.ends_on, term.term_months))


def ahead(today: date, days: int) -> date:
    """The last day of a list that looks so many days ahead."""
    return today + timedelta(days=days)

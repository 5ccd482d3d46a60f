"""Dunning: what happens when an invoice stays unpaid, a stage at a time, and how it ends (ORD-9).

An invoice that is owed stands in the due index for its next stage. The sweep reads it again, moves it, and opens the
stage's task in the same transaction; the mail follows from the event. Paying ends it: whoever writes the payment writes
the invoice without a stage and withdraws the tasks. A stage is entered once, by the invoice's version.
"""

from datetime import datetime, timedelta

from revops.kernel import Clock, Money, system_call
from revops.sales.model import DunningStage, Invoice
from revops.sales.policies.books import invoice_entry
from revops.sales.policies.dunning import Dunning, DunningRules, dunning
from revops.sales.ports import CrmDesk, NewTask
from revops.sales.store import DUNNING, INVOICES, enter
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Table, Transaction, begin, due_now

_TIME_FOR_TASK = timedelta(days=2)


def dunning_task(invoice: Invoice, stage: DunningStage) -> str:
    """The origin of the task of a stage. An origin's task is made once, so dunning that begins anew has others."""
    return f"dunning:{invoice.id}:{stage}" + (f":{invoice.dunned}" if invoice.dunned else "")


def end_dunning(desk: CrmDesk, transaction: Transaction, now: datetime, invoice: Invoice) -> None:
    """Adds that nobody has to ask for this invoice any more, which is told as it was until then."""
    for stage in DunningStage:
        if stage is not DunningStage.NONE:
            desk.withdraw_task(transaction, now, dunning_task(invoice, stage))


class AdvanceDunning:
    """The scheduled look at invoices whose next stage has come. Rules that changed hold from the next look on."""

    def __init__(self, table: Table, clock: Clock, desk: CrmDesk, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._desk = desk
        self._settings = settings

    def __call__(self, period: str, limit: int = 200) -> int:
        """How many invoices reached a stage."""
        now, call, rules = self._clock.now(), system_call("dunning", period), self._settings.read(DunningRules)
        reached = 0
        for due in due_now(self._table, DUNNING, now, limit):
            invoice = INVOICES.readable(self._table.get(due.key))
            if invoice is None or invoice.dun_at is None or invoice.dun_at > now:
                continue  # the index lags; the invoice itself says that nothing is due any more
            told = dunning(invoice, now, rules)
            transaction = begin(call, now)
            stage = told.stage if told.stage.rank > invoice.stage.rank else invoice.stage
            begun = now if stage is not invoice.stage else invoice.stage_since
            after = invoice.revised(now, stage=stage, stage_since=begun, dun_at=told.next_at)
            INVOICES.update(transaction, after)
            enter(transaction, after.account_id, invoice_entry(after), after.id)
            if stage is not invoice.stage:
                self._open_task(transaction, after, told, now)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # paid or mirrored meanwhile: it is looked at again
            reached += stage is not invoice.stage
        return reached

    def _open_task(self, transaction: Transaction, invoice: Invoice, told: Dunning, now: datetime) -> None:
        owner_id = self._desk.owner_of(invoice.account_id) if invoice.account_id else None
        if not owner_id or told.rule is None or not told.rule.task:
            return
        open_amount = Money(minor=invoice.remaining, currency=invoice.currency)
        due = invoice.due_at or invoice.issued_at
        wanted = NewTask(
            origin=dunning_task(invoice, told.stage),
            title=f"Invoice {invoice.number or invoice.id} is unpaid: {told.stage.lower()}",
            type="dunning",
            about=invoice.account_id,
            assignee_id=owner_id,
            due_at=now + _TIME_FOR_TASK,
            details=f"{open_amount} of {invoice.id} was due on {due:%d/%m/%Y}.",
            urgent=told.rule.urgent,
        )
        self._desk.add_task(transaction, now, wanted)

"""Telling the seller that an invoice of their customer is unpaid (ORD-9). What the customer hears comes from Stripe."""

from collections.abc import Callable

from revops.access import USERS
from revops.kernel import Money
from revops.sales.model import Invoice
from revops.sales.policies.dunning import DunningRules
from revops.sales.ports import CrmDesk
from revops.sales.store import INVOICES
from revops.settings import SettingsReader
from revops.table import Table

SendMail = Callable[[str, str, str, str], bool]
"""Name (once per name), address, subject, text. True when this call sent it."""


class TellOfDunning:
    """Mails the owner of the account, or those who look after what has no owner. Numbers and ids, no person's data."""

    def __init__(
        self, table: Table, settings: SettingsReader, desk: CrmDesk, send_mail: SendMail, mail_to_ops: str
    ) -> None:
        self._table = table
        self._settings = settings
        self._desk = desk
        self._send_mail = send_mail
        self._mail_to_ops = mail_to_ops

    def __call__(self, invoice_id: str, stage: str, event_id: str) -> str:
        """Nothing when it was paid or went on to another stage meanwhile, or the rules ask for no notice."""
        invoice = INVOICES.get(self._table, invoice_id)
        if invoice is None or invoice.stage != stage or not invoice.owed:
            return ""
        rules = {rule.stage: rule for rule in self._settings.read(DunningRules).stages}
        rule = rules.get(invoice.stage)
        if rule is None or not rule.notice:
            return ""
        owner_id = (self._desk.owner_of(invoice.account_id) if invoice.account_id else "") or ""
        owner = USERS.get(self._table, owner_id) if owner_id else None
        known = owner is not None and owner.active and owner.email
        to, name = (owner.email, owner.id) if owner is not None and known else (self._mail_to_ops, "ops")
        if not to:
            return ""
        sent = self._send_mail(f"{event_id}:{name}", to, f"An invoice is unpaid: {stage.lower()}", _text(invoice))
        return "mailed" if sent else ""


def _text(invoice: Invoice) -> str:
    remaining = Money(minor=invoice.remaining, currency=invoice.currency)
    due = invoice.due_at or invoice.issued_at
    return (
        f"{remaining} of invoice {invoice.number or invoice.id} was due on {due:%d/%m/%Y}.\n"
        f"Account {invoice.account_id or 'not known yet'}, /api/v1/invoices/{invoice.id}"
    )

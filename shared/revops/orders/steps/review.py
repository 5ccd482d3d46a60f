"""The first step: the form is printed, and is it standard, or does somebody have to look (ORD-2)?"""

from datetime import datetime

from revops.kernel import CallContext, Clock
from revops.orders.document import KeepForm
from revops.orders.findings import FindOdd
from revops.orders.model import OrderForm, OrderStatus, Step
from revops.orders.moves import TakeStep
from revops.orders.policies.review import ReviewRules
from revops.orders.policies.stages import begun
from revops.orders.reviews import Finding
from revops.orders.store import ORDERS
from revops.settings import SettingsReader
from revops.table import Table


class CheckOrder:
    """Approves a standard order; any other goes to review with the rules it goes beyond. Whoever reviews or signs reads
    the form as it is printed here."""

    def __init__(self, table: Table, clock: Clock, take: TakeStep, settings: SettingsReader, forms: KeepForm) -> None:
        self._table = table
        self._clock = clock
        self._take = take
        self._settings = settings
        self._forms = forms
        self._find = FindOdd(settings)

    def __call__(self, order: OrderForm, call: CallContext, started_at: datetime) -> OrderForm:
        """Raises Unavailable when the form cannot be kept."""
        now = self._clock.now()
        rules, version = self._settings.versioned(ReviewRules)
        base = ORDERS.require(self._table, order.amends) if order.amends else None
        document = self._forms(order)
        findings = (*self._find(order.terms, now, order.kind, base), *self._unprinted(order))
        outcome = begun(findings, rules, version, now)
        to = OrderStatus.IN_REVIEW if outcome.stages else OrderStatus.APPROVED
        reason = "; ".join(each.message for each in findings if each.needs_approval)
        reason = reason or "standard: within every review rule"
        return self._take(order, to, Step.REVIEW, call, started_at, reason=reason, review=outcome, document=document)

    def _unprinted(self, order: OrderForm) -> list[Finding]:
        return [
            Finding(
                rule="printable",
                field=name,
                message=f"the form has no letters for {characters} in {name}; it prints their code points",
            )
            for name, characters in self._forms.unprintable(order).items()
        ]

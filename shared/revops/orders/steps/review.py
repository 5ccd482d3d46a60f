"""The first step: is the order standard, or does somebody have to look (ORD-2)?"""

from datetime import datetime

from revops.kernel import CallContext
from revops.orders.model import OrderForm, OrderStatus, Review, Step
from revops.orders.moves import TakeStep
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.policies.review import ReviewRules, review
from revops.settings import SettingsReader


class CheckOrder:
    """Approves a standard order; any other goes to review with the rules it goes beyond."""

    def __init__(self, take: TakeStep, settings: SettingsReader) -> None:
        self._take = take
        self._settings = settings

    def __call__(self, order: OrderForm, call: CallContext, started_at: datetime) -> OrderForm:
        rules, version = self._settings.versioned(ReviewRules)
        findings = review(order.terms, rules, self._settings.read(PlanCatalogue))
        to = OrderStatus.IN_REVIEW if findings else OrderStatus.APPROVED
        reason = "; ".join(finding.message for finding in findings) or "standard: within every review rule"
        outcome = Review(findings=findings, rules_version=version)
        return self._take(order, to, Step.REVIEW, call, started_at, reason=reason, review=outcome)

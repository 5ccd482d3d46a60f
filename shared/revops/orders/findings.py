"""What the rules in force find on an order form (ORD-2)."""

from datetime import datetime

from revops.orders.model import OrderForm, OrderKind, OrderTerms
from revops.orders.policies.compliance import ComplianceRules
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.policies.review import ReviewRules, Standards, review
from revops.orders.reviews import Finding
from revops.settings import SettingsReader


class FindOdd:
    """Looks at terms with the rules as they are now."""

    def __init__(self, settings: SettingsReader) -> None:
        self._settings = settings

    def __call__(
        self, terms: OrderTerms, now: datetime, kind: OrderKind = OrderKind.NEW, base: OrderForm | None = None
    ) -> tuple[Finding, ...]:
        """Everything that is not standard; `base` is the order that an amendment or renewal changes."""
        read = self._settings.read
        standards = Standards(read(ReviewRules), read(PlanCatalogue), read(ComplianceRules), now.date())
        return review(terms, standards, kind, base)

"""When an order needs legal review: rules as data, and the reasons in words (ORD-2)."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from revops.kernel.money import Rate
from revops.orders.model import Finding, OrderTerms, PaymentMethod, Plan
from revops.orders.policies.pricing import PlanCatalogue
from revops.settings import SettingsDocument


class ReviewRules(SettingsDocument):
    """What is standard. An order that keeps to all of it is approved without legal."""

    SETTING: ClassVar[str] = "review_rules"

    max_discount_percent: Rate = Decimal(10)
    min_term_months: Annotated[int, Field(ge=1)] = 12
    max_term_months: Annotated[int, Field(ge=1)] = 36
    max_seats: Annotated[int, Field(ge=1)] = 500
    standard_plans: tuple[Plan, ...] = (Plan.STARTER, Plan.PROFESSIONAL, Plan.ENTERPRISE)
    standard_payment_methods: tuple[PaymentMethod, ...] = tuple(PaymentMethod)
    catalogue_price_only: bool = True
    existing_stripe_customer: bool = True
    """Whether a form that names a Stripe customer instead of having one made goes to review."""


def review(terms: OrderTerms, rules: ReviewRules, catalogue: PlanCatalogue) -> tuple[Finding, ...]:
    """Every rule the order goes beyond; empty means standard."""
    return tuple(_findings(terms, rules, catalogue))


def _findings(terms: OrderTerms, rules: ReviewRules, catalogue: PlanCatalogue) -> Iterator[Finding]:
    if terms.plan not in rules.standard_plans:
        yield _finding("standard_plans", "plan", f"plan {terms.plan} is not one of {', '.join(rules.standard_plans)}")
    if terms.discount_percent > rules.max_discount_percent:
        yield _finding(
            "max_discount_percent",
            "discount_percent",
            f"a discount of {terms.discount_percent} % is above {rules.max_discount_percent} %",
        )
    if not rules.min_term_months <= terms.term_months <= rules.max_term_months:
        yield _finding(
            "term_months",
            "term_months",
            f"a term of {terms.term_months} months is outside {rules.min_term_months} to {rules.max_term_months}",
        )
    if terms.seats > rules.max_seats:
        yield _finding("max_seats", "seats", f"{terms.seats} seats are more than {rules.max_seats}")
    if terms.payment_method not in rules.standard_payment_methods:
        yield _finding(
            "standard_payment_methods",
            "payment_method",
            f"payment by {terms.payment_method} is not one of {', '.join(rules.standard_payment_methods)}",
        )
    if rules.existing_stripe_customer and terms.stripe_customer_id:
        yield _finding(
            "existing_stripe_customer",
            "stripe_customer_id",
            f"names the Stripe customer {terms.stripe_customer_id}; somebody confirms that it is this company's",
        )
    listed = catalogue.seat_price(terms.plan, terms.currency)
    if rules.catalogue_price_only and terms.plan is not Plan.CUSTOM and terms.list_price != listed:
        shown = "not on the price list" if listed is None else f"{listed}"
        yield _finding(
            "catalogue_price_only",
            "list_price",
            f"a list price of {terms.list_price} {terms.currency} minor units; the catalogue says {shown}",
        )


def _finding(rule: str, field: str, message: str) -> Finding:
    return Finding(rule=rule, field=field, message=message)

"""What is standard, who approves what is not, in which order and by when: rules as data, and the reasons in words
(ORD-2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from revops.kernel import Role, add_months
from revops.kernel.money import Rate
from revops.orders.model import OrderForm, OrderKind, OrderTerms, PaymentMethod, Plan
from revops.orders.policies.collection import uncollectable
from revops.orders.policies.compliance import ComplianceRules, missing_fields
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.policies.terms import renewal_after
from revops.orders.reviews import Finding
from revops.settings import SettingsDocument

DOCUMENTS = "documents"
"""The rule about the contract documents of the region; activation waits for them whatever a review says (ORD-8)."""


class ApprovalStage(BaseModel):
    """Who approves the findings of which rules, and within how many hours. Without `rules` it is whatever no other
    stage names. Its people get a task at once, are reminded of it `remind_hours` before the time is up, and when it is
    up `escalate_to` get one too. A Sales Manager decides for the own team."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z ]{0,39}$")]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    rules: tuple[str, ...] = ()
    hours: Annotated[int, Field(ge=1, le=2160)] = 48
    remind_hours: Annotated[int, Field(ge=0, le=2160)] = 8
    escalate_to: tuple[Role, ...] = (Role.ADMIN,)


_Days = Annotated[int, Field(ge=0, le=36_500)]


class ReviewRules(SettingsDocument):
    """What is standard, and the stages that approve the rest, in their order. An order that keeps to all of it is
    approved by itself."""

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
    max_start_days_ahead: _Days = 365
    max_start_days_past: _Days = 31
    renewal_at_end_of_term: bool = True
    max_included_units: Annotated[int, Field(ge=0)] = 1_000_000
    """Units a month that a usage line may include."""
    paid_overage_only: bool = True
    """Whether usage beyond what is included has to cost something."""
    warnings: tuple[str, ...] = (DOCUMENTS,)
    """The rules whose findings are told and need nobody's approval."""
    stages: Annotated[tuple[ApprovalStage, ...], Field(min_length=1)] = (
        ApprovalStage(
            name="Manager",
            roles=(Role.SALES_MANAGER,),
            rules=("max_discount_percent", "catalogue_price_only"),
            hours=24,
            remind_hours=4,
        ),
        ApprovalStage(name="Finance", roles=(Role.FINANCE,), rules=("max_discount_percent", "usage_lines")),
        ApprovalStage(name="Legal", roles=(Role.LEGAL,), hours=72),
    )

    @property
    def deciders(self) -> frozenset[Role]:
        """Everybody who may have a say in a review."""
        return frozenset(role for stage in self.stages for role in stage.roles)


@dataclass(frozen=True, slots=True)
class Standards:
    """What a form is measured by, and the day it is."""

    rules: ReviewRules
    catalogue: PlanCatalogue
    compliance: ComplianceRules
    today: date


def review(
    terms: OrderTerms,
    standards: Standards,
    kind: OrderKind = OrderKind.NEW,
    base: OrderForm | None = None,
) -> tuple[Finding, ...]:
    """Every rule the form goes beyond; empty means standard. What was as odd in `base` and is left as it was agreed
    there is approved already; another plan at the price of the old one is not."""
    amended = base if kind is OrderKind.AMENDMENT else None
    found = _odd(terms, standards, amended)
    if amended is None:
        return found
    agreed = _odd(amended.terms, standards, amended)
    return tuple(
        each for each in found if each not in agreed or getattr(amended.terms, each.field) != getattr(terms, each.field)
    )


def _odd(terms: OrderTerms, standards: Standards, amended: OrderForm | None) -> tuple[Finding, ...]:
    found = (*_of_plan(terms, standards), *_of_money(terms, standards), *_of_dates(terms, standards, amended))
    warned = standards.rules.warnings
    return tuple(
        each.model_copy(update={"needs_approval": False}) if each.rule in warned else each
        for each in (*found, *_of_documents(terms, standards))
    )


def _of_plan(terms: OrderTerms, standards: Standards) -> Iterator[Finding]:
    rules = standards.rules
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


def _of_money(terms: OrderTerms, standards: Standards) -> Iterator[Finding]:
    rules, catalogue = standards.rules, standards.catalogue
    if terms.payment_method not in rules.standard_payment_methods:
        yield _finding(
            "standard_payment_methods",
            "payment_method",
            f"payment by {terms.payment_method} is not one of {', '.join(rules.standard_payment_methods)}",
        )
    uncollectable_because = uncollectable(terms, catalogue.collection)
    if uncollectable_because:
        yield _finding("collectable", "payment_method", uncollectable_because)
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
    for line in terms.usage:
        if line.monthly_cap > rules.max_included_units:
            included = f"{line.monthly_cap} units of {line.meter} a month are included"
            yield _finding("usage_lines", "usage", f"{included}; at most {rules.max_included_units} are standard")
        if rules.paid_overage_only and line.overage_price == 0:
            yield _finding("usage_lines", "usage", f"{line.meter} beyond what is included costs nothing")


def _of_dates(terms: OrderTerms, standards: Standards, amended: OrderForm | None) -> Iterator[Finding]:
    rules, today = standards.rules, standards.today
    earliest = today - timedelta(days=rules.max_start_days_past)
    latest = today + timedelta(days=rules.max_start_days_ahead)
    if not earliest <= terms.start_date <= latest:
        message = f"it starts on {terms.start_date}; standard is {earliest} to {latest}"
        yield _finding("start_window", "start_date", message)
    if amended is None:
        ends = add_months(terms.start_date, terms.term_months)
        standard = f"a term of {terms.term_months} months ends on {ends}"
    else:
        ends = renewal_after(amended, terms.start_date)
        standard = f"the contract that it changes renews on {ends}"
    if rules.renewal_at_end_of_term and terms.renewal_date != ends:
        yield _finding("renewal_date", "renewal_date", f"it renews on {terms.renewal_date}; {standard}")


def _of_documents(terms: OrderTerms, standards: Standards) -> Iterator[Finding]:
    for name, title in missing_fields(terms, standards.compliance, standards.today):
        yield _finding(DOCUMENTS, name, f"service in {terms.region} will wait for the {title}")


def _finding(rule: str, field: str, message: str) -> Finding:
    return Finding(rule=rule, field=field, message=message)

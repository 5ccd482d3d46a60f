"""What no order form may say, whoever would approve it: refused where it is handed in (ORD-1)."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_CEILING, Decimal

from revops.kernel import FieldIssue, Invalid, Money, add_months, term_day
from revops.orders.model import BillingCycle, CapPeriod, OrderForm, OrderTerms
from revops.orders.policies.pricing import PlanCatalogue, net_seat_price


def renewal_day(order: OrderForm) -> int:
    """The day of the month that terms of an order's contract end on where the month has it."""
    return term_day(order.terms.start_date, order.terms.renewal_date, order.day_of_month)


def renewal_after(order: OrderForm, day: date) -> date:
    """When the term ends that a day falls into: the renewal date, or a later one of what renews by itself."""
    terms, day_of_month = order.terms, renewal_day(order)
    end = terms.renewal_date
    while terms.auto_renewal and end <= day:
        end = add_months(end, terms.term_months, day_of_month)
    return end


def committed(terms: OrderTerms, period: CapPeriod) -> int:
    """What the seats alone cost in a period after the discount, in minor units, rounded up."""
    cycle = BillingCycle.MONTHLY if period is CapPeriod.MONTHLY else BillingCycle.ANNUAL
    exact = net_seat_price(terms.list_price, terms.discount_percent, cycle) * terms.seats
    return int(exact.quantize(Decimal(1), rounding=ROUND_CEILING))


def require_acceptable(terms: OrderTerms, catalogue: PlanCatalogue, today: date) -> None:
    """Raises Invalid naming every field that breaks a rule, and what would be accepted."""
    issues = list(_issues(terms, catalogue, today))
    if issues:
        raise Invalid("; ".join(f"{issue.field}: {issue.message}" for issue in issues), issues)


def _issues(terms: OrderTerms, catalogue: PlanCatalogue, today: date) -> Iterator[FieldIssue]:
    for name in ("legal_entity_name", "signatory_name"):
        if not getattr(terms, name).strip():
            yield FieldIssue(name, "ORD-1 required", "nobody is named", "a name")
    if terms.plan not in catalogue.plans:
        sold = ", ".join(catalogue.plans)
        yield FieldIssue("plan", "ORD-1 known-plan", f"{terms.plan} is not in the catalogue", sold)
    if terms.renewal_date <= today:
        yield FieldIssue("renewal_date", "ORD-1 renewal-ahead", "it has passed", f"a day after {today}")
    if terms.spend_cap is not None:
        least = committed(terms, terms.spend_cap.period)
        if terms.spend_cap.minor < least:
            shown = Money(minor=least, currency=terms.currency)
            period = terms.spend_cap.period.lower()
            message = f"below what the {terms.seats} seats cost ({shown}, {period})"
            yield FieldIssue("spend_cap", "ORD-1 cap-covers-seats", message, f"at least {least} minor units, or none")


def require_fit(base: OrderTerms, terms: OrderTerms) -> None:
    """Raises Invalid for terms that the subscription made under `base` cannot come to."""
    if terms.currency != base.currency:
        message = f"a subscription stays in its currency; it is billed in {base.currency}"
        raise Invalid.field("currency", "ORD-5 same-currency", message, base.currency)
    if terms.start_date < base.start_date:
        message = f"before the order it changes, which starts on {base.start_date}"
        raise Invalid.field("start_date", "ORD-5 after-base", message, f"{base.start_date} or a later day")

"""What the order form says, as people read and sign it: a pure function of the order's terms (ORD-1).

Nothing in it changes while a revision stands: no date of printing, no status. The same revision under the same letter
head gives the same words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from revops.kernel import Money
from revops.kernel.money import minor_digits
from revops.orders.model import Address, BillingCycle, OneLine, OrderForm, OrderKind, OrderTerms, UsageLine
from revops.orders.policies.pricing import contract_value, decimal_text, net_seat_price
from revops.settings import SettingsDocument

Line = Annotated[OneLine, Field(max_length=200)]
Clause = Annotated[str, Field(min_length=1, max_length=4000)]
_MONTHS = "January February March April May June July August September October November December".split()
_TITLES = {
    OrderKind.NEW: "Order form",
    OrderKind.AMENDMENT: "Amendment to an order form",
    OrderKind.RENEWAL: "Renewal of an order form",
}


class OrderFormRules(SettingsDocument):
    """The letter head of the company that sells, and what every form says beside the terms."""

    SETTING: ClassVar[str] = "order_form"

    supplier_name: Line = ""
    supplier_address: Annotated[tuple[Line, ...], Field(max_length=8)] = ()
    clauses: Annotated[tuple[Clause, ...], Field(max_length=50)] = (
        "The customer orders the services named above for the term named above. Seats are billed in advance for each "
        "billing cycle, usage beyond what is included in arrears for each month.",
        "Amounts are net of taxes; taxes are added as the law of the billing address asks.",
        "This form is executed once both the customer's signature and its date stand on it.",
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the form: its heading, and what stands in it by name."""

    heading: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """The form, ready to be set."""

    title: str
    reference: str
    sections: tuple[Section, ...]
    clauses: tuple[str, ...]
    signatory: str


def form_of(order: OrderForm, rules: OrderFormRules) -> Form:
    """The form of an order's present revision."""
    terms = order.terms
    sections = [
        Section("Parties", tuple(_parties(terms, rules))),
        Section("Subscription", tuple(_subscription(order))),
        Section("Price", tuple(_price(terms))),
        Section("Usage", tuple(_usage(terms))),
        Section("Billing and payment", tuple(_billing(terms))),
        Section("Data protection", tuple(_documents(terms))),
    ]
    return Form(
        title=_TITLES[order.kind],
        reference=f"{order.id} · revision {order.revision}",
        sections=tuple(sections),
        clauses=rules.clauses,
        signatory=terms.signatory_name,
    )


def day(value: date) -> str:
    """A day as nobody misreads it: 1 December 2026."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def _parties(terms: OrderTerms, rules: OrderFormRules) -> Iterator[tuple[str, str]]:
    if rules.supplier_name:
        yield "Supplier", "\n".join((rules.supplier_name, *rules.supplier_address))
    yield "Customer", f"{terms.legal_entity_name}\n{_address(terms.billing_address)}"
    yield "Signatory", terms.signatory_name
    yield "E-mail", terms.contact_email
    if terms.contact_phone:
        yield "Telephone", terms.contact_phone
    yield "Signed by way of", terms.esign_method.value


def _subscription(order: OrderForm) -> Iterator[tuple[str, str]]:
    terms = order.terms
    if order.amends:
        yield "Changes", f"{order.amends}, from {day(terms.start_date)} on"
    yield "Plan", terms.plan.value
    yield "Seats", f"{terms.seats:,}"
    yield "Start", day(terms.start_date)
    yield "Term", f"{terms.term_months} months"
    yield "Renewal date", day(terms.renewal_date)
    yield "Renewal", "renews by itself" if terms.auto_renewal else "ends unless it is renewed"
    yield "Changes during the term", "prorated by the day" if terms.proration else "not prorated"


def _price(terms: OrderTerms) -> Iterator[tuple[str, str]]:
    monthly = net_seat_price(terms.list_price, terms.discount_percent, BillingCycle.MONTHLY)
    yearly = net_seat_price(terms.list_price, terms.discount_percent, BillingCycle.ANNUAL) * terms.seats
    yield "List price per seat and month", _money(Decimal(terms.list_price), terms)
    yield "Discount", f"{decimal_text(terms.discount_percent)} %"
    yield "Net price per seat and month", _money(monthly, terms)
    yield "Seats, each month", _money(monthly * terms.seats, terms)
    if terms.billing_cycle is not BillingCycle.MONTHLY:
        yield "Seats, each year", _money(yearly, terms)
    yield "Seats, over the whole term", str(Money(minor=contract_value(terms), currency=terms.currency))


def _usage(terms: OrderTerms) -> Iterator[tuple[str, str]]:
    for line in terms.usage:
        yield line.meter.value, _usage_line(line, terms.currency)
    if not terms.usage:
        yield "Metered usage", "none"
    cap = terms.spend_cap
    if cap is None:
        yield "Spend cap", "none"
    else:
        yield "Spend cap", f"{Money(minor=cap.minor, currency=terms.currency)}, {cap.period.lower()}"


def _usage_line(line: UsageLine, currency: str) -> str:
    return f"{line.monthly_cap:,} a month included, {decimal_text(line.overage_price)} {currency} for each further one"


def _billing(terms: OrderTerms) -> Iterator[tuple[str, str]]:
    yield "Billing cycle", terms.billing_cycle.value
    yield "Payment", terms.payment_method.value
    yield "Currency", terms.currency
    if terms.stripe_customer_id:
        yield "Billing account", terms.stripe_customer_id


def _documents(terms: OrderTerms) -> Iterator[tuple[str, str]]:
    yield "Data region", terms.region.value
    yield "Data processing agreement", _executed(terms.dpa)
    yield "Standard contractual clauses", _executed(terms.sccs)
    yield "UK transfer agreement (IDTA)", _executed(terms.uk_idta)


def _executed(value: str | date) -> str:
    return f"executed on {day(value)}" if isinstance(value, date) else value


def _address(address: Address) -> str:
    town = f"{address.postal_code} {address.city}".strip()
    lines = (address.line1, address.line2, town, address.state, address.country)
    return "\n".join(line for line in lines if line)


def _money(exact: Decimal, terms: OrderTerms) -> str:
    """An amount that may have parts of a minor unit: those are shown, never rounded away."""
    whole = exact.to_integral_value()
    if whole == exact:
        return str(Money(minor=int(whole), currency=terms.currency))
    shown = Decimal(decimal_text(exact.scaleb(-minor_digits(terms.currency))))
    return f"{shown:,f} {terms.currency}"

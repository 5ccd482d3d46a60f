"""Plans and what a seat costs: catalogue data, and exact arithmetic over it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from revops.kernel import Refused
from revops.kernel.money import minor_digits
from revops.orders.model import BillingCycle, Meter, OrderTerms, PerSeat, Plan, UsageLine
from revops.orders.policies.calendar import ContractZones
from revops.orders.policies.collection import CollectionTerms
from revops.settings import SettingsDocument


class PlanOffer(BaseModel):
    """A plan on the price list. `seat_prices` is per seat and month in minor units, by currency; empty = on request."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    product_name: Annotated[str, Field(min_length=1, max_length=250)]
    seat_prices: Mapping[str, PerSeat] = {}
    features: tuple[str, ...] = ()


class MeterOffer(BaseModel):
    """A meter at the billing provider: the name its events carry, and what an invoice calls a unit of it."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    event_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
    title: Annotated[str, Field(min_length=1, max_length=250)]


class PlanCatalogue(SettingsDocument):
    """What is sold and how it is billed (ORD-5): the price list, the meters of usage, the zone a contract's days are
    counted in, and how money is collected."""

    SETTING: ClassVar[str] = "plans"

    plans: Mapping[Plan, PlanOffer] = {
        Plan.STARTER: PlanOffer(
            product_name="Starter",
            seat_prices={"EUR": 2900, "GBP": 2500, "USD": 2900, "BRL": 14900},
            features=("signatures",),
        ),
        Plan.PROFESSIONAL: PlanOffer(
            product_name="Professional",
            seat_prices={"EUR": 5900, "GBP": 5100, "USD": 5900, "BRL": 29900},
            features=("signatures", "verifications"),
        ),
        Plan.ENTERPRISE: PlanOffer(
            product_name="Enterprise",
            seat_prices={"EUR": 9900, "GBP": 8600, "USD": 9900, "BRL": 49900},
            features=("signatures", "verifications", "api", "single_sign_on"),
        ),
        Plan.CUSTOM: PlanOffer(product_name="Custom", features=("signatures", "verifications", "api")),
    }
    meters: Mapping[Meter, MeterOffer] = {
        Meter.API_CALLS: MeterOffer(event_name="revops_api_calls", title="API calls"),
        Meter.SIGNATURES: MeterOffer(event_name="revops_signatures", title="Signatures"),
        Meter.VERIFICATIONS: MeterOffer(event_name="revops_verifications", title="Verifications"),
        Meter.POOLED: MeterOffer(event_name="revops_units", title="Units"),
    }
    zones: ContractZones = ContractZones()
    collection: CollectionTerms = CollectionTerms()

    def seat_price(self, plan: Plan, currency: str) -> int | None:
        """The list price per seat and month, or None when it is on request."""
        offer = self.plans.get(plan)
        return None if offer is None else offer.seat_prices.get(currency)


def net_seat_price(list_price: int, discount_percent: Decimal, cycle: BillingCycle) -> Decimal:
    """Minor units per seat and billing cycle after the discount, exact (six decimals at most: 100 × 4 places)."""
    return Decimal(list_price) * (Decimal(100) - discount_percent) / Decimal(100) * cycle.months


def contract_value(terms: OrderTerms) -> int:
    """What the seats bring over the whole term, in minor units rounded half up: the value of the deal."""
    monthly = net_seat_price(terms.list_price, terms.discount_percent, BillingCycle.MONTHLY)
    return int((monthly * terms.seats * terms.term_months).quantize(Decimal(1), rounding="ROUND_HALF_UP"))


SEAT, USAGE = "seat", "usage"


class SeatPrice(BaseModel):
    """A price at the billing provider: everything that makes it the one it is, so that its lookup key says it all."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    product_id: str
    product_name: str
    currency: str
    unit_amount: Annotated[str, Field(description="Minor units per seat and cycle, exact decimal as text")]
    cycle: BillingCycle

    @property
    def lookup_key(self) -> str:
        return f"revops:{self.product_id}:{SEAT}:{self.currency.lower()}:{self.cycle.lower()}:{self.unit_amount}"


class UsagePrice(BaseModel):
    """A metered price: `included` units a month for nothing, then `unit_amount` each (USE-2). Usage is monthly whatever
    the cycle of the seats."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    product_id: str
    product_name: str
    event_name: str
    currency: str
    included: int
    unit_amount: Annotated[str, Field(description="Minor units per unit beyond, exact decimal as text")]

    @property
    def lookup_key(self) -> str:
        return f"revops:{self.product_id}:{USAGE}:{self.currency.lower()}:{self.included}:{self.unit_amount}"


def price_of(lookup_key: str, event_names: Mapping[str, str]) -> SeatPrice | UsagePrice | None:
    """The price that a lookup key stands for, whatever is found under it; None for a key that is not ours.
    `event_names` has the events of each product of usage."""
    match lookup_key.split(":"):
        case ["revops", product, "seat", currency, cycle, amount] if cycle.title() in set(BillingCycle):
            return SeatPrice(
                product_id=product,
                product_name=product,
                currency=currency.upper(),
                unit_amount=amount,
                cycle=BillingCycle(cycle.title()),
            )
        case ["revops", product, "usage", currency, included, amount] if product in event_names and included.isdigit():
            return UsagePrice(
                product_id=product,
                product_name=product,
                event_name=event_names[product],
                currency=currency.upper(),
                included=int(included),
                unit_amount=amount,
            )
    return None


def usage_price(line: UsageLine, currency: str, catalogue: PlanCatalogue) -> UsagePrice:
    """The price a usage line is billed at. Raises Refused for a meter that the catalogue does not have."""
    offer = catalogue.meters.get(line.meter)
    if offer is None:
        raise Refused(f"there is no meter for {line.meter} in the catalogue; apply one and resume")
    return UsagePrice(
        product_id=usage_product(offer),
        product_name=offer.title,
        event_name=offer.event_name,
        currency=currency,
        included=line.monthly_cap,
        unit_amount=decimal_text(line.overage_price.scaleb(minor_digits(currency))),
    )


def usage_product(offer: MeterOffer) -> str:
    """The id of the product that usage of a meter is billed as."""
    return f"usage_{offer.event_name}"


def plan_product(plan: Plan) -> str:
    """The id of a plan's product."""
    return f"revops_{plan.lower()}"


class SeatTerms(Protocol):
    """What the price of a seat follows from."""

    @property
    def plan(self) -> Plan: ...
    @property
    def currency(self) -> str: ...
    @property
    def list_price(self) -> int: ...
    @property
    def discount_percent(self) -> Decimal: ...
    @property
    def billing_cycle(self) -> BillingCycle: ...


def seat_price(terms: SeatTerms, catalogue: PlanCatalogue) -> SeatPrice:
    """The price that seats under some terms are billed at."""
    offer = catalogue.plans.get(terms.plan)
    amount = net_seat_price(terms.list_price, terms.discount_percent, terms.billing_cycle)
    return SeatPrice(
        product_id=plan_product(terms.plan),
        product_name=offer.product_name if offer else terms.plan.value,
        currency=terms.currency,
        unit_amount=decimal_text(amount),
        cycle=terms.billing_cycle,
    )


def decimal_text(amount: Decimal) -> str:
    """One text per number: no exponent, no trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text

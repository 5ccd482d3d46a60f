"""Plans and what a seat costs: catalogue data, and exact arithmetic over it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from revops.orders.model import BillingCycle, OrderTerms, Plan
from revops.settings import SettingsDocument


class PlanOffer(BaseModel):
    """A plan on the price list. `seat_prices` is per seat and month in minor units, by currency; empty = on request."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    product_name: str
    seat_prices: Mapping[str, int] = {}
    features: tuple[str, ...] = ()


class PlanCatalogue(SettingsDocument):
    """The price list (ORD-5)."""

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
        return f"revops:{self.product_id}:seat:{self.currency.lower()}:{self.cycle.lower()}:{self.unit_amount}"


def seat_price(terms: OrderTerms, catalogue: PlanCatalogue) -> SeatPrice:
    """The price an order's seats are billed at."""
    offer = catalogue.plans.get(terms.plan)
    amount = net_seat_price(terms.list_price, terms.discount_percent, terms.billing_cycle)
    return SeatPrice(
        product_id=f"revops_{terms.plan.lower()}",
        product_name=offer.product_name if offer else terms.plan.value,
        currency=terms.currency,
        unit_amount=decimal_text(amount),
        cycle=terms.billing_cycle,
    )


def decimal_text(amount: Decimal) -> str:
    """One text per number: no exponent, no trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text

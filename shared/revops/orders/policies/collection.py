"""How an order is collected: by payment method, currency and region, as data (ORD-1, ORD-5).

Sources: https://docs.stripe.com/payments/customer-balance and https://docs.stripe.com/payments/bank-transfers (which
currencies and countries have bank transfers), https://docs.stripe.com/billing/taxes/collect-taxes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from revops.orders.model import OrderTerms, PaymentMethod, Region

PAYMENT_TYPES: Mapping[PaymentMethod, tuple[str, ...]] = {
    PaymentMethod.CREDIT_CARD: ("card",),
    PaymentMethod.ACH: ("us_bank_account",),
    PaymentMethod.WIRE_TRANSFER: ("customer_balance",),
    PaymentMethod.INVOICE: (),
}
"""How an invoice may be paid, in the provider's words; nothing said for `Invoice`: whatever the account allows."""

ACH_CURRENCY = "USD"

TransferType = Literal[
    "eu_bank_transfer", "gb_bank_transfer", "jp_bank_transfer", "mx_bank_transfer", "us_bank_transfer"
]


class Collection(StrEnum):
    """Who acts when an invoice is due: the provider takes the money, or the customer is sent an invoice."""

    AUTOMATIC = "automatic"
    INVOICE = "invoice"


class TaxRule(BaseModel):
    """How tax is dealt with in a region. `automatic` needs Stripe Tax to be set up in the account; `exempt` is the
    customer's state there."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    automatic: bool = False
    exempt: Literal["none", "exempt", "reverse"] = "none"


class CollectionTerms(BaseModel):
    """Days to pay an invoice, bank transfers by currency, and tax by region.

    `euro_countries` are the countries that Stripe gives virtual account numbers of; a euro customer elsewhere gets one
    of `euro_fallback`. A currency without a transfer cannot be paid by wire.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    days_until_due: Annotated[int, Field(ge=0, le=365)] = 30
    transfers: Mapping[str, TransferType] = {
        "EUR": "eu_bank_transfer",
        "GBP": "gb_bank_transfer",
        "JPY": "jp_bank_transfer",
        "MXN": "mx_bank_transfer",
        "USD": "us_bank_transfer",
    }
    euro_countries: tuple[str, ...] = ("BE", "DE", "ES", "FR", "IE", "NL")
    euro_fallback: str = "IE"
    tax: Mapping[Region, TaxRule] = {region: TaxRule() for region in Region}

    def tax_of(self, region: Region) -> TaxRule:
        """The rule of a region; nothing special where the data says nothing."""
        return self.tax.get(region, TaxRule())


@dataclass(frozen=True, slots=True)
class BankTransfer:
    """Where a wire transfer goes, in the provider's words. `country` only for euros."""

    type: str
    country: str = ""


def collection_of(method: PaymentMethod) -> Collection:
    """Cards and direct debits are taken, everything else is invoiced."""
    if method in {PaymentMethod.CREDIT_CARD, PaymentMethod.ACH}:
        return Collection.AUTOMATIC
    return Collection.INVOICE


def bank_transfer(terms: OrderTerms, rules: CollectionTerms) -> BankTransfer | None:
    """Where a wire transfer of this order goes; None for another method, and where there is no such transfer."""
    transfer = rules.transfers.get(terms.currency)
    if terms.payment_method is not PaymentMethod.WIRE_TRANSFER or transfer is None:
        return None
    if transfer != "eu_bank_transfer":
        return BankTransfer(transfer)
    country = terms.billing_address.country
    return BankTransfer(transfer, country if country in rules.euro_countries else rules.euro_fallback)


def uncollectable(terms: OrderTerms, rules: CollectionTerms) -> str:
    """Why an order cannot be collected as it says, with what to choose instead; empty when it can."""
    if terms.payment_method is PaymentMethod.WIRE_TRANSFER and terms.currency not in rules.transfers:
        known = ", ".join(sorted(rules.transfers))
        return f"wire transfers are not possible in {terms.currency}, only in {known}; choose Invoice, or a currency"
    if terms.payment_method is PaymentMethod.ACH and terms.currency != ACH_CURRENCY:
        return f"ACH takes {ACH_CURRENCY} only, not {terms.currency}; choose another payment method"
    return ""


def thawed_transfer(frozen: Mapping[str, str] | None) -> BankTransfer | None:
    """A bank transfer from the form that a frozen request keeps it in."""
    return BankTransfer(**frozen) if frozen else None

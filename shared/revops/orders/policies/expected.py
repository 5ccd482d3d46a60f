"""What stands at the billing provider for an order that is in force: a pure function of its terms (ORD-4, ORD-5).

Provisioning builds its request from it, a change converges on it, and the reconcile compares with it, so that there is
one answer to what a subscription should be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from revops.orders.model import OrderTerms
from revops.orders.policies.calendar import opening
from revops.orders.policies.collection import (
    PAYMENT_TYPES,
    BankTransfer,
    Collection,
    bank_transfer,
    collection_of,
)
from revops.orders.policies.pricing import PlanCatalogue, SeatPrice, UsagePrice, seat_price, usage_price


@dataclass(frozen=True, slots=True)
class ExpectedSubscription:
    """A subscription as the order form has it.

    `items` has the lookup key of each price with its quantity, None for metered ones; `seat` and `usage` say what those
    prices are. `collection` is what was agreed: without a saved card or bank account, an automatic one begins with a
    sent invoice. `starts_at` and `ends_at` are epoch seconds of the opening of their day; `ends_at` is 0 when it renews
    by itself. `metadata` is what every such subscription carries beside the ids of its order and account.
    """

    currency: str
    items: Mapping[str, int | None]
    seat: SeatPrice
    usage: tuple[UsagePrice, ...]
    collection: Collection
    payment_types: tuple[str, ...]
    days_until_due: int
    transfer: BankTransfer | None
    automatic_tax: bool
    starts_at: int
    ends_at: int
    zone: str
    metadata: Mapping[str, str]

    @property
    def prices(self) -> tuple[SeatPrice | UsagePrice, ...]:
        """Every price, that of the seats first."""
        return (self.seat, *self.usage)


def expected_subscription(terms: OrderTerms, catalogue: PlanCatalogue) -> ExpectedSubscription:
    """What the terms ask for. Raises Refused for a usage line whose meter the catalogue does not have."""
    seat = seat_price(terms, catalogue)
    usage = tuple(usage_price(line, terms.currency, catalogue) for line in terms.usage)
    zone = catalogue.zones.of(terms)
    return ExpectedSubscription(
        currency=terms.currency,
        items={seat.lookup_key: terms.seats, **{price.lookup_key: None for price in usage}},
        seat=seat,
        usage=usage,
        collection=collection_of(terms.payment_method),
        payment_types=PAYMENT_TYPES[terms.payment_method],
        days_until_due=catalogue.collection.days_until_due,
        transfer=bank_transfer(terms, catalogue.collection),
        automatic_tax=catalogue.collection.tax_of(terms.region).automatic,
        starts_at=opening(terms.start_date, zone),
        ends_at=0 if terms.auto_renewal else opening(terms.renewal_date, zone),
        zone=zone,
        metadata={"plan": terms.plan.value},
    )

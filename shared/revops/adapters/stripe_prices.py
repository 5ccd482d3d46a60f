"""Prices at Stripe: what makes one, how it is recognised, and in what it differs from the one that is wanted.

A price's amount cannot be changed at Stripe, but a lookup key can be moved to another price, and a price can be
archived. What stands under a key is therefore compared with everything the key stands for, and never used unseen.
Sources: https://docs.stripe.com/api/prices/object, https://docs.stripe.com/products-prices/manage-prices.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from stripe import StripeClient

from revops.adapters.stripe_calls import creating, reading
from revops.orders.model import BillingCycle
from revops.orders.policies.pricing import SeatPrice, UsagePrice, decimal_text
from revops.orders.ports import ProvisioningRefused

if TYPE_CHECKING:
    from stripe import Price
    from stripe.billing import Meter
    from stripe.params import PriceCreateParams

INTERVALS = {BillingCycle.MONTHLY: "month", BillingCycle.ANNUAL: "year"}


class StripePrices:
    """Finds and makes prices, products and meters, over a client that is asked for at each use."""

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        self._client = client

    def ensure(self, price: SeatPrice | UsagePrice) -> str:
        """The id of the active price with this lookup key, made with its product and meter if need be."""
        meter_id = self.ensure_meter(price.event_name, price.product_name) if isinstance(price, UsagePrice) else ""
        found = self._usable(price, meter_id)
        if found is not None:
            return found
        self.ensure_product(price.product_id, price.product_name)
        try:
            return self.create(price, meter_id)
        except ProvisioningRefused:
            made_meanwhile = self._usable(price, meter_id)
            if made_meanwhile is None:
                raise
            return made_meanwhile

    def create(self, price: SeatPrice | UsagePrice, meter_id: str, *, transfer: bool = False) -> str:
        """A new price; `transfer` takes the lookup key from the one that has it. Without idempotency key: a lookup key
        is unique, so a repeat cannot make a second price."""
        params = _params(price, meter_id)
        if transfer:
            params["transfer_lookup_key"] = True
        with creating():
            return self._client().v1.prices.create(params).id

    def find(self, lookup_keys: list[str]) -> dict[str, "Price"]:
        """The prices under lookup keys, archived ones too."""
        found: dict[str, Price] = {}
        for start in range(0, len(lookup_keys), 10):  # the API takes ten at a time
            with reading():
                page = self._client().v1.prices.list(
                    {"lookup_keys": lookup_keys[start : start + 10], "limit": 100, "expand": ["data.tiers"]}
                )
            found |= {price.lookup_key: price for price in page.data if price.lookup_key}
        return found

    def ensure_product(self, product_id: str, name: str) -> None:
        """The product exists; what it is called and whether it is sold stays as it is."""
        try:
            with creating():
                self._client().v1.products.create({"id": product_id, "name": name})
        except ProvisioningRefused as refused:
            if refused.extra.get("code") != "resource_already_exists":
                raise

    def meters(self) -> dict[str, "Meter"]:
        """Every meter by the name of its events; of several with one name, the active one."""
        found: dict[str, Meter] = {}
        with reading():
            for meter in self._client().v1.billing.meters.list({"limit": 100}).auto_paging_iter():
                if meter.event_name not in found or meter.status == "active":
                    found[meter.event_name] = meter
        return found

    def ensure_meter(self, event_name: str, title: str) -> str:
        """The id of the active meter of an event name, made if need be. A name is exclusive among active meters, so a
        repeat cannot make a second."""
        meter = self.meters().get(event_name)
        if meter is not None and meter.status == "active":
            return meter.id
        if meter is not None:
            raise ProvisioningRefused(
                f"the Stripe meter {meter.id} for {event_name} is deactivated; "
                "`make catalogue` activates it, then resume"
            )
        try:
            return self.create_meter(event_name, title)
        except ProvisioningRefused:
            made_meanwhile = self.meters().get(event_name)
            if made_meanwhile is None or made_meanwhile.status != "active":
                raise
            return made_meanwhile.id

    def create_meter(self, event_name: str, title: str) -> str:
        """A meter that adds up `value` by `stripe_customer_id`."""
        with creating():
            meter = self._client().v1.billing.meters.create(
                {
                    "event_name": event_name,
                    "display_name": title,
                    "default_aggregation": {"formula": "sum"},
                    "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
                    "value_settings": {"event_payload_key": "value"},
                }
            )
        return meter.id

    def _usable(self, price: SeatPrice | UsagePrice, meter_id: str) -> str | None:
        standing = self.find([price.lookup_key]).get(price.lookup_key)
        if standing is None:
            return None
        wrong = differences(standing, price, meter_id)
        if wrong:
            raise ProvisioningRefused(
                f"the Stripe price {standing.id} under {price.lookup_key} was changed: {'; '.join(wrong)}. "
                "`make catalogue` shows and repairs it; then resume"
            )
        return standing.id


def differences(standing: "Price", wanted: SeatPrice | UsagePrice, meter_id: str) -> list[str]:
    """In what a price differs from the wanted one, in words; empty when it is the one."""
    pairs: list[tuple[str, object, object]] = [
        ("product", _id(standing.product), wanted.product_id),
        ("currency", standing.currency, wanted.currency.lower()),
    ]
    recurring = standing.recurring
    interval = (recurring.interval, recurring.interval_count) if recurring else None
    if isinstance(wanted, SeatPrice):
        pairs += [
            ("interval", interval, (INTERVALS[wanted.cycle], 1)),
            ("usage", recurring.usage_type if recurring else None, "licensed"),
            ("amount", _text(standing.unit_amount_decimal), wanted.unit_amount),
        ]
    else:
        pairs += [
            ("interval", interval, ("month", 1)),
            ("meter", recurring.meter if recurring else None, meter_id),
            ("amount", _tiers_of(standing), _wanted_tiers(wanted)),
        ]
    wrong = [f"{name} is {_shown(found)}, not {_shown(right)}" for name, found, right in pairs if found != right]
    return wrong if standing.active else ["it is archived", *wrong]


def _params(price: SeatPrice | UsagePrice, meter_id: str) -> "PriceCreateParams":
    params: PriceCreateParams = {
        "product": price.product_id,
        "currency": price.currency.lower(),
        "lookup_key": price.lookup_key,
    }
    if isinstance(price, SeatPrice):
        params["unit_amount_decimal"] = Decimal(price.unit_amount)
        params["recurring"] = {"interval": "month" if price.cycle is BillingCycle.MONTHLY else "year"}
        return params
    params["recurring"] = {"interval": "month", "usage_type": "metered", "meter": meter_id}
    if not price.included:  # a tier of nothing is no tier
        params["unit_amount_decimal"] = Decimal(price.unit_amount)
        return params
    params["billing_scheme"] = "tiered"
    params["tiers_mode"] = "graduated"
    params["tiers"] = [
        {"up_to": price.included, "unit_amount_decimal": Decimal(0)},
        {"up_to": "inf", "unit_amount_decimal": Decimal(price.unit_amount)},
    ]
    return params


def _wanted_tiers(price: UsagePrice) -> object:
    if not price.included:
        return price.unit_amount
    return "graduated", ((price.included, "0"), (None, price.unit_amount))


def _tiers_of(price: "Price") -> object:
    if price.billing_scheme != "tiered":
        return _text(price.unit_amount_decimal)
    tiers = getattr(price, "tiers", None) or []
    return price.tiers_mode, tuple((tier.up_to, _text(tier.unit_amount_decimal) or "0") for tier in tiers)


def _text(amount: object) -> str:
    return "" if amount is None else decimal_text(Decimal(str(amount)))


def _shown(value: object) -> str:
    return "nothing" if value in (None, "") else str(value)


def _id(value: object) -> str:
    return value if isinstance(value, str) else str(getattr(value, "id", ""))

"""The catalogue at Stripe: products, prices, meters, entitlement features. API 2026-10-28.endive.

Sources: https://docs.stripe.com/api/entitlements/feature, https://docs.stripe.com/api/product-feature,
https://docs.stripe.com/api/billing/meter.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from stripe import StripeClient

from revops.adapters.stripe_calls import creating, reading, writing
from revops.adapters.stripe_prices import StripePrices, differences
from revops.orders.policies.pricing import SeatPrice, UsagePrice, price_of
from revops.orders.ports import ProvisioningRefused
from revops.orders.provisioning.catalogue import (
    Action,
    CatalogueChange,
    StandingCatalogue,
    StandingNamed,
    StandingPrice,
    StandingProduct,
    WantedCatalogue,
)

if TYPE_CHECKING:
    from stripe import Price


class StripeCatalogue:
    """`CatalogueGateway` over a client that is asked for at each use, because keys rotate."""

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        self._client = client
        self._prices = StripePrices(client)

    def standing(self, wanted: WantedCatalogue) -> StandingCatalogue:
        meters = {
            name: StandingNamed(meter.id, meter.display_name, meter.status == "active")
            for name, meter in self._prices.meters().items()
        }
        products = self._products(wanted)
        prices = {key: price for product in products for key, price in self._prices_of(product).items()}
        # a key that was moved to a price of another product is found by asking for it
        prices |= self._prices.find([key for key in wanted.prices if key not in prices])
        return StandingCatalogue(
            products=products,
            prices={
                key: StandingPrice(price.id, price.active, tuple(self._wrong(key, price, wanted, meters)))
                for key, price in prices.items()
            },
            meters=meters,
            features=self._features(),
        )

    def carry_out(self, change: CatalogueChange, wanted: WantedCatalogue, standing: StandingCatalogue) -> None:
        match change.what:
            case "product":
                self._carry_out_product(change, wanted)
            case "meter":
                self._carry_out_meter(change, wanted, standing)
            case "feature":
                self._carry_out_feature(change, wanted, standing)
            case "price":
                self._carry_out_price(change, wanted, standing)
            case _:
                self._carry_out_grant(change, standing)

    # -- what stands there -----------------------------------------------------------------------------------------

    def _products(self, wanted: WantedCatalogue) -> dict[str, StandingProduct]:
        found: dict[str, StandingProduct] = {}
        with reading():
            listed = self._client().v1.products.list({"ids": [*wanted.products], "limit": 100})
            for product in listed.auto_paging_iter():
                grants = self._client().v1.products.features.list(product.id, {"limit": 100}).auto_paging_iter()
                found[product.id] = StandingProduct(
                    product.name, product.active, {each.entitlement_feature.lookup_key: each.id for each in grants}
                )
        return found

    def _prices_of(self, product_id: str) -> dict[str, "Price"]:
        with reading():
            listed = self._client().v1.prices.list({"product": product_id, "limit": 100, "expand": ["data.tiers"]})
            return {price.lookup_key: price for price in listed.auto_paging_iter() if price.lookup_key}

    @staticmethod
    def _wrong(key: str, price: "Price", wanted: WantedCatalogue, meters: Mapping[str, StandingNamed]) -> list[str]:
        """In what a price is not what its key says. Whether it is archived is another matter."""
        meant = price_of(key, wanted.events)
        if meant is None:
            return []
        meter = meters.get(meant.event_name) if isinstance(meant, UsagePrice) else None
        return [each for each in differences(price, meant, meter.id if meter else "") if each != "it is archived"]

    def _features(self) -> dict[str, StandingNamed]:
        found: dict[str, StandingNamed] = {}
        for archived in (True, False):
            with reading():
                listed = self._client().v1.entitlements.features.list({"archived": archived, "limit": 100})
                for each in listed.auto_paging_iter():
                    found[each.lookup_key] = StandingNamed(each.id, each.name, each.active)
        return found

    # -- what is done ----------------------------------------------------------------------------------------------

    def _carry_out_product(self, change: CatalogueChange, wanted: WantedCatalogue) -> None:
        name = wanted.products[change.key].name
        if change.action is Action.CREATE:
            self._prices.ensure_product(change.key, name)
            return
        with writing():
            self._client().v1.products.update(change.key, {"name": name, "active": True})

    def _carry_out_meter(self, change: CatalogueChange, wanted: WantedCatalogue, standing: StandingCatalogue) -> None:
        title = wanted.meters[change.key]
        if change.action is Action.CREATE:
            self._prices.ensure_meter(change.key, title)
            return
        meter_id = standing.meters[change.key].id
        with writing():
            if change.action is Action.ACTIVATE:
                self._client().v1.billing.meters.reactivate(meter_id)
            else:
                self._client().v1.billing.meters.update(meter_id, {"display_name": title})

    def _carry_out_feature(self, change: CatalogueChange, wanted: WantedCatalogue, standing: StandingCatalogue) -> None:
        name = wanted.features[change.key]
        if change.action is not Action.CREATE:
            with writing():
                self._client().v1.entitlements.features.update(
                    standing.features[change.key].id, {"name": name, "active": True}
                )
            return
        try:
            with creating():
                # no idempotency key: a lookup key is unique, so a repeat cannot make a second feature
                self._client().v1.entitlements.features.create({"lookup_key": change.key, "name": name})
        except ProvisioningRefused:
            if change.key not in self._features():
                raise

    def _carry_out_price(self, change: CatalogueChange, wanted: WantedCatalogue, standing: StandingCatalogue) -> None:
        if change.action is Action.ACTIVATE:
            with writing():
                self._client().v1.prices.update(standing.prices[change.key].id, {"active": True})
            return
        price: SeatPrice | UsagePrice | None = wanted.prices.get(change.key) or price_of(change.key, wanted.events)
        if price is None:
            raise ProvisioningRefused(f"{change.key} is not a price of ours")
        if change.action is Action.CREATE:
            self._prices.ensure(price)
            return
        # the wrong price stays for whoever pays it already, and gives up its key
        meter = standing.meters.get(price.event_name) if isinstance(price, UsagePrice) else None
        self._prices.create(price, meter.id if meter else "", transfer=True)

    def _carry_out_grant(self, change: CatalogueChange, standing: StandingCatalogue) -> None:
        product_id, feature = change.key.split("/", 1)
        held = standing.products.get(product_id)
        if change.action is Action.DETACH and held is not None:
            with writing():
                self._client().v1.products.features.delete(product_id, held.grants[feature])
            return
        found = standing.features.get(feature)
        if held is None or found is None:
            return  # its product or feature has just been made: the next round attaches it
        try:
            with creating():
                self._client().v1.products.features.create(product_id, {"entitlement_feature": found.id})
        except ProvisioningRefused:
            with reading():
                attached = self._client().v1.products.features.list(product_id, {"limit": 100}).auto_paging_iter()
                if all(each.entitlement_feature.lookup_key != feature for each in attached):
                    raise

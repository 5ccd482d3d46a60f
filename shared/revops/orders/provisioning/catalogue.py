"""The provider's catalogue follows our plan data: products, list prices, meters, features by plan (ORD-5).

What would change is a pure comparison of what the data wants with what stands there, so that it can be shown before it
is done, and looked at every day: a price that somebody changed is found before an order meets it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from revops.kernel import CallContext, Clock, Unavailable, system_call
from revops.orders.model import BillingCycle
from revops.orders.policies.pricing import (
    PlanCatalogue,
    SeatPrice,
    decimal_text,
    net_seat_price,
    plan_product,
    usage_product,
)
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Entity, EntityKind, Key, Table, begin


@dataclass(frozen=True, slots=True)
class WantedProduct:
    """A product: its name, and the features it grants."""

    name: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WantedCatalogue:
    """What the plan data asks for: products by id, list prices by lookup key, titles of meters by event name, names of
    features by lookup key. `events` has the events of each product of usage."""

    products: Mapping[str, WantedProduct]
    prices: Mapping[str, SeatPrice]
    meters: Mapping[str, str]
    features: Mapping[str, str]
    events: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StandingProduct:
    """A product at the provider: `grants` has the id of each feature's attachment by its lookup key."""

    name: str
    active: bool
    grants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StandingPrice:
    """The price under a lookup key: in what it is not what the key says, in words."""

    id: str
    active: bool
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StandingNamed:
    """A meter or a feature."""

    id: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class StandingCatalogue:
    """What is there, keyed as in `WantedCatalogue`; of prices also those that only some orders use."""

    products: Mapping[str, StandingProduct]
    prices: Mapping[str, StandingPrice]
    meters: Mapping[str, StandingNamed]
    features: Mapping[str, StandingNamed]


class Action(StrEnum):
    """What is done about a difference."""

    CREATE = "create"
    RENAME = "rename"
    ACTIVATE = "activate"
    REPLACE = "replace"
    DETACH = "detach"


class CatalogueChange(BaseModel):
    """One difference and what closes it. `drift`: it was right once, or stands where ours should; somebody changed it.
    Otherwise it has not been made yet."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    what: str = Field(examples=["price"])
    key: str
    action: Action
    detail: str = ""
    drift: bool = False


class CatalogueGateway(Protocol):
    """The provider's catalogue. Raises Unavailable and ProvisioningRefused."""

    def standing(self, wanted: WantedCatalogue) -> StandingCatalogue: ...

    def carry_out(self, change: CatalogueChange, wanted: WantedCatalogue, standing: StandingCatalogue) -> None:
        """Closes one difference. Safe to repeat."""
        ...


def wanted_catalogue(data: PlanCatalogue) -> WantedCatalogue:
    """What the plan data asks for."""
    plans = {
        plan_product(plan): WantedProduct(offer.product_name, offer.features) for plan, offer in data.plans.items()
    }
    usage = {usage_product(offer): WantedProduct(offer.title) for offer in data.meters.values()}
    prices = [
        SeatPrice(
            product_id=plan_product(plan),
            product_name=offer.product_name,
            currency=currency,
            unit_amount=decimal_text(net_seat_price(monthly, Decimal(0), cycle)),
            cycle=cycle,
        )
        for plan, offer in data.plans.items()
        for currency, monthly in offer.seat_prices.items()
        for cycle in BillingCycle
    ]
    features = sorted({feature for offer in data.plans.values() for feature in offer.features})
    return WantedCatalogue(
        products={**plans, **usage},
        prices={price.lookup_key: price for price in prices},
        meters={offer.event_name: offer.title for offer in data.meters.values()},
        features={feature: feature.replace("_", " ").capitalize() for feature in features},
        events={usage_product(offer): offer.event_name for offer in data.meters.values()},
    )


def catalogue_changes(wanted: WantedCatalogue, standing: StandingCatalogue) -> tuple[CatalogueChange, ...]:
    """Every difference, in an order in which they can be closed. Products, prices and features that the data no longer
    names stay: running subscriptions may stand on them."""
    return (
        *_products(wanted, standing),
        *_named("meter", wanted.meters, standing.meters),
        *_named("feature", wanted.features, standing.features),
        *_prices(wanted, standing),
        *_grants(wanted, standing),
    )


def _products(wanted: WantedCatalogue, standing: StandingCatalogue) -> Iterator[CatalogueChange]:
    names = {key: product.name for key, product in wanted.products.items()}
    held = {key: StandingNamed(key, product.name, product.active) for key, product in standing.products.items()}
    yield from _named("product", names, held)


def _named(what: str, wanted: Mapping[str, str], standing: Mapping[str, StandingNamed]) -> Iterator[CatalogueChange]:
    for key, name in wanted.items():
        held = standing.get(key)
        if held is None:
            yield CatalogueChange(what=what, key=key, action=Action.CREATE, detail=name)
            continue
        if not held.active:
            yield CatalogueChange(what=what, key=key, action=Action.ACTIVATE, detail="it is archived", drift=True)
        if held.name != name:
            detail = f"it is called {held.name!r}, not {name!r}"
            yield CatalogueChange(what=what, key=key, action=Action.RENAME, detail=detail)


def _prices(wanted: WantedCatalogue, standing: StandingCatalogue) -> Iterator[CatalogueChange]:
    for key, held in standing.prices.items():
        if held.wrong:
            detail = "; ".join(held.wrong)
            yield CatalogueChange(what="price", key=key, action=Action.REPLACE, detail=detail, drift=True)
        elif not held.active and key in wanted.prices:
            yield CatalogueChange(what="price", key=key, action=Action.ACTIVATE, detail="it is archived", drift=True)
    for key, price in wanted.prices.items():
        if key not in standing.prices:
            detail = f"{price.unit_amount} {price.currency} minor units a seat, {price.cycle.lower()}"
            yield CatalogueChange(what="price", key=key, action=Action.CREATE, detail=detail)


def _grants(wanted: WantedCatalogue, standing: StandingCatalogue) -> Iterator[CatalogueChange]:
    for product_id, product in wanted.products.items():
        held = standing.products.get(product_id)
        grants = held.grants if held else {}
        for feature in product.features:
            if feature not in grants:
                yield CatalogueChange(what="grant", key=f"{product_id}/{feature}", action=Action.CREATE)
        for feature in grants:
            if feature in wanted.features and feature not in product.features:
                detail = "the plan does not have it"
                yield CatalogueChange(
                    what="grant", key=f"{product_id}/{feature}", action=Action.DETACH, detail=detail, drift=True
                )


class CatalogueCheck(Entity):
    """What the last look at the provider's catalogue found. One row; its id names the provider."""

    findings: tuple[CatalogueChange, ...] = ()

    @property
    def drifted(self) -> tuple[CatalogueChange, ...]:
        """What somebody changed behind our back."""
        return tuple(finding for finding in self.findings if finding.drift)


CATALOGUE_CHECKS = EntityKind[CatalogueCheck](
    kind="CATALOGUE_CHECK",
    title="check of the catalogue",
    model=CatalogueCheck,
    key=lambda identifier: Key(f"CATALOGUE#{identifier}", "CHECK"),
)

PROVIDER = "stripe"
_ROUNDS = 3


class SyncCatalogue:
    """Shows and closes the difference between the plan data and the provider's catalogue. Idempotent."""

    def __init__(self, table: Table, clock: Clock, gateway: CatalogueGateway, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._gateway = gateway
        self._settings = settings

    def plan(self) -> tuple[CatalogueChange, ...]:
        """What would change. Nothing is written. Raises Unavailable."""
        wanted = wanted_catalogue(self._settings.read(PlanCatalogue))
        return catalogue_changes(wanted, self._gateway.standing(wanted))

    def apply(self) -> tuple[CatalogueChange, ...]:
        """Closes every difference; what was done. Raises Unavailable and ProvisioningRefused with some of it done,
        which the next call goes on from."""
        wanted = wanted_catalogue(self._settings.read(PlanCatalogue))
        done: list[CatalogueChange] = []
        for _ in range(_ROUNDS):  # what stands on something new is seen once that is there
            standing = self._gateway.standing(wanted)
            changes = catalogue_changes(wanted, standing)
            if not changes:
                break
            for change in changes:
                self._gateway.carry_out(change, wanted, standing)
            done += [change for change in changes if change not in done]
        return tuple(done)

    def check(self, period: str) -> dict[str, int]:
        """Looks, and keeps what was found; the stream tells people when it is another finding than before. Counts by
        kind of difference."""
        findings = self.plan()
        self._keep(findings, system_call("catalogue_check", period))
        drifted = sum(finding.drift for finding in findings)
        return {"drifted": drifted, "missing": len(findings) - drifted}

    def _keep(self, findings: tuple[CatalogueChange, ...], call: CallContext) -> None:
        now = self._clock.now()
        held = CATALOGUE_CHECKS.get(self._table, PROVIDER)
        transaction = begin(call, now)
        if held is None:
            made = CatalogueCheck(id=PROVIDER, created_at=now, modified_at=now, findings=findings)
            CATALOGUE_CHECKS.create(transaction, made)
        elif held.findings != findings:
            CATALOGUE_CHECKS.update(transaction, held.revised(now, findings=findings))
        else:
            return
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Unavailable("another check was faster") from error

"""The provider's catalogue follows our plan data: what would change, what was changed, and who is told (ORD-5)."""

from dataclasses import dataclass, field, replace

import pytest

from revops.bus.reactions import notice_reactions
from revops.kernel import Clock, Unavailable
from revops.orders.events import events
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.provisioning.catalogue import (
    Action,
    CatalogueChange,
    StandingCatalogue,
    StandingNamed,
    StandingPrice,
    StandingProduct,
    SyncCatalogue,
    WantedCatalogue,
    catalogue_changes,
    wanted_catalogue,
)
from revops.settings import SettingsReader
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

pytestmark = pytest.mark.mission("ORD-5")


@dataclass
class Shelf:
    """`CatalogueGateway` in memory, which may be torn away in the middle."""

    stands: StandingCatalogue = field(default_factory=lambda: StandingCatalogue({}, {}, {}, {}))
    fails_after: int = -1

    def standing(self, wanted: WantedCatalogue) -> StandingCatalogue:
        return self.stands

    def carry_out(self, change: CatalogueChange, wanted: WantedCatalogue, standing: StandingCatalogue) -> None:
        if self.fails_after == 0:
            self.fails_after = -1
            raise Unavailable("torn away")
        self.fails_after -= 1
        key, held = change.key, self.stands
        match change.what:
            case "product":
                grants = held.products[key].grants if key in held.products else {}
                made = StandingProduct(wanted.products[key].name, True, grants)
                self.stands = replace(held, products={**held.products, key: made})
            case "meter":
                self.stands = replace(
                    held, meters={**held.meters, key: StandingNamed(f"mtr_{key}", wanted.meters[key], True)}
                )
            case "feature":
                self.stands = replace(
                    held, features={**held.features, key: StandingNamed(f"feat_{key}", wanted.features[key], True)}
                )
            case "price":
                self.stands = replace(held, prices={**held.prices, key: StandingPrice(f"price_{key}", True)})
            case _:
                product_id, feature = key.split("/")
                product = held.products[product_id]
                grants = {name: each for name, each in product.grants.items() if name != feature}
                if change.action is Action.CREATE:
                    grants[feature] = f"prodft_{feature}"
                self.stands = replace(held, products={**held.products, product_id: replace(product, grants=grants)})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def sync_over(table: MemoryTable, clock: Clock, shelf: Shelf) -> SyncCatalogue:
    return SyncCatalogue(table, clock, shelf, SettingsReader(table, ttl=0))


def test_what_the_data_says_is_made_and_then_nothing_differs(table: MemoryTable, clock: ManualClock) -> None:
    shelf = Shelf()
    sync = sync_over(table, clock, shelf)
    data = PlanCatalogue()
    wanted = wanted_catalogue(data)
    listed = sum(len(offer.seat_prices) for offer in data.plans.values())
    assert len(wanted.prices) == 2 * listed  # a month and a year
    assert len(wanted.products) == len(data.plans) + len(data.meters)
    planned = sync.plan()
    assert sync.apply() == planned
    assert sync.plan() == sync.apply() == ()
    assert shelf.stands.products["revops_enterprise"].grants.keys() == set(data.plans["Enterprise"].features)  # type: ignore[index]


def test_torn_away_in_the_middle_the_next_call_goes_on(table: MemoryTable, clock: ManualClock) -> None:
    shelf = Shelf(fails_after=7)
    sync = sync_over(table, clock, shelf)
    everything = sync.plan()
    with pytest.raises(Unavailable):
        sync.apply()
    assert len(sync.plan()) == len(everything) - 7
    sync.apply()
    assert sync.plan() == ()


def test_every_way_a_catalogue_can_be_changed_behind_our_back() -> None:
    wanted = wanted_catalogue(PlanCatalogue())
    shelf = Shelf()
    for change in catalogue_changes(wanted, shelf.stands):
        shelf.carry_out(change, wanted, shelf.stands)
    right = shelf.stands
    key = "revops:revops_starter:seat:eur:monthly:2900"
    starter = right.products["revops_starter"]
    negotiated = "revops:revops_starter:seat:eur:monthly:2610"
    wrong = StandingPrice("price_x", True, ("amount is 290, not 2900",))
    cases = {
        ("price", Action.REPLACE): replace(right, prices={**right.prices, key: wrong}),
        ("price", Action.ACTIVATE): replace(right, prices={**right.prices, key: StandingPrice("price_x", False)}),
        ("product", Action.ACTIVATE): replace(
            right, products={**right.products, "revops_starter": replace(starter, active=False)}
        ),
        ("meter", Action.ACTIVATE): replace(
            right, meters={**right.meters, "revops_units": StandingNamed("mtr", "Units", False)}
        ),
        ("feature", Action.ACTIVATE): replace(
            right, features={**right.features, "api": StandingNamed("feat", "Api", False)}
        ),
        ("grant", Action.DETACH): replace(
            right,
            products={
                **right.products,
                "revops_starter": replace(starter, grants={**starter.grants, "single_sign_on": "prodft"}),
            },
        ),
        ("price", Action.REPLACE, "negotiated"): replace(right, prices={**right.prices, negotiated: wrong}),
    }
    for expected, standing in cases.items():
        (found,) = catalogue_changes(wanted, standing)
        assert (found.what, found.action, found.drift) == (*expected[:2], True)
    # what only some order needed may rest, and a feature of somebody else's is none of ours
    resting = replace(right, prices={**right.prices, negotiated: StandingPrice("price_y", False)})
    assert catalogue_changes(wanted, resting) == ()
    foreign = replace(starter, grants={**starter.grants, "theirs": "prodft"})
    assert catalogue_changes(wanted, replace(right, products={**right.products, "revops_starter": foreign})) == ()


def test_a_drift_is_told_once_and_again_when_there_is_another(table: MemoryTable, clock: ManualClock) -> None:
    shelf = Shelf()
    sync = sync_over(table, clock, shelf)
    assert sync.check("1")["drifted"] == 0
    sync.apply()
    assert sync.check("2") == {"drifted": 0, "missing": 0}
    key = "revops:revops_starter:seat:eur:monthly:2900"
    prices = shelf.stands.prices
    shelf.stands = replace(shelf.stands, prices={**prices, key: StandingPrice("price_x", False)})
    assert sync.check("3") == {"drifted": 1, "missing": 0}
    assert sync.check("4") == {"drifted": 1, "missing": 0}
    other = "revops:revops_starter:seat:usd:monthly:2900"
    shelf.stands = replace(shelf.stands, prices={**shelf.stands.prices, other: StandingPrice("price_y", False)})
    assert sync.check("5")["drifted"] == 2
    said = [event for change in table.changes for event in events(change)]
    assert [event.name for event in said] == ["CatalogueDrifted", "CatalogueDrifted"]
    assert [event.data["keys"] for event in said] == [[key], [other]]
    assert len({event.id for event in said}) == 2
    assert "CatalogueDrifted" in notice_reactions(lambda: None, "ops@example.com")  # type: ignore[arg-type,return-value]

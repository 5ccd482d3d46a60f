"""I3: what is counted. Usage and its caps, the alerts about them, and the rollups, each against a recount."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from revops.analytics.contributions import COUNTED, contributions
from revops.usage.policies import SpendCapRules
from revops.usage.store import ALERTS, LEDGER, SPEND, UNITS, load_entry
from tests.faults.actors import CAP_ACCOUNT, SPEND_CAP, UNIT_LIMIT
from tests.faults.world import World

_ATOMS = 10**12


def usage(world: World) -> Iterator[str]:
    entries = [load_entry(row) for row in world.rows_of(LEDGER)]
    ids = {entry.event_id for entry in entries}
    if len(ids) < len(entries):
        yield "an event stands twice in the ledger"
    for event_id, (_, quantity) in world.diary.usage_done.items():
        found = [entry.quantity for entry in entries if entry.event_id == event_id]
        if found != [quantity]:
            yield f"{event_id} was accepted with {quantity} and stands as {found}"
    for event_id in world.diary.usage_refused & ids - world.diary.usage_done.keys():
        yield f"{event_id} was refused and stands in the ledger"
    units = sum(entry.quantity for entry in entries)
    cost = sum(entry.charge.cost for entry in entries)
    for row in world.rows_of(UNITS):
        if row.counters["api_used"] != units:
            yield f"the units counter says {row.counters['api_used']}, the ledger {units}"
        if units > UNIT_LIMIT:
            yield f"{units} units were accepted, the cap is {UNIT_LIMIT}"
    for row in world.rows_of(SPEND):
        if row.counters["spent"] != cost:
            yield f"the spend counter says {row.counters['spent']}, the ledger {cost}"
        if row.counters["left"] < 0 or cost > SPEND_CAP * _ATOMS:
            yield f"{cost} atoms were spent, the cap is {SPEND_CAP * _ATOMS}"


def alerts(world: World) -> Iterator[str]:
    raised = [ALERTS.load(row) for row in world.rows_of("ALERT")]
    names = Counter((alert.cap, alert.cycle, alert.threshold_percent) for alert in raised)
    for name, count in names.items():
        if count > 1:
            yield f"{name} was raised {count} times"
    reached: dict[tuple[str, str], int] = {}
    for row in world.rows_of(UNITS):
        reached["API Calls", row.sk.removeprefix("UNITS#")] = row.counters["api_used"] * 100 // UNIT_LIMIT
    for row in world.rows_of(SPEND):
        reached["Spend", row.sk.removeprefix("SPEND#")] = row.counters["spent"] * 100 // (SPEND_CAP * _ATOMS)
    for (cap, cycle), percent in reached.items():
        for threshold in SpendCapRules().thresholds_percent:
            if percent >= threshold and (cap, cycle, threshold) not in names:
                yield f"{cap} stands at {percent} % in {cycle} and nobody was told of {threshold} %"
    notes = [row for row in world.rows_of("NOTE") if f'"related_to":"{CAP_ACCOUNT}"' in row.doc]
    if len(notes) != len(raised):
        yield f"{len(raised)} alerts and {len(notes)} notes about them"


def rollups(world: World) -> Iterator[str]:
    recount: dict[str, Counter[str]] = defaultdict(Counter)
    for row in world.rows().values():
        if row.kind in COUNTED:
            for name, amount in contributions(row).items():
                rollup, _, field = name.partition("/")
                recount[rollup][field] += amount
    stored = {row.pk.removeprefix("ROLLUP#"): row.counters for row in world.rows_of("ROLLUP")}
    for rollup in recount.keys() | stored.keys():
        wanted = {name: amount for name, amount in recount[rollup].items() if amount}
        counted = {name: amount for name, amount in stored.get(rollup, {}).items() if amount}
        if wanted != counted:
            yield f"{rollup} says {counted}, a recount {wanted}"

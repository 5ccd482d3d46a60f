"""Where usage stands.

| item | pk | sk | gsi1 | gsi2 | read by |
|---|---|---|---|---|---|
| plan | CAPS#<account> | PLAN | | | account |
| terms of a plan's version | CAPS#<account> | TERMS#<version> | | | account and version |
| ledger entry | USAGE_EVENT#<sha256 of id> | LEDGER | USAGE#<account>#<month> / occurred | | id; account and month |
| units of a month | USAGE#<account> | UNITS#<month> | | CAPS#UNITS#<month>#<shard> / account | account; sweep |
| spend of a cycle | USAGE#<account> | SPEND#<cycle> | | CAPS#SPEND#<month or year>#<shard> / account | account; sweep |
| alert | ALERT#<id> | ALERT | ALERTS#<account> / raised | | id; account |
| claim on an alert | CLAIM#spend_cap_alert#… | CLAIM | | | account, cap, threshold, cycle |

Ledger entries, units and spend have no ttl: an id counts once for ever. They are no entities and have no audit: the
ledger is one, and the counters are its sums.

A counter row holds, per line, what is `left` of the included units and its mirror `over` (`over` = −`left`), the
`room` until units stop, and per meter what was `used`; `plan` and its mirror `unplan` are the version of the terms.
The mirrors are there because a condition can only ask for *at least*: `left >= q` is "all of it is included",
`over >= 0` "nothing of it is", `left >= n` with `over >= -n` "exactly n are left". Every event moves its meter's line
and the pool alike, so that a plan may change from one to the other within a month.

**Hot item.** All usage of one account in one month passes through its units row, and overage also through its spend
row. Concurrent transactions on one item cancel each other on AWS, which sets a ceiling of about 25 events per second
and account (p99 0.13 s; 1.1 s at 50 per second). Nothing leases units in blocks: an account above the ceiling sends
larger quantities per event.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from revops.kernel import time_text
from revops.table import EntityKind, Index, Key, Query, Row, Table, query_all, shard_of
from revops.usage.model import Alert, CapPlan, CapTerms, LedgerEntry, Line, Meter
from revops.usage.policies import ATOMS

LEDGER = "USAGE_EVENT"
UNITS = "USAGE_UNITS"
SPEND = "USAGE_SPEND"
TERMS = "CAP_TERMS"
SHARDS = 4
UNLIMITED_UNITS = 10**18
UNLIMITED_SPEND = 10**18 * ATOMS
"""No limit is a very large one: a row then has the same counters whatever its plan says."""

_NAMES: dict[str, str] = {
    Line.API_CALLS.value: "api",
    Line.SIGNATURES.value: "sig",
    Line.VERIFICATIONS.value: "ver",
    Line.POOLED.value: "pool",
}


def plan_id(account_id: str) -> str:
    """An account has one plan, named after it."""
    return "CAP_" + account_id.removeprefix("ACC_")


def _plan_key(identifier: str) -> Key:
    return Key(f"CAPS#ACC_{identifier.removeprefix('CAP_')}", "PLAN")


PLANS = EntityKind[CapPlan](kind="CAP_PLAN", title="usage plan", model=CapPlan, key=_plan_key)


def _alert_index(alert: Alert) -> Index:
    return {"gsi1": (f"ALERTS#{alert.account_id}", f"{time_text(alert.created_at)}#{alert.id}")}


ALERTS = EntityKind[Alert](
    kind="ALERT",
    title="spend cap alert",
    model=Alert,
    key=lambda identifier: Key(f"ALERT#{identifier}", "ALERT"),
    index=_alert_index,
)


# -- terms -------------------------------------------------------------------------------------------------------------


def terms_key(account_id: str, version: int) -> Key:
    """Where a version of an account's terms stands; versions are written once and never changed."""
    return Key(f"CAPS#{account_id}", f"TERMS#{version:08d}")


def terms_row(terms: CapTerms, version: int) -> Row:
    """The row of a version of the terms."""
    key = terms_key(terms.account_id, version)
    return Row(key.pk, key.sk, TERMS, version=version, doc=terms.model_dump_json(exclude_none=True))


def load_terms(row: Row) -> CapTerms:
    """The inverse of `terms_row`."""
    return CapTerms.model_validate_json(row.doc)


# -- ledger ------------------------------------------------------------------------------------------------------------


def ledger_key(event_id: str) -> Key:
    """The same id is always the same row; the sender's text itself stands in no key (S17)."""
    return Key(f"USAGE_EVENT#{hashlib.sha256(event_id.encode()).hexdigest()}", "LEDGER")


def ledger_row(entry: LedgerEntry) -> Row:
    """The row of an accepted usage event."""
    key = ledger_key(entry.event_id)
    position = f"{time_text(entry.occurred_at)}#{key.pk[12:44]}"
    index = {"gsi1": (f"USAGE#{entry.account_id}#{entry.month}", position)}
    return Row(key.pk, key.sk, LEDGER, doc=entry.model_dump_json(), index=index)


def load_entry(row: Row) -> LedgerEntry:
    """The inverse of `ledger_row`."""
    return LedgerEntry.model_validate_json(row.doc)


# -- counters ----------------------------------------------------------------------------------------------------------


def units_key(account_id: str, month: str) -> Key:
    """Where an account's units of a month stand."""
    return Key(f"USAGE#{account_id}", f"UNITS#{month}")


def spend_key(account_id: str, cycle: str) -> Key:
    """Where an account's overage spend of a cycle stands."""
    return Key(f"USAGE#{account_id}", f"SPEND#{cycle}")


def left(line: Line) -> str:
    """The counter of included units that remain."""
    return f"{_NAMES[line.value]}_left"


def over(line: Line) -> str:
    """The counter of units beyond the included ones, below zero while some are left."""
    return f"{_NAMES[line.value]}_over"


def room(line: Line) -> str:
    """The counter of units that the usage cap still leaves."""
    return f"{_NAMES[line.value]}_room"


def used(meter: Meter) -> str:
    """The counter of units used."""
    return f"{_NAMES[meter.value]}_used"


def opened_units(terms: CapTerms, version: int, month: str) -> Row:
    """A month nothing was used in yet."""
    counters = {"plan": version, "unplan": -version} | {used(meter): 0 for meter in Meter}
    for line, (included, stop) in _limits(terms).items():
        counters |= {left(line): included, over(line): -included, room(line): stop}
    key = units_key(terms.account_id, month)
    partition = f"CAPS#UNITS#{month}#{shard_of(terms.account_id, SHARDS)}"
    return Row(key.pk, key.sk, UNITS, counters=counters, index={"gsi2": (partition, terms.account_id)})


def opened_spend(terms: CapTerms, cycle: str) -> Row:
    """A spend cycle nothing was spent in yet. `left` and `spent` are in atoms."""
    key = spend_key(terms.account_id, cycle)
    partition = f"CAPS#SPEND#{_listed_under(cycle)}#{shard_of(terms.account_id, SHARDS)}"
    counters = {"left": spend_limit(terms), "spent": 0}
    return Row(key.pk, key.sk, SPEND, counters=counters, index={"gsi2": (partition, terms.account_id)})


def spend_limit(terms: CapTerms) -> int:
    """The spend cap in atoms."""
    return UNLIMITED_SPEND if terms.spend_cap is None else terms.spend_cap * ATOMS


def usage_moves(meter: Meter, quantity: int) -> dict[str, int]:
    """What `quantity` units of a meter do to the units row."""
    moves = {used(meter): quantity}
    for line in (Line(meter.value), Line.POOLED):
        moves |= {left(line): -quantity, over(line): quantity, room(line): -quantity}
    return moves


def terms_moves(before: CapTerms, after: CapTerms) -> dict[str, int]:
    """What a change of terms, one version on, does to the units row."""
    moves = {"plan": 1, "unplan": -1}
    new = _limits(after)
    for line, (included, stop) in _limits(before).items():
        more = new[line][0] - included
        moves |= {left(line): more, over(line): -more, room(line): new[line][1] - stop}
    return moves


def _limits(terms: CapTerms) -> dict[Line, tuple[int, int]]:
    """Per line: units included, and units at which it stops."""
    limits = dict.fromkeys(Line, (0, UNLIMITED_UNITS))
    for one in terms.allowances:
        limits[one.line] = (one.included, UNLIMITED_UNITS if one.stops_at is None else one.stops_at)
    return limits


def _listed_under(cycle: str) -> str:
    return cycle[:5] if cycle.startswith("Y") else cycle


def active_counters(table: Table, months: Sequence[str], now: datetime) -> Iterator[Row]:
    """The counter rows that usage may still move, read consistently: units and spend of some months, and the spend
    of the annual cycles that may still be running."""
    years = [f"Y{year}" for year in range(now.year, now.year - 3, -1)]
    listings = [f"CAPS#UNITS#{month}" for month in months]
    listings += [f"CAPS#SPEND#{cycle}" for cycle in (*months, *years)]
    for listing in listings:
        for shard in range(SHARDS):
            query = Query(pk=f"{listing}#{shard}", index="gsi2", limit=100, documents=False)
            batch: list[Key] = []
            for row in query_all(table, query):
                batch.append(row.key)
                if len(batch) == 100:
                    yield from (found for found in table.get_many(batch) if found)
                    batch = []
            yield from (found for found in table.get_many(batch) if found)

"""Rates that many processes share: a window is cut into slots, and whoever wants to act takes from a slot in blocks.

| item | pk | sk | written |
|---|---|---|---|
| slot | RATE#<name>#<slot start> | SLOT | `left` counts down, a block at a time; gone after an hour |

A process uses the block it took within the slot, so a slot's item sees a few writes a second whatever the rate
(docs/architecture.md, hot items). What was taken and not used ends with the slot.
"""

from datetime import UTC, datetime, timedelta

from revops.kernel import CallContext
from revops.table.entities import begin
from revops.table.port import ConditionFailed, Table
from revops.table.row import Key, Row
from revops.table.transaction import ABSENT

KIND = "RATE_SLOT"
_KEEP = timedelta(hours=1)
_ATTEMPTS = 8


def slot_of(now: datetime, seconds: int) -> int:
    """The start of the slot a moment lies in, in seconds since 1970."""
    return int(now.timestamp()) // seconds * seconds


def take_block(
    table: Table, name: str, slot: int, now: datetime, call: CallContext, *, per_slot: int, block: int
) -> int:
    """Takes at most `block` of what a slot has left; 0 when it has nothing left."""
    key = Key(f"RATE#{name}#{datetime.fromtimestamp(slot, UTC):%Y%m%dT%H%M%S}", "SLOT")
    for _ in range(_ATTEMPTS):
        row = table.get(key)
        left = per_slot if row is None else row.counters.get("left", 0)
        taken = min(block, left)
        if taken < 1:
            return 0
        transaction = begin(call, now)
        if row is None:
            expires = int((now + _KEEP).timestamp())
            fresh = Row(pk=key.pk, sk=key.sk, kind=KIND, counters={"left": left - taken}, ttl=expires)
            transaction.put(fresh, ABSENT)
        else:
            transaction.move(key, KIND, {"left": -taken}, at_least={"left": taken})
        try:
            table.commit(transaction)
        except ConditionFailed:
            continue
        return taken
    return 0

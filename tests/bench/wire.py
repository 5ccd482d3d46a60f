"""What goes over the wire to the table: the operations, and the capacity DynamoDB says they took."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from revops.table.dynamo import DynamoTable

_READS = frozenset({"GetItem", "BatchGetItem", "Query"})


@dataclass
class Meter:
    """Operations in order; units by what was read or written: the table itself, or an index by name."""

    operations: list[str] = field(default_factory=list)
    written: dict[str, float] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)

    @property
    def write_units(self) -> float:
        return sum(self.written.values())

    @property
    def read_units(self) -> float:
        return sum(self.read.values())


@contextmanager
def metered(table: DynamoTable) -> Iterator[Meter]:
    """Counts what a table is asked, with ReturnConsumedCapacity INDEXES on every request."""
    meter = Meter()
    events = table.connection.client.meta.events

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"

    def count(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        meter.operations.append(model.name)
        consumed = parsed.get("ConsumedCapacity", [])
        units = meter.read if model.name in _READS else meter.written
        for each in consumed if isinstance(consumed, list) else [consumed]:
            parts = {"table": each.get("Table", {}), **each.get("GlobalSecondaryIndexes", {})}
            for name, part in parts.items():
                units[name] = units.get(name, 0.0) + part.get("CapacityUnits", 0.0)

    events.register("provide-client-params.dynamodb", ask, unique_id="bench-ask")
    events.register("after-call.dynamodb", count, unique_id="bench-count")
    try:
        yield meter
    finally:
        events.unregister("provide-client-params.dynamodb", unique_id="bench-ask")
        events.unregister("after-call.dynamodb", unique_id="bench-count")

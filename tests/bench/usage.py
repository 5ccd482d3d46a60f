"""Recording a unit of usage: how often the table is asked, and in which order."""

from tests.bench.measure import Row
from tests.bench.wire import metered
from tests.builders.dynoxide import DynoxideServer
from tests.builders.usage import UsageDesk, api_calls

EVENTS = 50


def rows(engine: DynoxideServer) -> list[Row]:
    """Counted, not timed: the operations on the wire for an event within its plan, in a function that has seen the
    account before. What is read after the transaction is the receipt's account of what remains; it decides nothing.
    """
    table = engine.create_table()
    desk = UsageDesk(table)
    desk.plan(api_calls(10_000, "0.015", 20_000), spend_cap=500_00)
    desk.use(1)
    sequences: list[list[str]] = []
    for _ in range(EVENTS):
        with metered(table) as meter:
            desk.use(1)
        sequences.append(meter.operations)
    engine.drop_table(table)
    commits = max(operations.count("TransactWriteItems") for operations in sequences)
    before = max(operations.index("TransactWriteItems") for operations in sequences)
    details: dict[str, float | str] = {"on the wire": ", ".join(sequences[-1])}
    return [
        Row("authorise a unit of usage: transactions", commits, "", 1, details=details),
        Row("authorise a unit of usage: requests before the transaction", before, "", 0),
    ]

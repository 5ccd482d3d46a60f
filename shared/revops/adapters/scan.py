"""The sweeper's slow walk over the table."""

from typing import Any

from revops.table import Page, Row
from revops.table.cursor import decode_position, encode_position
from revops.table.dynamo import DynamoTable


class TableScan:
    """`RollingScan` over DynamoDB. Eventually consistent: the sweeper looks only at what is minutes old."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def scan(self, after: str, limit: int) -> Page:
        """Raises Throttled and Unavailable once the table's own retries ran out."""
        start: dict[str, Any] = {"ExclusiveStartKey": decode_position(after)} if after else {}
        answer = self._table.call("Scan", Limit=limit, **start)
        last = answer.get("LastEvaluatedKey")
        return Page([Row.from_raw(raw) for raw in answer["Items"]], encode_position(last) if last else "")

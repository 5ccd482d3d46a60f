"""The sweeper's walk meets a busy table: it waits like every other call, and says so when it is no use (R5)."""

from typing import Any

import pytest
from pynamodb.exceptions import VerboseClientError

from revops.adapters.scan import TableScan
from revops.table import Throttled
from revops.table.dynamo import DynamoTable

ITEM = {"pk": {"S": "a"}, "sk": {"S": "b"}, "kind": {"S": "K"}, "v": {"N": "1"}}


class BusyTable:
    """Answers after some refusals."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.asked: list[dict[str, Any]] = []

    def dispatch(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(arguments)
        if len(self.asked) <= self.refusals:
            error: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "busy"}}
            raise VerboseClientError(error, operation, {})
        return {"Items": [ITEM], "LastEvaluatedKey": {"pk": {"S": "a"}, "sk": {"S": "b"}}}


def scan_of(refusals: int) -> tuple[TableScan, BusyTable]:
    table, busy = DynamoTable("t", "eu-west-2", attempts=4, sleep=lambda _: None), BusyTable(refusals)
    table.connection = busy  # type: ignore[assignment]
    return TableScan(table), busy


@pytest.mark.fault("R5")
def test_a_busy_table_is_asked_again() -> None:
    scan, busy = scan_of(3)
    page = scan.scan("", 10)
    assert [row.pk for row in page.rows] == ["a"]
    assert len(busy.asked) == 4
    scan.scan(page.last, 10)
    assert busy.asked[-1]["ExclusiveStartKey"] == {"pk": {"S": "a"}, "sk": {"S": "b"}}


@pytest.mark.fault("R5")
def test_a_table_that_stays_busy_is_to_be_tried_again_later() -> None:
    scan, busy = scan_of(99)
    with pytest.raises(Throttled):
        scan.scan("", 10)
    assert len(busy.asked) == 4

"""The table's contract once more, on the emulator the stack is deployed to (design: dynoxide and ministack alike)."""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws import client
from revops.table.dynamo import DynamoTable
from tests.acceptance.stack import Stack
from tests.builders.dynoxide import table_properties
from tests.integration import test_table_contract

_ABOUT_THE_OTHER_ENGINE = {
    "test_the_stream_tells_every_change_as_before_and_after",
    "test_a_table_that_is_not_there_is_unavailable",
}
globals().update(
    {
        name: each
        for name, each in vars(test_table_contract).items()
        if (name.startswith("test_") and name not in _ABOUT_THE_OTHER_ENGINE) or name == "patient"
    }
)

_NUMBERS = itertools.count(1)


@pytest.fixture
def dynamo_table(stack: Stack) -> Iterator[DynamoTable]:
    """A table of its own for each test, on the emulator."""
    told: Any = stack.told
    dynamodb = client(told, "dynamodb")
    name = f"contract-{os.getpid()}-{next(_NUMBERS)}"
    dynamodb.create_table(TableName=name, **table_properties())
    yield DynamoTable(name, told["region"], told["endpoint_url"])
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def table(dynamo_table: DynamoTable) -> DynamoTable:
    """The one implementation that the contract is held against here."""
    return dynamo_table

"""The table on DynamoDB, through PynamoDB's connection: its expressions, its transport, our row codec.

PynamoDB models are not used: one costs a client of its own per subclass and a third more CPU per query than this
codec (docs/adr/0002). No DescribeTable is sent: the key schema is known.
"""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.exceptions import HTTPClientError
from botocore.session import Session
from pynamodb.connection import Connection
from pynamodb.exceptions import VerboseClientError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path, Value
from pynamodb.expressions.update import Update

from revops.kernel import Unavailable
from revops.table.cursor import decode_position, encode_position
from revops.table.port import ConditionFailed, Contention, Failure, Page, Query, Throttled
from revops.table.row import INDEXES, Key, Row
from revops.table.session import botocore_session
from revops.table.transaction import (
    ABSENT,
    ANYTHING,
    Check,
    Delete,
    Expectation,
    Move,
    Operation,
    Put,
    Transaction,
    operation_key,
)

_THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ProvisionedThroughputExceeded",  # as a cancellation reason
        "ThrottlingException",
        "ThrottlingError",
        "RequestLimitExceeded",
    }
)
_CONFLICTS = frozenset({"TransactionConflict", "TransactionInProgressException", "TransactionConflictException"})
_BROKEN = frozenset({"InternalServerError", "InternalServerErrorException", "ServiceUnavailable", "InternalFailure"})
_SILENCE = (HTTPClientError, BotocoreConnectionError)
_ATTEMPTS = 8
_SILENT_ATTEMPTS = 3
"""How often a table that does not answer at all is asked: each time costs a whole time-out."""


class _Connection(Connection):
    """PynamoDB's connection on the session that all clients of the process share."""

    @property
    def session(self) -> Session:
        return botocore_session()


class DynamoTable:
    """`Table` over one DynamoDB table.

    Conflicts, throttles and lost answers are retried here and only here, with full jitter; a commit keeps its client
    token over all attempts, so one whose answer was lost is not done twice (R4, R6); a failed condition is never
    retried. `sleep` and `jitter` are parameters for the tests.
    """

    def __init__(
        self,
        name: str,
        region: str,
        endpoint_url: str | None = None,
        *,
        attempts: int = _ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.connection = _Connection(
            region=region,
            host=endpoint_url,
            connect_timeout_seconds=2,
            read_timeout_seconds=5,
            max_retry_attempts=0,
        )
        self._attempts = attempts
        self._sleep = sleep
        self._jitter = jitter

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        answer = self._call(
            "GetItem",
            {"TableName": self.name, "Key": _raw_key(key), "ConsistentRead": consistent},
        )
        raw = answer.get("Item")
        return Row.from_raw(raw) if raw else None

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        found: dict[Key, Row] = {}
        unique = list(dict.fromkeys(keys))
        for start in range(0, len(unique), 100):
            wanted: Any = {
                self.name: {
                    "Keys": [_raw_key(key) for key in unique[start : start + 100]],
                    "ConsistentRead": consistent,
                }
            }
            for attempt in range(self._attempts):
                if attempt:
                    self._pause(attempt)
                answer = self._call("BatchGetItem", {"RequestItems": wanted})
                for raw in answer["Responses"].get(self.name, ()):
                    row = Row.from_raw(raw)
                    found[row.key] = row
                wanted = answer.get("UnprocessedKeys")
                if not wanted:
                    break
            else:
                raise Throttled("the table is busy; try again shortly")
        return [found.get(key) for key in keys]

    def query(self, query: Query) -> Page:
        pk_name, sk_name = INDEXES[query.index] if query.index else ("pk", "sk")
        condition: Condition = Path(pk_name) == query.pk
        if query.begins:
            condition &= Path(sk_name).startswith(query.begins)
        elif query.low and query.high:
            condition &= Path(sk_name).between(query.low, query.high)
        elif query.low:
            condition &= Path(sk_name) >= query.low
        elif query.high:
            condition &= Path(sk_name) <= query.high
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        expression = condition.serialize(names, values)
        arguments: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": expression,
            "ExpressionAttributeNames": _swap(names),
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not query.descending,
            "Limit": query.limit,
        }
        if query.index:
            arguments["IndexName"] = query.index
        elif query.consistent:
            arguments["ConsistentRead"] = True
        if query.after:
            arguments["ExclusiveStartKey"] = decode_position(query.after)
        answer = self._call("Query", arguments)
        rows = [Row.from_raw(raw) for raw in answer["Items"]]
        if query.index and query.documents and rows:
            rows = [row for row in self.get_many([row.key for row in rows], consistent=False) if row is not None]
        last = answer.get("LastEvaluatedKey")
        return Page(rows, encode_position(last) if last else "")

    def call(self, operation: str, **arguments: Any) -> Any:
        """A call that no method here makes, on this table and tried again like every other."""
        return self._call(operation, {"TableName": self.name, **arguments})

    def commit(self, transaction: Transaction) -> None:
        if not transaction.operations:
            return
        transaction.verify()
        items = [self._item(operation) for operation in transaction.operations]
        arguments = {"TransactItems": items, "ClientRequestToken": uuid.uuid4().hex}
        self._call("TransactWriteItems", arguments, transaction.operations)

    def _item(self, operation: Operation) -> dict[str, Any]:
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        body: dict[str, Any] = {"TableName": self.name}
        match operation:
            case Put(row=row):
                name = "Put"
                body["Item"] = row.to_raw()
            case Delete():
                name = "Delete"
            case Check():
                name = "ConditionCheck"
            case Move(kind=kind, add=add):
                name = "Update"
                update = Update(Path("kind").set(kind), *(Path(counter).add(amount) for counter, amount in add.items()))
                body["UpdateExpression"] = update.serialize(names, values)
        if not isinstance(operation, Put):
            body["Key"] = _raw_key(operation.key)
        condition = _condition(operation)
        if condition is not None:
            body["ConditionExpression"] = condition.serialize(names, values)
            body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if names:
            body["ExpressionAttributeNames"] = _swap(names)
        if values:
            body["ExpressionAttributeValues"] = values
        return {name: body}

    def _call(self, operation: str, arguments: dict[str, Any], operations: Sequence[Operation] = ()) -> Any:
        """Sends until it is answered. Raises ConditionFailed, Contention, Throttled, Unavailable."""
        attempt = silent = 0
        while True:
            attempt += 1
            try:
                return self.connection.dispatch(operation, arguments)
            except VerboseClientError as error:
                failed = _retryable(error, operations)
                cause: Exception = error
            except _SILENCE as error:
                failed = Unavailable("the table did not answer; try again shortly")
                cause = error
                silent += 1
            if attempt == self._attempts or silent == _SILENT_ATTEMPTS:
                raise failed from cause
            self._pause(attempt)

    def _pause(self, attempt: int) -> None:
        self._sleep(min(1.0, 0.02 * 2**attempt) * self._jitter())


def _raw_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _swap(names: dict[str, str]) -> dict[str, str]:
    return {placeholder: name for name, placeholder in names.items()}


def _condition(operation: Operation) -> Condition | None:
    """The expectation of an operation as a DynamoDB condition; None when anything goes."""
    condition = _expected(operation.expect)
    if isinstance(operation, Move):
        for counter, floor in operation.at_least.items():
            enough = Path(counter) >= floor
            condition = enough if condition is None else condition & enough
    return condition


def _expected(expect: Expectation) -> Condition | None:
    if expect is ANYTHING:
        return None
    if expect is ABSENT:
        return Path("pk").does_not_exist()
    return Path("v") == Value(expect)


def _code(error: VerboseClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _retryable(error: VerboseClientError, operations: Sequence[Operation]) -> Unavailable | Contention:
    """What to raise should the attempts run out on a conflict, a throttle or a fault of the service.

    Raises ConditionFailed, or the error itself, when another attempt cannot help.
    """
    reasons = [reason for reason in enumerate(error.cancellation_reasons) if reason[1] is not None]
    failures = [
        Failure(
            position, operation_key(operations[position]), Row.from_raw(reason.raw_item) if reason.raw_item else None
        )
        for position, reason in reasons
        if reason is not None and reason.code == "ConditionalCheckFailed"
    ]
    if failures:
        raise ConditionFailed(failures) from error
    codes = {_code(error), *(reason.code for _, reason in reasons if reason is not None)}
    if codes & _CONFLICTS:
        return Contention("others keep changing the same record; try again shortly")
    if codes & _THROTTLES:
        return Throttled("the table is busy; try again shortly")
    if codes & _BROKEN:
        return Unavailable("the table does not work at the moment; try again shortly")
    raise error

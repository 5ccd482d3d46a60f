"""Faults on the wire between a `DynamoTable` and its engine, by botocore's `before-send` hook (R4, R5, R6).

No emulator produces a transaction conflict, a throttle or a lost answer; these do. A fault is asked once per request
and decides what happens to it.
"""

import contextlib
import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

from revops.table.dynamo import DynamoTable

Fault = Callable[[AWSPreparedRequest], AWSResponse | None]
"""None lets a request through."""


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class _Body(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _sent(request: AWSPreparedRequest) -> bytes:
    body = request.body
    return body.encode() if isinstance(body, str) else bytes(body)  # type: ignore[arg-type]


def refusal(request: AWSPreparedRequest, code: str, reasons: tuple[str, ...] = (), status: int = 400) -> AWSResponse:
    """DynamoDB's answer for an error code; `reasons` are the cancellation reasons, `None` for an innocent operation."""
    body: dict[str, Any] = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code}
    if reasons:
        body["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    headers = HTTPHeaders()
    headers["content-type"] = "application/x-amz-json-1.0"
    return AWSResponse(request.url, status, headers, _Body(json.dumps(body).encode()))


def conflict(request: AWSPreparedRequest) -> AWSResponse:
    """Another transaction held one of the items."""
    count = len(json.loads(_sent(request))["TransactItems"])
    return refusal(request, "TransactionCanceledException", ("TransactionConflict", *["None"] * (count - 1)))


def throttle(request: AWSPreparedRequest) -> AWSResponse:
    """No capacity left."""
    return refusal(request, "ProvisionedThroughputExceededException")


def lost_answer(request: AWSPreparedRequest) -> AWSResponse:
    """The engine does what it is asked, or refuses it; its answer never arrives."""
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    again = urllib.request.Request(request.url, _sent(request), headers, method="POST")
    with contextlib.suppress(urllib.error.HTTPError), _DIRECT.open(again, timeout=5) as answer:
        answer.read()
    raise ReadTimeoutError(endpoint_url=request.url)


def unreachable(request: AWSPreparedRequest) -> AWSResponse:
    """Nothing arrives and nothing is done."""
    raise ReadTimeoutError(endpoint_url=request.url)


class BrokenWire:
    """What went over the wire while the fault was on: one decoded body per send, and its target."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    @property
    def tokens(self) -> set[str]:
        return {body["ClientRequestToken"] for body in self.sent if "ClientRequestToken" in body}


@contextmanager
def broken_wire(table: DynamoTable, *faults: Fault | None, operation: str = "*") -> Iterator[BrokenWire]:
    """Each fault hits one send, in order; None lets that send through, and so does the end of the list."""
    waiting = list(faults)
    wire = BrokenWire()

    def before_send(request: AWSPreparedRequest, **_: Any) -> Any:
        wire.sent.append(json.loads(_sent(request)))
        fault = waiting.pop(0) if waiting else None
        return fault(request) if fault else None

    events = table.connection.client.meta.events
    name = f"before-send.dynamodb.{operation}"
    events.register(name, before_send)
    try:
        yield wire
    finally:
        events.unregister(name, before_send)

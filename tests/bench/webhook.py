"""Stripe's webhook: what an acknowledgement costs beside the one write it makes, and a burst of ten thousand.

Both run the function's own routes, verification and receiving over DynamoDB's interface (dynoxide, in memory, no
network to speak of). On AWS the write takes milliseconds more and the rest of the handler the same, so the ratio here
is the harder one.
"""

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from revops.adapters.scan import TableScan
from revops.adapters.stripe_events import read_stripe_event, read_stripe_signal
from revops.adapters.stripe_signature import verify_stripe_signature
from revops.api.billing import add_stripe_webhook_route
from revops.billing import ConvergeCustomer, ReceiveStripeEvent, StripeIdentity
from revops.billing.model import BillingFacts
from revops.inbox import INBOX, InboxEntry, InboxStatus, ReceiveSignal, Settlement
from revops.inbox.store import inbox_row
from revops.kernel import Principal, RandomIds, Role, SystemClock, system_call
from revops.platform.http import Api
from revops.settings import SettingsReader
from revops.stream import KeepDeadLetter, RelayChanges
from revops.table import ABSENT, begin
from revops.table.dynamo import DynamoTable
from tests.bench.measure import Row, side_by_side, wall
from tests.bench.wire import metered
from tests.builders.billing import Accounts, TruthGateway, signature_header, subscription
from tests.builders.blobs import MemoryBlobs
from tests.builders.dynoxide import DynoxideServer
from tests.builders.requests import KnownCallers, http_event
from tests.builders.stream import ListeningBus, ListeningQueues

ROUNDS, TIMES = 11, 60
BURST, SENDERS, WORKERS, CUSTOMERS = 10_000, 16, 8, 500
_CALL = system_call("bench")


class Door:
    """The function of the webhook over a table, and signed events for it. `path` is the route's."""

    def __init__(self, table: DynamoTable) -> None:
        self.table, self.secret, self.blobs = table, secrets.token_hex(16), MemoryBlobs()

    def api(self) -> Api:
        """The handler, as the function makes it; one per sender, like one per execution environment."""
        clock = SystemClock()

        def prove(raw: bytes, header: str, now: datetime) -> None:
            verify_stripe_signature(raw, header, [self.secret], now)

        receive = ReceiveStripeEvent(
            ReceiveSignal(self.table, clock, self.blobs),
            prove,
            read_stripe_signal,
            lambda: StripeIdentity("acct_bench", False),
            clock,
        )
        api = Api(KnownCallers(Principal("nobody", Role.ADMIN)))
        add_stripe_webhook_route(api, receive)
        return api

    def event(self, number: int) -> dict[str, Any]:
        """A request as API Gateway hands it over: an invoice of some customer was paid."""
        body = _body(number)
        header = signature_header(body.encode(), self.secret, datetime.now(UTC))
        return http_event("POST", "/webhooks/stripe", headers={"stripe-signature": header}, raw=body)


def _body(number: int) -> str:
    payer = f"cus_{number % CUSTOMERS}"
    lines = [{"id": f"il_{line}", "object": "line_item", "amount": 4900, "description": "Seat"} for line in range(8)]
    invoice = {
        "id": f"in_{number}",
        "object": "invoice",
        "customer": payer,
        "currency": "eur",
        "amount_paid": 39200,
        "billing_reason": "subscription_cycle",
        "lines": {"object": "list", "data": lines},
        "parent": {"subscription_details": {"subscription": f"sub_{number % CUSTOMERS}"}},
    }
    event = {
        "id": f"evt_bench_{number}",
        "object": "event",
        "type": "invoice.paid",
        "created": int(time.time()),
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": {"object": invoice},
    }
    return json.dumps(event)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        yield


def rows(engine: DynoxideServer) -> list[Row]:
    """Writes per acknowledgement, counted on the wire; and the wall time of the warm handler over that of its write."""
    table = engine.create_table()
    door = Door(table)
    api, numbers = door.api(), iter(range(10**9))
    events = [door.event(next(numbers)) for _ in range((ROUNDS + 2) * TIMES)]
    waiting = iter(events)
    entries = iter([_entry(door, number) for number in range((ROUNDS + 2) * TIMES)])

    def acknowledge() -> None:
        assert api(next(waiting), None)["statusCode"] == 200

    with _quiet():
        with metered(table) as meter:
            assert api(door.event(10**9), None)["statusCode"] == 200
        pair = side_by_side(acknowledge, lambda: _write(table, next(entries)), rounds=ROUNDS, times=TIMES, clock=wall)
    engine.drop_table(table)
    wire: dict[str, float | str] = {"on the wire": ", ".join(meter.operations)}
    return [
        Row("webhook acknowledgement: requests to the table", len(meter.operations), "", 1, details=wire),
        pair.row("webhook acknowledgement: warm handler over its write", 1.5),
    ]


def _entry(door: Door, number: int) -> InboxEntry:
    """An entry as the handler makes it, under an id of its own."""
    now, body = datetime.now(UTC), _body(number)
    identifier = f"INB_stripe_{secrets.token_hex(20)}"
    return InboxEntry(
        id=identifier,
        created_at=now,
        modified_at=now,
        subject=f"cus_{number % CUSTOMERS}",
        object_id=f"in_{number}",
        body=body,
        provider="stripe",
        event_id=f"evt_floor_{number}",
        event_type="invoice.paid",
    )


def _write(table: DynamoTable, entry: InboxEntry) -> None:
    transaction = begin(_CALL, entry.created_at)
    transaction.put(inbox_row(entry), ABSENT)
    table.commit(transaction)


# ── a burst ───────────────────────────────────────────────────────────────────────────────────────────────────────


def burst(engine: DynoxideServer) -> list[Row]:
    """Ten thousand events at once: acknowledged by the function, handed over by the relay, settled by the worker.

    Sixteen senders, eight workers; every fiftieth event comes twice. The relay gets the table's own stream; Stripe is a
    gateway that answers at once, so the drain is ours alone. A worker that lost its races gives the message back, and
    it comes again, as from the queue. The stream ends once it was relayed: nobody reads the records of the drain, and
    this engine's writes slow down with their number.
    """
    table = engine.create_table()
    door = Door(table)
    with _quiet():
        refused, seconds = _send(door)
        stored = _stored(table)
        messages = _relayed(engine, table)
        engine.end_stream(table)
        drained, again = _drain(table, messages)
        after = _stored(table)
    engine.drop_table(table)
    settled = sum(entry.status is InboxStatus.APPLIED for entry in after)
    details: dict[str, float | str] = {
        "acknowledged per s": round(BURST / seconds),
        "settled per s": round(BURST / drained),
        "given back and taken again": again,
    }
    return [
        Row("burst of 10,000 webhooks: not acknowledged", refused, "", 0),
        Row("burst of 10,000 webhooks: lost", BURST - len(stored), "", 0),
        Row("burst of 10,000 webhooks: not drained", BURST - settled, "", 0, details=details),
        Row("burst of 10,000 webhooks: acknowledged in", seconds, "s"),
        Row("burst of 10,000 webhooks: drained in", drained, "s"),
    ]


def _send(door: Door) -> tuple[int, float]:
    """How many were not acknowledged, and in how many seconds all of them were sent."""
    refused: list[int] = []
    events = [door.event(number) for number in range(BURST)]

    def send(first: int) -> None:
        api = door.api()
        for number in range(first, BURST, SENDERS):
            for _ in range(2 if number % 50 == 0 else 1):
                if api(events[number], None)["statusCode"] != 200:
                    refused.append(number)

    began = time.perf_counter()
    _at_once(send, SENDERS)
    return len(refused), time.perf_counter() - began


def _stored(table: DynamoTable) -> list[InboxEntry]:
    scan, found, after = TableScan(table), [], ""
    while True:
        page = scan.scan(after, 1000)
        found += [INBOX.load(row) for row in page.rows if row.kind == INBOX.kind]
        after = page.last
        if not after:
            return found


def _relayed(engine: DynoxideServer, table: DynamoTable) -> list[str]:
    """What the relay hands to the worker for the table's stream, in batches as Lambda makes them."""
    queues, blobs = ListeningQueues(), MemoryBlobs()
    relay = RelayChanges(
        audited=frozenset(),
        events_of=(),
        write_audit=lambda _: 0,  # type: ignore[arg-type]  # inbox entries are not audited
        bus=ListeningBus(),
        queues=queues,
        mark_dirty=lambda _: [],
        keep_dead_letter=KeepDeadLetter(table, SystemClock(), blobs),
    )
    records = engine.stream_records(table)
    for start in range(0, len(records), 100):
        assert not relay(records[start : start + 100]).retry_from
    return [str(message["inbox_id"]) for queue, message in queues.sent if queue == "stripe"]


def _drain(table: DynamoTable, messages: list[str]) -> tuple[float, int]:
    """Seconds until the queue was empty, and how often a message was given back."""
    stripe, clock = TruthGateway(), SystemClock()
    for number in range(CUSTOMERS):
        held = subscription(id_=f"sub_{number}")
        stripe.truth[f"cus_{number}"] = BillingFacts(f"cus_{number}", currency="EUR", subscriptions=(held,))
    queue, again, lock = list(messages), [0], threading.Lock()

    def work(_: int) -> None:
        settlement = Settlement(table, clock, MemoryBlobs(), "bench")
        settings = SettingsReader(table)
        converge = ConvergeCustomer(
            table, clock, RandomIds(), stripe, read_stripe_event, Accounts(), settings, settlement
        )
        while True:
            with lock:
                if not queue:
                    return
                message = queue.pop()
            try:
                converge(message, _CALL)
            except Exception as error:
                if not getattr(error, "retryable", False):
                    raise
                with lock:
                    again[0] += 1
                    queue.insert(0, message)

    began = time.perf_counter()
    _at_once(work, WORKERS)
    return time.perf_counter() - began, again[0]


def _at_once(work: Any, count: int) -> None:
    failures: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except Exception as error:  # raised below: a thread must not swallow what went wrong
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]

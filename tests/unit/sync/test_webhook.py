"""A batch of HubSpot's events becomes signals, once."""

import json
from typing import Any

import pytest

from revops.inbox import ReceiveSignal
from revops.kernel import Invalid
from revops.sync import ReceiveEvents, parse_events, signals
from revops.sync.exchange import sync_call
from revops.table import Throttled, Transaction
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable
from tests.unit.sync.fakes import NoBlobs

PORTAL = "4711"


def _event(number: int = 1, **more: Any) -> dict[str, Any]:
    event = {"eventId": 1, "portalId": 4711, "subscriptionType": "contact.propertyChange", "objectId": number}
    return {**event, "propertyName": "phone", "occurredAt": 1, "attemptNumber": 0, **more}


def _batch(*events: dict[str, Any]) -> list[Any]:
    return signals(parse_events(json.dumps(events).encode(), PORTAL))


def _receiver(table: MemoryTable) -> ReceiveEvents:
    clock = ManualClock()
    return ReceiveEvents(table, clock, ReceiveSignal(table, clock, NoBlobs()))


@pytest.mark.mission("HUB-3")
@pytest.mark.fault("R1")
def test_attempts_of_one_event_are_one_signal_and_equal_event_ids_are_not() -> None:
    (first,), (again,) = _batch(_event()), _batch(_event(attemptNumber=3))
    assert first.event_id == again.event_id
    (other,) = _batch(_event(propertyName="company"))
    assert other.event_id != first.event_id
    table = MemoryTable()
    receive = _receiver(table)
    assert [receive([signal], sync_call()) for signal in (first, again, other)] == [1, 0, 1]


@pytest.mark.mission("HUB-3")
def test_events_about_one_object_are_grouped_by_what_happened() -> None:
    found = _batch(_event(1), _event(1, propertyName="x"), _event(2), _event(1, subscriptionType="contact.creation"))
    assert [(signal.event_type, signal.subject) for signal in found] == [
        ("contact.propertyChange", "1"),
        ("contact.propertyChange", "2"),
        ("contact.creation", "1"),
    ]
    assert len(json.loads(found[0].body)) == 2


def test_generic_and_legacy_subscriptions_say_the_same() -> None:
    generic = _batch(_event(subscriptionType="object.creation", objectTypeId="0-1"))
    assert generic[0].event_type == "contact.creation"
    assert _batch(_event(subscriptionType="object.creation", objectTypeId="2-77"))[0].event_type == "object.creation"


@pytest.mark.mission("HUB-3")
def test_a_hundred_events_are_one_transaction_even_if_some_were_here() -> None:
    table = MemoryTable()
    commits: list[int] = []
    receive = _receiver(table)
    batch = _batch(*(_event(number) for number in range(1, 101)))
    receive(batch[:30], sync_call())
    table.before_commit = lambda transaction: commits.append(len(transaction.operations))
    assert receive(batch, sync_call()) == 70
    assert commits == [100, 70]
    assert receive(batch, sync_call()) == 0


@pytest.mark.fault("R26")
def test_what_could_not_be_stored_is_an_error_and_the_repeat_is_whole() -> None:
    table = MemoryTable()
    receive = _receiver(table)
    batch = _batch(*(_event(number, propertyValue="x" * 60_000) for number in range(1, 41)))
    commits: list[int] = []

    def fail_third(transaction: Transaction) -> None:
        commits.append(1)
        if len(commits) == 3:
            raise Throttled("busy")

    table.before_commit = fail_third
    with pytest.raises(Throttled):
        receive(batch, sync_call())
    stored = len(table.rows)
    assert 0 < stored < 40
    assert receive(batch, sync_call()) == 40 - stored
    assert len(table.rows) == 40


@pytest.mark.fault("S9", "S13")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"[NaN]",
        b'[{"a":1,"a":2}]',
        b"\xff",
        json.dumps([_event()] * 101).encode(),
        json.dumps([_event(portalId=4712)]).encode(),
        json.dumps([_event(), _event(portalId=None)]).encode(),
        json.dumps([_event("1#2")]).encode(),  # type: ignore[arg-type]
        json.dumps([_event(True)]).encode(),
        json.dumps([_event(subscriptionType=7)]).encode(),
        json.dumps([{"portalId": 4711, "subscriptionType": "contact.creation"}]).encode(),
    ],
)
def test_anything_but_an_array_of_our_portals_events_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        parse_events(body, PORTAL)

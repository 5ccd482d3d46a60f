"""Envelopes on the real engine: workers that meet on one order send once, execute once, and lose nothing (R8, R19)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from revops.kernel import DomainError
from revops.orders.model import EnvelopeStatus, OrderStatus
from revops.orders.store import steps_of
from revops.orders.workflow import StepTask
from revops.signing.store import ENVELOPES, watched_id
from revops.table.dynamo import DynamoTable
from tests.builders.orders import REP
from tests.builders.orders import WORKER as WORKFLOW
from tests.builders.signing import WORKER, SigningDesk

WORKERS = 8


def at_once(acts: list[Callable[[], object]]) -> list[DomainError]:
    """What those who lost were told; anything that is no answer of ours is raised."""
    lost: list[DomainError] = []

    def act(do: Callable[[], object]) -> None:
        try:
            do()
        except DomainError as error:
            lost.append(error)

    with ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(act, do) for do in acts]:
            done.result()
    return lost


@pytest.mark.fault("R8")
@pytest.mark.mission("ORD-3")
def test_workers_that_send_one_form_at_once_send_it_once(dynamo_table: DynamoTable) -> None:
    desk = SigningDesk(dynamo_table)
    order = desk.submitted(esign_method="DocuSign")
    desk.run(StepTask(order.id, "review"), WORKFLOW)
    send = StepTask(order.id, "request_signature")
    lost = at_once([lambda: desk.run(send, WORKFLOW)] * WORKERS)
    assert all(error.retryable for error in lost)
    assert list(desk.provider.sent) == ["env-1"]
    assert desk.order(order.id).status is OrderStatus.AWAITING_SIGNATURE


@pytest.mark.fault("R19")
@pytest.mark.mission("ORD-3", "ORD-4")
@pytest.mark.parametrize("round_", range(5))
def test_everybody_at_once_executes_once_or_not_at_all(dynamo_table: DynamoTable, round_: int) -> None:
    """Webhooks, the sweep's looks and a cancellation: one of them wins, and the envelope is settled in the end."""
    desk = SigningDesk(dynamo_table, seed=100 + round_)
    order = desk.sent_out()
    desk.provider.becomes("env-1", EnvelopeStatus.COMPLETED)
    tells = [desk.told("env-1", f"evt-{number}") for number in range(WORKERS)]
    identifier = watched_id(order.id, 1)
    acts: list[Callable[[], object]] = [lambda told=told: desk.converge(told, WORKER) for told in tells]  # type: ignore[misc]
    acts.insert(round_, lambda: desk.cancel(order.id, "no more", REP))
    acts.append(lambda: desk.converge.converge(identifier, WORKER))
    at_once(acts)
    for told in tells:  # what a queue does with those who lost too often
        desk.converge(told, WORKER)
    after = desk.order(order.id)
    ends = [step.status for step in steps_of(dynamo_table, order.id)]
    assert ends.count(OrderStatus.EXECUTED) + ends.count(OrderStatus.CANCELLED) == 1
    assert (after.signature is not None) == (after.status is OrderStatus.EXECUTED)
    assert ENVELOPES.require(dynamo_table, identifier).settled == "completed"

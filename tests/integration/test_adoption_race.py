"""Adopting under real concurrency: many workers and two plans at once, on a table engine that is exact in races."""

import threading

import pytest

from revops.kernel import DomainError, RandomIds
from revops.reconcile.adopting import AdoptCustomer
from revops.reconcile.adoption import CANDIDATES, CandidateState, candidate_id
from revops.table.dynamo import DynamoTable
from tests.builders.conversion import Desk
from tests.builders.reconcile import WORKER
from tests.unit.reconcile.test_adoption import Office, chosen


@pytest.mark.mission("STR-8")
@pytest.mark.fault("R17", "R19")
def test_of_many_workers_and_two_plans_one_account_comes_to_be(dynamo_table: DynamoTable) -> None:
    office = Office(Desk(dynamo_table, RandomIds()))
    office.stripe.add("cus_one", "Zeppelin Luftbild", "a@zeppelin-race.example")
    office.stripe.add("cus_two", "Zeppelin Luftbild", "b@zeppelin-race.example")
    ids = []
    for plan in (office.planned(), office.planned()):
        office.approve(plan, chosen("cus_one"), chosen("cus_two"))
        ids += [candidate_id(plan.id, payer) for payer in ("cus_one", "cus_two")]
    for _ in range(6):  # a message that failed comes again
        _at_once(office.adopt, [*ids, *ids])
    held = [CANDIDATES.require(dynamo_table, each) for each in ids]
    assert {each.state for each in held} == {CandidateState.ADOPTED}
    (account,) = {each.account_id for each in held}
    assert {said for _, said in office.stripe.written} == {account}


def _at_once(adopt: AdoptCustomer, ids: list[str]) -> None:
    barrier = threading.Barrier(len(ids))

    def one(identifier: str) -> None:
        barrier.wait()
        try:
            adopt(identifier, WORKER)
        except DomainError as error:
            assert error.retryable, error.detail  # noqa: PT017 - a worker hands the message back

    threads = [threading.Thread(target=one, args=(each,)) for each in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

"""Intake under real concurrency: many threads, one table engine that is exact in races."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from revops.adapters.scan import TableScan
from revops.crm.store import LEADS
from revops.kernel import RandomIds
from revops.table.dynamo import DynamoTable
from tests.builders.crm import CALL, submission, submissions_of, submit_lead


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R18")
def test_64_threads_with_one_person_make_one_lead_and_63_references(dynamo_table: DynamoTable) -> None:
    submit = submit_lead(dynamo_table, ids=RandomIds(), sleep=time.sleep)
    created = _at_once(64, lambda _: submit(submission(), CALL).created)
    leads = [row for row in TableScan(dynamo_table).scan("", 1000).rows if row.kind == "LEAD"]
    assert len(leads) == 1
    assert created.count(True) == 1
    assert len(submissions_of(dynamo_table, LEADS.load(leads[0]).id)) == 63


@pytest.mark.mission("CAP-12")
def test_assignment_stays_fair_to_within_one_under_concurrency(dynamo_table: DynamoTable) -> None:
    submit = submit_lead(dynamo_table, "a", "b", "c", ids=RandomIds(), sleep=time.sleep)
    owners = _at_once(48, lambda n: submit(submission(email=f"p{n}@nordlicht.example", phone=""), CALL).lead.owner_id)
    counts = Counter(owners)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert sum(counts.values()) == 48


def _at_once[T](count: int, work: Callable[[int], T]) -> list[T]:
    barrier = threading.Barrier(count)
    results: list[T] = []
    failures: list[Exception] = []

    def one(number: int) -> None:
        barrier.wait()
        try:
            results.append(work(number))
        except Exception as error:  # the thread must not swallow what went wrong
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results

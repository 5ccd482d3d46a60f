"""Merging under real concurrency: many threads, one table engine that is exact in races."""

import threading
import time
from collections.abc import Callable

import pytest

from revops.access import Policy
from revops.crm.consent import CONSENTS, Consent, RecordConsent
from revops.crm.merging import MergeLeads, UndoMerge
from revops.crm.model import Lead
from revops.crm.store import LEADS, merged_into
from revops.kernel import Conflict, DomainError, RandomIds, SystemClock
from revops.table import holder_of
from revops.table.dynamo import DynamoTable
from tests.builders.crm import CALL, submission, submit_lead


def _at_once(*works: Callable[[], object]) -> list[Exception]:
    barrier = threading.Barrier(len(works))
    failures: list[Exception] = []

    def one(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except DomainError as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R19")
def test_of_merges_both_ways_at_once_one_stands(dynamo_table: DynamoTable) -> None:
    for _ in range(5):
        first, second = _two(dynamo_table)
        merge = MergeLeads(dynamo_table, SystemClock(), Policy())
        works = [lambda: merge(first.id, second.id, CALL), lambda: merge(second.id, first.id, CALL)] * 4  # noqa: B023
        failures = _at_once(*works)
        assert all(isinstance(failure, Conflict) for failure in failures)
        now = [LEADS.require(dynamo_table, lead.id) for lead in (first, second)]
        gone = [lead for lead in now if lead.merged_into]
        (stands,) = (lead for lead in now if not lead.merged_into)
        assert [lead.merged_into for lead in gone] == [stands.id]
        for lead in (first, second):
            assert holder_of(dynamo_table, "email", lead.email) == stands.id
            assert merged_into(dynamo_table, lead.person_id)[0] == stands.person_id


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("S21", "R19")
def test_a_withdrawal_that_races_a_merge_and_its_undoing_is_never_lost(dynamo_table: DynamoTable) -> None:
    clock = SystemClock()
    for number in range(12):
        first, second = _two(dynamo_table)
        merge, undo = MergeLeads(dynamo_table, clock, Policy()), UndoMerge(dynamo_table, clock, Policy())
        say = RecordConsent(dynamo_table, clock)
        who = (first, second)[number % 2]
        no = Consent(channel="email", purpose="marketing", granted=False, at=clock.now())
        if number >= 6:
            record = merge(first.id, second.id, CALL)
            _at_once(lambda: undo(record.id, CALL), lambda: say(who.person_id, [no], CALL))  # noqa: B023
        else:
            _at_once(lambda: merge(first.id, second.id, CALL), lambda: say(who.person_id, [no], CALL))  # noqa: B023
        person = merged_into(dynamo_table, who.person_id)[0]
        assert not CONSENTS.require(dynamo_table, person).marketing
        holders = [lead for lead in (first, second) if lead.person_id == person]
        assert [LEADS.require(dynamo_table, lead.id).gdpr_consent for lead in holders] == [False]


_count = iter(range(1000))


def _two(table: DynamoTable) -> tuple[Lead, Lead]:
    submit = submit_lead(table, ids=RandomIds(), sleep=time.sleep, clock=SystemClock())
    word = f"n{next(_count)}"
    first = submit(submission(email=f"asha@{word}.example", phone=""), CALL).lead
    return first, submit(submission(email=f"rao@{word}.example", phone=""), CALL).lead

"""Under which keys people are found: the first of each key stands where one read of many keys sees it (CAP-11)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from revops.access import Policy
from revops.crm.many import FindKnown, Known
from revops.crm.model import DuplicateCheck, Lead
from revops.crm.policies.matching import MatchRules
from revops.crm.reading import Reading, features_of, move_identity
from revops.crm.store import LEADS, match_key, vacant_keys
from revops.kernel import Clock
from revops.settings import SettingsReader
from revops.settings.service import ChangeSettings
from revops.table import Page, Query, Transaction, begin
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

pytestmark = pytest.mark.mission("CAP-11")
ALIKE = {"email": "asha.r@nordlicht.example"}


class CountingTable(MemoryTable):
    """Counts what is asked key by key."""

    asked = 0

    def query(self, query: Query) -> Page:
        self.asked += 1
        return super().query(query)


def known(table: MemoryTable, **said: str) -> Known:
    """What a bulk look-up says of one person."""
    with ThreadPoolExecutor(2) as workers:
        [found] = FindKnown(table, SettingsReader(table, ttl=0), workers)([Reading.of(submission(**said), CALL)])
    return found


def renamed(table: MemoryTable, clock: Clock, lead: Lead) -> Lead:
    """Somebody who from now on has nothing of what they were found by."""
    changed = lead.revised(
        clock.now(), first_name="Zoe", last_name="Quist", company="Else", email="z@else.example", phone="+49 30 901899"
    )
    transaction = begin(CALL, clock.now())
    LEADS.update(transaction, changed)
    move_identity(table, transaction, lead, changed)
    table.commit(transaction)
    return changed


def test_nobody_is_asked_for_under_a_vacant_key() -> None:
    table = CountingTable()
    submit_lead(table)(submission(), CALL)
    table.asked = 0
    stranger = known(
        table, first_name="Zoe", last_name="Quist", company="Else", email="z@else.example", phone="+49 30 901899"
    )
    assert (stranger.resembles, table.asked) == ((), 0)
    assert len(stranger.vacant) == len(
        Reading.of(
            submission(
                first_name="Zoe", last_name="Quist", company="Else", email="z@else.example", phone="+49 30 901899"
            ),
            CALL,
        ).features.search_keys()
    )
    assert known(table, **ALIKE).resembles
    assert table.asked > 0


def test_the_first_and_those_behind_are_found() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    first, second = submit(submission(), CALL).lead, submit(submission(**ALIKE), CALL).lead
    keys = features_of(first).blocking_keys()
    assert vacant_keys(table, keys) == frozenset()
    assert {each.lead_id for each in known(table, email="a.rao@nordlicht.example").resembles} == {first.id, second.id}


def test_who_stands_behind_one_that_left_is_still_found() -> None:
    table, clock = MemoryTable(), ManualClock()
    submit = submit_lead(table)
    first, second = submit(submission(), CALL).lead, submit(submission(**ALIKE), CALL).lead
    gone = renamed(table, clock, first)
    assert [each.lead_id for each in known(table, email="a.rao@nordlicht.example").resembles] == [second.id]
    assert [each.lead_id for each in submit(submission(email="a.r@nordlicht.example"), CALL).lead.resembles] == [
        second.id
    ]
    assert vacant_keys(table, features_of(gone).blocking_keys()) == frozenset(), (
        "and the first is found as who they are"
    )
    back = gone.revised(clock.now(), last_name=first.last_name, company=first.company)
    transaction = begin(CALL, clock.now())
    move_identity(table, transaction, gone, back)
    table.commit(transaction)
    entries = [
        row for key in features_of(back).blocking_keys() for row in table.query(Query(pk=match_key(key).pk)).rows
    ]
    assert sum(first.id in row.doc for row in entries) == len(features_of(back).blocking_keys())


def test_of_two_who_are_the_first_at_once_the_later_sees_the_other() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    elsewhere = submit_lead(table, roster=FixedRoster(), ids=seeded_ids(2))  # takes no ticket of the same turn

    def another_meanwhile(_: Transaction) -> None:
        table.before_commit = lambda _: None
        elsewhere(submission(**ALIKE), CALL)

    table.before_commit = another_meanwhile
    lead = submit(submission(), CALL).lead
    assert lead.duplicate_check is DuplicateCheck.PENDING
    assert len(lead.resembles) == 1


@pytest.mark.parametrize("in_bulk", [False, True])
def test_behind_a_switchboard_of_many_stands_who_has_the_same_name(in_bulk: bool) -> None:
    """More people share the number than are looked at: those who share less come first."""
    table, clock = MemoryTable(), ManualClock()
    ChangeSettings(table, clock, Policy(), {"matching": MatchRules}, {}).apply(
        "matching", {"max_candidates": 2}, 0, CALL
    )
    submit = submit_lead(table, clock=clock, ids=seeded_ids(5))
    for first, last in (("Bo", "Ek"), ("Cy", "Fox"), ("Di", "Gil"), ("Ed", "Hun"), ("Asha", "Rao")):
        submit(submission(first_name=first, last_name=last, email=f"{first}.{last}@nordlicht.example".lower()), CALL)
    said = {"email": "asha.raoo@nordlicht.example"}
    found = known(table, **said).resembles if in_bulk else submit(submission(**said), CALL).lead.resembles
    assert [LEADS.require(table, each.lead_id).last_name for each in found] == ["Rao"]

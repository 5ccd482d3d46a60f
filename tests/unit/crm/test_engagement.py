"""Engagement: counted once, bounded, and never lost or doubled by a race."""

from collections import Counter
from datetime import timedelta

import pytest

from revops.crm.engagement import RecordEngagement
from revops.crm.events import events
from revops.crm.model import Engagement, Lead, LeadStatus
from revops.crm.policies.engagement import MOST, kept
from revops.crm.rescoring import RescoreLeads
from revops.crm.store import LEADS, standing_at
from revops.kernel import Invalid, Unavailable
from revops.scoring import ScoringTable
from revops.settings import SettingsReader
from revops.table import Transaction, begin, due_now
from tests.builders.clock import ManualClock
from tests.builders.engagement import CALL, LEAD, place_lead
from tests.builders.memory_table import MemoryTable


class Bench:
    def __init__(self, **lead: object) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        place_lead(self.table, self.clock, **lead)
        self.record = RecordEngagement(self.table, self.clock, sleep=lambda _: None)
        self.clock.advance(hours=1)

    def __call__(self, event: str = "email_open", ref: str = "MSG_1", lead_id: str = LEAD, **more: object) -> bool:
        return self.record(lead_id, event, ref, CALL, **more)  # type: ignore[arg-type]

    @property
    def lead(self) -> Lead:
        return LEADS.require(self.table, LEAD)

    @property
    def counted(self) -> list[tuple[str, str]]:
        return [(done.event, done.ref) for done in self.lead.engagement]


@pytest.mark.mission("LEAD-3", "LEAD-5")
def test_the_same_event_about_the_same_thing_counts_once() -> None:
    bench = Bench()
    assert [bench(), bench(), bench("email_click"), bench(ref="MSG_2"), bench()] == [True, False, True, True, False]
    assert bench.counted == [("email_open", "MSG_1"), ("email_click", "MSG_1"), ("email_open", "MSG_2")]


@pytest.mark.mission("LEAD-4")
def test_a_lead_that_did_something_is_due_for_scoring_now() -> None:
    bench = Bench(rescore_at=ManualClock().now() + timedelta(days=9))
    assert not list(due_now(bench.table, "score", bench.clock.now()))
    bench()
    assert [due.key.pk for due in due_now(bench.table, "score", bench.clock.now())] == [f"LEAD#{LEAD}"]


def test_the_list_keeps_the_newest_and_what_left_it_still_counts_once() -> None:
    bench = Bench()
    for n in range(MOST + 10):
        bench.clock.advance(minutes=1)
        assert bench(ref=f"MSG_{n}")
    assert [ref for _, ref in bench.counted] == [f"MSG_{n}" for n in range(10, MOST + 10)]
    before = bench.lead
    assert not any(bench(ref=f"MSG_{n}") for n in range(MOST + 10))
    assert bench.lead == before


@pytest.mark.mission("LEAD-3")
def test_fifty_pages_take_away_nothing_that_is_rarer_and_the_score_does_not_fall() -> None:
    bench = Bench()
    rescore = RescoreLeads(bench.table, bench.clock, SettingsReader(bench.table, ttl=0))
    rare = [("webinar_attended", 2), ("email_click", 2), ("pricing_view", 6)]
    for event, times in rare:
        for n in range(times):
            bench(event, f"{event}:{n}")
    rescore("before")
    before = bench.lead.score
    for n in range(MOST):
        bench.clock.advance(minutes=1)
        bench("page_view", f"/p{n}")
    rescore("after")
    counted = Counter(event for event, _ in bench.counted)
    assert counted == {**dict(rare), "page_view": MOST - 10}
    assert ("page_view", "/p9") not in bench.counted, "the oldest page goes"
    assert bench.lead.score >= before


@pytest.mark.mission("LEAD-3")
def test_what_stands_is_in_the_order_of_time_and_of_equally_frequent_ones_the_older_goes() -> None:
    start = ManualClock().now()

    def done(event: str, minute: int) -> Engagement:
        return Engagement(event=event, at=start + timedelta(minutes=minute), ref=f"{event}:{minute}")

    half = MOST // 2
    clicks, opens = [done("email_click", n) for n in range(half)], [done("email_open", 100 + n) for n in range(half)]
    assert kept([*opens, *clicks]) == (*clicks, *opens)
    reply = done("reply", 50)
    assert kept([reply, *opens, *clicks]) == (*clicks[1:], reply, *opens)
    one_each = [done(f"event_{n}", n) for n in range(MOST + 3)]
    assert kept(reversed(one_each)) == tuple(one_each[3:])
    same_moment = [done("reply", 0), done("email_click", 0), done("email_open", 0)]
    assert kept(kept(same_moment)) == tuple(same_moment)


def test_what_happened_longer_ago_than_all_that_is_kept_is_noted_without_a_new_version() -> None:
    bench = Bench()
    for n in range(MOST):
        bench(ref=f"MSG_{n}")
    before = bench.lead
    assert bench(ref="MSG_OLD", at=bench.clock.now() - timedelta(days=3))
    assert not bench(ref="MSG_OLD")
    assert bench.lead == before


def test_events_stand_in_the_order_in_which_they_happened_and_none_in_the_future() -> None:
    bench = Bench()
    now = bench.clock.now()
    bench(ref="late", at=now + timedelta(days=40))
    bench(ref="early", at=now - timedelta(days=4))
    assert [(done.ref, done.at) for done in bench.lead.engagement] == [
        ("early", now - timedelta(days=4)),
        ("late", now),
    ]


@pytest.mark.mission("CAP-11")
def test_what_a_merged_lead_did_is_the_lead_s_it_was_merged_into() -> None:
    bench = Bench()
    place_lead(bench.table, bench.clock, id="LEAD_OLD", person_id="PER_OLD", merged_into="LEAD_MID", email="")
    place_lead(bench.table, bench.clock, id="LEAD_MID", person_id="PER_MID", merged_into=LEAD, email="")
    assert bench(lead_id="LEAD_OLD")
    assert not bench(lead_id="LEAD_OLD")
    assert bench.counted == [("email_open", "MSG_1")]


def test_leads_that_were_merged_in_a_ring_are_nobody_s() -> None:
    bench = Bench(merged_into="LEAD_B")
    place_lead(bench.table, bench.clock, id="LEAD_B", person_id="PER_B", merged_into=LEAD, email="")
    assert standing_at(bench.table, LEAD) is None
    assert not bench()


@pytest.mark.mission("LEAD-8")
def test_a_converted_lead_is_left_as_it_was_archived() -> None:
    bench = Bench(status=LeadStatus.CONVERTED)
    before = bench.lead
    assert not bench()
    assert bench.lead == before


def test_a_lead_that_is_not_there_counts_nothing() -> None:
    assert not Bench()(lead_id="LEAD_NOBODY")


def test_what_it_was_done_to_must_be_said() -> None:
    with pytest.raises(Invalid, match="ref"):
        Bench()(ref="")


@pytest.mark.fault("R6")
def test_a_lead_that_changes_meanwhile_is_looked_at_again() -> None:
    bench = Bench()
    meddled: list[int] = []

    def meddle(_: Transaction) -> None:
        bench.table.before_commit = lambda _: None
        meddled.append(1)
        transaction = begin(CALL, bench.clock.now())
        LEADS.update(transaction, bench.lead.revised(bench.clock.now(), job_title="CTO"))
        bench.table.commit(transaction)

    bench.table.before_commit = meddle
    assert bench()
    assert meddled == [1]
    assert (bench.lead.job_title, bench.counted) == ("CTO", [("email_open", "MSG_1")])


@pytest.mark.fault("R6")
def test_a_lead_that_never_rests_is_unavailable_and_nothing_is_counted() -> None:
    bench = Bench()

    def meddle(_: Transaction) -> None:
        bench.table.before_commit = lambda _: None
        transaction = begin(CALL, bench.clock.now())
        LEADS.update(transaction, bench.lead.revised(bench.clock.now(), job_title="CTO"))
        bench.table.commit(transaction)
        bench.table.before_commit = meddle

    bench.table.before_commit = meddle
    with pytest.raises(Unavailable):
        bench()
    assert bench.counted == []


def test_what_was_taken_back_may_count_again() -> None:
    bench = Bench()
    bench()
    bench("email_click")
    assert bench.record.take_back(LEAD, "email_click", "MSG_1", CALL)
    assert not bench.record.take_back(LEAD, "email_click", "MSG_1", CALL)
    assert bench.counted == [("email_open", "MSG_1")]
    assert bench.lead.rescore_at == bench.clock.now()
    assert bench("email_click")


def test_what_happened_before_a_time_is_not_taken_back() -> None:
    bench = Bench()
    bench()
    bench.clock.advance(minutes=5)
    assert not bench.record.take_back(LEAD, "email_open", "MSG_1", CALL, since=bench.clock.now() - timedelta(minutes=1))
    assert bench.counted == [("email_open", "MSG_1")]
    assert bench.record.take_back(LEAD, "email_open", "MSG_1", CALL, since=bench.clock.now() - timedelta(minutes=9))


@pytest.mark.mission("BUS-1")
def test_each_event_is_published_once_with_ids_alone() -> None:
    bench = Bench()
    bench()
    bench()
    bench("email_click")
    published = [each for change in bench.table.changes for each in events(change)]
    told = [each.data for each in published if each.name == "LeadEngaged"]
    assert told == [
        {"lead_id": LEAD, "event": "email_open", "ref": "MSG_1"},
        {"lead_id": LEAD, "event": "email_click", "ref": "MSG_1"},
    ]
    assert len({each.id for each in published}) == len(published)


@pytest.mark.mission("LEAD-3")
def test_what_messages_and_pages_tell_is_in_the_table_of_points() -> None:
    worth = ScoringTable().engagement
    assert (worth["email_open"], worth["email_click"]) == (5, 10)
    assert {"page_view", "pricing_view", "download"} <= worth.keys()

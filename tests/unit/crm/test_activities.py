"""CRM-5: what was done stands on the timeline of its record; about a lead it counts as being in touch."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from revops.access import Policy
from revops.crm.activities import (
    ACTIVITIES,
    Activity,
    ActivityOutcome,
    ActivityType,
    LogActivity,
    NewActivity,
    ReadTimeline,
    activities_about,
)
from revops.crm.events import events
from revops.crm.model import Account, Lead, LeadStatus
from revops.crm.service import ChangeLead, LeadChange
from revops.crm.store import ACCOUNTS, LEADS
from revops.kernel import CallContext, Forbidden, Invalid, NotFound, Principal, Role, Unavailable
from revops.table import CursorSigner, begin
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SDR = CallContext(Principal("sdr-1", Role.SDR))
STRANGER = CallContext(Principal("sdr-2", Role.SDR))
REACHED = (ActivityOutcome.POSITIVE, ActivityOutcome.NEGATIVE, ActivityOutcome.NEUTRAL)


class Desk:
    """A lead and an account, with the doors to their timelines."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock(NOW)
        self.log = LogActivity(self.table, self.clock, seeded_ids(4), Policy())
        self.timeline = ReadTimeline(self.table, Policy(), lambda: CursorSigner(b"local-signing-key"))
        self.lead = submit_lead(self.table, "sdr-1", clock=self.clock)(submission(), CALL).lead
        transaction = begin(CALL, NOW)
        account = Account(id="ACC_1", created_at=NOW, modified_at=NOW, name="Nordlicht", owner_id="sdr-1")
        ACCOUNTS.create(transaction, account)
        self.table.commit(transaction)
        self.clock.advance(minutes=5)

    def said(self, call: CallContext = SDR, **said: Any) -> Activity:
        fields = {"type": ActivityType.CALL, "about": self.lead.id, "subject": "First call"}
        return self.log(NewActivity.model_validate(fields | said), call)

    def now(self) -> Lead:
        return LEADS.require(self.table, self.lead.id)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("CRM-5", "CAP-14")
@pytest.mark.parametrize("kind", [ActivityType.CALL, ActivityType.EMAIL, ActivityType.WHATSAPP, ActivityType.MEETING])
def test_going_out_is_a_touch_whether_or_not_somebody_was_reached(desk: Desk, kind: ActivityType) -> None:
    desk.said(type=kind)
    lead = desk.now()
    assert (lead.first_touch_seconds, lead.status, lead.contacted_at) == (300, LeadStatus.NEW, None)
    desk.clock.advance(hours=1)
    desk.said(type=kind)
    assert desk.now() == lead, "the first one counts"


@pytest.mark.mission("CRM-5", "LEAD-8")
@pytest.mark.parametrize("outcome", REACHED)
def test_an_outcome_says_that_somebody_was_reached(desk: Desk, outcome: ActivityOutcome) -> None:
    made = desk.said(outcome=outcome, duration_seconds=120)
    lead = desk.now()
    assert (lead.status, lead.contacted_at, lead.first_touch_at) == (LeadStatus.CONTACTED, made.at, made.at)
    assert (made.facts, made.owner_id, made.logged_by) == ({"duration_seconds": "120"}, "sdr-1", "sdr-1")
    [event] = [event for change in desk.table.changes for event in events(change) if event.name == "ActivityCreated"]
    assert event.data == {"activity_id": made.id, "type": "call", "related_to": lead.id, "owner_id": "sdr-1"}


@pytest.mark.mission("CRM-5")
@pytest.mark.parametrize(
    "said",
    [
        {"inbound": True, "outcome": "Positive"},
        {"type": "note", "outcome": "Positive"},
        {"outcome": "Follow Up Required"},
    ],
)
def test_what_is_no_contact(desk: Desk, said: dict[str, Any]) -> None:
    desk.said(**said)
    assert (desk.now().status, desk.now().contacted_at) == (LeadStatus.NEW, None)
    assert (desk.now().first_touch_at is None) is ("outcome" in said and said["outcome"] == "Positive")


@pytest.mark.mission("CRM-5", "CAP-14")
def test_a_touch_that_is_entered_later_counts_from_when_it_was(desk: Desk) -> None:
    desk.clock.advance(hours=3)
    desk.said(at=NOW + timedelta(minutes=2), outcome="Positive")
    assert desk.now().first_touch_seconds == 120
    again = Desk()
    again.said(at=NOW - timedelta(days=1))
    assert again.now().first_touch_seconds == 0, "nobody is touched before they came"


@pytest.mark.mission("CRM-5")
def test_a_lead_that_changes_meanwhile_keeps_both(desk: Desk) -> None:
    def interfere(_: object) -> None:
        desk.table.before_commit = lambda _: None
        ChangeLead(desk.table, desk.clock, Policy())(desk.lead.id, LeadChange(version=1, job_title="CFO"), CALL)

    desk.table.before_commit = interfere
    desk.said(outcome="Positive")
    assert (desk.now().job_title, desk.now().status) == ("CFO", LeadStatus.CONTACTED)
    assert len(activities_about(desk.table, desk.lead.id)) == 1


def test_a_lead_that_never_stands_still_is_said_to_be_busy(desk: Desk) -> None:
    count = 0

    def interfere(_: object) -> None:
        nonlocal count
        count += 1
        desk.table.before_commit = lambda _: None
        change = LeadChange(version=desk.now().version, job_title=f"Title {count}")
        ChangeLead(desk.table, desk.clock, Policy())(desk.lead.id, change, CALL)
        desk.table.before_commit = interfere

    desk.table.before_commit = interfere
    with pytest.raises(Unavailable):
        desk.said()


@pytest.mark.mission("CRM-5", "SAFE-1")
@pytest.mark.fault("S1")
def test_a_timeline_follows_its_record(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.said(STRANGER)
    with pytest.raises(NotFound):
        desk.timeline(desk.lead.id, 10, "", STRANGER)
    with pytest.raises(Forbidden):
        desk.said(about="ACC_1", call=STRANGER)
    assert desk.timeline("ACC_1", 10, "", STRANGER).activities == []
    support = CallContext(Principal("support", Role.SUPPORT))
    assert desk.said(support, type="note").logged_by == "support"
    legal = CallContext(Principal("legal", Role.LEGAL))
    for about in (desk.lead.id, "ACC_1"):
        with pytest.raises(NotFound):
            desk.timeline(about, 10, "", legal)


@pytest.mark.mission("CRM-5")
def test_a_timeline_is_paged_newest_first(desk: Desk) -> None:
    for minute in range(5):
        desk.said(at=NOW + timedelta(minutes=minute), subject=f"No {minute}")
    first = desk.timeline(desk.lead.id, 3, "", SDR)
    second = desk.timeline(desk.lead.id, 3, first.next_cursor, SDR)
    assert [each.subject for each in first.activities + second.activities] == [f"No {n}" for n in (4, 3, 2, 1, 0)]
    assert second.next_cursor == ""
    with pytest.raises(Invalid):
        desk.timeline("ACC_1", 3, first.next_cursor, SDR)


@pytest.mark.mission("CRM-5")
@pytest.mark.parametrize(
    ("kind", "field", "value", "kept"),
    [
        ("call", "duration_seconds", 0, "0"),
        ("email", "attachments", ["offer.pdf", "terms.pdf"], "offer.pdf\nterms.pdf"),
        ("whatsapp", "media", ["image"], "image"),
        ("meeting", "attendees", ["Asha", "राहुल"], "Asha\nराहुल"),
        ("meeting", "agenda", "Prices", "Prices"),
    ],
)
def test_facts_belong_to_a_type(desk: Desk, kind: str, field: str, value: Any, kept: str) -> None:
    assert desk.said(type=kind, **{field: value}).facts == {field: kept}
    with pytest.raises(Invalid) as caught:
        desk.said(type="note", **{field: value})
    assert caught.value.issues[0].field == field


def test_what_is_still_to_come_is_a_task(desk: Desk) -> None:
    with pytest.raises(Invalid):
        desk.said(at=NOW + timedelta(days=1))


@pytest.mark.fault("R23")
def test_a_thousand_activities_about_one_account_crowd_no_partition(desk: Desk) -> None:
    desk.table.changes.clear()
    for number in range(1000):
        desk.said(CALL, about="ACC_1", subject=f"No {number}")
    writes = Counter(change.row.pk for change in desk.table.changes)
    assert max(writes.values()) / sum(writes.values()) <= 0.05
    assert ACTIVITIES.kind in {change.kind for change in desk.table.changes}

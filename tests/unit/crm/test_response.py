"""CAP-14: a target in working time, watched, met by a touch, missed once, started anew by a new owner."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from revops.access import UNASSIGNED, PlaceUser, Policy, Team, User
from revops.analytics.contributions import contributions
from revops.catalogue import Event
from revops.crm.assigning import OwnerChange, ReassignLead
from revops.crm.events import events
from revops.crm.model import Channel, Lead, LeadStatus
from revops.crm.policies.response import ResponseRule, ResponseRules, WorkingHours, target_for, working_time_after
from revops.crm.response import EscalateMissed, WatchResponse, escalation_task, response_key, waits
from revops.crm.service import ChangeLead, LeadChange
from revops.crm.store import LEADS
from revops.crm.tasks import TASKS, TaskPriority, TaskStatus
from revops.kernel import CallContext, Forbidden, Invalid, NotFound, Principal, Refused, Role, VersionConflict
from revops.settings import SettingsReader
from revops.table import begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

HOURS = WorkingHours()
FRIDAY = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def _due(since: datetime, minutes: int, zone: str = "Europe/London", hours: WorkingHours = HOURS) -> datetime:
    return working_time_after(since, timedelta(minutes=minutes), hours, ZoneInfo(zone))


@pytest.mark.mission("CAP-14")
@pytest.mark.parametrize(
    ("since", "minutes", "zone", "due"),
    [
        ("2026-11-20T09:00Z", 60, "Europe/London", "2026-11-20T10:00Z"),
        ("2026-11-20T07:00Z", 60, "Europe/London", "2026-11-20T10:00Z"),  # before work begins
        ("2026-11-20T17:00Z", 60, "Europe/London", "2026-11-23T09:30Z"),  # over a weekend
        ("2026-11-21T12:00Z", 15, "Europe/London", "2026-11-23T09:15Z"),
        ("2026-11-20T09:00Z", 60, "Asia/Kolkata", "2026-11-20T10:00Z"),
        ("2026-11-20T11:45Z", 60, "Asia/Kolkata", "2026-11-23T04:15Z"),  # 17:15 there
        ("2026-03-27T17:00Z", 60, "Europe/London", "2026-03-30T08:30Z"),  # the clocks go forward in between
        ("2026-10-23T16:00Z", 60, "Europe/London", "2026-10-26T09:30Z"),  # and back
        ("2026-11-20T09:00Z", 24 * 60, "Europe/London", "2026-11-24T16:00Z"),
    ],
)
def test_working_time_in_the_owners_zone(since: str, minutes: int, zone: str, due: str) -> None:
    assert _due(datetime.fromisoformat(since), minutes, zone) == datetime.fromisoformat(due)


@pytest.mark.mission("CAP-14")
def test_a_holiday_is_no_working_day() -> None:
    hours = WorkingHours(holidays=(date(2026, 11, 23),))
    assert _due(datetime(2026, 11, 20, 17, 0, tzinfo=UTC), 60, hours=hours) == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@given(
    st.integers(0, 4 * 365 * 24 * 60).map(lambda minutes: FRIDAY + timedelta(minutes=minutes)),
    st.integers(1, 10_080),
    st.sampled_from(["Europe/London", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe"]),
)
@pytest.mark.fault("R25")
def test_a_target_lies_ahead_in_working_time_and_grows_with_its_minutes(
    since: datetime, minutes: int, zone: str
) -> None:
    due = _due(since, minutes, zone)
    local = due.astimezone(ZoneInfo(zone))
    assert due >= since + timedelta(minutes=minutes)
    assert local.isoweekday() in HOURS.weekdays
    assert HOURS.opens <= local.time() <= HOURS.closes
    assert _due(since, minutes + 1, zone) > due


@pytest.mark.mission("CAP-14")
def test_rules_that_make_no_sense_are_refused() -> None:
    for broken in (
        {"opens": time(18), "closes": time(9)},
        {"weekdays": ()},
        {"weekdays": (8,)},
    ):
        with pytest.raises(ValidationError):
            WorkingHours.model_validate(broken)
    with pytest.raises(ValidationError):
        ResponseRules(time_zone="Atlantis/Capital")


# ── leads ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Desk:
    """A table with a team: two sellers, their manager, and a manager above."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock(FRIDAY)
        self.submit = submit_lead(self.table, "sdr-1", clock=self.clock)
        self.escalate = EscalateMissed(self.table, self.clock)
        self.watch = WatchResponse(self.table, self.clock)
        place = PlaceUser(self.table, self.clock)
        for team, parent in (("top", ""), ("team", "top"), ("other", "top")):
            named = Team(id=team, created_at=FRIDAY, modified_at=FRIDAY, name=team, parent_id=parent)
            place.team(named, CALL)
        for name, role, team in (
            ("sdr-1", Role.SDR, "team"),
            ("rep-1", Role.SALES_REP, "team"),
            ("boss", Role.SALES_MANAGER, "team"),
            ("chief", Role.SALES_MANAGER, "top"),
            ("stranger", Role.SALES_REP, "other"),
            ("counsel", Role.LEGAL, "team"),
        ):
            self.user(name, role, team)

    def user(self, name: str, role: Role, team: str, **more: object) -> None:
        fields = {"id": name, "created_at": FRIDAY, "modified_at": FRIDAY, "name": name, "email": f"{name}@example.com"}
        PlaceUser(self.table, self.clock).user(
            User.model_validate({**fields, "role": role, "team_id": team, **more}), CALL
        )

    def lead(self, **said: object) -> Lead:
        lead = self.submit(submission(**said), CALL).lead
        self.watch(lead, CALL)
        return lead

    def now(self, lead: Lead) -> Lead:
        return LEADS.require(self.table, lead.id)

    def said(self, name: str) -> list[Event]:
        return [event for change in self.table.changes for event in events(change) if event.name == name]

    def reassign(self, lead: Lead, owner: str, call: CallContext = CALL, version: int = 0) -> Lead:
        use = ReassignLead(self.table, self.clock, Policy(), SettingsReader(self.table, ttl=0))
        change = OwnerChange(version=version or lead.version, owner_id=owner, reason="Speaks Hindi")
        return use(lead.id, change, call)


BOSS = CallContext(Principal("boss", Role.SALES_MANAGER, members=frozenset({"boss", "sdr-1", "rep-1", "counsel"})))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("CAP-14")
def test_the_first_rule_that_fits_gives_the_target(desk: Desk) -> None:
    lead = desk.lead()
    assert lead.response is not None
    assert (lead.response.rule, lead.response.since) == ("hot" if lead.score >= 70 else "standard", FRIDAY)
    rules = ResponseRules(
        rules=(
            ResponseRule(name="ads", minutes=5, sources=frozenset({"google ads"}), around_the_clock=True),
            ResponseRule(name="calls", minutes=10, channels=frozenset({Channel.CALL})),
        )
    )
    assert target_for(lead, rules, "", FRIDAY) is None
    ads = lead.model_copy(update={"attribution": lead.attribution.model_copy(update={"source": "Google Ads"})})
    night = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    found = target_for(ads, rules, "", night)
    assert found is not None
    assert (found.rule, found.due_at) == ("ads", night + timedelta(minutes=5))
    calls = target_for(lead.model_copy(update={"channel": Channel.CALL}), rules, "Asia/Kolkata", FRIDAY)
    assert calls is not None
    assert calls.due_at == FRIDAY + timedelta(minutes=10)
    imported = lead.model_copy(update={"channel": Channel.IMPORT})
    assert target_for(imported, ResponseRules(), "", FRIDAY) is None


@pytest.mark.mission("CAP-14", "CRM-6")
@pytest.mark.fault("R17")
def test_a_missed_target_escalates_once_to_the_owners_manager(desk: Desk) -> None:
    lead = desk.lead()
    assert lead.response is not None
    assert desk.escalate("p1") == {"looked_at": 0, "missed": 0}
    desk.clock.advance(hours=2)
    assert desk.escalate("p2") == {"looked_at": 1, "missed": 1}
    assert desk.escalate("p3") == {"looked_at": 0, "missed": 0}
    task = TASKS.require(desk.table, escalation_task(lead.id, lead.response))
    assert (task.assignee_id, task.owner_id, task.priority) == ("boss", "sdr-1", TaskPriority.URGENT)
    [event] = desk.said("ResponseTargetMissed")
    assert event.data["task_id"] == task.id
    desk.watch(desk.now(lead), CALL)  # its event comes once more
    assert response_key(lead.id) not in desk.table.rows
    assert contributions(desk.table.rows[LEADS.key(lead.id)])["responses/missed"] == 1


@pytest.mark.fault("R17")
def test_a_lead_that_nothing_can_be_made_of_holds_no_target_up(desk: Desk) -> None:
    broken = desk.lead(email="bo@anderswo.example", phone="", company="Anderswo", last_name="Ek")
    lead = desk.lead()
    desk.table.spoil(LEADS.key(broken.id))
    desk.clock.advance(hours=2)
    assert desk.escalate("p1") == {"looked_at": 1, "missed": 1}
    assert response_key(broken.id) in desk.table.rows, "it is looked at again once it is mended"
    assert lead.response is not None
    assert TASKS.get(desk.table, escalation_task(lead.id, lead.response)) is not None


@pytest.mark.mission("CAP-14")
def test_the_manager_who_is_there_and_else_the_one_above(desk: Desk) -> None:
    desk.user("boss", Role.SALES_MANAGER, "team", active=False)
    lead = desk.lead()
    desk.clock.advance(hours=2)
    desk.escalate("p1")
    [task] = [TASKS.load(row) for row in desk.table.rows.values() if row.kind == TASKS.kind]
    assert task.assignee_id == "chief"
    desk.user("boss", Role.SALES_MANAGER, "team", absent_until=desk.clock.now() + timedelta(days=1))
    desk.user("deputy", Role.SALES_MANAGER, "team")
    again = desk.lead(email="b@other.example", phone="", last_name="Other")
    desk.clock.advance(hours=2)
    desk.escalate("p2")
    assert again.response is not None
    assert TASKS.require(desk.table, escalation_task(again.id, again.response)).assignee_id == "deputy"
    assert desk.now(lead).response != lead.response


@pytest.mark.mission("CAP-14")
def test_a_touch_in_time_is_measured_and_nothing_is_missed(desk: Desk) -> None:
    lead = desk.lead()
    desk.clock.advance(minutes=10)
    change = LeadChange(version=1, status=LeadStatus.CONTACTED)
    touched = ChangeLead(desk.table, desk.clock, Policy())(lead.id, change, CALL)
    assert touched.first_touch_seconds == 600
    desk.clock.advance(hours=2)
    assert desk.escalate("p1") == {"looked_at": 1, "missed": 0}
    assert desk.said("ResponseTargetMissed") == []
    counted = contributions(desk.table.rows[LEADS.key(lead.id)])
    assert counted["responses/seconds"] == counted["responses:sdr-1/seconds"] == 600
    assert counted["responses/in_time"] == 1


@pytest.mark.mission("CAP-14")
def test_a_touch_after_the_target_is_a_missed_one_in_the_count(desk: Desk) -> None:
    lead = desk.lead()
    desk.clock.advance(hours=5)
    ChangeLead(desk.table, desk.clock, Policy())(lead.id, LeadChange(version=1, status=LeadStatus.CONTACTED), CALL)
    assert contributions(desk.table.rows[LEADS.key(lead.id)])["responses/missed"] == 1
    assert desk.escalate("p1") == {"looked_at": 1, "missed": 0}


@pytest.mark.mission("CAP-14")
def test_a_lead_that_changes_while_it_is_looked_at_is_looked_at_again(desk: Desk) -> None:
    lead = desk.lead()
    desk.clock.advance(hours=2)

    def interfere(_: object) -> None:
        desk.table.before_commit = lambda _: None
        ChangeLead(desk.table, desk.clock, Policy())(lead.id, LeadChange(version=1, job_title="CFO"), CALL)

    desk.table.before_commit = interfere
    assert desk.escalate("p1")["missed"] == 0
    assert desk.escalate("p2")["missed"] == 1


@pytest.mark.mission("CAP-14")
@pytest.mark.fault("R19")
def test_a_new_target_that_comes_while_an_old_one_is_looked_at_stays_watched(desk: Desk) -> None:
    """Recycled and handed over in between: the look, which saw a lead that nobody waits for, removes nothing."""
    lead = desk.lead()
    transaction = begin(CALL, desk.clock.now())
    LEADS.update(transaction, lead.revised(desk.clock.now(), status=LeadStatus.DISQUALIFIED))
    desk.table.commit(transaction)
    desk.clock.advance(hours=2)

    def interfere(_: object) -> None:
        desk.table.before_commit = lambda _: None
        now, closed = desk.clock.now(), desk.now(lead)
        target = target_for(closed, ResponseRules(), "", now)
        transaction = begin(CALL, now)
        LEADS.update(transaction, closed.revised(now, status=LeadStatus.RECYCLED, response=target))
        desk.table.commit(transaction)
        desk.watch(desk.now(lead), CALL)

    desk.table.before_commit = interfere
    assert desk.escalate("p1") == {"looked_at": 1, "missed": 0}
    desk.clock.advance(hours=2)
    assert desk.escalate("p2") == {"looked_at": 1, "missed": 1}


# ── another owner ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-12", "CAP-14", "SAFE-3")
def test_a_new_owner_gets_a_target_of_their_own_and_the_reason_stands(desk: Desk) -> None:
    lead = desk.lead()
    desk.clock.advance(minutes=30)
    given = desk.reassign(lead, "rep-1", BOSS)
    assert (given.owner_id, given.assignee_id, given.assignment.rule) == ("rep-1", "rep-1", "by hand")
    assert "boss: Speaks Hindi" in given.assignment.explanation
    assert given.response is not None
    assert given.response.since == desk.clock.now()
    assert [event.data["previous_owner_id"] for event in desk.said("LeadAssigned")] == ["sdr-1"]
    desk.clock.advance(minutes=10)
    assert lead.response is not None
    if lead.response.due_at <= desk.clock.now() < given.response.due_at:
        assert desk.escalate("p1")["missed"] == 0
    desk.watch(given, CALL)
    desk.clock.advance(hours=3)
    assert desk.escalate("p2")["missed"] == 1


@pytest.mark.mission("CAP-12", "CAP-14", "CRM-6")
def test_what_was_escalated_is_settled_once_somebody_else_is_to_be_in_touch(desk: Desk) -> None:
    lead = desk.lead()
    desk.clock.advance(hours=2)
    desk.escalate("p1")
    assert lead.response is not None
    first = escalation_task(lead.id, lead.response)
    given = desk.reassign(lead, "rep-1", version=desk.now(lead).version)
    assert TASKS.require(desk.table, first).status is TaskStatus.CANCELLED
    desk.watch(given, CALL)
    desk.clock.advance(hours=3)
    desk.escalate("p2")
    assert given.response is not None
    assert TASKS.require(desk.table, escalation_task(lead.id, given.response)).status is TaskStatus.OPEN


@pytest.mark.mission("CAP-12", "CAP-14", "CRM-6")
def test_what_was_escalated_stays_when_somebody_was_in_touch_late(desk: Desk) -> None:
    lead = desk.lead()
    desk.clock.advance(hours=2)
    desk.escalate("p1")
    change = LeadChange(version=desk.now(lead).version, status=LeadStatus.CONTACTED)
    ChangeLead(desk.table, desk.clock, Policy())(lead.id, change, CALL)
    desk.reassign(lead, "rep-1", version=desk.now(lead).version)
    assert lead.response is not None
    assert TASKS.require(desk.table, escalation_task(lead.id, lead.response)).status is TaskStatus.OPEN


@pytest.mark.mission("CAP-12")
def test_who_was_touched_already_keeps_its_target(desk: Desk) -> None:
    lead = desk.lead()
    ChangeLead(desk.table, desk.clock, Policy())(lead.id, LeadChange(version=1, status=LeadStatus.CONTACTED), CALL)
    given = desk.reassign(lead, "rep-1", version=2)
    assert given.response == lead.response
    assert waits(given) is None


@pytest.mark.mission("CAP-12", "SAFE-1")
@pytest.mark.fault("S1")
def test_who_may_hand_over_to_whom(desk: Desk) -> None:
    lead = desk.lead()
    own = CallContext(Principal("sdr-1", Role.SDR))
    other = CallContext(Principal("chief-2", Role.SALES_MANAGER, members=frozenset({"chief-2", "stranger"})))
    with pytest.raises(Forbidden):
        desk.reassign(lead, "rep-1", own)
    with pytest.raises(NotFound):
        desk.reassign(lead, "stranger", other)
    for nobody in ("stranger", "counsel", "nobody", UNASSIGNED):
        with pytest.raises(Invalid):
            desk.reassign(lead, nobody, BOSS)
    with pytest.raises(VersionConflict):
        desk.reassign(lead, "rep-1", BOSS, version=7)
    assert desk.reassign(lead, "sdr-1", BOSS) == lead
    assert desk.reassign(lead, "stranger").owner_id == "stranger"


@pytest.mark.mission("CAP-12", "LEAD-8")
def test_an_archived_lead_is_not_handed_over(desk: Desk) -> None:
    lead = desk.lead()
    transaction = begin(CALL, desk.clock.now())
    LEADS.update(transaction, lead.revised(desk.clock.now(), status=LeadStatus.CONVERTED))
    desk.table.commit(transaction)
    with pytest.raises(Refused):
        desk.reassign(lead, "rep-1", version=2)


@pytest.mark.mission("CAP-12")
def test_a_lead_that_nobody_was_there_for_is_taken_out_of_the_queue_by_any_manager(desk: Desk) -> None:
    desk.submit = submit_lead(desk.table, clock=desk.clock, roster=FixedRoster())
    lead = desk.lead()
    assert lead.owner_id == UNASSIGNED
    given = desk.reassign(lead, "rep-1", BOSS)
    assert given.owner_id == "rep-1"

"""A lead's way through a sequence: what comes when, what ends it, and what it shows (LEAD-5)."""

from datetime import UTC, datetime, timedelta

import pytest

from revops.crm.model import LeadStatus, SpamScore
from revops.crm.tasks import TASKS
from revops.kernel import NotFound, Refused, Unavailable
from revops.nurture.enrolling import BY_HAND
from revops.nurture.model import EnrolmentStatus, StepStatus, Trigger
from revops.nurture.policies import NurtureRules
from revops.nurture.store import enrolments_of
from tests.builders.crm import CALL
from tests.builders.nurture import ANYTIME, BOTH, Nurture, mail, task, whatsapp

DAY = timedelta(days=1)


@pytest.fixture
def nurture() -> Nurture:
    return Nurture()


@pytest.mark.mission("LEAD-5")
def test_five_mails_two_whatsapps_and_a_task_over_fourteen_days(nurture: Nurture) -> None:
    """The default sequence, for a German lead who opens the first mail the next day."""
    lead = nurture.enrolled()
    began = nurture.clock.now()
    nurture.pass_time(DAY)
    assert nurture.engage(lead.id, "email_open", nurture.sender.mails[0].message_id, CALL)
    assert nurture.review(lead.id, CALL) == 1
    nurture.pass_time(16 * DAY)
    steps = {step.name: step for step in nurture.enrolment(lead, "welcome").steps}
    assert {name: step.status for name, step in steps.items()} == {
        **{f"mail-{place}": StepStatus.SENT for place in range(1, 6)},
        **{f"whatsapp-{place}": StepStatus.SENT for place in (1, 2)},
        "sdr-task": StepStatus.DONE,
    }
    # Begun on a Friday morning: no message at a weekend, none at night, and a day between two of one kind.
    days = [(steps[f"mail-{place}"].at or began).date() - began.date() for place in range(1, 6)]
    assert [day.days for day in days] == [0, 3, 6, 10, 14]
    assert [((steps[name].at or began).date() - began.date()).days for name in ("whatsapp-1", "whatsapp-2")] == [4, 7]
    assert ((steps["sdr-task"].at or began).date() - began.date()).days == 7
    assert len(nurture.sender.mails) == 5
    assert [text for _, text in nurture.sender.whatsapp] == ["follow_up_1/en: Asha", "follow_up_2/en: Asha"]
    made = TASKS.require(nurture.table, steps["sdr-task"].task_id)
    assert (made.title, made.assignee_id) == ("Call Asha Rao of Nordlicht GmbH", lead.owner_id)
    assert nurture.enrolment(lead, "welcome").status is EnrolmentStatus.COMPLETED


def test_without_an_engagement_no_whatsapp_comes_and_the_sequence_closes(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.pass_time(31 * DAY)
    assert nurture.sender.whatsapp == []
    assert nurture.step(lead, "whatsapp-1", "welcome").reason == "what it waited for did not happen in time"
    assert nurture.enrolment(lead, "welcome").status is EnrolmentStatus.COMPLETED


@pytest.mark.mission("LEAD-5")
def test_who_clicks_late_gets_both_whatsapps_although_the_time_to_wait_is_over_by_then(nurture: Nurture) -> None:
    """The default sequence waits for an engagement for 30 days; the click comes on the 28th."""
    lead = nurture.enrolled()
    nurture.pass_time(28 * DAY, every=timedelta(hours=6))
    nurture.engage(lead.id, "email_click", nurture.sender.mails[-1].message_id, CALL)
    nurture.review(lead.id, CALL)
    nurture.pass_time(8 * DAY, every=timedelta(hours=6))
    assert [text for _, text in nurture.sender.whatsapp] == ["follow_up_1/en: Asha", "follow_up_2/en: Asha"]
    enrolment = nurture.enrolment(lead, "welcome")
    assert {step.status for step in enrolment.steps} == {StepStatus.SENT, StepStatus.DONE}
    assert (enrolment.status, enrolment.next_at) == (EnrolmentStatus.COMPLETED, None)


@pytest.mark.mission("LEAD-5")
@pytest.mark.parametrize("told", [True, False])
def test_an_engagement_counts_until_the_time_to_wait_is_over_whether_or_not_its_event_arrives(
    nurture: Nurture, told: bool
) -> None:
    nurture.rules([mail("m"), whatsapp("w", "P3D", of="engagement"), whatsapp("x", "P3D", of="previous")])
    lead = nurture.enrolled()
    nurture.pass_time(29 * DAY, every=timedelta(hours=6))
    nurture.engage(lead.id, "email_open", nurture.sender.mails[0].message_id, CALL)
    if told:
        nurture.review(lead.id, CALL)
    nurture.pass_time(2 * DAY, every=timedelta(hours=6))
    assert nurture.outcomes(lead) == {"m": "sent", "w": "waiting", "x": "waiting"}
    nurture.pass_time(5 * DAY, every=timedelta(hours=6))
    assert nurture.outcomes(lead) == {"m": "sent", "w": "sent", "x": "sent"}


@pytest.mark.mission("LEAD-5")
def test_what_has_a_time_comes_after_the_close_and_what_waits_for_an_engagement_does_not(nurture: Nurture) -> None:
    nurture.rules(
        [
            mail("now"),
            mail("late", "P45D"),
            mail("later", "P1D", of="previous"),
            whatsapp("w", "P3D", of="engagement"),
            whatsapp("x", "P3D", of="previous"),
        ]
    )
    lead = nurture.enrolled()
    nurture.pass_time(30 * DAY, every=timedelta(hours=6))
    rest = {"now": "sent", "w": "skipped", "x": "skipped"}
    assert nurture.outcomes(lead) == {**rest, "late": "waiting", "later": "waiting"}
    assert nurture.step(lead, "x").reason == "what it waited for did not happen in time"
    assert nurture.enrolment(lead).next_at == nurture.step(lead, "late").due_at
    nurture.engage(lead.id, "email_open", nurture.sender.mails[0].message_id, CALL)
    nurture.review(lead.id, CALL)
    nurture.pass_time(17 * DAY, every=timedelta(hours=6))
    assert nurture.outcomes(lead) == {**rest, "late": "sent", "later": "sent"}
    assert nurture.enrolment(lead).status is EnrolmentStatus.COMPLETED


@pytest.mark.mission("LEAD-5")
def test_a_sequence_that_waits_for_nobody_is_not_looked_at_when_its_time_to_wait_is_over(nurture: Nurture) -> None:
    nurture.rules([mail("now"), mail("late", "P45D")])
    lead = nurture.enrolled()
    nurture.run("1")
    assert nurture.enrolment(lead).next_at == nurture.clock.now() + 45 * DAY
    nurture.clock.advance(seconds=(31 * DAY).total_seconds())
    assert nurture.run("2") == {"looked_at": 0}


@pytest.mark.mission("LEAD-5")
@pytest.mark.parametrize("quiet", [True, False])
def test_a_message_put_off_past_the_close_still_comes(nurture: Nurture, quiet: bool) -> None:
    """By the quiet hours of the day, or by the vendor."""
    hours = {"begins": "08:00", "ends": "20:00", "weekends": True}
    nurture.rules([mail("m", "P30D"), whatsapp("w", of="engagement")], quiet=hours if quiet else ANYTIME)
    lead = nurture.enrolled()
    nurture.sender.trouble = [] if quiet else [Unavailable("busy")] * 3
    nurture.pass_time(31 * DAY)
    assert nurture.outcomes(lead) == {"m": "sent", "w": "skipped"}
    assert nurture.enrolment(lead).status is EnrolmentStatus.COMPLETED


@pytest.mark.mission("LEAD-5", "LEAD-8")
def test_a_lead_whose_conversion_is_undone_does_not_come_back_into_its_sequence(nurture: Nurture) -> None:
    nurture.rules([mail("now"), mail("later", "P1D")])
    lead = nurture.enrolled()
    nurture.run("1")
    nurture.change(lead, status=LeadStatus.CONVERTED)
    nurture.review(lead.id, CALL)
    nurture.change(lead, status=LeadStatus.QUALIFIED)
    nurture.review(lead.id, CALL)
    nurture.pass_time(2 * DAY)
    assert nurture.enrolment(lead).ended_because == "the lead is Converted"
    assert nurture.outcomes(lead) == {"now": "sent", "later": "skipped"}


def test_a_risen_score_opens_the_task_at_once(nurture: Nurture) -> None:
    nurture.rules([task("call", "P7D", score_rise=15)])
    lead = nurture.enrolled()
    nurture.change(lead, score=lead.score + 14)
    nurture.review(lead.id, CALL)
    nurture.run("1")
    assert nurture.outcomes(lead) == {"call": "waiting"}
    nurture.change(lead, score=lead.score + 15)
    nurture.review(lead.id, CALL)
    nurture.run("2")
    assert nurture.outcomes(lead) == {"call": "done"}


@pytest.mark.parametrize(
    ("trigger", "score", "began"),
    [(Trigger.LEAD_CREATED, 0, 0), (Trigger.SCORE_REACHED, 39, 0), (Trigger.SCORE_REACHED, 40, 1)],
)
def test_a_score_that_is_reached_begins_a_sequence(nurture: Nurture, trigger: Trigger, score: int, began: int) -> None:
    nurture.rules([mail("m")], triggers=["score_reached"], score_at_least=40)
    lead = nurture.change(nurture.lead(), score=score)
    assert len(nurture.enrol(lead.id, trigger, "event-1", CALL)) == began


def test_who_has_been_through_a_sequence_begins_it_no_more_unless_it_says_so(nurture: Nurture) -> None:
    nurture.rules([mail("m")])
    lead = nurture.enrolled()
    assert nurture.enrol(lead.id, Trigger.LEAD_CREATED, "event-1", CALL) == []
    nurture.run("1")
    assert nurture.enrol(lead.id, Trigger.LEAD_CREATED, "event-2", CALL) == []
    assert nurture.sender.calls == 1
    nurture.rules([mail("m")], triggers=["recycled"], again=True)
    lead = nurture.change(lead, status=LeadStatus.RECYCLED)
    for cause in ("event-3", "event-3", "event-4"):
        nurture.clock.advance(minutes=1)
        nurture.enrol(lead.id, Trigger.RECYCLED, cause, CALL)
        nurture.run(cause)
    assert [each.trigger for each in enrolments_of(nurture.table, lead.id)] == ["event-4", "event-3", "event-1"]
    assert nurture.sender.calls == 3


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("the lead is Disqualified", {"status": LeadStatus.DISQUALIFIED}),
        ("the lead is Converted", {"status": LeadStatus.CONVERTED}),
        ("merged into another lead", {"merged_into": "LEAD_OTHER"}),
        ("the lead looks like spam", {"spam_score": SpamScore.HIGH}),
        ("the person replied", {"whatsapp_inbound_at": datetime(2026, 11, 20, 9, 5, tzinfo=UTC)}),
    ],
)
def test_what_happens_to_the_lead_ends_the_sequence_at_the_next_step(
    nurture: Nurture, reason: str, changes: dict[str, object]
) -> None:
    """Without anybody having said so: the state is looked at when the step is due."""
    nurture.rules([mail("now"), mail("later", "PT1H"), task("call", "PT1H")])
    lead = nurture.enrolled()
    nurture.run("1")
    nurture.change(lead, **changes)
    nurture.clock.advance(hours=1)
    nurture.run("2")
    enrolment = nurture.enrolment(lead)
    assert (enrolment.status, enrolment.ended_because) == (EnrolmentStatus.ENDED, reason)
    assert nurture.outcomes(lead) == {"now": "sent", "later": "skipped", "call": "skipped"}
    assert nurture.sender.calls == 1


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
@pytest.mark.parametrize("told", [True, False])
def test_a_withdrawal_ends_the_sequence_whether_or_not_its_event_arrives(nurture: Nurture, told: bool) -> None:
    nurture.rules([mail("now"), mail("later", "PT1H"), whatsapp("last", "PT2H")])
    lead = nurture.enrolled()
    nurture.run("1")
    nurture.clock.advance(seconds=30)
    nurture.withdraw(lead)
    if told:
        assert nurture.review.person(lead.person_id, CALL) == 1
        assert nurture.enrolment(lead).status is EnrolmentStatus.ENDED
    nurture.pass_time(timedelta(hours=3))
    assert nurture.enrolment(lead).ended_because == "consent for email withdrawn"
    assert (len(nurture.sender.mails), nurture.sender.whatsapp) == (1, [])


def test_do_not_disturb_ends_the_sequence(nurture: Nurture) -> None:
    nurture.rules([mail("m", "PT1H")])
    lead = nurture.enrolled()
    nurture.consent(lead.person_id, (), CALL, do_not_disturb=True)
    nurture.review.person(lead.person_id, CALL)
    assert nurture.enrolment(lead).ended_because == "do not disturb"


def test_a_reply_ends_it_and_one_before_it_began_does_not(nurture: Nurture) -> None:
    nurture.rules([mail("m", "PT1H")])
    lead = nurture.lead()
    nurture.engage(lead.id, "reply", "earlier", CALL)
    nurture.clock.advance(seconds=1)
    nurture.enrol(lead.id, Trigger.LEAD_CREATED, "event-1", CALL)
    assert nurture.review(lead.id, CALL) == 0
    nurture.engage(lead.id, "reply", "later", CALL)
    assert nurture.review(lead.id, CALL) == 1
    assert nurture.enrolment(lead).ended_because == "the person replied"


@pytest.mark.mission("CAP-9")
def test_a_channel_without_consent_is_skipped_and_says_so(nurture: Nurture) -> None:
    nurture.rules([mail("m"), whatsapp("w")])
    lead = nurture.enrolled(consents=BOTH[:1])
    nurture.run("1")
    assert nurture.outcomes(lead) == {"m": "sent", "w": "skipped"}
    assert nurture.step(lead, "w").reason == "no marketing consent for whatsapp"


def test_who_agreed_to_nothing_begins_nothing(nurture: Nurture) -> None:
    nurture.rules([mail("m"), whatsapp("w")])
    lead = nurture.enrolled(country="US", phone="", consents=())
    assert enrolments_of(nurture.table, lead.id) == []
    with pytest.raises(Refused, match="no marketing consent for email"):
        nurture.enrol.begin(lead, "s", BY_HAND, CALL)
    with pytest.raises(NotFound):
        nurture.enrol.begin(lead, "nothing", BY_HAND, CALL)


@pytest.mark.mission("LEAD-5", "LEAD-3")
def test_a_click_is_not_forgotten_over_many_pages(nurture: Nurture) -> None:
    nurture.rules([mail("first"), mail("second", "P1D", only_if="engaged")])
    lead = nurture.enrolled()
    nurture.engage(lead.id, "email_click", "MSG_1", CALL)
    for number in range(60):
        nurture.clock.advance(minutes=1)
        nurture.engage(lead.id, "page_view", f"/p{number}", CALL)
    nurture.pass_time(timedelta(days=2))
    assert nurture.outcomes(lead)["second"] == "sent"


@pytest.mark.parametrize(("only_if", "status"), [("engaged", "skipped"), ("not_engaged", "sent")])
def test_a_condition_is_looked_at_when_the_step_is_due(nurture: Nurture, only_if: str, status: str) -> None:
    nurture.rules([mail("first"), mail("second", "PT1H", only_if=only_if)])
    lead = nurture.enrolled()
    nurture.pass_time(timedelta(hours=1))
    assert nurture.outcomes(lead)["second"] == status


def test_a_step_counts_from_the_end_of_the_one_before_it(nurture: Nurture) -> None:
    nurture.rules([mail("first", "PT30M"), mail("second", "PT1H", of="previous")])
    lead = nurture.enrolled()
    nurture.clock.advance(hours=5)  # the job was away
    nurture.run("late")
    assert nurture.outcomes(lead) == {"first": "sent", "second": "waiting"}
    nurture.clock.advance(minutes=61)
    nurture.run("then")
    assert nurture.outcomes(lead) == {"first": "sent", "second": "sent"}


@pytest.mark.fault("R17")
def test_what_was_missed_does_not_come_all_at_once(nurture: Nurture) -> None:
    """The job was away for ten days: the mails that fell due meanwhile come a day apart."""
    nurture.rules([mail(f"m{day}", f"P{day}D") for day in range(4)], spacing="P1D")
    lead = nurture.enrolled()
    nurture.clock.advance(days=10)
    nurture.run("back")
    assert nurture.sender.calls == 1
    nurture.pass_time(DAY + timedelta(hours=1))
    assert nurture.sender.calls == 2
    nurture.pass_time(3 * DAY)
    assert set(nurture.outcomes(lead).values()) == {"sent"}


@pytest.mark.fault("R25")
def test_no_message_at_night_or_at_a_weekend_where_the_lead_lives() -> None:
    """Friday 21:00 in Berlin: the mail waits for Monday 08:00 there; in Auckland it is Saturday."""
    nurture = Nurture(start=datetime(2026, 11, 20, 20, 0, tzinfo=UTC))
    nurture.rules([mail("m")], quiet={})
    berlin = nurture.enrolled()
    auckland = nurture.enrolled(
        email="kiri@karaka.example", phone="", country="NZ", first_name="Kiri", company="Karaka"
    )
    nurture.run("1")
    assert nurture.sender.calls == 0
    assert nurture.step(berlin, "m").not_before == datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
    assert nurture.step(auckland, "m").not_before == datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
    nurture.pass_time(3 * DAY)
    assert nurture.outcomes(berlin) == nurture.outcomes(auckland) == {"m": "sent"}


def test_a_sequence_that_is_taken_out_of_use_ends_and_a_changed_one_leaves_what_is_under_way(nurture: Nurture) -> None:
    nurture.rules([mail("m", "PT1H")])
    lead = nurture.enrolled()
    nurture.rules([mail("other", "PT0S")])
    nurture.run("1")
    assert nurture.outcomes(lead) == {"m": "waiting"}
    nurture.rules([mail("m")], active=False)
    nurture.clock.advance(hours=1)
    nurture.run("2")
    assert nurture.enrolment(lead).ended_because == "the sequence is no longer in use"


def test_stopped_by_hand_it_says_by_whom(nurture: Nurture) -> None:
    nurture.rules([mail("m", "PT1H")])
    lead = nurture.enrolled()
    assert [each.id for each in nurture.end(lead.id, "stopped by hand", CALL)] == [nurture.enrolment(lead).id]
    assert nurture.end(lead.id, "stopped by hand", CALL) == []
    enrolment = nurture.enrolment(lead)
    assert (enrolment.ended_by, enrolment.ended_because) == ("user-1", "stopped by hand")
    assert nurture.enrol.begin(lead, "s", BY_HAND, CALL).round == 2


@pytest.mark.parametrize(
    "steps",
    [
        [mail("same"), mail("same")],
        [mail("m", of="previous")],
        [mail("m", "P500D")],
        [mail("Bad Name")],
        [],
    ],
)
def test_a_sequence_that_cannot_work_is_refused(nurture: Nurture, steps: list[dict[str, object]]) -> None:
    with pytest.raises(ValueError):
        nurture.rules(steps)


def test_a_zone_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        NurtureRules.model_validate({"other_zone": "Middle/Earth", "quiet": dict(ANYTIME)})

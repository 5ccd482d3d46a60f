"""One message per step, whatever happens around the call; none after a withdrawal (LEAD-5, I11)."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from pydantic import ValidationError

from revops.crm.store import LEADS
from revops.kernel import Refused, Unavailable
from revops.nurture.model import LAST_ATTEMPT, EnrolmentStatus, StepStatus
from revops.nurture.ports import OutcomeUnknown
from revops.nurture.running import RUN
from revops.nurture.sending import SILENT
from revops.nurture.store import ENROLMENTS, MESSAGES, SENT_AS, TOPIC, enrolment_key
from revops.table import (
    ABSENT,
    ConditionFailed,
    Failure,
    Key,
    Page,
    Query,
    Row,
    Throttled,
    Transaction,
    begin,
    due_index,
    holder_of,
)
from revops.table.transaction import operation_key
from tests.builders.crm import CALL
from tests.builders.nurture import Nurture, mail, task, whatsapp


class KilledHere(BaseException):
    """The function is gone."""


@pytest.fixture
def nurture() -> Nurture:
    made = Nurture()
    made.rules([mail("m"), mail("later", "PT10H")])
    return made


@pytest.mark.mission("LEAD-5")
def test_a_message_is_on_record_before_it_leaves_and_known_by_the_vendors_name_after(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    seen: list[StepStatus] = []
    nurture.sender.on_send = lambda: seen.append(nurture.step(lead, "m").status)
    assert nurture.run("1") == {"looked_at": 1, "sent": 1}
    step = nurture.step(lead, "m")
    assert (seen, step.status, step.attempts) == ([StepStatus.SENDING], StepStatus.SENT, 1)
    message = MESSAGES.require(nurture.table, step.message_id)
    assert (message.enrolment_id, message.step, message.lead_id) == (nurture.enrolment(lead).id, "m", lead.id)
    assert holder_of(nurture.table, SENT_AS, step.vendor_ref) == message.id == nurture.sender.mails[0].message_id
    assert "@" not in MESSAGES.row(message).doc, "a message's row names nobody"


@pytest.mark.fault("R3")
@pytest.mark.parametrize("before_the_call", [True, False])
def test_a_sender_that_dies_leaves_a_step_that_ends_as_unknown_and_is_not_sent_again(
    nurture: Nurture, before_the_call: bool
) -> None:
    lead = nurture.enrolled()

    def die() -> None:
        raise KilledHere

    if before_the_call:
        nurture.sender.trouble = [KilledHere()]
    else:
        nurture.sender.on_send = die
    with pytest.raises(KilledHere):
        nurture.run("1")
    nurture.sender.on_send = lambda: None
    nurture.run("2")
    assert nurture.step(lead, "m").status is StepStatus.SENDING
    nurture.clock.advance(seconds=SILENT.total_seconds())
    nurture.run("3")
    assert nurture.step(lead, "m").status is StepStatus.UNKNOWN
    assert "not sent again" in nurture.step(lead, "m").reason
    nurture.pass_time(timedelta(hours=10))
    assert nurture.outcomes(lead) == {"m": "unknown", "later": "sent"}


@pytest.mark.fault("R8")
def test_an_unknown_outcome_is_an_end(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.sender.trouble = [OutcomeUnknown("no answer")]
    nurture.run("1")
    nurture.pass_time(timedelta(hours=1))
    assert (nurture.sender.calls, nurture.outcomes(lead)["m"]) == (1, "unknown")


def test_a_refusal_is_an_end_with_the_vendors_reason(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.sender.trouble = [Refused("no such address")]
    nurture.run("1")
    assert (nurture.step(lead, "m").status, nurture.step(lead, "m").reason) == (StepStatus.FAILED, "no such address")


@pytest.mark.fault("R5")
def test_what_is_put_off_is_tried_again_ever_more_patiently_and_given_up_at_last(nurture: Nurture) -> None:
    nurture.rules([mail("m")])
    lead = nurture.enrolled()
    nurture.sender.trouble = [Unavailable("busy")] * (LAST_ATTEMPT + 3)
    tries = []
    for _ in range(26 * 60):
        before = nurture.sender.calls
        nurture.run("tick")
        if nurture.sender.calls > before and nurture.step(lead, "m").attempts == nurture.sender.calls:
            tries.append(nurture.clock.now())
        nurture.clock.advance(minutes=1)
    waits = [int((late - early).total_seconds() // 60) for early, late in pairwise(tries)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert (nurture.outcomes(lead)["m"], nurture.step(lead, "m").reason) == ("failed", "busy")


@pytest.mark.fault("R5")
def test_a_throttle_stops_the_channel_for_the_run_and_is_obeyed(nurture: Nurture) -> None:
    nurture.rules([mail("m"), whatsapp("w")])
    leads = [
        nurture.enrolled(email=f"p{n}@x{n}.example", phone=f"+49 30 90182{n}", last_name=f"N{n}") for n in range(3)
    ]
    nurture.sender.trouble = [Unavailable("slow down", retry_after=90)]
    nurture.run("1")
    assert len(nurture.sender.mails) == 0
    assert len(nurture.sender.whatsapp) == 3, "the other channel goes on"
    nurture.clock.advance(seconds=89)
    nurture.run("2")
    nurture.clock.advance(seconds=31)
    nurture.run("3")
    assert [nurture.outcomes(lead)["m"] for lead in leads] == ["sent"] * 3


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_a_withdrawal_waits_for_the_message_on_its_way_and_no_other_leaves(nurture: Nurture) -> None:
    nurture.rules([mail("m"), mail("next")])
    lead = nurture.enrolled()
    order: list[str] = []

    def withdraw_meanwhile() -> None:
        nurture.consent = type(nurture.consent)(nurture.table, nurture.clock, sleep=wait)
        nurture.withdraw(lead)
        order.append("withdrawn")

    def wait(seconds: float) -> None:
        order.append("waits")
        nurture.clock.advance(seconds=seconds)

    nurture.sender.on_send = withdraw_meanwhile
    nurture.run("1")
    assert order[0] == "waits"
    assert order[-1] == "withdrawn"
    assert (nurture.sender.calls, nurture.outcomes(lead)["next"]) == (1, "skipped")


def test_a_gate_that_was_passed_too_long_ago_sends_nothing(nurture: Nurture) -> None:
    """The transaction took three seconds to commit: the right to send has run out, and the step is as it was."""
    lead = nurture.enrolled()

    def slow(transaction: Transaction) -> None:
        if any(key.sk == "SENDING" for key in map(operation_key, transaction.operations)):
            nurture.clock.advance(seconds=3)
            nurture.table.before_commit = lambda _: None

    nurture.table.before_commit = slow
    assert nurture.run("1") == {"looked_at": 1, "waiting": 1, "sent": 1}
    assert (nurture.sender.calls, nurture.step(lead, "m").attempts) == (1, 1)


@pytest.mark.fault("R17")
def test_two_runs_at_once_send_one_message(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.sender.on_send = lambda: nurture.run("another")
    nurture.run("1")
    assert (nurture.sender.calls, nurture.outcomes(lead)["m"]) == (1, "sent")


def _a_lead_changes(nurture: Nurture) -> None:
    lead = next(LEADS.load(row) for row in nurture.table.rows.values() if row.kind == "LEAD")
    nurture.change(lead, job_title="Head of everything")


def _somebody_stops_it(nurture: Nurture) -> None:
    lead = next(LEADS.load(row) for row in nurture.table.rows.values() if row.kind == "LEAD")
    nurture.end(lead.id, "stopped by hand", CALL)


@pytest.mark.parametrize(("meanwhile", "sent"), [(_a_lead_changes, 1), (_somebody_stops_it, 0)])
def test_what_changes_between_the_look_and_the_claim_is_looked_at_again(
    nurture: Nurture, meanwhile: Callable[[Nurture], None], sent: int
) -> None:
    nurture.enrolled()

    def step_in(transaction: Transaction) -> None:
        if any(key.sk == "SENDING" for key in map(operation_key, transaction.operations)):
            nurture.table.before_commit = lambda _: None
            meanwhile(nurture)

    nurture.table.before_commit = step_in
    nurture.run("1")
    assert nurture.sender.calls == 0
    nurture.run("2")
    assert nurture.sender.calls == sent


def test_one_that_was_stopped_while_its_message_was_on_its_way_records_how_it_ended(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.sender.on_send = lambda: nurture.end(lead.id, "stopped by hand", CALL)
    nurture.run("1")
    assert nurture.outcomes(lead) == {"m": "sent", "later": "skipped"}
    assert nurture.enrolment(lead).status is EnrolmentStatus.ENDED
    assert nurture.enrolment(lead).next_at is None


def test_one_that_was_stopped_and_whose_message_was_put_off_sends_no_more(nurture: Nurture) -> None:
    lead = nurture.enrolled()

    class Busy(Unavailable):
        def __init__(self) -> None:
            super().__init__("busy")
            nurture.end(lead.id, "stopped by hand", CALL)

    nurture.sender.on_send = lambda: (_ for _ in ()).throw(Busy())
    nurture.run("1")
    assert nurture.outcomes(lead) == {"m": "skipped", "later": "skipped"}
    assert nurture.enrolment(lead).next_at is None


@pytest.mark.parametrize("error", [Throttled("busy"), ConditionFailed([Failure(0, Key("x", "y"), None)])])
def test_a_run_that_meets_a_busy_table_leaves_the_rest_due(nurture: Nurture, error: Exception) -> None:
    lead = nurture.enrolled()
    broken = [error]

    def once(_: Transaction) -> None:
        if broken:
            raise broken.pop()

    nurture.table.before_commit = once
    nurture.run("1")
    assert nurture.outcomes(lead)["m"] == "waiting"
    nurture.run("2")
    assert nurture.outcomes(lead)["m"] == "sent"


@pytest.mark.fault("R12")
def test_one_that_breaks_holds_no_other_up(nurture: Nurture) -> None:
    leads = [nurture.enrolled(email=f"p{n}@x{n}.example", phone="", last_name=f"N{n}") for n in range(3)]
    nurture.sender.trouble = [TypeError("a defect")]
    with pytest.raises(TypeError):
        nurture.run("1")
    assert sorted(nurture.outcomes(lead)["m"] for lead in leads) == ["sending", "sent", "sent"]


def _break(nurture: Nurture, number: int) -> None:
    """Enrolments that nobody can read stand before everybody else in every shard of the due index."""
    transaction = begin(CALL, nurture.clock.now())
    for n in range(number):
        key = enrolment_key(f"broken-{n}")
        index = {"due": due_index(TOPIC, nurture.clock.now() - timedelta(days=1), key)}
        transaction.put(Row(pk=key.pk, sk=key.sk, kind=ENROLMENTS.kind, doc="{}", index=index), ABSENT)
        if n % 100 == 99 or n == number - 1:
            nurture.table.commit(transaction)
            transaction = begin(CALL, nurture.clock.now())


@pytest.mark.fault("R12")
def test_any_number_that_break_hold_no_other_up(nurture: Nurture) -> None:
    """They stay due and are the oldest in every run: those behind them come all the same."""
    _break(nurture, 1_000)
    leads = [nurture.enrolled(email=f"p{n}@x{n}.example", phone="", last_name=f"N{n}") for n in range(5)]
    with pytest.raises(ValidationError):
        nurture.run("1")
    assert [nurture.outcomes(lead)["m"] for lead in leads] == ["sent"] * 5
    with pytest.raises(ValidationError):
        nurture.run("2")
    assert nurture.sender.calls == 5


@pytest.mark.fault("R12")
def test_those_that_break_are_passed_by_for_as_long_as_a_run_lasts(nurture: Nurture) -> None:
    _break(nurture, 1_000)
    plain_get, plain_query = nurture.table.get, nurture.table.query
    asked: list[str] = []

    def slow_get(key: Key, consistent: bool = True) -> Row | None:
        nurture.clock.advance(seconds=0.15)
        return plain_get(key, consistent)

    def counted_query(query: Query) -> Page:
        asked.append(query.pk)
        return plain_query(query)

    nurture.table.get, nurture.table.query = slow_get, counted_query  # type: ignore[method-assign]
    began = nurture.clock.now()
    with pytest.raises(ValidationError):
        nurture.run("1")
    assert nurture.clock.now() - began <= RUN + timedelta(seconds=1)
    assert len([pk for pk in asked if pk.startswith("DUE#")]) == 4, "once the time is up nothing more is read"


def test_a_run_ends_in_time_and_the_next_goes_on(nurture: Nurture) -> None:
    for n in range(3):
        nurture.enrolled(email=f"p{n}@x{n}.example", phone="", last_name=f"N{n}")
    nurture.sender.on_send = lambda: nurture.clock.advance(seconds=25)
    assert nurture.run("1")["looked_at"] == 2
    assert nurture.run("2")["looked_at"] == 1


def test_a_task_is_made_once_however_often_its_step_is_done(nurture: Nurture) -> None:
    nurture.rules([task("call")])
    lead = nurture.enrolled()
    nurture.run("1")
    nurture.run("2")
    assert [row.kind for row in nurture.table.rows.values()].count("TASK") == 1
    assert nurture.outcomes(lead) == {"call": "done"}


@pytest.mark.mission("LEAD-5")
def test_whatsapp_is_a_template_outside_the_24_hours_and_a_text_inside(nurture: Nurture) -> None:
    nurture.rules([whatsapp("w")])
    asked = nurture.lead()
    nurture.change(asked, whatsapp_inbound_at=nurture.clock.now() - timedelta(hours=23, minutes=59))
    silent = nurture.lead(email="b@b.example", phone="+49 30 901821", last_name="Other")
    nurture.change(silent, whatsapp_inbound_at=nurture.clock.now() - timedelta(hours=24))
    for lead in (asked, silent):
        nurture.enrol.begin(LEADS.require(nurture.table, lead.id), "s", "event-1", CALL)
    nurture.run("1")
    said = dict(nurture.sender.whatsapp)
    assert said["+4930901820"].startswith("Hello Asha, this is Revenue team.")
    assert said["+4930901821"] == "follow_up_1/en: Asha"


def test_a_template_that_is_not_there_fails_the_step_and_not_the_run(nurture: Nurture) -> None:
    nurture.rules([mail("m", template="nothing"), whatsapp("w", template="nothing")])
    lead = nurture.enrolled()
    nurture.run("1")
    assert nurture.outcomes(lead) == {"m": "failed", "w": "failed"}
    assert "there is no mail nothing" in nurture.step(lead, "m").reason

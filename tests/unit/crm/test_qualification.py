"""Qualification: answers and their history, outcome, risk, nomination, giving up and taking back."""

from collections.abc import Callable
from typing import Any

import pytest

from revops.access import Policy
from revops.bus import ConsumeEvent
from revops.bus.reactions import qualification_reactions
from revops.crm.events import events
from revops.crm.factors import AnswerState, Bant, OutcomeKind
from revops.crm.merging import MergeLeads
from revops.crm.model import AuthorityLevel, Lead, LeadStatus
from revops.crm.policies.qualification import QualificationRules, RiskLevel, risk
from revops.crm.qualification import ClosingGiven, OutcomeGiven, QualificationGiven
from revops.crm.service import LeadChange
from revops.crm.store import LEADS
from revops.crm.tasks import TASKS, RemindAssignees, Task, TaskStatus
from revops.kernel import (
    CallContext,
    Forbidden,
    Invalid,
    NotFound,
    Principal,
    Refused,
    Role,
    Unavailable,
    VersionConflict,
)
from revops.table import Transaction, begin
from tests.builders.conversion import SDR, Desk
from tests.builders.crm import CALL

MET, NOT_MET, UNKNOWN = AnswerState
ALL_MET = dict.fromkeys(Bant, MET)
STRANGER = CallContext(Principal("sdr-2", Role.SDR))
SUPPORT = CallContext(Principal("sup", Role.SUPPORT))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def given(lead: Lead, **sets: Any) -> QualificationGiven:
    return QualificationGiven.model_validate({"version": lead.version, **sets})


def put(desk: Desk, lead: Lead, **changes: Any) -> Lead:
    """The lead with fields set by nobody in particular."""
    transaction, changed = begin(CALL, desk.clock.now()), desk.stands(lead).revised(desk.clock.now(), **changes)
    LEADS.update(transaction, changed)
    desk.table.commit(transaction)
    return changed


def told(desk: Desk) -> list[str]:
    return [event.name for change in desk.memory.changes for event in events(change)]


# -- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-6")
def test_answers_say_by_whom_and_when_and_keep_their_history(desk: Desk) -> None:
    lead = desk.lead()
    lead = desk.qualify.answer(
        lead.id, given(lead, bant={"budget": {"state": "met", "note": "signed off"}, "need": {"state": "unknown"}}), SDR
    )
    desk.clock.advance(hours=1)
    later = desk.clock.now()
    lead = desk.qualify.answer(
        lead.id, given(lead, bant={"budget": {"state": "not met"}}, meddicc={"champion": {"state": "met"}}), CALL
    )
    report = desk.qualify.read(lead.id, SDR)
    assert report.lead.qualification is not None
    budget = report.lead.qualification.answers["budget"]
    assert (budget.state, budget.note, budget.by, budget.at) == (NOT_MET, "", "user-1", later)
    assert report.missing == (
        "authority", "need", "timeline", "metrics", "economic_buyer", "decision_criteria", "decision_process",
        "identify_pain", "competition",
    )  # fmt: skip
    assert [(each.what, each.old, each.new, each.by) for each in report.history] == [
        ("budget", "met", "not met", "user-1"),
        ("champion", "", "met", "user-1"),
        ("budget", "", "met", "sdr-1"),
        ("need", "", "unknown", "sdr-1"),
    ]


@pytest.mark.mission("LEAD-6")
def test_what_stands_already_adds_nothing(desk: Desk) -> None:
    lead = desk.lead()
    once = desk.qualify.answer(lead.id, given(lead, bant={"budget": {"state": "met"}}), SDR)
    again = desk.qualify.answer(lead.id, given(once, bant={"budget": {"state": "met"}}), CALL)
    assert again == once
    assert desk.qualify.answer(lead.id, given(once), CALL) == once
    noted = desk.qualify.answer(lead.id, given(once, bant={"budget": {"state": "met", "note": "n"}}), CALL)
    assert noted.version == once.version + 1


@pytest.mark.mission("LEAD-6")
def test_the_history_shown_is_bounded_and_the_newest(desk: Desk) -> None:
    lead = desk.lead()
    for number in range(60):
        answer = {"state": "met", "note": str(number)}
        lead = desk.qualify.answer(lead.id, given(lead, bant={"need": answer}), SDR)
    history = desk.qualify.read(lead.id, SDR).history
    assert [each.note for each in history] == [str(number) for number in range(59, 9, -1)]


@pytest.mark.mission("LEAD-6")
@pytest.mark.parametrize(
    "body",
    [
        {"bant": {"money": {"state": "met"}}},
        {"bant": {"budget": {"state": "maybe"}}},
        {"bant": {"budget": {"state": "met", "by": "me"}}},
        {"meddicc": {"budget": {"state": "met"}}},
        {"meddicc": {"pain": {"state": "met", "note": "x" * 501}}},
        {"outcome": "accepted"},
        {"version": 0},
    ],
)
@pytest.mark.fault("S2")
def test_what_is_no_answer_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        QualificationGiven.model_validate({"version": 1, **body})


@pytest.mark.fault("R19", "S1")
@pytest.mark.mission("SAFE-1")
def test_who_may_not_change_a_lead_may_not_qualify_it(desk: Desk) -> None:
    lead = desk.lead()
    answer = given(lead, bant={"budget": {"state": "met"}})
    outcome = OutcomeGiven(version=1, outcome=OutcomeKind.REJECTED, reason="no_need")
    closing = ClosingGiven(version=1, reason="no_need")
    for call, error in ((STRANGER, NotFound), (SUPPORT, Forbidden)):
        acts: tuple[tuple[Callable[..., Any], Any], ...] = (
            (desk.qualify.answer, answer),
            (desk.qualify.decide, outcome),
            (desk.qualify.disqualify, closing),
            (desk.qualify.recycle, closing),
        )
        for act, said in acts:
            with pytest.raises(error):
                act(lead.id, said, call)
    with pytest.raises(NotFound):
        desk.qualify.read(lead.id, STRANGER)
    assert desk.qualify.read(lead.id, SUPPORT).lead == lead
    desk.qualify.answer(lead.id, answer, SDR)
    with pytest.raises(VersionConflict) as lost:
        desk.qualify.answer(lead.id, answer, SDR)
    assert lost.value.extra == {"current_version": 2}


# -- outcome -------------------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-6", "LEAD-2")
def test_bant_accepts_only_when_all_four_are_answered_and_makes_the_lead_qualified(desk: Desk) -> None:
    lead = desk.lead()
    accept = OutcomeKind.ACCEPTED
    lead = desk.answered(lead, budget=MET, authority=MET, need=NOT_MET)
    lead = desk.change(lead.id, LeadChange(version=lead.version, status=LeadStatus.CONTACTED), SDR)
    with pytest.raises(Refused) as early:
        desk.qualify.decide(lead.id, OutcomeGiven(version=lead.version, outcome=accept), SDR)
    assert early.value.extra == {"missing": ["timeline"]}
    lead = desk.answered(lead, timeline=MET)
    lead = desk.qualify.decide(lead.id, OutcomeGiven(version=lead.version, outcome=accept), SDR)
    assert lead.status is LeadStatus.QUALIFIED
    assert lead.qualification is not None
    assert lead.qualification.outcome is not None
    assert (lead.qualification.outcome.met, lead.qualification.outcome.by) == (3, "sdr-1")
    again = desk.qualify.decide(lead.id, OutcomeGiven(version=lead.version, outcome=accept, text="again"), SDR)
    assert again.status is LeadStatus.QUALIFIED
    assert desk.qualify.read(lead.id, SDR).history[0].old == "accepted"


@pytest.mark.mission("LEAD-2", "LEAD-6")
def test_a_lead_nobody_contacted_is_not_accepted_and_the_legal_moves_are_named(desk: Desk) -> None:
    lead = desk.answered(desk.lead(), **ALL_MET)
    with pytest.raises(Refused) as refusal:
        desk.qualify.decide(lead.id, OutcomeGiven(version=lead.version, outcome=OutcomeKind.ACCEPTED), SDR)
    assert refusal.value.extra == {"legal": ["Contacted", "Unqualified", "Disqualified"]}


@pytest.mark.mission("LEAD-6")
def test_bant_rejects_with_a_reason_on_the_list(desk: Desk) -> None:
    lead = desk.lead()
    for reason in ("", "because", "NO_NEED"):
        asked = OutcomeGiven(version=1, outcome=OutcomeKind.REJECTED, reason=reason)
        with pytest.raises(Invalid) as bad:
            desk.qualify.decide(lead.id, asked, SDR)
        assert "no_need" in bad.value.issues[0].accepted
    asked = OutcomeGiven(version=1, outcome=OutcomeKind.REJECTED, reason="no_need", text="they build it")
    lead = desk.qualify.decide(lead.id, asked, SDR)
    assert lead.status is LeadStatus.UNQUALIFIED
    assert lead.status_reason is not None
    assert (lead.status_reason.reason, lead.status_reason.text) == ("no_need", "they build it")
    changed = [each for each in desk.memory.changes if each.kind == "LEAD"][-1]
    said = next(event for event in events(changed) if event.name == "LeadStatusChanged")
    assert said.data == {
        "lead_id": lead.id, "status": "Unqualified", "previous_status": "New", "reason": "no_need",
    }  # fmt: skip


# -- giving up and taking back ---------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-6", "LEAD-2")
def test_a_lead_is_given_up_and_taken_back_and_has_to_be_qualified_again(desk: Desk) -> None:
    lead = desk.ready()
    with pytest.raises(Invalid):
        desk.qualify.disqualify(lead.id, ClosingGiven(version=lead.version, reason="asked_again"), SDR)
    lead = desk.qualify.disqualify(lead.id, ClosingGiven(version=lead.version, reason="bad_data", text="bounced"), SDR)
    assert lead.status is LeadStatus.DISQUALIFIED
    with pytest.raises(Refused) as twice:
        desk.qualify.disqualify(lead.id, ClosingGiven(version=lead.version, reason="bad_data"), SDR)
    assert twice.value.extra == {"legal": ["Recycled"]}
    lead = desk.qualify.recycle(lead.id, ClosingGiven(version=lead.version, reason="asked_again"), SDR)
    assert lead.status is LeadStatus.RECYCLED
    assert lead.rescore_at == desk.clock.now()
    assert lead.qualification is not None
    assert lead.qualification.outcome is None
    assert len(lead.qualification.answers) == 4
    history = desk.qualify.read(lead.id, SDR).history
    assert [(each.what, each.old, each.new) for each in history[:2]] == [
        ("status", "Disqualified", "Recycled"),
        ("status", "Qualified", "Disqualified"),
    ]


@pytest.mark.mission("LEAD-2")
@pytest.mark.parametrize("status", [LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.QUALIFIED, LeadStatus.RECYCLED])
def test_only_what_was_given_up_is_taken_back(desk: Desk, status: LeadStatus) -> None:
    lead = put(desk, desk.lead(), status=status)
    with pytest.raises(Refused) as refusal:
        desk.qualify.recycle(lead.id, ClosingGiven(version=lead.version, reason="other"), SDR)
    assert "Recycled" not in refusal.value.extra["legal"]  # type: ignore[operator]


@pytest.mark.mission("LEAD-8", "CAP-11")
@pytest.mark.parametrize("archived", [{"status": "Converted"}, {"merged_into": "LEAD_2"}])
def test_what_is_archived_is_not_qualified_any_more(desk: Desk, archived: dict[str, str]) -> None:
    lead = put(desk, desk.lead(), **archived)
    acts: tuple[tuple[Callable[..., Any], Any], ...] = (
        (desk.qualify.answer, given(lead, bant={"budget": {"state": "met"}})),
        (desk.qualify.disqualify, ClosingGiven(version=2, reason="other")),
        (desk.change, LeadChange(version=2, job_title="x")),
    )
    for act, said in acts:
        with pytest.raises(Refused):
            act(lead.id, said, SDR)


# -- risk ------------------------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-7")
@pytest.mark.parametrize("met", range(5))
@pytest.mark.parametrize("level", [*AuthorityLevel, None])
def test_risk_is_a_function_of_bant_and_authority(desk: Desk, met: int, level: AuthorityLevel | None) -> None:
    states = {factor: MET if number < met else NOT_MET for number, factor in enumerate(Bant)}
    lead = desk.answered(desk.lead(authority_level=level), **states)
    found = risk(lead, QualificationRules())
    high = level in (AuthorityLevel.DECISION_MAKER, AuthorityLevel.ECONOMIC_BUYER)
    low = level in (AuthorityLevel.USER, AuthorityLevel.GATEKEEPER)
    if low or met < 3:
        assert found.level is RiskLevel.HIGH
    elif met == 4 and high:
        assert found.level is RiskLevel.LOW
    else:
        assert found.level is RiskLevel.MEDIUM
    assert found.met == met
    assert f"{met} of 4" in found.because


@pytest.mark.mission("LEAD-7")
def test_what_counts_as_authority_is_data(desk: Desk) -> None:
    lead = desk.answered(desk.lead(authority_level="Champion"), **ALL_MET)
    assert risk(lead, QualificationRules()).level is RiskLevel.MEDIUM
    rules = QualificationRules.model_validate({"authority": {"Champion": "high"}})
    assert risk(lead, rules).level is RiskLevel.LOW


# -- nomination ------------------------------------------------------------------------------------------------------


def scored(desk: Desk, lead: Lead, score: int) -> str:
    """What the reaction does once the lead has a score."""
    put(desk, lead, score=score)
    return desk.nominate(lead.id, f"{lead.id}:x:LeadScoreChanged")


@pytest.mark.mission("LEAD-6")
def test_a_score_of_seventy_nominates_once_with_a_task_for_the_owner(desk: Desk) -> None:
    lead = desk.lead(authority_level=None)
    assert scored(desk, lead, 69) == ""
    assert scored(desk, lead, 70) == "lead nominated"
    [task] = [TASKS.load(row) for row in desk.kinds(TASKS.kind) if TASKS.load(row).related_to == lead.id]
    assert (task.assignee_id, task.owner_id, task.origin) == ("sdr-1", "sdr-1", f"nomination:{lead.id}:1")
    assert (task.due_at - desk.clock.now()).total_seconds() == 24 * 3600
    for score in (71, 69, 70, 60, 99):  # about the threshold, and not well below it
        assert scored(desk, lead, score) == ""
    assert desk.nominate(lead.id, "again") == ""
    assert len(desk.kinds(TASKS.kind)) == 1
    assert told(desk).count("LeadNominated") == 1


@pytest.mark.mission("LEAD-6")
def test_a_nomination_lapses_well_below_and_can_then_be_made_again(desk: Desk) -> None:
    lead = desk.lead(authority_level=None)
    assert [scored(desk, lead, score) for score in (80, 59, 58, 69, 75)] == [
        "lead nominated", "nomination lapsed", "", "", "lead nominated",
    ]  # fmt: skip
    stands = desk.stands(lead)
    assert stands.nomination is not None
    assert (stands.nomination.number, stands.nomination.score) == (2, 75)
    assert len(desk.kinds(TASKS.kind)) == 2
    assert told(desk).count("LeadNominated") == 2


def nominations(desk: Desk) -> dict[str, TaskStatus]:
    """The tasks of nominations by their origin, as `1` for a lead's first."""
    tasks = [TASKS.load(row) for row in desk.kinds(TASKS.kind)]
    return {task.origin.rpartition(":")[2]: task.status for task in tasks if task.origin.startswith("nomination:")}


def nominated_lead(desk: Desk) -> Lead:
    """Contacted, BANT answered, nominated with a task."""
    lead = desk.lead()
    lead = desk.change(lead.id, LeadChange(version=lead.version, status=LeadStatus.CONTACTED), CALL)
    lead = desk.answered(lead, **ALL_MET)
    assert desk.nominate(lead.id, "event") == "lead nominated"
    return desk.stands(lead)


def changed(desk: Desk, **changes: Any) -> None:
    """The one task with fields set, by whoever has it."""
    [task] = [TASKS.load(row) for row in desk.kinds(TASKS.kind)]
    transaction = begin(CALL, desk.clock.now())
    TASKS.update(transaction, task.revised(desk.clock.now(), **changes))
    desk.table.commit(transaction)


@pytest.mark.mission("LEAD-6", "CRM-6")
def test_a_nomination_that_lapses_takes_its_task_back(desk: Desk) -> None:
    lead = desk.lead(authority_level=None)
    for score in (75, 55, 72, 50, 90):
        scored(desk, lead, score)
    assert nominations(desk) == {"1": TaskStatus.CANCELLED, "2": TaskStatus.CANCELLED, "3": TaskStatus.OPEN}


@pytest.mark.mission("LEAD-6", "CRM-6")
@pytest.mark.parametrize("kind", [*OutcomeKind, None], ids=["accepted", "rejected", "given up"])
def test_whoever_decides_about_a_lead_has_no_task_to_look_at_it_any_more(desk: Desk, kind: OutcomeKind | None) -> None:
    lead = nominated_lead(desk)
    changed(desk, assignee_id="somebody-else")
    if kind is not None:
        lead = desk.qualify.decide(lead.id, OutcomeGiven(version=lead.version, outcome=kind, reason="no_need"), SDR)
    else:
        lead = desk.qualify.disqualify(lead.id, ClosingGiven(version=lead.version, reason="no_need"), SDR)
    assert nominations(desk) == {"1": TaskStatus.CANCELLED}
    assert lead.nomination is not None
    assert lead.nomination.standing is (kind is OutcomeKind.ACCEPTED)
    assert desk.nominate(lead.id, "its event") == ""
    desk.clock.advance(days=2)
    assert RemindAssignees(desk.table, desk.clock)("hour") == {"reminded": 0}


@pytest.mark.mission("LEAD-6", "LEAD-2")
@pytest.mark.parametrize("status", [TaskStatus.OPEN, TaskStatus.DONE])
def test_a_lead_that_is_taken_back_is_nominated_anew(desk: Desk, status: TaskStatus) -> None:
    lead = nominated_lead(desk)
    changed(desk, status=status)
    lead = desk.qualify.disqualify(lead.id, ClosingGiven(version=lead.version, reason="no_budget"), SDR)
    desk.clock.advance(days=90)
    lead = desk.qualify.recycle(lead.id, ClosingGiven(version=lead.version, reason="asked_again"), SDR)
    assert desk.nominate(lead.id, "recycled") == "lead nominated"
    assert desk.nominate(lead.id, "recycled") == ""
    first = TaskStatus.DONE if status is TaskStatus.DONE else TaskStatus.CANCELLED
    assert nominations(desk) == {"1": first, "2": TaskStatus.OPEN}
    assert told(desk).count("LeadNominated") == 2


@pytest.mark.mission("LEAD-6")
def test_a_lead_that_was_given_up_with_a_nomination_standing_is_put_right(desk: Desk) -> None:
    """As it may stand from before: whichever way it is looked at first."""
    lead = put(desk, nominated_lead(desk), status=LeadStatus.DISQUALIFIED)
    assert desk.nominate(lead.id, "the sweep") == "nomination lapsed"
    assert nominations(desk) == {"1": TaskStatus.CANCELLED}
    lead = put(desk, lead, nomination=lead.nomination)
    lead = desk.qualify.recycle(lead.id, ClosingGiven(version=lead.version, reason="other"), SDR)
    assert desk.nominate(lead.id, "recycled") == "lead nominated"


@pytest.mark.mission("LEAD-6", "CRM-6")
@pytest.mark.fault("R19")
def test_giving_up_while_the_task_changes_does_both(desk: Desk) -> None:
    lead = nominated_lead(desk)

    def meanwhile(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        changed(desk, title="Mine")

    desk.memory.before_commit = meanwhile
    lead = desk.qualify.disqualify(lead.id, ClosingGiven(version=lead.version, reason="no_need"), SDR)
    assert lead.status is LeadStatus.DISQUALIFIED
    [task] = [TASKS.load(row) for row in desk.kinds(TASKS.kind)]
    assert (task.title, task.status) == ("Mine", TaskStatus.CANCELLED)
    assert [each.what for each in desk.qualify.read(lead.id, SDR).history].count("status") == 1


@pytest.mark.mission("LEAD-6", "CRM-6")
@pytest.mark.fault("R6")
def test_a_task_that_never_rests_gives_nothing_up(desk: Desk) -> None:
    lead = nominated_lead(desk)

    def meanwhile(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        changed(desk, title="Mine")
        desk.memory.before_commit = meanwhile

    desk.memory.before_commit = meanwhile
    with pytest.raises(Unavailable):
        desk.qualify.disqualify(lead.id, ClosingGiven(version=lead.version, reason="no_need"), SDR)
    assert desk.stands(lead) == lead


@pytest.mark.mission("LEAD-6", "CAP-11", "CRM-6")
def test_the_task_of_a_merged_lead_s_nomination_goes_with_the_survivor_s(desk: Desk) -> None:
    lead = nominated_lead(desk)
    other = desk.lead(
        email="o@else.example", phone="+49 30 111111", first_name="Bea", last_name="Bo", company="Else AG"
    )
    desk.nominate(other.id, "event")
    MergeLeads(desk.table, desk.clock, Policy())(lead.id, other.id, CALL)
    survivor = desk.stands(lead)
    desk.qualify.disqualify(lead.id, ClosingGiven(version=survivor.version, reason="no_need"), CALL)
    tasks: list[Task] = [TASKS.load(row) for row in desk.kinds(TASKS.kind)]
    assert {task.related_to: task.status for task in tasks} == dict.fromkeys((lead.id, other.id), TaskStatus.CANCELLED)


@pytest.mark.mission("LEAD-6")
@pytest.mark.parametrize(
    "state", [{"status": "Disqualified"}, {"status": "Converted"}, {"status": "Unqualified"}, {"merged_into": "LEAD_2"}]
)
def test_nobody_is_nominated_whom_nobody_works_on(desk: Desk, state: dict[str, str]) -> None:
    lead = put(desk, desk.lead(), **state)
    assert scored(desk, lead, 95) == ""
    assert desk.nominate("LEAD_gone", "event") == ""


@pytest.mark.mission("LEAD-6")
@pytest.mark.fault("R19")
def test_two_reactions_at_once_make_one_task(desk: Desk) -> None:
    lead = put(desk, desk.lead(), score=90)

    def meanwhile(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        assert desk.nominate(lead.id, "the other") == "lead nominated"

    desk.memory.before_commit = meanwhile
    assert desk.nominate(lead.id, "this one") == ""
    assert len(desk.kinds(TASKS.kind)) == 1


@pytest.mark.mission("LEAD-6", "BUS-2")
@pytest.mark.fault("R15", "R16")
@pytest.mark.parametrize(
    ("name", "data", "done"),
    [
        ("LeadCreated", {}, "lead nominated"),
        ("LeadScoreChanged", {"score": 12, "previous_score": 99}, "lead nominated"),
        ("RecordRedriven", {"kind": "LEAD", "record_version": 1}, "lead nominated"),
        ("RecordRedriven", {"kind": "ORDER", "record_version": 1}, "no reaction"),
    ],
)
def test_whatever_event_comes_the_lead_is_looked_at_as_it_is_now(
    desk: Desk, name: str, data: dict[str, Any], done: str
) -> None:
    """What an old event says of the score does not matter; neither does that the right one was lost."""
    lead = desk.lead()
    consume = ConsumeEvent(qualification_reactions(lambda: desk.nominate))
    said = {"lead_id": lead.id, "record": f"LEAD#{lead.id}|LEAD", **data}
    envelope = {"source": "revops", "detail-type": name, "detail": {"id": f"{lead.id}:1:{name}", "data": said}}
    assert consume(envelope) == done
    assert consume(envelope) == "no reaction"
    assert len(desk.kinds(TASKS.kind)) == (done == "lead nominated")

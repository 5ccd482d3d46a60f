"""Qualifying leads (LEAD-6, LEAD-7): answers to BANT and MEDDICC with their history, the outcome, giving up and taking
back, and nominating those whose score is high.

| item | pk | sk | read by |
|---|---|---|---|
| change of a qualification | LEAD#<id> | QUALIFICATION#<lead version> | lead, newest first |

The lead holds what stands; each change is a row of its own beside it, written in the transaction of the lead. The task
of a nomination is withdrawn in the transaction that leaves nothing to do for it: an outcome, giving up, taking back,
conversion, or a nomination that lapses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from revops.access import Policy, Resource
from revops.crm.factors import Answer, AnswerState, Bant, Meddicc, Outcome, OutcomeKind, Qualification, StatusReason
from revops.crm.model import Lead, LeadStatus, Value
from revops.crm.policies.lead_moves import require_move, require_workable
from revops.crm.policies.qualification import (
    QualificationRules,
    Risk,
    answers_of,
    lapsed,
    met_of,
    nominated,
    require_reason,
    risk,
    unanswered,
)
from revops.crm.store import LEADS
from revops.crm.submission import ShortText
from revops.crm.tasks import TASKS, Task, TaskPriority, task_of, withdraw
from revops.kernel import CallContext, Clock, Refused, Unavailable, VersionConflict, system_call
from revops.settings import SettingsReader
from revops.table import (
    ABSENT,
    ConditionFailed,
    Contention,
    Query,
    Row,
    Table,
    Transaction,
    begin,
    commit_update,
    present,
)

HISTORY = "QUALIFICATION"
_ATTEMPTS = 10
_MERGED = 50
"""Merged leads whose tasks are looked for: each may be one more operation of a transaction, which takes a hundred."""
_VERSION = Field(ge=1, description="The version that was read; another one stands → 409")


class _Input(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class AnswerGiven(_Input):
    """An answer to a factor; "unknown" takes one back."""

    state: AnswerState
    note: Annotated[str, Field(max_length=500)] = ""


class BantGiven(_Input):
    """Answers to some of the four."""

    budget: AnswerGiven | None = None
    authority: AnswerGiven | None = None
    need: AnswerGiven | None = None
    timeline: AnswerGiven | None = None


class MeddiccGiven(_Input):
    """Answers to some of the seven."""

    metrics: AnswerGiven | None = None
    economic_buyer: AnswerGiven | None = None
    decision_criteria: AnswerGiven | None = None
    decision_process: AnswerGiven | None = None
    identify_pain: AnswerGiven | None = None
    champion: AnswerGiven | None = None
    competition: AnswerGiven | None = None


class QualificationGiven(_Input):
    """What was found out. Factors that are not named stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"version": 4, "bant": {"budget": {"state": "met", "note": "approved for next year"}}}]
        }
    )

    version: Annotated[int, _VERSION]
    bant: BantGiven = BantGiven()
    meddicc: MeddiccGiven = MeddiccGiven()

    def answers(self) -> dict[str, AnswerGiven]:
        """By the name of the factor."""
        given = chain(((f, getattr(self.bant, f)) for f in Bant), ((f, getattr(self.meddicc, f)) for f in Meddicc))
        return {factor.value: answer for factor, answer in given if answer is not None}


class OutcomeGiven(_Input):
    """What BANT says in the end. A rejection gives a reason out of the list of the rules."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 5, "outcome": "accepted"}]})

    version: Annotated[int, _VERSION]
    outcome: OutcomeKind
    reason: ShortText = ""
    text: ShortText = ""


class ClosingGiven(_Input):
    """Why a lead is disqualified or recycled: a reason out of the list of the rules, and words."""

    version: Annotated[int, _VERSION]
    reason: ShortText = Field(examples=["no_budget"])
    text: ShortText = ""


class HistoryEntry(Value):
    """One thing that changed: a factor, the outcome or the status."""

    what: str = Field(examples=["budget"])
    old: str = ""
    new: str
    note: str = ""
    by: str
    at: AwareDatetime


_ENTRIES: TypeAdapter[tuple[HistoryEntry, ...]] = TypeAdapter(tuple[HistoryEntry, ...])


@dataclass(frozen=True, slots=True)
class QualificationReport:
    """A lead's qualification as it stands, what is still open, how risky that is, and how it came about."""

    lead: Lead
    risk: Risk
    missing: tuple[str, ...]
    history: tuple[HistoryEntry, ...]


class QualifyLead:
    """What people do about a lead's qualification, each under the version of the lead that was read."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._settings = settings

    def read(self, lead_id: str, call: CallContext) -> QualificationReport:
        """Raises NotFound for what is not there or not for this caller."""
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_read(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        rules = self._settings.read(QualificationRules)
        missing = unanswered(lead, (*Bant, *Meddicc))
        return QualificationReport(
            lead, risk(lead, rules), missing, history_of(self._table, lead_id, rules.history_shown)
        )

    def answer(self, lead_id: str, given: QualificationGiven, call: CallContext) -> Lead:
        """Answers factors; what stands already adds nothing. Raises NotFound, Forbidden, Refused, VersionConflict."""
        lead, now, by = self._opened(lead_id, given.version, call), self._clock.now(), call.principal.id
        answers, entries = answers_of(lead), list[HistoryEntry]()
        for factor, said in given.answers().items():
            stood = answers.get(factor)
            if stood is not None and (stood.state, stood.note) == (said.state, said.note):
                continue
            answers[factor] = Answer(state=said.state, note=said.note, by=by, at=now)
            old = stood.state.value if stood else ""
            entries.append(HistoryEntry(what=factor, old=old, new=said.state.value, note=said.note, by=by, at=now))
        if not entries:
            return lead
        outcome = lead.qualification.outcome if lead.qualification else None
        changed = {"qualification": Qualification(answers=answers, outcome=outcome)}
        return self._write(lead, changed, entries, call, now)

    def decide(self, lead_id: str, given: OutcomeGiven, call: CallContext) -> Lead:
        """Records the outcome of BANT: accepted makes the lead Qualified, rejected makes it Unqualified. Accepting asks
        for an answer to each of the four. Raises as `answer`, and Invalid for a reason that is not on the list."""
        lead, now = self._opened(lead_id, given.version, call), self._clock.now()
        if given.outcome is OutcomeKind.ACCEPTED:
            target, missing = LeadStatus.QUALIFIED, unanswered(lead, Bant)
            if missing:
                raise Refused(
                    f"BANT is not answered yet: {', '.join(missing)}; PUT /api/v1/leads/{{lead_id}}/qualification",
                    {"missing": list(missing)},
                )
        else:
            target = LeadStatus.UNQUALIFIED
            require_reason(given.reason, self._settings.read(QualificationRules).closing_reasons)
        if not (lead.status is target is LeadStatus.QUALIFIED):
            require_move(lead, target, None)
        outcome = Outcome(
            outcome=given.outcome,
            met=met_of(lead.qualification),
            reason=given.reason,
            text=given.text,
            by=call.principal.id,
            at=now,
        )
        changed: dict[str, Any] = {
            "qualification": Qualification(answers=answers_of(lead), outcome=outcome),
            "status": target,
        }
        if target is LeadStatus.UNQUALIFIED:
            changed |= {"status_reason": _reason(target, given, call, now), "nomination": lapsed(lead.nomination)}
        entry = HistoryEntry(
            what="outcome",
            old=lead.qualification.outcome.outcome.value if lead.qualification and lead.qualification.outcome else "",
            new=given.outcome.value,
            note=" ".join(filter(None, (given.reason, given.text))),
            by=call.principal.id,
            at=now,
        )
        return self._write(lead, changed, [entry], call, now)

    def disqualify(self, lead_id: str, given: ClosingGiven, call: CallContext) -> Lead:
        """Gives a lead up, with a reason; its nomination lapses. Raises as `decide`."""
        return self._close(lead_id, LeadStatus.DISQUALIFIED, given, call)

    def recycle(self, lead_id: str, given: ClosingGiven, call: CallContext) -> Lead:
        """Takes an unqualified or disqualified lead back into nurture, with a reason. What was answered stays; the
        outcome does not: it has to be qualified again, and its score may nominate it again. Raises as `decide`."""
        return self._close(lead_id, LeadStatus.RECYCLED, given, call)

    def _close(self, lead_id: str, target: LeadStatus, given: ClosingGiven, call: CallContext) -> Lead:
        lead, now = self._opened(lead_id, given.version, call), self._clock.now()
        rules = self._settings.read(QualificationRules)
        require_move(lead, target, None)
        recycled = target is LeadStatus.RECYCLED
        require_reason(given.reason, rules.recycle_reasons if recycled else rules.closing_reasons)
        changed: dict[str, Any] = {
            "status": target,
            "status_reason": _reason(target, given, call, now),
            "nomination": lapsed(lead.nomination),
        }
        if recycled:
            changed |= {"rescore_at": now}
            if lead.qualification is not None:
                changed["qualification"] = Qualification(answers=lead.qualification.answers)
        entry = HistoryEntry(
            what="status",
            old=lead.status.value,
            new=target.value,
            note=" ".join(filter(None, (given.reason, given.text))),
            by=call.principal.id,
            at=now,
        )
        return self._write(lead, changed, [entry], call, now)

    def _opened(self, lead_id: str, version: int, call: CallContext) -> Lead:
        """The lead, if it may be changed and is the one that was read."""
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        if lead.version != version:
            raise VersionConflict(f"lead {lead_id} was changed by someone else", lead.version)
        require_workable(lead)
        return lead

    def _write(
        self, lead: Lead, changes: Mapping[str, Any], entries: Sequence[HistoryEntry], call: CallContext, now: datetime
    ) -> Lead:
        changed = lead.revised(now, **changes)
        for _ in range(_ATTEMPTS):
            transaction = begin(call, now)
            LEADS.update(transaction, changed)
            transaction.put(_history_row(changed, entries), ABSENT)
            if "status" in changes:  # decided: nobody has to be told to look at it any more
                withdraw_nominations(self._table, transaction, lead, now)
            try:
                commit_update(self._table, transaction, LEADS, changed)
            except ConditionFailed:
                continue  # not the lead: a task of its nomination changed meanwhile, so it is looked at again
            return changed
        raise Unavailable("the tasks about this lead keep changing; try again shortly", retry_after=1)


def _reason(target: LeadStatus, given: OutcomeGiven | ClosingGiven, call: CallContext, now: datetime) -> StatusReason:
    return StatusReason(status=target.value, reason=given.reason, text=given.text, by=call.principal.id, at=now)


def _history_row(lead: Lead, entries: Sequence[HistoryEntry]) -> Row:
    return Row(
        pk=f"LEAD#{lead.id}",
        sk=f"{HISTORY}#{lead.version:09d}",
        kind=HISTORY,
        doc=_ENTRIES.dump_json(tuple(entries), exclude_none=True).decode(),
    )


def history_of(table: Table, lead_id: str, limit: int) -> tuple[HistoryEntry, ...]:
    """The newest changes of a lead's qualification, newest first."""
    page = table.query(Query(pk=f"LEAD#{lead_id}", begins=f"{HISTORY}#", descending=True, limit=limit, consistent=True))
    return tuple(entry for row in page.rows for entry in _ENTRIES.validate_json(row.doc))[:limit]


class NominateLead:
    """Nominates a lead whose score is high, with a task for its owner, and lets a nomination lapse (LEAD-6).

    Level-triggered: it looks at the lead as it is now, whatever event told it to, so that events that are lost, late or
    repeated change nothing. The lead and the task are one transaction, and the task's id follows from the number of
    the nomination. A nomination that lapses takes its task back, whoever has it by then; what is done stays done."""

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings

    def __call__(self, lead_id: str, causation_id: str) -> str:
        """What was done, for the log; an empty text when there was nothing to do. Raises Unavailable when the lead
        never rests."""
        rules = self._settings.read(QualificationRules)
        for _ in range(_ATTEMPTS):
            lead = LEADS.get(self._table, lead_id)
            if lead is None:
                return ""
            now = self._clock.now()
            after = nominated(lead, rules, now)
            if after is None or after == lead.nomination:
                return ""
            transaction = begin(system_call("nominate_lead", causation_id), now)
            changed = lead.revised(now, nomination=after)
            LEADS.update(transaction, changed)
            withdraw_nominations(self._table, transaction, lead, now)
            if after.standing:
                TASKS.create(transaction, _follow_up(changed, rules, now))
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue  # the lead changed meanwhile: look at it again
            return "lead nominated" if after.standing else "nomination lapsed"
        raise Unavailable("this lead keeps changing; try again shortly", retry_after=1)


def withdraw_nominations(table: Table, transaction: Transaction, lead: Lead, now: datetime) -> None:
    """Cancels the open tasks of the nominations of a lead and of those that were merged into it."""
    keys = [LEADS.key(each) for each in lead.merged_from[-_MERGED:]]
    gone = LEADS.load_all(present(table.get_many(keys))) if keys else []
    for each in (lead, *gone):
        if each.nomination is not None:
            withdraw(table, transaction, _origin(each), now)


def _origin(lead: Lead) -> str:
    return f"nomination:{lead.id}:{lead.nomination.number if lead.nomination else 0}"


def _follow_up(lead: Lead, rules: QualificationRules, now: datetime) -> Task:
    due = now + timedelta(hours=rules.follow_up_within_hours)
    return task_of(
        _origin(lead),
        now,
        title=f"Qualify: score {lead.score}",
        about=lead.id,
        owner_id=lead.owner_id,
        assignee_id=lead.assignee_id,
        due_at=due,
        priority=TaskPriority.HIGH,
        details=f"The score reached {lead.score}; {rules.nominate_from} nominates. Answer BANT and record the outcome.",
    )

"""The scheduled job of nurture: what is due is looked at afresh, and done or skipped with its reason (LEAD-5).

Consent, do-not-disturb, status, merge, spam, replies, the address and the hour where the lead lives are all looked at
when the step is due, whatever they were when the lead began the sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from revops.crm.activities import ACTIVITIES, activity_id
from revops.crm.consent import CONSENTS
from revops.crm.store import LEADS
from revops.crm.tasks import TASKS, task_of
from revops.kernel import CallContext, Clock, Invalid, Refused, Unavailable, system_call
from revops.nurture.model import Enrolment, StepChannel, StepRecord, StepStatus, message_id
from revops.nurture.policies import (
    NurtureRules,
    closed,
    decent_time,
    ended,
    leaving,
    next_step,
    obstacle,
    planned,
    with_step,
    with_steps,
)
from revops.nurture.sending import Due, SendMessage
from revops.nurture.store import ENROLMENTS, TOPIC
from revops.nurture.writing import WriteMessage
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Table, begin, due_in_turns

NAME = "nurture"
RUN = timedelta(seconds=40)
"""How long a run goes on taking up what is due; its function has 60 seconds."""
_A_SHARD = 100
"""Enrolments of a shard in a turn. A run takes one turn, and another for as long as some of the last one broke."""
_MOVES = 12
"""Steps of one enrolment that a run takes up at most."""
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: on whose behalf, until when it takes things up, until when each channel pauses, and what it did."""

    call: CallContext
    until: datetime
    paused: dict[str, datetime]
    counts: dict[str, int]


class RunNurture:
    """The job. Safe to run twice, at once or late: each move is proved by its transaction."""

    def __init__(
        self, table: Table, clock: Clock, settings: SettingsReader, write: WriteMessage, send: SendMessage
    ) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings
        self._write = write
        self._send = send

    def __call__(self, period: str) -> dict[str, int]:
        """Counts of enrolments looked at and of steps by how they ended. One that breaks holds no other up: it stays
        due, and for it those behind it are taken up in this run too. The first such error is raised at the end."""
        run = _Run(system_call(NAME, period), self._clock.now() + RUN, {}, {"looked_at": 0})
        broken: list[Exception] = []
        for turn in due_in_turns(self._table, TOPIC, self._clock.now(), _A_SHARD):
            defects = self._take_up([due.key.pk.partition("#")[2] for due in turn], run)
            broken += defects
            if not defects or self._clock.now() >= run.until:
                break  # what is left is due in the next run
        if broken:
            raise broken[0]
        return run.counts

    def _take_up(self, enrolments: Sequence[str], run: _Run) -> list[Exception]:
        """Goes on with each while there is time; the errors of those that are defect."""
        defects: list[Exception] = []
        for identifier in enrolments:
            if self._clock.now() >= run.until:
                break
            run.counts["looked_at"] += 1
            try:
                self._go_on(identifier, run)
            except (ConditionFailed, Contention, Unavailable):
                continue  # somebody else is at it, or the table is busy: it stays due
            except Exception as error:  # raised once the others had their turn
                defects.append(error)
        return defects

    def _go_on(self, identifier: str, run: _Run) -> None:
        """Takes an enrolment as far as it goes now."""
        for _ in range(_MOVES):
            enrolment = ENROLMENTS.get(self._table, identifier)
            if enrolment is None or not self._move(enrolment, run):
                return

    def _move(self, enrolment: Enrolment, run: _Run) -> bool:
        """One move of an enrolment; False when there is none to make now."""
        now = self._clock.now()
        if enrolment.next_at is None or enrolment.next_at > now:
            return False  # the index lags; the row itself says it is not due any more
        if enrolment.sending is not None:
            return self._given_up(enrolment, enrolment.sending, run, now)
        rules = self._settings.read(NurtureRules)
        lead = LEADS.get(self._table, enrolment.lead_id)
        record = CONSENTS.get(self._table, enrolment.person_id)
        reason = leaving(enrolment, lead, record, rules)
        if reason or lead is None:
            self._save(ended(enrolment, reason, run.call.principal.id, now), run)
            return False
        steps = planned(enrolment, lead, rules, now)
        if next_step(steps, now) is None:
            steps = closed(enrolment, steps, now)
            if steps != enrolment.steps:
                self._save(with_steps(enrolment, steps, now), run)
            return False
        step = next_step([each for each in steps if run.paused.get(each.channel, now) <= now], now)
        if step is None:
            return False  # the vendor wants to be left alone
        due = Due(enrolment.model_copy(update={"steps": steps}), step, lead)
        if reason := obstacle(step, enrolment, lead, record, rules) or self._undelivered(due):
            return self._end(due, StepStatus.SKIPPED, reason, run)
        if step.channel is StepChannel.TASK:
            return self._open_task(due, rules, run)
        return self._message(due, rules, run)

    def _undelivered(self, due: Due) -> str:
        """WhatsApp tells afterwards that a message did not arrive: then none is sent after it."""
        if due.step.channel is not StepChannel.WHATSAPP:
            return ""
        earlier = [each.vendor_ref for each in due.enrolment.steps if each.channel is due.step.channel]
        sent = [ACTIVITIES.get(self._table, activity_id(f"{due.step.channel}:{ref}")) for ref in earlier if ref]
        failed = any(each is not None and each.facts.get("status") == "failed" for each in sent)
        return "the message before it could not be delivered" if failed else ""

    def _given_up(self, enrolment: Enrolment, step: StepRecord, run: _Run, now: datetime) -> bool:
        """A message whose sender is gone; False while it may still be on its way."""
        if step.not_before is not None and step.not_before > now:
            return False
        reason = "its sender ended before the end was recorded; whether it left is not known, and it is not sent again"
        self._save(with_step(enrolment, step.name, now, status=StepStatus.UNKNOWN, reason=reason, at=now), run)
        return _counted(StepStatus.UNKNOWN, run)

    def _message(self, due: Due, rules: NurtureRules, run: _Run) -> bool:
        step, now = due.step, self._clock.now()
        later = decent_time(due.enrolment, step, due.lead, rules, now)
        if later > now:
            return self._postpone(due, later, run)
        try:
            outgoing = self._write(step, due.lead, message_id(due.enrolment.id, step.name), rules)
        except Invalid as error:
            return self._end(due, StepStatus.FAILED, error.detail, run)
        try:
            ending = self._send(due, outgoing, run.call)
        except Refused as error:
            return self._end(due, StepStatus.SKIPPED, error.detail, run)
        except Unavailable as error:
            if error.retry_after is None:
                raise  # not the gate: the table
            return self._postpone(due, now + timedelta(seconds=error.retry_after), run)
        if ending.pause:
            run.paused[step.channel] = self._clock.now() + ending.pause
        return _counted(ending.status, run)

    def _open_task(self, due: Due, rules: NurtureRules, run: _Run) -> bool:
        """A task for the lead's owner, made once: with the step's end in one transaction."""
        now, lead = self._clock.now(), due.lead
        origin = f"nurture:{due.enrolment.id}:{due.step.name}"
        task = task_of(
            origin,
            now,
            title=self._write.title(due.step, lead)[:_LONGEST_TITLE],
            about=lead.id,
            owner_id=lead.owner_id,
            assignee_id=lead.assignee_id,
            due_at=now + rules.task_due_after,
        )
        transaction = begin(run.call, now)
        TASKS.create(transaction, task)
        done: dict[str, Any] = {"status": StepStatus.DONE, "at": now, "task_id": task.id}
        ENROLMENTS.update(transaction, with_step(due.enrolment, due.step.name, now, **done))
        self._table.commit(transaction)
        return _counted(StepStatus.DONE, run)

    def _postpone(self, due: Due, until: datetime, run: _Run) -> bool:
        self._save(with_step(due.enrolment, due.step.name, self._clock.now(), not_before=until), run)
        return True

    def _end(self, due: Due, status: StepStatus, reason: str, run: _Run) -> bool:
        now = self._clock.now()
        self._save(with_step(due.enrolment, due.step.name, now, status=status, reason=reason[:300], at=now), run)
        return _counted(status, run)

    def _save(self, enrolment: Enrolment, run: _Run) -> None:
        transaction = begin(run.call, self._clock.now())
        ENROLMENTS.update(transaction, enrolment)
        self._table.commit(transaction)


def _counted(status: StepStatus, run: _Run) -> bool:
    run.counts[status] = run.counts.get(status, 0) + 1
    return True

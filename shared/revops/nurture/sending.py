"""One message on its way: claimed, sent, recorded (LEAD-5, I11, S21).

A message leaves in three moves. First one transaction: the step is `sending` in the next version of its enrolment, the
message's row is there once, the lead stands at the version that was looked at, and the gate of `crm.consent` is passed.
Then the call. Then one transaction with how it ended. Whoever dies after the first move leaves a step that is found
`sending` past its time: whether the message left is not known, so the step ends as `unknown` and is not sent again.
Neither SES nor WhatsApp has an idempotency key; two messages are worse than a missing one, and the step says so.

What the vendor refused for now is tried again, after one minute and then twice as long each time, at most six hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from revops.crm.activities import ACTIVITIES, Activity, ActivityType, activity_id
from revops.crm.consent import LEASE, SendGate
from revops.crm.model import Lead
from revops.crm.store import lead_key
from revops.kernel import CallContext, Clock, Refused, Unavailable
from revops.nurture.model import LAST_ATTEMPT, Enrolment, Message, StepRecord, StepStatus
from revops.nurture.policies import with_step
from revops.nurture.ports import OutcomeUnknown
from revops.nurture.store import ENROLMENTS, MESSAGES, SENT_AS
from revops.nurture.writing import Outgoing, WriteMessage
from revops.table import ConditionFailed, Contention, Table, Transaction, begin, claim, holder_of

SILENT = LEASE + timedelta(seconds=30)
"""After so long a message that nobody recorded the end of counts as unknown: its sender is gone."""
_BACKOFF = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)
_RECORDED = 12


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is due: of which enrolment, for which lead."""

    enrolment: Enrolment
    step: StepRecord
    lead: Lead


@dataclass(frozen=True, slots=True)
class Ending:
    """How a message ended. `changes` are the step's; `pause` is how long the vendor wants to be left alone."""

    changes: Mapping[str, Any]
    pause: timedelta = timedelta()

    @property
    def status(self) -> StepStatus:
        status: StepStatus = self.changes["status"]
        return status


class SendMessage:
    """Sends the message of a step that is due."""

    def __init__(self, table: Table, clock: Clock, gate: SendGate, write: WriteMessage) -> None:
        self._table = table
        self._clock = clock
        self._gate = gate
        self._write = write

    def __call__(self, due: Due, outgoing: Outgoing, call: CallContext) -> Ending:
        """How it ended. Raises Refused, with nothing written, when the gate does not let it pass; Unavailable while
        another message to the person is on its way; ConditionFailed when somebody changed the enrolment, the lead or
        the consents meanwhile."""
        until = self._claim(due, outgoing, call)
        ending = self._sent(due.step, outgoing, until)
        self._record(due, outgoing, ending, call)
        return ending

    def _claim(self, due: Due, outgoing: Outgoing, call: CallContext) -> datetime:
        """Until when the call may start."""
        enrolment, step, now = due.enrolment, due.step, self._clock.now()
        transaction = begin(call, now)
        sending = {
            "status": StepStatus.SENDING,
            "at": now,
            "reason": "",
            "not_before": now + SILENT,
            "attempts": step.attempts + 1,
            "message_id": outgoing.message_id,
        }
        ENROLMENTS.update(transaction, with_step(enrolment, step.name, now, **sending))
        if not step.message_id:
            message = Message(
                id=outgoing.message_id,
                created_at=now,
                modified_at=now,
                enrolment_id=enrolment.id,
                step=step.name,
                channel=step.channel,
                lead_id=due.lead.id,
                person_id=enrolment.person_id,
            )
            MESSAGES.create(transaction, message)
        transaction.check(lead_key(due.lead.id), due.lead.version)
        until = self._gate.enter(transaction, enrolment.person_id, step.channel, outgoing.message_id)
        self._table.commit(transaction)
        return until

    def _sent(self, step: StepRecord, outgoing: Outgoing, until: datetime) -> Ending:
        """Calls the vendor, in time or not at all."""
        if self._clock.now() >= until:  # the right to send it has run out: nothing left, and the step is as it was
            untouched = {"attempts": step.attempts, "at": step.at, "not_before": self._clock.now()}
            return Ending({"status": StepStatus.WAITING, **untouched})
        try:
            reference = self._write.send(outgoing)
        except Unavailable as error:
            return self._put_off(step, error)
        except Refused as error:
            return Ending({"status": StepStatus.FAILED, "reason": error.detail[:300], "at": self._clock.now()})
        except OutcomeUnknown as error:
            return Ending({"status": StepStatus.UNKNOWN, "reason": error.detail[:300], "at": self._clock.now()})
        sent_at = self._clock.now()
        return Ending({"status": StepStatus.SENT, "reason": "", "at": sent_at, "vendor_ref": reference[:200]})

    def _put_off(self, step: StepRecord, error: Unavailable) -> Ending:
        now, pause = self._clock.now(), timedelta(seconds=error.retry_after or 0)
        if step.attempts + 1 >= LAST_ATTEMPT:
            return Ending({"status": StepStatus.FAILED, "reason": error.detail[:300], "at": now}, pause)
        later = now + max(pause, min(_BACKOFF * 2**step.attempts, _LONGEST_PAUSE))
        waiting = {"status": StepStatus.WAITING, "reason": error.detail[:300], "at": step.at, "not_before": later}
        return Ending(waiting, pause)

    def _record(self, due: Due, outgoing: Outgoing, ending: Ending, call: CallContext) -> None:
        """Records how a message ended, over whatever happened to its enrolment meanwhile, and leaves the gate."""
        for _ in range(_RECORDED):
            enrolment = ENROLMENTS.require(self._table, due.enrolment.id)
            sending = enrolment.sending
            if sending is None or sending.message_id != outgoing.message_id:
                return  # somebody took it for unknown: an end is an end
            now = self._clock.now()
            transaction = begin(call, now)
            ENROLMENTS.update(transaction, with_step(enrolment, due.step.name, now, **_settled(enrolment, ending, now)))
            if ending.status is not StepStatus.UNKNOWN:  # it may still be on its way: the lease runs out by itself
                self._gate.leave(transaction, enrolment.person_id, outgoing.message_id)
            if ending.status is StepStatus.SENT:
                self._tell(transaction, due, outgoing, str(ending.changes["vendor_ref"]), now)
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue
            return
        raise Unavailable("an enrolment never rests", retry_after=1)

    def _tell(self, transaction: Transaction, due: Due, outgoing: Outgoing, reference: str, now: datetime) -> None:
        """A message that was sent stands on the lead's timeline, and is known by the vendor's name of it, so that what
        the vendor says of it later is understood."""
        if not reference or holder_of(self._table, SENT_AS, reference) is not None:
            return
        claim(transaction, SENT_AS, reference, outgoing.message_id)
        activity = Activity(
            id=activity_id(f"{due.step.channel}:{reference}"),
            created_at=now,
            modified_at=now,
            type=ActivityType(due.step.channel),
            subject=outgoing.subject,
            content=outgoing.text,
            related_to=due.lead.id,
            owner_id=due.lead.owner_id,
            at=now,
            ref=reference,
            facts={"enrolment": due.enrolment.id, "step": due.step.name, "message": outgoing.message_id},
        )
        ACTIVITIES.create(transaction, activity)


def _settled(enrolment: Enrolment, ending: Ending, now: datetime) -> Mapping[str, Any]:
    """The ending, unless the enrolment ended meanwhile: then nothing waits any more."""
    if enrolment.active or ending.status is not StepStatus.WAITING:
        return ending.changes
    return {"status": StepStatus.SKIPPED, "reason": enrolment.ended_because, "at": now}

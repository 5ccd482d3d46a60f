"""Who begins a sequence, who leaves one, and what becomes due because of something a lead did (LEAD-5).

All of it looks at the state and not at what an event said: a trigger that comes twice, late or in another order makes
the same enrolment, and a review of what has been reviewed changes nothing.
"""

from collections.abc import Callable, Iterator

from revops.crm.consent import CONSENTS, refusal
from revops.crm.model import Lead, SpamScore
from revops.crm.store import LEADS
from revops.kernel import CallContext, Clock, NotFound, Refused, Unavailable
from revops.nurture.model import Enrolment, Sequence, StepChannel, Trigger, enrolment_id
from revops.nurture.policies import NurtureRules, begun, ended, leaving, planned, with_steps
from revops.nurture.store import ENROLMENTS, enrolments_of, enrolments_of_person
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Table, begin

BY_HAND = "by hand"
MOST_ROUNDS = 50
"""How often one person may go through one sequence."""
_ATTEMPTS = 8


class EnrolLead:
    """Begins sequences for a lead."""

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings

    def __call__(self, lead_id: str, trigger: Trigger, cause: str, call: CallContext) -> list[Enrolment]:
        """Begins every sequence that a trigger begins and that fits the lead; `cause` is the event it came from, which
        begins a sequence once. Answers those that began now."""
        lead = LEADS.get(self._table, lead_id)
        if lead is None:
            return []
        began = []
        rules = self._settings.read(NurtureRules)
        for name, sequence in rules.sequences.items():
            if not sequence.active or trigger not in sequence.triggers:
                continue
            if trigger is Trigger.SCORE_REACHED and lead.score < sequence.score_at_least:
                continue
            try:
                began.append(self.begin(lead, name, cause, call))
            except Refused:
                continue  # not for this lead, or not again; which is no failure of the event
        return began

    def begin(self, lead: Lead, name: str, cause: str, call: CallContext) -> Enrolment:
        """Begins one sequence. Raises NotFound for a sequence nobody knows, Refused with the reason when the lead may
        not begin it (again), Unavailable when others keep beginning it."""
        rules, version = self._settings.versioned(NurtureRules)
        sequence = rules.sequences.get(name)
        if sequence is None:
            raise NotFound("sequence", name)
        if reason := self._unfit(lead, sequence):
            raise Refused(reason)
        for _ in range(_ATTEMPTS):
            number = self._round(lead, name, sequence, cause)
            now = self._clock.now()
            enrolment = Enrolment(
                id=enrolment_id(lead.person_id, name, number),
                created_at=now,
                modified_at=now,
                lead_id=lead.id,
                person_id=lead.person_id,
                sequence=name,
                round=number,
                trigger=cause,
                rules_version=version,
                score_at_start=lead.score,
                closes_at=now + sequence.closes_after,
                started_by=call.principal.id,
                steps=begun(sequence, now),
            )
            transaction = begin(call, now)
            ENROLMENTS.create(transaction, enrolment)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # somebody began this round: it is under way, or it is over and the next one may begin
            return enrolment
        raise Unavailable("this sequence is being begun by others", retry_after=1)

    def _unfit(self, lead: Lead, sequence: Sequence) -> str:
        if not sequence.active:
            return "the sequence is not in use"
        if lead.merged_into:
            return "the lead was merged into another one"
        if lead.status not in sequence.statuses:
            return f"the lead is {lead.status}; the sequence is for {', '.join(sequence.statuses)}"
        if lead.spam_score is SpamScore.HIGH:
            return "the lead looks like spam"
        record = CONSENTS.get(self._table, lead.person_id)
        reasons = [refusal(record, channel) for channel in sequence.channels]
        return reasons[0] if reasons and all(reasons) else ""

    def _round(self, lead: Lead, name: str, sequence: Sequence, cause: str) -> int:
        """The round that would begin. Raises Refused."""
        for number in range(1, MOST_ROUNDS + 1):
            earlier = ENROLMENTS.get(self._table, enrolment_id(lead.person_id, name, number))
            if earlier is None:
                return number
            if earlier.active or earlier.sending is not None:
                raise Refused("the sequence is under way")
            if earlier.trigger == cause != BY_HAND:
                raise Refused("the sequence began by this before")
            if not sequence.again and cause != BY_HAND:
                raise Refused("the person has been through the sequence")
        raise Refused(f"the person has been through the sequence {MOST_ROUNDS} times")


class ReviewEnrolments:
    """Looks at the enrolments under way again, after something happened to their lead or person: who is to leave leaves
    now, and what became due by it is due now. Sending looks at all of it once more."""

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings

    def __call__(self, lead_id: str, call: CallContext) -> int:
        """How many of a lead's enrolments changed."""
        return sum(self._review(each.id, call) for each in enrolments_of(self._table, lead_id))

    def person(self, person_id: str, call: CallContext) -> int:
        """The same for a person's."""
        return sum(self._review(each.id, call) for each in enrolments_of_person(self._table, person_id))

    def _review(self, identifier: str, call: CallContext) -> bool:
        def reviewed(enrolment: Enrolment) -> Enrolment | None:
            if not enrolment.active:
                return None
            rules, now = self._settings.read(NurtureRules), self._clock.now()
            lead = LEADS.get(self._table, enrolment.lead_id)
            record = CONSENTS.get(self._table, enrolment.person_id)
            reason = leaving(enrolment, lead, record, rules)
            if reason or lead is None:
                return ended(enrolment, reason, call.principal.id, now)
            steps = planned(enrolment, lead, rules, now)
            return with_steps(enrolment, steps, now) if steps != enrolment.steps else None

        return change_enrolment(self._table, self._clock, identifier, reviewed, call) is not None


class EndEnrolments:
    """Ends what is under way for a lead by somebody's word."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, lead_id: str, reason: str, call: CallContext, sequence: str = "") -> list[Enrolment]:
        """The enrolments that ended now; all of the lead's, or those of one sequence."""

        def stopped(enrolment: Enrolment) -> Enrolment | None:
            return ended(enrolment, reason, call.principal.id, self._clock.now()) if enrolment.active else None

        chosen = [each for each in enrolments_of(self._table, lead_id) if sequence in ("", each.sequence)]
        changed = (change_enrolment(self._table, self._clock, each.id, stopped, call) for each in chosen)
        return [each for each in changed if each is not None]


def change_enrolment(
    table: Table,
    clock: Clock,
    identifier: str,
    change: Callable[[Enrolment], Enrolment | None],
    call: CallContext,
) -> Enrolment | None:
    """Changes an enrolment over whatever version stands; the version it made, or None when there was nothing to change.
    Raises Unavailable when it never rests."""
    for enrolment in _standing(table, identifier):
        wanted = change(enrolment)
        if wanted is None:
            return None
        transaction = begin(call, clock.now())
        ENROLMENTS.update(transaction, wanted)
        try:
            table.commit(transaction)
        except ConditionFailed:
            continue
        return wanted
    if ENROLMENTS.get(table, identifier) is None:
        return None
    raise Unavailable("this enrolment is being changed by others", retry_after=1)


def _standing(table: Table, identifier: str) -> Iterator[Enrolment]:
    for _ in range(_ATTEMPTS):
        enrolment = ENROLMENTS.get(table, identifier)
        if enrolment is None:
            return
        yield enrolment


def speaks(sequence: Sequence) -> bool:
    """Whether a sequence sends anything to the person."""
    return any(step.channel is not StepChannel.TASK for step in sequence.steps)

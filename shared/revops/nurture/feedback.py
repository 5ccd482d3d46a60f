"""What vendors say of messages after they took them: bounced, complained about, not delivered (LEAD-5, CAP-9).

A complaint is a withdrawal, with the message as its evidence. An address or a number that cannot be reached is noted on
the lead, and nothing is sent there any more; a new address starts afresh. What is temporary is the vendor's to repeat.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from revops.crm.consent import Consent, RecordConsent
from revops.crm.model import Lead
from revops.crm.normalise import canonical_email, canonical_phone
from revops.crm.store import LEADS, standing_at
from revops.kernel import CallContext, Clock, NotFound, Unavailable
from revops.nurture.model import Message, StepChannel
from revops.nurture.store import MESSAGES, SENT_AS
from revops.table import ConditionFailed, Table, begin, holder_of

_ATTEMPTS = 8
_MOST_NOTED = 10


class Verdict(StrEnum):
    """What a vendor says of a message."""

    UNDELIVERABLE = "undeliverable"
    COMPLAINT = "complaint"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A vendor's word about a message: by our id where it came along, else by the vendor's. `addresses` are those it
    concerns, in the vendor's spelling; none means the one the message went to."""

    verdict: Verdict
    message_id: str = ""
    vendor_ref: str = ""
    addresses: tuple[str, ...] = field(default_factory=tuple)


class TakeFeedback:
    """Draws the consequence. Safe to repeat."""

    def __init__(self, table: Table, clock: Clock, withdraw: RecordConsent) -> None:
        self._table = table
        self._clock = clock
        self._withdraw = withdraw

    def __call__(self, feedback: Feedback, call: CallContext) -> str:
        """What was done, for the log. Raises Unavailable for what is to be tried again."""
        identifier = feedback.message_id or holder_of(self._table, SENT_AS, feedback.vendor_ref) or ""
        message = MESSAGES.get(self._table, identifier) if identifier else None
        if message is None:
            return "not a message of nurture"
        if feedback.verdict is Verdict.COMPLAINT:
            return self._complained(message, call)
        if feedback.verdict is Verdict.UNDELIVERABLE:
            return self._unreachable(message, feedback, call)
        return "left to the vendor"

    def _complained(self, message: Message, call: CallContext) -> str:
        said = Consent(
            channel=message.channel,
            purpose="marketing",
            granted=False,
            at=self._clock.now(),
            source="complaint",
            evidence=f"complaint about {message.id}",
        )
        try:
            self._withdraw(message.person_id, (said,), call)
        except NotFound:
            return "the person is gone"
        return "consent withdrawn"

    def _unreachable(self, message: Message, feedback: Feedback, call: CallContext) -> str:
        for _ in range(_ATTEMPTS):
            lead = standing_at(self._table, message.lead_id)
            if lead is None:
                return "the lead is gone"
            fresh = [each for each in _addresses(message, feedback, lead) if each not in lead.undeliverable]
            if not fresh:
                return "noted before"
            now = self._clock.now()
            transaction = begin(call, now)
            noted = (*lead.undeliverable, *fresh)[-_MOST_NOTED:]
            LEADS.update(transaction, lead.revised(now, undeliverable=noted))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue
            return "noted as unreachable"
        raise Unavailable("this lead is being changed by many", retry_after=1)


def _addresses(message: Message, feedback: Feedback, lead: Lead) -> list[str]:
    """The canonical forms of what cannot be reached."""
    if message.channel == StepChannel.EMAIL:
        emails = [canonical_email(each) for each in feedback.addresses or (lead.email,)]
        return [each.address for each in emails if each is not None]
    phones = [canonical_phone(each, lead.country) for each in feedback.addresses or (lead.phone,)]
    return [each for each in phones if each is not None]

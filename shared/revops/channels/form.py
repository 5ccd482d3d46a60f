"""The public form (CAP-1): taken at once, worked on behind.

What can be told from a submission alone is told at once: its shape, a consent that is missing, that nobody could be
reached. Everything that depends on who is known happens later, in the worker; so body, status and time of the answer
are the same for everybody (CAP-11, S19).
"""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from revops.channels.subjects import person_subject
from revops.crm.intake import SubmitLead
from revops.crm.model import Channel
from revops.crm.policies.attribution import page_before
from revops.crm.policies.intake import require_consent, require_reachable
from revops.crm.reading import Reading
from revops.crm.submission import FormSubmission, LeadSubmission, bounded
from revops.inbox import InboxEntry, ReceiveSignal, Settlement, Signal
from revops.kernel import CallContext, Clock, Conflict, IdFactory, Principal, Role
from revops.table import ConditionFailed, Table, begin

PROVIDER = "form"


class StoredForm(BaseModel):
    """A submission as it waits in the inbox, with what the audit and the consent have to know of where it came from."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    submission: LeadSubmission
    request_id: str
    ip: str
    user_agent: str


class ReceiveForm:
    """Stores a submission once and hands out a receipt that says nothing."""

    def __init__(self, receive: ReceiveSignal, ids: IdFactory) -> None:
        self._receive = receive
        self._ids = ids

    def __call__(
        self,
        said: FormSubmission,
        referrer: str,
        call: CallContext,
        link: Mapping[str, str] | None = None,
        origin: str = "",
    ) -> str:
        """The receipt. `referrer` and `origin` are the request's headers `Referer` and `Origin`; `link` are parameters
        of advertising in the address that was posted to, fields of the form win over them. Raises Invalid, naming field
        and rule, for what no look at the table is needed to refuse."""
        followed = {name: value for name, value in (link or {}).items() if value}
        submission = LeadSubmission.of(said, Channel.FORM, referrer=page_before(said.metadata, referrer, origin))
        submission = submission.model_copy(update={"metadata": bounded({**followed, **submission.metadata})})
        require_consent(submission)
        reading = Reading.of(submission, call)
        require_reachable(reading.address, reading.phone, reading.unusable)
        receipt = self._ids.new("RCP")
        stored = StoredForm(
            submission=submission, request_id=call.request_id, ip=call.ip, user_agent=call.user_agent[:256]
        )
        signal = Signal(
            provider=PROVIDER,
            event_id=receipt,
            event_type="submission",
            subject=person_subject(reading.address, reading.phone),
            body=stored.model_dump_json(exclude_defaults=True),
        )
        self._receive(signal, call)
        return receipt


class SettleForm:
    """Makes a lead of a stored submission, or notes it beside the lead it repeats.

    The lead's transaction claims the entry's id as the submission's idempotency key. So an entry that comes again,
    because the worker died before it settled it or because somebody replays it, finds its answer and adds nothing.
    """

    def __init__(self, table: Table, clock: Clock, submit: SubmitLead, settlement: Settlement) -> None:
        self._table = table
        self._clock = clock
        self._submit = submit
        self._settlement = settlement

    def __call__(self, entry: InboxEntry, call: CallContext) -> str:
        stored = StoredForm.model_validate_json(entry.body)
        public = CallContext(
            Principal("public:form", Role.SYSTEM),
            request_id=stored.request_id,
            ip=stored.ip,
            user_agent=stored.user_agent,
            causation_id=entry.id,
        )
        outcome = submit_once(self._submit, stored.submission, entry, public)
        settle_entry(self._table, self._settlement, entry, call, self._clock.now())
        return outcome


def submit_once(submit: SubmitLead, submission: LeadSubmission, entry: InboxEntry, call: CallContext) -> str:
    """Submits what an entry says, once however often it is asked to; whether it made a lead, for the log."""
    try:
        receipt = submit(submission.model_copy(update={"idempotency_key": entry.id}), call)
    except Conflict as error:
        if error.retryable:
            raise
        return "submitted before"  # by a release that read the same entry in another way
    return "new lead" if receipt.created else "known lead"


def settle_entry(table: Table, settlement: Settlement, entry: InboxEntry, call: CallContext, now: datetime) -> None:
    """Marks an entry applied whose effects stand; another worker that was quicker did the same."""
    transaction = begin(call, now)
    settlement.applied(transaction, entry)
    try:
        table.commit(transaction)
    except ConditionFailed:
        return

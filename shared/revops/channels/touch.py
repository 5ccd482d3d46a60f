"""What a message or a call does to a person: it makes or finds their lead, and stands on its timeline."""

from collections.abc import Callable, Mapping
from typing import Any

from revops.crm.activities import ACTIVITIES, Activity
from revops.crm.intake import SubmitLead
from revops.crm.lookalikes import known_at, reached_at
from revops.crm.model import Lead, LeadStatus
from revops.crm.store import LEADS, standing_at
from revops.crm.submission import LeadSubmission
from revops.inbox import InboxEntry, Settlement
from revops.kernel import CallContext, Clock, Conflict, NotFound, Unavailable
from revops.table import ConditionFailed, Table, begin, holder_of

_ATTEMPTS = 10

Tell = Callable[[Lead, Activity | None], Activity]
"""The activity as it is to stand: the first version, or the next of the one that stands, or that one as it is."""


class Touch:
    """The lead of who wrote or called, and the activity beside it."""

    def __init__(self, table: Table, clock: Clock, submit: SubmitLead, settlement: Settlement) -> None:
        self._table = table
        self._clock = clock
        self._submit = submit
        self._settlement = settlement

    def lead(self, submission: LeadSubmission, call: CallContext) -> Lead:
        """The lead of the person, made if there was none. A submission with the same idempotency key, by the same
        caller, is one submission however often it comes. Raises Invalid for one that names nobody reachable."""
        try:
            return self._submit(submission, call).lead
        except Conflict as error:
            if error.retryable:
                raise
        # A release that read the same words in another way answered before.
        key = f"{call.principal.id}\0{submission.idempotency_key}"
        return LEADS.require(self._table, holder_of(self._table, "partner_key", key) or "")

    def reached(self, lead: Lead, phone: str) -> list[Lead]:
        """The lead and whoever else is reached at the number: who has an e-mail too holds no claim on it, and is
        another lead than the one that a bare number finds (CAP-11)."""
        return [lead, *(each for each in reached_at(self._table, phone) if each.person_id != lead.person_id)]

    def people(self, lead: Lead, phone: str) -> list[str]:
        """The persons of the lead and of all who have the number, also of those who are one with another now: whose
        word is whose is for the consents to find out."""
        return list(dict.fromkeys((lead.person_id, *(each.person_id for each in known_at(self._table, phone)))))

    def known(self, identifier: str) -> Activity | None:
        """The activity that an earlier entry, or this one the last time, left."""
        return ACTIVITIES.get(self._table, identifier)

    def record(
        self,
        entry: InboxEntry,
        lead_id: str,
        identifier: str,
        tell: Tell,
        call: CallContext,
        changes: Callable[[Lead], Mapping[str, Any]] = lambda _: {},
    ) -> None:
        """Settles the entry in the transaction that puts or changes the activity, and stamps the lead with `changes`.
        A converted lead is archived and keeps what it had. Raises Unavailable when the lead never rests."""
        for _ in range(_ATTEMPTS):
            lead = standing_at(self._table, lead_id)
            if lead is None:
                raise NotFound("lead", lead_id)
            now = self._clock.now()
            transaction = begin(call, now)
            before = ACTIVITIES.get(self._table, identifier)
            after = tell(lead, before)
            if before is None:
                ACTIVITIES.create(transaction, after)
            elif after != before:
                ACTIVITIES.update(transaction, after)
            wanted = {} if lead.status is LeadStatus.CONVERTED else dict(changes(lead))
            if wanted:
                LEADS.update(transaction, lead.revised(now, **wanted))
            self._settlement.applied(transaction, entry)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                if settled_by_another(error, entry):
                    return
                continue
            return
        raise Unavailable("this lead is being changed by many; try again shortly", retry_after=1)

    def pass_over(self, entry: InboxEntry, reason: str, call: CallContext) -> str:
        """Settles an entry that has no effect, saying why; the reason, for the log."""
        transaction = begin(call, self._clock.now())
        self._settlement.applied(transaction, entry, reason)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return "settled before"
        return reason


def settled_by_another(error: ConditionFailed, entry: InboxEntry) -> bool:
    """Whether a commit failed because somebody settled the entry first."""
    return any(failure.key.pk == f"INBOX#{entry.id}" for failure in error.failures)

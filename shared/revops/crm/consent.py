"""What people said about being contacted, and the gate every message to them passes (CAP-9, LEAD-5, I11).

| item | pk | sk | read by |
|---|---|---|---|
| consent record | PERSON#<id> | CONSENT | person |
| a message on its way | PERSON#<id> | SENDING | person |

The record belongs to the person and outlives conversion and merge. Nothing is ever taken out of it: the last
statement about a channel and purpose is the one that stands.

A message and a withdrawal never pass each other. Whoever sends puts a lease beside the record in the transaction that
records the message, under the version of the record that allows it; whoever withdraws commits only when no lease
stands. So what is committed as withdrawn is withdrawn for every message that has not left yet, and the wait is a
message's time on the wire.
"""

import json
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from revops.crm.model import Lead, Value
from revops.crm.store import LEADS, person_key
from revops.kernel import CallContext, Clock, NotFound, Refused, Unavailable, parse_time, time_text
from revops.table import (
    ABSENT,
    ConditionFailed,
    Entity,
    EntityKind,
    Expectation,
    Key,
    Row,
    Table,
    Transaction,
    begin,
)

SENDING = "SENDING"
SEND_WITHIN = timedelta(seconds=2)
"""How long after the gate was passed a sender may still start its call."""
LEASE = timedelta(seconds=12)
"""How long a message may be on its way: starting it and the longest its call may take."""
_ATTEMPTS = 60
_PAUSE = 0.25


class Consent(Value):
    """A consent as given or withheld, with its evidence (CAP-9)."""

    channel: str = Field(examples=["email"])
    purpose: str = Field(examples=["marketing"])
    granted: bool
    at: AwareDatetime
    wording_version: str = Field(default="", max_length=60, examples=["2026-03"])
    source: str = Field(default="", max_length=120, examples=["website form"])
    ip: str = ""
    evidence: str = Field(default="", max_length=200, examples=["unsubscribe link of MSG_…"])


class ConsentRecord(Entity):
    """All a person ever said about being contacted; the id is the person's. `do_not_disturb` outweighs consent."""

    entries: tuple[Consent, ...] = ()
    do_not_disturb: bool = False

    def standing(self, channel: str, purpose: str) -> Consent | None:
        """The statement in force, if any was ever made."""
        said = (entry for entry in reversed(self.entries) if (entry.channel, entry.purpose) == (channel, purpose))
        return next(said, None)

    @property
    def in_force(self) -> tuple[Consent, ...]:
        """The last statement about each channel and purpose, in the order in which they were first made."""
        return tuple({(entry.channel, entry.purpose): entry for entry in self.entries}.values())

    @property
    def marketing(self) -> bool:
        """Whether any marketing consent stands (the document's one flag)."""
        return any(entry.granted and entry.purpose == "marketing" for entry in self.in_force)


def _key(person_id: str) -> Key:
    return Key(f"PERSON#{person_id}", "CONSENT")


def _sending_key(person_id: str) -> Key:
    return Key(f"PERSON#{person_id}", SENDING)


CONSENTS = EntityKind[ConsentRecord](kind="CONSENT", title="consent record", model=ConsentRecord, key=_key)


def refusal(record: ConsentRecord | None, channel: str, purpose: str = "marketing") -> str:
    """Why a message may not be sent; an empty text when it may."""
    if record is None:
        return f"no {purpose} consent for {channel}"
    if record.do_not_disturb:
        return "do not disturb"
    said = record.standing(channel, purpose)
    if said is None:
        return f"no {purpose} consent for {channel}"
    return "" if said.granted else f"{purpose} consent for {channel} withdrawn or refused on {said.at.date()}"


class SendGate:
    """What every message to a person passes, one at a time per person."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def enter(
        self, transaction: Transaction, person_id: str, channel: str, message_id: str, purpose: str = "marketing"
    ) -> datetime:
        """Adds the right to send one message to the transaction that records it as being sent; answers until when the
        call may start. Raises Refused with the reason when nothing may be sent, Unavailable while another message to
        the person is on its way. The commit fails with ConditionFailed when either changed meanwhile."""
        now = self._clock.now()
        record, sending = self._table.get_many([_key(person_id), _sending_key(person_id)])
        reason = refusal(None if record is None else CONSENTS.load(record), channel, purpose)
        if reason or record is None:
            raise Refused(reason)
        if sending is not None and _until(sending) > now:
            raise Unavailable("another message to this person is on its way", retry_after=LEASE.total_seconds())
        transaction.check(_key(person_id), record.version)
        transaction.put(_sending_row(person_id, message_id, now + LEASE, sending), _expected(sending))
        return now + SEND_WITHIN

    def leave(self, transaction: Transaction, person_id: str, message_id: str) -> None:
        """Adds the end of the message's way to the transaction that records how it ended."""
        sending = self._table.get(_sending_key(person_id))
        if sending is not None and json.loads(sending.doc)["message"] == message_id:
            # Written, not deleted: a version that started anew could be taken for the one that was looked at before.
            transaction.put(_sending_row(person_id, "", self._clock.now(), sending), sending.version)


class RecordConsent:
    """Statements of a known person, each recorded with its evidence; a withdrawal waits for what is on its way."""

    def __init__(self, table: Table, clock: Clock, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep

    def __call__(
        self,
        person_id: str,
        statements: Iterable[Consent],
        call: CallContext,
        *,
        do_not_disturb: bool | None = None,
    ) -> ConsentRecord:
        """The record as it stands now. Statements that say what is said already add nothing. Raises NotFound for a
        person who is not there, Unavailable when messages to them never cease."""
        said = tuple(statements)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_PAUSE)
            record = CONSENTS.get(self._table, person_id)
            fresh = news_of(record, said)
            disturbed = record.do_not_disturb if record else False
            if record is not None and not fresh and do_not_disturb in (None, disturbed):
                return record
            sending = self._table.get(_sending_key(person_id))
            withdraws = do_not_disturb or any(not each.granted for each in fresh)
            if withdraws and sending is not None and _until(sending) > self._clock.now():
                continue
            transaction = begin(call, self._clock.now())
            transaction.check(_sending_key(person_id), _expected(sending))
            changed = add_consents(
                transaction, person_id, record, fresh, self._clock.now(), do_not_disturb=do_not_disturb
            )
            show_on_lead(self._table, transaction, person_id, changed, self._clock.now())
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue
            return changed
        raise Unavailable("a message to this person is on its way; try again shortly", retry_after=1)


def show_on_lead(table: Table, transaction: Transaction, person_id: str, record: ConsentRecord, now: datetime) -> None:
    """Lets the one flag of a person's lead follow the record, in the transaction of the record. Raises NotFound for a
    person who is not there."""
    roles = table.get(person_key(person_id))
    if roles is None:
        raise NotFound("person", person_id)
    lead_id = json.loads(roles.doc)["lead"]
    lead: Lead | None = LEADS.get(table, lead_id) if lead_id else None
    if lead is not None and lead.gdpr_consent != record.marketing:
        LEADS.update(transaction, lead.revised(now, gdpr_consent=record.marketing))


def news_of(record: ConsentRecord | None, statements: Iterable[Consent]) -> tuple[Consent, ...]:
    """The statements that change what stands."""
    fresh: list[Consent] = []
    for said in statements:
        standing = record.standing(said.channel, said.purpose) if record else None
        if standing is None or standing.granted != said.granted:
            fresh.append(said)
    return tuple(fresh)


def add_consents(
    transaction: Transaction,
    person_id: str,
    record: ConsentRecord | None,
    statements: Iterable[Consent],
    now: datetime,
    *,
    do_not_disturb: bool | None = None,
) -> ConsentRecord:
    """Adds statements to a person's record, in a transaction; the record as it will stand."""
    if record is None:
        changed = ConsentRecord(
            id=person_id,
            created_at=now,
            modified_at=now,
            entries=tuple(statements),
            do_not_disturb=bool(do_not_disturb),
        )
        CONSENTS.create(transaction, changed)
        return changed
    quiet = record.do_not_disturb if do_not_disturb is None else do_not_disturb
    changed = record.revised(now, entries=(*record.entries, *statements), do_not_disturb=quiet)
    CONSENTS.update(transaction, changed)
    return changed


def _until(sending: Row) -> datetime:
    return parse_time(json.loads(sending.doc)["until"])


def _expected(sending: Row | None) -> Expectation:
    return ABSENT if sending is None else sending.version


def _sending_row(person_id: str, message_id: str, until: datetime, before: Row | None) -> Row:
    key = _sending_key(person_id)
    doc = json.dumps({"message": message_id, "until": time_text(until)})
    return Row(pk=key.pk, sk=key.sk, kind=SENDING, version=before.version + 1 if before else 1, doc=doc)

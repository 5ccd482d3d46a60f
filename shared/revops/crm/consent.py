"""What people said about being contacted, and the gate every message to them passes (CAP-9, LEAD-5, I11).

| item | pk | sk | read by |
|---|---|---|---|
| consent record | PERSON#<id> | CONSENT | person |
| a message on its way | PERSON#<id> | SENDING | person |
| a withdrawal that waits | PERSON#<id> | CLOSED | person |

The record belongs to the person and outlives conversion and merge. Nothing is ever taken out of it: the last
statement about a channel and purpose is the one that stands.

A message and a withdrawal never pass each other. Whoever sends puts a lease beside the record in the transaction that
records the message, under the version of the record that allows it; whoever withdraws commits only when no lease
stands. So what is committed as withdrawn is withdrawn for every message that has not left yet, and the wait is a
message's time on the wire: who waits closes the gate, so that no further message keeps them waiting.

A lease ends by the clock of whoever looks. The two seconds between the end of the longest call and the end of the lease
are what two clocks may differ by.
"""

import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, Field

from revops.crm.model import Channel, Lead, Value
from revops.crm.store import LEADS, merged_into, person_key
from revops.kernel import CallContext, Clock, NotFound, Refused, Unavailable, parse_time, time_text
from revops.table import (
    ABSENT,
    ANYTHING,
    ConditionFailed,
    Contention,
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
CLOSED = "CLOSED"
SEND_WITHIN = timedelta(seconds=2)
"""How long after the gate was passed a sender may still start its call."""
LEASE = timedelta(seconds=12)
"""How long a message may be on its way: starting it and the longest its call may take."""
MOST = 200
"""Statements after which a grant is not added any more. No person says that much, and a record that cannot grow could
not take the withdrawal either; withdrawals are always added, and each needs a grant before it."""
PATIENCE = timedelta(seconds=15)
"""How long a withdrawal waits at most, which is longer than a lease: a function that withdraws is given 20 seconds."""
_PAUSE = 0.25
_LONGEST_ID = 256
_NEVER = datetime.min.replace(tzinfo=UTC)
_ATTEMPTS = int(PATIENCE.total_seconds() / _PAUSE)


BY_OTHERS = (Channel.FORM, Channel.IMPORT)
"""Channels by which somebody else may be speaking, or an old paper: what comes this way lifts no refusal."""


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
    """All a person ever said about being contacted; the id is the person's. `lead_id` is the lead they were when they
    last said something; `do_not_disturb` outweighs consent. Two who are one have one record: its first `joined` entries
    are what either had said before, and `quiet_said` tells whether do-not-disturb was wished since."""

    lead_id: str = ""
    entries: tuple[Consent, ...] = ()
    joined: int = 0
    quiet_said: bool = False
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


def _closed_key(person_id: str) -> Key:
    return Key(f"PERSON#{person_id}", CLOSED)


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
        keys = [_key(person_id), _sending_key(person_id), _closed_key(person_id)]
        record, sending, closed = self._table.get_many(keys)
        reason = refusal(None if record is None else CONSENTS.load(record), channel, purpose)
        if reason or record is None:
            raise Refused(reason)
        if _until(sending) > now or _until(closed) > now:
            raise Unavailable("another message to this person is on its way", retry_after=LEASE.total_seconds())
        transaction.check(_key(person_id), record.version)
        transaction.put(_sending_row(person_id, message_id, now + LEASE, sending), _expected(sending))
        return now + SEND_WITHIN

    def leave(self, transaction: Transaction, person_id: str, message_id: str) -> None:
        """Adds the end of the message's way to the transaction that records how it ended. Who does not know whether the
        message has left, as after a call without an answer, does not end its way: the lease runs out by itself."""
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
        """The record as it stands now, of the person or of the one they were merged into. Statements that say what is
        said already add nothing. Raises NotFound for a person who is not there, Unavailable when messages to them never
        cease."""
        said, closed = tuple(statements), ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_PAUSE)
            stands, roles = merged_into(self._table, person_id)  # a merged person's word is the survivor's
            record = CONSENTS.get(self._table, stands)
            fresh = news_of(record, said)
            if record is not None and not fresh and not _disturbance_differs(record, do_not_disturb):
                if merged_into(self._table, person_id) == (stands, roles):
                    return record
                continue  # one or two only since: what the other said before is not said by this one
            sending = self._table.get(_sending_key(stands))
            withdraws = do_not_disturb or any(not each.granted for each in fresh)
            if withdraws and _until(sending) > self._clock.now():
                if closed != stands:
                    self._close(stands, call)
                closed = stands
                continue
            transaction = begin(call, self._clock.now())
            for row in roles:
                transaction.check(row.key, row.version)
            transaction.check(_sending_key(stands), _expected(sending))
            if closed == stands:
                transaction.put(_closed_row(stands, self._clock.now()), ANYTHING)
            changed = self._state(transaction, stands, record, fresh, do_not_disturb)
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue
            return changed
        raise Unavailable("a message to this person is on its way; try again shortly", retry_after=1)

    def _state(
        self,
        transaction: Transaction,
        person_id: str,
        record: ConsentRecord | None,
        fresh: tuple[Consent, ...],
        do_not_disturb: bool | None,
    ) -> ConsentRecord:
        """Adds the statements and, where it changes, the flag of the lead that the person is."""
        lead, now = _lead_of(self._table, person_id), self._clock.now()
        lead_id = lead.id if lead else ""
        changed = add_consents(
            transaction, person_id, record, fresh, now, lead_id=lead_id, do_not_disturb=do_not_disturb
        )
        if lead is not None and lead.gdpr_consent != changed.marketing:
            LEADS.update(transaction, lead.revised(now, gdpr_consent=changed.marketing))
        return changed

    def _close(self, person_id: str, call: CallContext) -> None:
        """Lets no further message pass until the withdrawal is committed, or its patience is at its end."""
        now = self._clock.now()
        transaction = begin(call, now)
        transaction.put(_closed_row(person_id, now + PATIENCE), ANYTHING)
        self._table.commit(transaction)


def _lead_of(table: Table, person_id: str) -> Lead | None:
    """A person's lead, whose one flag follows the record. Raises NotFound for a person who is not there."""
    roles = table.get(person_key(person_id)) if len(person_id) <= _LONGEST_ID else None
    if roles is None:
        raise NotFound("person", person_id)
    lead_id = json.loads(roles.doc)["lead"]
    return LEADS.get(table, lead_id) if lead_id else None


def news_of(record: ConsentRecord | None, statements: Iterable[Consent]) -> tuple[Consent, ...]:
    """The statements that change what stands, said one after the other: a first one, the opposite of the last one, and
    a grant in other words. A refusal is said again once two were made one: the one that stands may be the other's, and
    would stay theirs when the two are parted."""
    entries = record.entries if record else ()
    stands = {(entry.channel, entry.purpose): entry for entry in entries}
    since = {(entry.channel, entry.purpose) for entry in entries[record.joined :]} if record else set()
    fresh: list[Consent] = []
    for said in statements:
        standing = stands.get((said.channel, said.purpose))
        theirs = said.granted or not (record and record.joined) or (said.channel, said.purpose) in since
        if standing is not None and theirs and not _differs(said, standing):
            continue
        if said.granted and len(entries) + len(fresh) >= MOST:
            continue
        stands[said.channel, said.purpose] = said
        since.add((said.channel, said.purpose))
        fresh.append(said)
    return tuple(fresh)


def _disturbance_differs(record: ConsentRecord, wish: bool | None) -> bool:
    return wish is not None and (wish != record.do_not_disturb or (wish and not record.quiet_said))


def _differs(said: Consent, standing: Consent) -> bool:
    if said.granted != standing.granted:
        return True
    return said.granted and said.wording_version not in ("", standing.wording_version)


def add_consents(
    transaction: Transaction,
    person_id: str,
    record: ConsentRecord | None,
    statements: Iterable[Consent],
    now: datetime,
    *,
    lead_id: str = "",
    do_not_disturb: bool | None = None,
) -> ConsentRecord:
    """Adds statements to a person's record, in a transaction; the record as it will stand. A withdrawal does not go
    this way: it would not wait for a message that is on its way (`RecordConsent`)."""
    if record is None:
        changed = ConsentRecord(
            id=person_id,
            created_at=now,
            modified_at=now,
            lead_id=lead_id,
            entries=tuple(statements),
            do_not_disturb=bool(do_not_disturb),
            quiet_said=bool(do_not_disturb),
        )
        CONSENTS.create(transaction, changed)
        return changed
    quiet = {} if do_not_disturb is None else {"do_not_disturb": do_not_disturb}
    if do_not_disturb:
        quiet["quiet_said"] = True
    entries = (*record.entries, *statements)
    changed = record.revised(now, lead_id=lead_id or record.lead_id, entries=entries, **quiet)
    CONSENTS.update(transaction, changed)
    return changed


def _until(row: Row | None) -> datetime:
    """Until when a message is on its way, or the gate is closed; long ago when it never was."""
    return parse_time(json.loads(row.doc)["until"]) if row is not None else _NEVER


def _expected(sending: Row | None) -> Expectation:
    return ABSENT if sending is None else sending.version


def _sending_row(person_id: str, message_id: str, until: datetime, before: Row | None) -> Row:
    key = _sending_key(person_id)
    doc = json.dumps({"message": message_id, "until": time_text(until)})
    return Row(pk=key.pk, sk=key.sk, kind=SENDING, version=before.version + 1 if before else 1, doc=doc)


def _closed_row(person_id: str, until: datetime) -> Row:
    key = _closed_key(person_id)
    return Row(pk=key.pk, sk=key.sk, kind=CLOSED, doc=json.dumps({"until": time_text(until)}))

"""Inbound: a webhook says a contact changed; the contact as it stands now is fetched and converged on (HUB-1, 3, 4)."""

from dataclasses import dataclass
from datetime import datetime

from revops.inbox import InboxEntry, Settlement
from revops.kernel import CallContext, Clock, IdFactory
from revops.settings import SettingsReader
from revops.sync.exchange import (
    ATTEMPTS,
    link_as_found,
    nothing_new,
    record_clashes,
    take_over,
    told_nothing_new,
    wait_for,
)
from revops.sync.fields import HubspotFields
from revops.sync.merge import merge
from revops.sync.model import FieldBase, LogEntry, PersonSnapshot, RemoteContact, SyncState
from revops.sync.ports import HubspotGateway, PeopleDirectory
from revops.sync.store import (
    RESEND_AFTER,
    link,
    linked_person,
    read_mark,
    read_state,
    write_log,
    write_mark,
    write_state,
)
from revops.table import ConditionFailed, Contention, Table, Transaction, begin


@dataclass(frozen=True, slots=True)
class Converged:
    """What became of a signal: whose it was (empty for nobody's) and whether our side now has something to write."""

    person_id: str = ""
    action: str = "nothing"
    dirty: bool = False


class ConvergeContact:
    """Brings this side to what a contact says, once per signal, in one transaction.

    The state is read before the contact and moved on by every look, so a look that saw an older contact cannot
    overwrite what a later look saw (A→B→A included).
    """

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        gateway: HubspotGateway,
        people: PeopleDirectory,
        settings: SettingsReader,
        settlement: Settlement,
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._gateway = gateway
        self._people = people
        self._settings = settings
        self._settlement = settlement

    def __call__(self, entry: InboxEntry, call: CallContext) -> Converged:
        """Raises Unavailable when HubSpot does not answer or a write to the contact is under way, Contention when
        others keep moving the fence, and DomainError for a contact that can never be taken in."""
        fields = self._settings.read(HubspotFields)
        person_id = linked_person(self._table, entry.subject)
        for _ in range(ATTEMPTS):
            if not entry.waiting:
                return Converged(person_id or "")
            state = read_state(self._table, person_id) if person_id else None
            transaction = begin(call, self._clock.now())
            if state is not None and told_nothing_new(fields, state, entry):
                write_state(transaction, state.next())
                outcome = Converged(state.person_id)
            elif (remote := self._gateway.contact(entry.subject, fields.properties)) is None:
                outcome = self._gone(transaction, state)
            else:
                holder = self._holder(remote)
                if holder != person_id:
                    person_id = holder  # now that it is known whose it is: the state first, then another look
                    continue
                outcome = self._take(transaction, fields, remote, state)
            self._settlement.applied(transaction, entry)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                entry = self._settlement.load(entry.id)
                continue
            return outcome
        raise Contention("the contact keeps changing; try again shortly")

    def _holder(self, remote: RemoteContact) -> str | None:
        """Whose contact it is: by our link, by our id on it, by its e-mail."""
        holder = linked_person(self._table, remote.id)
        if holder is None and remote.person_id and self._people.snapshot(remote.person_id) is not None:
            holder = remote.person_id
        if holder is None and remote.text("email"):
            holder = self._people.find_by_email(remote.text("email").strip().lower())
        return holder

    def _gone(self, transaction: Transaction, state: SyncState | None) -> Converged:
        if state is None or state.version == 0 or state.detached:
            return Converged(state.person_id if state else "")
        now = self._clock.now()
        detached = state.next(detached="deleted in HubSpot", sending=None, synced_at=now)
        write_state(transaction, detached)
        write_log(transaction, detached, LogEntry(at=now, direction="in", action="detached", detail=detached.detached))
        return Converged(state.person_id, "detached")

    def _take(
        self, transaction: Transaction, fields: HubspotFields, remote: RemoteContact, state: SyncState | None
    ) -> Converged:
        now = self._clock.now()
        if state is None:
            return self._create(transaction, fields, remote, now)
        person = self._people.snapshot(state.person_id)
        if person is None:
            return Converged(state.person_id, "unknown here")
        if state.remote_id not in ("", remote.id) and not state.detached:
            return self._second(transaction, state, remote, now)
        return self._update(transaction, fields, remote, state, person, now)

    def _create(
        self, transaction: Transaction, fields: HubspotFields, remote: RemoteContact, now: datetime
    ) -> Converged:
        person = self._people.create(transaction, remote, now)
        bases = {}
        for line in fields.exchanged:
            here, there = line.outbound(person), remote.text(line.property)
            bases[line.property] = FieldBase(local=here, remote=there, pending=bool(here and not there))
        state = SyncState(person_id=person.person_id, version=1, remote_id=remote.id, bases=bases, synced_at=now)
        link(transaction, remote.id, person.person_id)
        write_state(transaction, state)
        write_mark(transaction, read_mark(self._table, person.person_id), due_at=now + RESEND_AFTER)
        write_log(transaction, state, LogEntry(at=now, direction="in", action="created"))
        return Converged(person.person_id, "created", dirty=True)

    def _second(self, transaction: Transaction, state: SyncState, remote: RemoteContact, now: datetime) -> Converged:
        """Another contact of somebody who has one: nothing is exchanged with it, and that is said."""
        looked = state.next()
        write_state(transaction, looked)
        detail = f"contact {remote.id} belongs to a person who is contact {state.remote_id}"
        write_log(transaction, looked, LogEntry(at=now, direction="in", action="second contact", detail=detail))
        return Converged(state.person_id, "second contact")

    def _update(
        self,
        transaction: Transaction,
        fields: HubspotFields,
        remote: RemoteContact,
        state: SyncState,
        person: PersonSnapshot,
        now: datetime,
    ) -> Converged:
        busy = state.busy_at(now)
        if busy:
            if not nothing_new(fields, state, remote):
                raise wait_for(busy)
            write_state(transaction, state.next())
            return Converged(person.person_id)
        merged = merge(fields, person, remote, state.bases, state.sending.values if state.sending else {})
        after = state.next(
            remote_id=remote.id,
            identified=remote.person_id == person.person_id,
            bases=take_over(transaction, self._people, fields, person, merged, now),
            sending=None,
            detached="",
            synced_at=now,
        )
        write_state(transaction, after)
        link_as_found(self._table, transaction, remote.id, person.person_id)
        record_clashes(transaction, self._ids, merged.clashes, person.person_id, remote.id, now)
        dirty = bool(merged.send) or not after.identified
        if dirty:
            mark = read_mark(self._table, person.person_id)
            if not mark.is_dirty:
                write_mark(transaction, mark, due_at=now + RESEND_AFTER)
        if not merged.changes_nothing:
            names = tuple(sorted({*merged.send, *(name.value for name in merged.apply)}))
            write_log(transaction, after, LogEntry(at=now, direction="in", action="merged", properties=names))
        return Converged(person.person_id, "merged" if not merged.changes_nothing else "nothing", dirty)

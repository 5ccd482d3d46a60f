"""Outbound: a person is dirty; the difference between the record as it is now and the contact is closed (HUB-1, 4).

Two workers on one person: before anything is written there, the worker puts what it is about to write, and until
when that may still land, into the state (`Sending`), under the fence. Only one can; the other waits until the write
is settled or the time is over and then reads everything afresh. A worker that dies leaves its `Sending` behind, so
whoever looks next knows which values there may be ours. HubSpot has no conditional write, so this is what keeps an
old value from landing last: the lease outlives the client's timeouts.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from revops.kernel import CallContext, Clock, DomainError, IdFactory, Unavailable
from revops.settings import SettingsReader
from revops.sync.exchange import (
    ATTEMPTS,
    as_agreed,
    lease_until,
    link_as_found,
    link_once,
    outstanding,
    record_clashes,
    take_over,
    wait_for,
    wants_push,
    written,
)
from revops.sync.fields import Direction, HubspotFields
from revops.sync.merge import merge
from revops.sync.model import IDENTITY, ContactWrite, LogEntry, PersonSnapshot, RemoteContact, Sending, SyncState
from revops.sync.ports import (
    HubspotGateway,
    OutcomeUnknown,
    PeopleDirectory,
    RateLimited,
    RemoteExists,
    RemoteGone,
    RemoteRefused,
)
from revops.sync.store import (
    Mark,
    dirty_key,
    linked_person,
    read_mark,
    read_state,
    write_log,
    write_mark,
    write_state,
)
from revops.table import ConditionFailed, Contention, Table, Transaction, begin


class Pushed(StrEnum):
    """What came of a push."""

    NOTHING = "nothing to write"
    WRITTEN = "written"
    DETACHED = "detached"
    REFUSED = "refused"
    UNKNOWN = "unknown here"


class _Again(Exception):
    """Somebody moved the fence: everything is read again."""


class PushPerson:
    """Writes what a person's contact lacks. Safe to call at any time and any number of times."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        gateway: HubspotGateway,
        people: PeopleDirectory,
        settings: SettingsReader,
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._gateway = gateway
        self._people = people
        self._settings = settings

    def __call__(self, person_id: str, call: CallContext) -> Pushed:
        """Raises Unavailable (with the seconds to wait) for rates, outages and a write under way; the person stays
        dirty then. What HubSpot refuses for good is kept in the state with its message, and is not tried again before
        the person changes."""
        fields = self._settings.read(HubspotFields)
        adopt = ""
        for _ in range(ATTEMPTS):
            mark = read_mark(self._table, person_id)
            state = read_state(self._table, person_id)
            try:
                return self._close(call, fields, mark, state, adopt)
            except RemoteExists as error:
                if adopt or state.remote_id:
                    return self._refused(call, person_id, mark, error.detail)
                adopt = error.remote_id
            except _Again:
                continue
        raise Contention("the contact keeps changing; try again shortly")

    def _close(self, call: CallContext, fields: HubspotFields, mark: Mark, state: SyncState, adopt: str) -> Pushed:
        now = self._clock.now()
        busy = state.busy_at(now)
        if busy:
            raise wait_for(busy)
        person = self._people.snapshot(state.person_id)
        if person is None or state.detached:
            self._clean(call, mark)
            return Pushed.UNKNOWN if person is None else Pushed.DETACHED
        if state.sending is None and not wants_push(fields, state, person):
            self._clean(call, mark)
            return Pushed.NOTHING
        remote = self._look(fields, state, person, adopt, now)
        if remote is None and state.remote_id:
            return self._detach(call, mark, state, "deleted in HubSpot")
        if remote is not None and (foreign := self._foreign(state, remote)):
            if state.remote_id:
                return self._detach(call, mark, state, foreign)
            return self._refused(call, state.person_id, mark, foreign)
        return self._exchange(call, fields, mark, state, person, remote)

    def _look(
        self, fields: HubspotFields, state: SyncState, person: PersonSnapshot, adopt: str, now: datetime
    ) -> RemoteContact | None:
        """The contact as it stands. It is not read when only fields go out that never come back, nor when there can
        be none yet: the upsert by our id makes it, or meets the one that holds the e-mail."""
        if adopt:
            return self._gateway.contact(adopt, fields.properties)
        if not state.remote_id:
            return self._gateway.contact_of(person.person_id, fields.properties) if state.sending else None
        names = set(outstanding(fields, state, person))
        returning = any(line.property in names for line in fields.exchanged if line.direction is Direction.BOTH)
        if state.sending is None and state.identified and not returning:
            known = as_agreed(state, now)
            return RemoteContact(known.id, {**known.properties, IDENTITY: person.person_id}, now)
        return self._gateway.contact(state.remote_id, fields.properties)

    def _foreign(self, state: SyncState, remote: RemoteContact) -> str:
        """Why a contact is not this person's, empty if it is."""
        if state.remote_id and remote.id != state.remote_id:
            holder = linked_person(self._table, remote.id)
            if holder not in (None, state.person_id):
                return f"merged in HubSpot into contact {remote.id}, which is another person"
        holder = linked_person(self._table, remote.id)
        if holder is None and remote.person_id != state.person_id and remote.person_id:
            holder = remote.person_id if self._people.snapshot(remote.person_id) else None
        if holder not in (None, state.person_id):
            return f"contact {remote.id} is another person"
        return ""

    def _exchange(
        self,
        call: CallContext,
        fields: HubspotFields,
        mark: Mark,
        state: SyncState,
        person: PersonSnapshot,
        remote: RemoteContact | None,
    ) -> Pushed:
        now = self._clock.now()
        there = remote or RemoteContact("", {}, now)
        merged = merge(fields, person, there, state.bases, state.sending.values if state.sending else {})
        transaction = begin(call, now)
        identified = there.person_id == person.person_id
        values = dict(merged.send)
        write = {**values} if identified else {**values, IDENTITY: person.person_id}
        token = self._ids.new("SND")
        leased = state.next(
            remote_id=there.id,
            identified=identified,
            # a contact that is not there yet has agreed to nothing; it may turn out to exist under this e-mail
            bases=take_over(transaction, self._people, fields, person, merged, now) if remote else {},
            sending=Sending(token=token, until=lease_until(fields, now), values=values) if write else None,
            refused="",
            synced_at=now,
        )
        write_state(transaction, leased)
        record_clashes(transaction, self._ids, merged.clashes, person.person_id, there.id, now)
        if there.id:
            link_as_found(self._table, transaction, there.id, person.person_id)
        if not write and mark.is_dirty:
            write_mark(transaction, mark, due_at=None)
        self._commit(transaction)
        if not write:
            return Pushed.NOTHING
        return self._write(call, fields, mark, leased, token, ContactWrite(person.person_id, there.id, write))

    def _write(
        self,
        call: CallContext,
        fields: HubspotFields,
        mark: Mark,
        leased: SyncState,
        token: str,
        write: ContactWrite,
    ) -> Pushed:
        person_id = leased.person_id
        values = leased.sending.values if leased.sending else {}
        try:
            answer = self._gateway.write(write)
        except OutcomeUnknown as error:
            wait = leased.busy_at(self._clock.now())
            raise Unavailable(error.detail, retry_after=max(1.0, wait)) from error
        except RemoteGone:
            return self._detach(call, mark, self._held(person_id, token), "deleted in HubSpot")
        except RemoteRefused as error:
            self._settle(call, person_id, token, None, lambda state: state.next(sending=None))
            return self._refused(call, person_id, mark, error.detail)
        except (RateLimited, RemoteExists, DomainError):
            self._settle(call, person_id, token, None, lambda state: state.next(sending=None))
            raise

        def done(state: SyncState) -> SyncState:
            return state.next(
                remote_id=answer.id,
                identified=True,
                bases=written(fields, state, values, answer),
                sending=None,
                synced_at=self._clock.now(),
            )

        self._settle(call, person_id, token, mark, done, tuple(sorted(write.properties)))
        return Pushed.WRITTEN

    def _held(self, person_id: str, token: str) -> SyncState:
        """The state while our write is the one under way."""
        state = read_state(self._table, person_id)
        if state.sending is None or state.sending.token != token:
            raise _Again
        return state

    def _settle(
        self,
        call: CallContext,
        person_id: str,
        token: str,
        mark: Mark | None,
        change: Callable[[SyncState], SyncState],
        properties: tuple[str, ...] = (),
    ) -> None:
        """Ends our write. The mark is cleared only if the person was not marked again since the record was read.

        Others may look meanwhile and move the fence, but while our token stands nobody else writes.
        """
        for _ in range(ATTEMPTS):
            now = self._clock.now()
            state = read_state(self._table, person_id)
            if state.sending is None or state.sending.token != token:
                return  # taken over after the lease ran out: whoever did has looked at the contact since
            after = change(state)
            transaction = begin(call, now)
            if properties:
                if not link_once(self._table, transaction, after.remote_id, person_id):
                    after = after.model_copy(update={"detached": f"contact {after.remote_id} is another person"})
                entry = LogEntry(at=now, direction="out", action="written", properties=properties)
                write_log(transaction, after, entry)
            write_state(transaction, after)
            if mark is not None and mark.is_dirty:
                write_mark(transaction, mark, due_at=None)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                if error.at(dirty_key(person_id)) is not None:
                    mark = None
                continue
            return
        raise Contention("the state of the contact keeps changing; try again shortly")

    def _detach(self, call: CallContext, mark: Mark, state: SyncState, reason: str) -> Pushed:
        now = self._clock.now()
        transaction = begin(call, now)
        after = state.next(detached=reason, sending=None, synced_at=now)
        write_state(transaction, after)
        write_log(transaction, after, LogEntry(at=now, direction="out", action="detached", detail=reason))
        self._commit(transaction)
        self._clean(call, mark)
        return Pushed.DETACHED

    def _refused(self, call: CallContext, person_id: str, mark: Mark, reason: str) -> Pushed:
        """Keeps HubSpot's own words and stops trying until the person changes."""
        for _ in range(ATTEMPTS):
            now = self._clock.now()
            transaction = begin(call, now)
            after = read_state(self._table, person_id).next(refused=reason[:1000])
            write_state(transaction, after)
            write_log(transaction, after, LogEntry(at=now, direction="out", action="refused", detail=reason[:1000]))
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue
            self._clean(call, mark)
            return Pushed.REFUSED
        raise Contention("the state of the contact keeps changing; try again shortly")

    def _clean(self, call: CallContext, mark: Mark) -> None:
        if not mark.is_dirty:
            return
        transaction = begin(call, self._clock.now())
        write_mark(transaction, mark, due_at=None)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return  # marked again meanwhile: somebody will come for that

    def _commit(self, transaction: Transaction) -> None:
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise _Again from error

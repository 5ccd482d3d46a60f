"""The change relay: each committed change becomes its audit entry, its events, its messages and its dirty marks.

All of them are functions of (before, after), so delivering a change twice does nothing twice that matters: the audit
entry is written once, an event keeps its id, a worker converges, a mark is a mark.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from revops.audit import WriteAudit, changes_between, first_of, record_name
from revops.catalogue import Event, RecordRedriven, event
from revops.inbox import INBOX, InboxStatus
from revops.kernel import DomainError, Unavailable
from revops.stream.dead_letters import SOURCE, KeepDeadLetter
from revops.stream.ports import EventBus, MarkDirty, Queues
from revops.table import Change, Row, parse_record

SYNC_QUEUE = "hubspot"
"""The queue of the worker that keeps the remote copies."""

EventsOf = Callable[[Change], list[Event]]
WorkOf = Callable[[Change], list[tuple[str, Mapping[str, Any]]]]
"""From a change to what it gives a worker to do: the queue's name and the message."""

_BROKEN = (ValidationError, KeyError, ValueError, TypeError, AttributeError)
"""What a record that nothing can be made of raises; trying again would raise it again."""


@dataclass(slots=True)
class RelayOutcome:
    """What became of a batch. `isolated` are its dead letters, `given_up` the inbox entries that a worker gave up, both
    for the log that the alarms read. `retry_from` is the sequence number to be delivered again, with all that follow.
    """

    audited: int = 0
    published: int = 0
    queued: int = 0
    isolated: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    retry_from: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Consequences:
    """What follows from one record."""

    record: Mapping[str, Any]
    change: Change
    events: list[Event] = field(default_factory=list)
    messages: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    given_up: str = ""


def redriven(row: Row, at: str) -> Event:
    """The word that changes of a record were lost, and that it is to be looked at as it stands (R15)."""
    record = record_name(row)
    payload = RecordRedriven(record=record, kind=row.kind, record_version=row.version)
    return event(payload, entity_id=record, version=row.version, occurred_at=at)


class RelayChanges:
    """Works through a batch of stream records.

    A record that nothing can be made of is kept as a dead letter and its neighbours go on. A dependency that does not
    answer stops the batch at that record: it and what follows are delivered again.
    """

    def __init__(
        self,
        *,
        audited: frozenset[str],
        events_of: Iterable[EventsOf],
        write_audit: WriteAudit,
        bus: EventBus,
        queues: Queues,
        mark_dirty: MarkDirty,
        keep_dead_letter: KeepDeadLetter,
        work_of: Iterable[WorkOf] = (),
    ) -> None:
        self._audited = audited
        self._events_of = tuple(events_of)
        self._write_audit = write_audit
        self._bus = bus
        self._queues = queues
        self._mark_dirty = mark_dirty
        self._keep_dead_letter = keep_dead_letter
        self._work_of = tuple(work_of)

    def __call__(self, records: Sequence[Mapping[str, Any]]) -> RelayOutcome:
        outcome = RelayOutcome()
        done: list[_Consequences] = []
        for record in records:
            try:
                consequences = self._consequences(record)
                if consequences is None:
                    continue
                if consequences.change.kind in self._audited:
                    dirty = self._mark_dirty(consequences.change)
                    consequences.messages += [(SYNC_QUEUE, message) for message in dirty]
                if consequences.given_up:
                    outcome.given_up.append(consequences.given_up)
                done.append(consequences)
            except _BROKEN as error:
                self._isolate(record, error, outcome)
            except DomainError as error:
                if not error.retryable:
                    self._isolate(record, error, outcome)  # such as a change too large to be written down
                    continue
                outcome.retry_from, outcome.reason = outcome.retry_from or _sequence(record), error.slug
                break
        self._hand_over(done, outcome)
        self._audit(done, outcome)
        return outcome

    def _audit(self, done: Sequence[_Consequences], outcome: RelayOutcome) -> None:
        """The audit entry is written last, and so is the receipt that everything else of its change was handed over: a
        record without one is found by the sweeper. From the first refused record on nothing is written; it comes again.
        """
        for each in done:
            sequence = _sequence(each.record)
            if outcome.retry_from and not _before(sequence, outcome.retry_from):
                return
            if each.change.kind not in self._audited:
                continue
            try:
                outcome.audited += self._write_audit(each.change, self._catch_up)
            except _BROKEN as error:
                self._isolate(each.record, error, outcome)
            except DomainError as error:
                if not error.retryable:
                    self._isolate(each.record, error, outcome)  # such as a change too large to be written down
                    continue
                outcome.retry_from, outcome.reason = sequence, error.slug
                return

    def _catch_up(self, change: Change) -> None:
        """The stream lost versions of a record, which its next change shows: what the sweeper would have said of them
        is said here, for it finds none whose newest version has its entry; and what it would have marked is marked, for
        this change alone may touch nothing that is copied elsewhere. Raises Unavailable when a queue or the bus
        refuses."""
        if change.after is None or change.after.stamp is None:
            return
        said = [redriven(change.after, change.after.stamp.at)]
        first = first_of(change)
        if first is not None:
            with suppress(*_BROKEN):  # what nothing could be made of is a dead letter already
                said += [told for events_of in self._events_of for told in events_of(first)]
        messages = self._mark_dirty(Change("", None, change.after))
        if self._queues.send(SYNC_QUEUE, messages) or self._bus.publish(said):
            raise Unavailable("a queue or the bus refused what was driven again")

    def _consequences(self, record: Mapping[str, Any]) -> _Consequences | None:
        change = parse_record(record)
        if change.is_same:
            return None
        consequences = _Consequences(record, change)
        if change.kind in self._audited:
            changes_between(change.before, change.after)  # what the audit cannot read is broken before anything is sent
        for events_of in self._events_of:
            consequences.events += events_of(change)
        if change.kind == INBOX.kind and change.after is not None:
            entry = INBOX.load(change.after)
            if entry.status is InboxStatus.DEAD:
                consequences.given_up = entry.id
            elif entry.waiting:
                message = {"provider": entry.provider, "inbox_id": entry.id}
                delay = {"delay_seconds": entry.delay_seconds} if entry.delay_seconds else {}
                consequences.messages.append((entry.provider, message | delay))
        for work_of in self._work_of:
            consequences.messages += work_of(change)
        return consequences

    def _isolate(self, record: Mapping[str, Any], error: Exception, outcome: RelayOutcome) -> None:
        keys = (record.get("dynamodb") or {}).get("Keys") or {}
        about = "|".join(str((keys.get(name) or {}).get("S", "?")) for name in ("pk", "sk"))
        try:
            content = json.dumps(record, default=str)
            outcome.isolated.append(self._keep_dead_letter(SOURCE, about, type(error).__name__, content))
        except DomainError:
            outcome.retry_from = outcome.retry_from or _sequence(record)

    def _hand_over(self, done: Sequence[_Consequences], outcome: RelayOutcome) -> None:
        refused: set[str] = set()
        events = [(each, said) for each in done for said in each.events]
        for position in self._bus.publish([said for _, said in events]) if events else ():
            refused.add(_sequence(events[position][0].record))
        outcome.published = len(events)
        queues = sorted({queue for each in done for queue, _ in each.messages})
        for queue in queues:
            messages = [(each, body) for each in done for name, body in each.messages if name == queue]
            for position in self._queues.send(queue, [body for _, body in messages]):
                refused.add(_sequence(messages[position][0].record))
            outcome.queued += len(messages)
        for sequence in refused:
            if not outcome.retry_from or _before(sequence, outcome.retry_from):
                outcome.retry_from, outcome.reason = sequence, "refused"


def _sequence(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def _before(one: str, other: str) -> bool:
    """Whether a sequence number comes before another; they are numbers written as text."""
    return (len(one), one) < (len(other), other)

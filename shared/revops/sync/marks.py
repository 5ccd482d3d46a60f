"""Dirty marks: which changes go out, that they are not forgotten, and that what the queue lost is sent again (HUB-1).

The mark stands in the table before the message is sent; only a push that wrote the record as it stands clears it.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from revops.kernel import CallContext, Clock
from revops.sync.exchange import ACTOR, ATTEMPTS, sync_call
from revops.sync.fields import HubspotFields
from revops.sync.model import DirtyMark, PersonField
from revops.sync.ports import SyncQueue
from revops.sync.store import DIRTY, RESEND_AFTER, TOPIC, Mark, load_mark, read_mark, write_mark
from revops.table import Change, ConditionFailed, Contention, Table, begin, due_now

MAX_WAIT = timedelta(hours=1)

_F = PersonField
_NAMES: Mapping[str, PersonField] = {
    "first_name": _F.FIRST_NAME,
    "last_name": _F.LAST_NAME,
    "email": _F.EMAIL,
    "phone": _F.PHONE,
    "job_title": _F.JOB_TITLE,
}
SOURCES: Mapping[str, Mapping[str, PersonField]] = {
    "LEAD": {
        **_NAMES,
        "company": _F.COMPANY,
        "status": _F.LEAD_STATUS,
        "score": _F.LEAD_SCORE,
        "created_at": _F.CREATED_AT,
    },
    "CONTACT": {**_NAMES, "company": _F.COMPANY, "created_at": _F.CREATED_AT},
    "CUSTOMER": {
        "plan": _F.SUBSCRIPTION_PLAN,
        "membership_status": _F.SUBSCRIPTION_STATUS,
        "lifetime_value": _F.LIFETIME_VALUE,
        "assets.active": _F.ACTIVE_ASSETS,
        "assets.pending": _F.PENDING_ASSETS,
    },
    "ACCOUNT": {"health": _F.HEALTH_SCORE, "primary_person_id": _F.SUBSCRIPTION_PLAN},
}
"""Row kind → attribute of its document, or `attribute.part` → the field of the person it feeds."""


def dirty_marks(change: Change, fields: HubspotFields | None = None) -> list[DirtyMark]:
    """Whom a change makes dirty: those whose mapped fields it touches. Pure.

    What syncing itself changed is left out: the transaction that took a value over has settled what is to be written
    there and marked the person if anything is.
    """
    after, attributes = change.after, SOURCES.get(change.kind)
    if after is None or attributes is None or not after.doc:
        return []
    if after.stamp is not None and after.stamp.by == f"system:{ACTOR}":
        return []
    new = json.loads(after.doc)
    old = json.loads(change.before.doc) if change.before and change.before.doc else {}
    changed = {field for name, field in attributes.items() if _at(old, name) != _at(new, name)}
    if changed == {PersonField.LEAD_SCORE} and _decayed(old.get("score_card"), new.get("score_card")):
        return []
    properties = (fields or HubspotFields()).properties_of(changed)
    person_ids = dict.fromkeys((*_people(new), *_people(old)))
    if not properties:
        return []
    return [
        DirtyMark(person_id, str(new.get("id", after.pk)), int(new.get("version", after.version)), properties)
        for person_id in person_ids
    ]


def _at(doc: Mapping[str, Any], name: str) -> Any:
    attribute, _, part = name.partition(".")
    value = doc.get(attribute)
    return (value or {}).get(part) if part else value


def _decayed(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Whether time alone moved a score: less engagement, all else as it was. Such a step does not go out (LEAD-4)."""
    if not before or not after:
        return False
    same = all(before.get(part) == after.get(part) for part in ("fit", "learned", "table_version"))
    return same and int(after.get("engagement", 0)) < int(before.get("engagement", 0))


def _people(doc: Mapping[str, Any]) -> list[str]:
    """The person a lead or contact is, an account's primary one, or those a customer record names."""
    found = [doc.get("person_id"), doc.get("primary_person_id"), *(doc.get("person_ids") or ())]
    return [str(person_id) for person_id in dict.fromkeys(found) if person_id]


def mark_dirty(table: Table, mark: DirtyMark, now: datetime, call: CallContext | None = None) -> bool:
    """Marks a person dirty, due again in two minutes unless a push clears it first.

    False when this version of the record was marked before, as when the stream repeats itself. Raises Contention.
    """
    for _ in range(ATTEMPTS):
        before = read_mark(table, mark.person_id)
        if before.seen.get(mark.record_id, 0) >= mark.record_version:
            return False
        transaction = begin(call or sync_call(), now)
        seen = {**before.seen, mark.record_id: mark.record_version}
        write_mark(transaction, before, due_at=now + RESEND_AFTER, seen=seen)
        try:
            table.commit(transaction)
        except ConditionFailed:
            continue
        return True
    raise Contention("the person keeps changing; try again shortly")


def push_message(person_id: str) -> dict[str, str]:
    """What the worker's queue is told of a dirty person."""
    return {"entity_id": person_id, "kind": "PERSON"}


class SweepDirty:
    """Sends again what stayed dirty: the queue lost it, HubSpot was away, or the relay died after marking."""

    def __init__(self, table: Table, clock: Clock, queue: SyncQueue) -> None:
        self._table = table
        self._clock = clock
        self._queue = queue

    def __call__(self, call: CallContext, limit: int = 200) -> int:
        """Answers how many were sent again. The wait doubles with each try, to an hour at most."""
        now = self._clock.now()
        count = 0
        for due in due_now(self._table, TOPIC, now, limit):
            row = self._table.get(due.key)
            if row is None or row.kind != DIRTY:
                continue
            mark = load_mark(row)
            if mark.due_at is None or mark.due_at > now:
                continue
            wait = min(RESEND_AFTER * 2 ** min(mark.tries, 10), MAX_WAIT)
            if self._move(call, mark, now + wait):
                self._queue.send(push_message(mark.person_id))
                count += 1
        return count

    def _move(self, call: CallContext, mark: Mark, due_at: datetime) -> bool:
        transaction = begin(call, self._clock.now())
        write_mark(transaction, mark, due_at=due_at, tries=mark.tries + 1)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return False
        return True

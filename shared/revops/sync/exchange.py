"""What inbound and outbound have in common: the rows that follow from a merge."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from revops.inbox import InboxEntry
from revops.kernel import CallContext, IdFactory, Unavailable, system_call
from revops.sync.fields import HubspotFields
from revops.sync.merge import Clash, Merge
from revops.sync.model import IDENTITY, FieldBase, PersonSnapshot, RemoteContact, SyncConflict, SyncState
from revops.sync.ports import PeopleDirectory
from revops.sync.store import SYNC_CONFLICT, link, linked_person
from revops.table import Table, Transaction

ACTOR = "hubspot_sync"
_OURS = "INTEGRATION"
ATTEMPTS = 8
"""How often a look is taken again because somebody moved the fence first."""


def sync_call(causation_id: str = "") -> CallContext:
    """The call under which syncing changes records; `dirty_marks` knows such changes by it."""
    return system_call(ACTOR, causation_id)


def take_over(
    transaction: Transaction,
    people: PeopleDirectory,
    fields: HubspotFields,
    person: PersonSnapshot,
    merged: Merge,
    now: datetime,
) -> dict[str, FieldBase]:
    """Adds what comes back from HubSpot; answers the agreement with our own spelling of it."""
    bases = dict(merged.bases)
    if not merged.apply:
        return bases
    after = people.update(transaction, person, merged.apply, now)
    for line in fields.exchanged:
        if line.person in merged.apply and line.property not in merged.send:
            bases[line.property] = bases[line.property].model_copy(update={"local": line.outbound(after)})
    return bases


def record_clashes(
    transaction: Transaction, ids: IdFactory, clashes: list[Clash], person_id: str, remote_id: str, now: datetime
) -> None:
    """Adds a conflict for every clash."""
    for clash in clashes:
        conflict = SyncConflict(
            id=ids.new("CFL"),
            created_at=now,
            modified_at=now,
            person_id=person_id,
            remote_id=remote_id,
            field=clash.line.person.value,
            local_value=clash.local,
            remote_value=clash.remote,
            rule=clash.rule,
            winner=clash.winner,
        )
        SYNC_CONFLICT.create(transaction, conflict)


def link_once(table: Table, transaction: Transaction, remote_id: str, person_id: str) -> bool:
    """Adds the link unless it stands. False when the contact belongs to another person."""
    holder = linked_person(table, remote_id)
    if holder is None:
        link(transaction, remote_id, person_id)
    return holder in (None, person_id)


def link_as_found(table: Table, transaction: Transaction, remote_id: str, person_id: str) -> None:
    """Adds the link, unless it stands, of a contact that was found to be nobody else's. Should it have become another
    person's since, the commit fails, and all of it is looked at again."""
    if linked_person(table, remote_id) != person_id:
        link(transaction, remote_id, person_id)


def nothing_new(fields: HubspotFields, state: SyncState, remote: RemoteContact) -> bool:
    """Whether a contact shows only what was agreed or what is being written to it right now."""
    sending = state.sending.values if state.sending else {}
    for line in fields.exchanged:
        there = remote.text(line.property)
        if there not in (state.bases.get(line.property, FieldBase()).remote, sending.get(line.property)):
            return False
    return True


def told_nothing_new(fields: HubspotFields, state: SyncState, entry: InboxEntry) -> bool:
    """Whether a signal says only what we know: our own echo, mostly, which then costs no call to HubSpot.

    True when every event of it is the making of this contact by our own write, or sets a property to the value that
    was agreed or is being written. When in doubt the contact is fetched.
    """
    if state.detached or not state.identified or state.remote_id != entry.subject:
        return False
    told = json.loads(entry.body or "[]")
    return bool(told) and all(_is_known(fields, state, entry.event_type, event) for event in told)


def _is_known(fields: HubspotFields, state: SyncState, happened: str, event: Mapping[str, object]) -> bool:
    if happened == "contact.creation":
        return event.get("changeSource") == _OURS
    if happened != "contact.propertyChange":
        return False
    name, value = event.get("propertyName"), event.get("propertyValue")
    if name == IDENTITY:
        return value == state.person_id
    if not any(line.property == name for line in fields.exchanged):
        return isinstance(name, str)
    sending = state.sending.values if state.sending else {}
    base = state.bases.get(str(name))
    return isinstance(value, str) and (sending.get(str(name)) == value or (base is not None and base.remote == value))


def wants_push(fields: HubspotFields, state: SyncState, person: PersonSnapshot) -> bool:
    """Whether something of ours has yet to be written to the contact."""
    if not state.identified or not state.remote_id:
        return True
    return any(outstanding(fields, state, person))


def outstanding(fields: HubspotFields, state: SyncState, person: PersonSnapshot) -> list[str]:
    """The properties whose value here is not the one last agreed on."""
    found = []
    for line in fields.exchanged:
        here, base = line.outbound(person), state.bases.get(line.property)
        if (base is None and here) or (base is not None and (base.pending or base.local != here)):
            found.append(line.property)
    return found


def as_agreed(state: SyncState, now: datetime) -> RemoteContact:
    """The contact as it was when it was last looked at."""
    return RemoteContact(state.remote_id, {name: base.remote for name, base in state.bases.items()}, now)


def wait_for(seconds: float) -> Unavailable:
    """Come back when the write of another worker is over."""
    return Unavailable("another worker is writing to this contact", retry_after=max(1.0, seconds))


def written(
    fields: HubspotFields, state: SyncState, values: dict[str, str], answer: RemoteContact
) -> dict[str, FieldBase]:
    """The agreement after a write: our values and how the contact shows them. What was left out of the making of a
    contact is empty on both sides."""
    bases = dict(state.bases)
    for name, value in values.items():
        shown = answer.properties.get(name)
        before = bases.get(name, FieldBase())
        bases[name] = FieldBase(local=value, remote=value if shown is None else shown, overruled=before.overruled)
    for line in fields.exchanged:
        bases.setdefault(line.property, FieldBase())
    return bases


def lease_until(fields: HubspotFields, now: datetime) -> datetime:
    """Until when a write that starts now may still land."""
    return now + timedelta(seconds=fields.lease_seconds)

"""Records: create, read, update, upsert, archive. A change is planned (may be refused), then made.

Planning a whole batch before making any of it is what gives batches their all-or-nothing form; `Batch` keeps
the unique values earlier entries of the same batch are about to take.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from local.simulators.common import Json
from local.simulators.hubspot import values
from local.simulators.hubspot.catalogue import READ_ONLY, ObjectType
from local.simulators.hubspot.errors import (
    HubspotError,
    bad_request,
    contact_exists,
    invalid_values,
    missing_required,
    not_found,
)
from local.simulators.hubspot.portal import Portal, Source
from local.simulators.hubspot.values import iso


class Listener(Protocol):
    """Told of every change that was made."""

    def created(self, kind: ObjectType, record: Json, source: Source) -> None:
        """A new record."""

    def changed(self, kind: ObjectType, record: Json, new: dict[str, str], source: Source) -> None:
        """Properties of a record have new values."""

    def deleted(self, kind: ObjectType, record: Json, source: Source, *, privacy: bool) -> None:
        """A record went to the archive, or for good (`privacy`)."""


@dataclass
class Batch:
    """Unique values that planned changes will take: (property, value) -> record id or place in the batch."""

    taken: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass
class Change:
    """A change that may be made: new values for a record, or for a new one (`record` is None)."""

    kind: ObjectType
    record: Json | None
    values: dict[str, str]

    @property
    def new(self) -> bool:
        return self.record is None


class Records:
    """The records of one portal."""

    def __init__(self, portal: Portal, listener: Listener) -> None:
        self._portal = portal
        self._listener = listener

    # planning

    def plan_create(self, kind: ObjectType, given: dict[str, str], batch: Batch | None = None) -> Change:
        """A new record with these values; HubspotError 400 or 409."""
        accepted = self._accepted(kind, given)
        complete = {**kind.defaults, **accepted}
        missing = [name for name in kind.required if not complete.get(name)]
        if kind.one_of and not any(complete.get(name) for name in kind.one_of):
            missing = list(kind.one_of)
        if missing:
            raise missing_required(kind.label, missing)
        self._unique_or_refuse(kind, complete, None, batch or Batch())
        return Change(kind, None, complete)

    def plan_update(
        self,
        kind: ObjectType,
        record: Json,
        given: dict[str, str],
        batch: Batch | None = None,
    ) -> Change:
        """New values for a record; HubspotError 400 or 409."""
        accepted = self._accepted(kind, given)
        emptied = [name for name in kind.required if accepted.get(name) == ""]
        if emptied:
            raise missing_required(kind.label, emptied)
        self._unique_or_refuse(kind, accepted, record["id"], batch or Batch())
        return Change(kind, record, accepted)

    def plan_upsert(
        self, kind: ObjectType, id_property: str, value: str, given: dict[str, str], batch: Batch
    ) -> Change:
        """Create or update by the value of a unique property.

        By a custom unique property any part of a record may be sent. By `email` it may not: an input for an
        existing contact that leaves out a property the contact has is a partial upsert, which HubSpot's
        documentation rules out for that property.
        """
        key = values.checked(self._portal.definitions(kind), {id_property: value})[id_property]
        record = self._portal.by_unique(kind, id_property, key)
        complete = {**given, id_property: given.get(id_property, value)}
        if record is None:
            return self.plan_create(kind, complete, batch)
        if id_property == "email":
            held = {name for name, now in record["properties"].items() if now and name not in READ_ONLY}
            if left_out := sorted(held - set(complete)):
                raise bad_request(
                    "Partial upserts are not supported when using email as the idProperty. "
                    "Use a custom unique identifier property instead.",
                    context={"missingProperties": left_out},
                )
        return self.plan_update(kind, record, complete, batch)

    def _accepted(self, kind: ObjectType, given: dict[str, str]) -> dict[str, str]:
        accepted = values.checked(self._portal.definitions(kind), given)
        owner = accepted.get("hubspot_owner_id")
        owners = [known["id"] for known in self._portal.owners()]
        if owner and owner not in owners:
            message = f"{owner} was not one of the allowed options: [{', '.join(owners)}]"
            raise invalid_values(
                [{"name": "hubspot_owner_id", "error": "INVALID_OPTION", "message": message}],
            )
        return accepted

    def _unique_or_refuse(
        self,
        kind: ObjectType,
        accepted: dict[str, str],
        own_id: str | None,
        batch: Batch,
    ) -> None:
        definitions = self._portal.definitions(kind)
        for name, value in accepted.items():
            if not value or not definitions[name]["hasUniqueValue"]:
                continue
            holder = self._portal.by_unique(kind, name, value)
            place = own_id or f"input {len(batch.taken)}"
            earlier = batch.taken.setdefault((name, value), place)
            if holder is not None and holder["id"] != own_id:
                if name == "email":
                    raise contact_exists(holder["id"])
                raise values.taken(name, value)
            if earlier != place:
                if name == "email":
                    raise HubspotError(409, "CONFLICT", f"Duplicate email in batch input: {value}")
                raise values.taken(name, value)

    # making

    def make(self, change: Change, source: Source) -> Json:
        """Carry out a planned change; returns the record. Unchanged values leave no trace."""
        kind = change.kind
        if change.record is None:
            record = self._portal.new_record()
            wanted = {name: value for name, value in change.values.items() if value}
            at = record["created"]
        else:
            record = change.record
            wanted = {n: v for n, v in change.values.items() if (record["properties"].get(n) or "") != v}
            if not wanted:
                return record
            at = max(self._portal.now(), record["updated"] + 1)
        own = {"hs_object_id": record["id"], kind.created: iso(record["created"]), kind.modified: iso(at)}
        self._put(kind, record, {**wanted, **own}, at, source)
        record["updated"] = at
        self._portal.save(kind, record)
        if change.record is None:
            self._listener.created(kind, record, source)
        self._listener.changed(kind, record, wanted, source)
        return record

    def _put(self, kind: ObjectType, record: Json, new: dict[str, str], at: int, source: Source) -> None:
        definitions = self._portal.definitions(kind)
        for name, value in new.items():
            before = record["properties"].get(name)
            if before == value:
                continue
            if definitions[name]["hasUniqueValue"] and name != "hs_object_id":
                if before:
                    self._portal.release(kind, name, before)
                if value:
                    self._portal.claim(kind, name, value, record["id"])
            record["properties"][name] = value
            entry = {"at": at, "value": value, "source": source.type, "source_id": source.id}
            record["history"].setdefault(name, []).append(entry)

    def archive(self, kind: ObjectType, record: Json, source: Source) -> None:
        """Put a record away; its unique values are free again."""
        self._release_all(kind, record)
        record["archived"] = record["updated"] = max(self._portal.now(), record["updated"] + 1)
        self._portal.save(kind, record)
        self._listener.deleted(kind, record, source, privacy=False)

    def erase(self, kind: ObjectType, record: Json, source: Source) -> None:
        """Delete a record for good (`gdpr-delete`)."""
        self._release_all(kind, record)
        for link in self._portal.links(kind, record["id"]):
            self._portal.forget_link(link["key"])
            self._portal.forget_link(link["mirror"])
        self._portal.forget(kind, record)
        self._listener.deleted(kind, record, source, privacy=True)

    def _release_all(self, kind: ObjectType, record: Json) -> None:
        for name, definition in self._portal.definitions(kind).items():
            held = record["properties"].get(name)
            if definition["hasUniqueValue"] and held:
                self._portal.release(kind, name, held)

    # reading

    def find(
        self,
        kind: ObjectType,
        record_id: str,
        id_property: str | None = None,
        *,
        archived: bool = False,
    ) -> Json:
        """A record by id or by a unique property; HubspotError 404, or 400 if the property is not unique."""
        if id_property is None or id_property == "hs_object_id":
            found = self._portal.record(kind, record_id, archived=archived)
        else:
            self.unique_property(kind, id_property)
            key = record_id.strip().lower() if id_property == "email" else record_id
            found = None if archived else self._portal.by_unique(kind, id_property, key)
        if found is None:
            raise not_found()
        return found

    def unique_property(self, kind: ObjectType, name: str) -> None:
        """400 unless the property exists and its values are unique."""
        definition = self._portal.definitions(kind).get(name)
        if definition is None:
            raise bad_request(f"Property {name} does not exist")
        if not definition["hasUniqueValue"]:
            raise bad_request(f"Property {name} is not a unique property and cannot be used as idProperty")

    def shown(self, kind: ObjectType, record: Json, names: list[str], *, nulls: bool = True) -> Json:
        """A record as an answer shows it: its default properties, or those asked for, and its own three."""
        wanted = {*(names or kind.returned), kind.created, kind.modified, "hs_object_id"}
        known = self._portal.definitions(kind)
        properties: dict[str, Any] = {}
        for name in sorted(wanted & set(known)):
            value = record["properties"].get(name) or None
            if value is not None or nulls:
                properties[name] = value
        body: Json = {
            "id": record["id"],
            "properties": properties,
            "createdAt": iso(record["created"]),
            "updatedAt": iso(record["updated"]),
            "archived": record["archived"] is not None,
        }
        if record["archived"] is not None:
            body["archivedAt"] = iso(record["archived"])
        return body

    def history(self, record: Json, names: list[str]) -> Json:
        """Earlier values of properties, newest first, as `propertiesWithHistory`."""
        return {
            name: [
                {
                    "value": entry["value"],
                    "timestamp": iso(entry["at"]),
                    "sourceType": entry["source"],
                    "sourceId": entry["source_id"],
                }
                for entry in reversed(record["history"].get(name, []))
            ]
            for name in names
        }

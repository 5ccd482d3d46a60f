"""Links between records. A link is kept in both directions, each with its association types.

A default or primary association brings its mirror type on the other side, as HubSpot does.
"""

from dataclasses import dataclass
from typing import Protocol

from local.simulators.common import Json
from local.simulators.hubspot.catalogue import (
    ASSOCIATION_IDS,
    OBJECT_TYPES,
    PRIMARY_IDS,
    ObjectType,
    object_type,
)
from local.simulators.hubspot.errors import bad_request, not_found
from local.simulators.hubspot.portal import Portal, Source

_BY_PLURAL = {kind.plural: kind for kind in OBJECT_TYPES}


class LinkListener(Protocol):
    """Told of links made and undone."""

    def linked(self, link: Json, type_id: int, source: Source, *, removed: bool) -> None:
        """One direction of a link, by one association type."""


@dataclass(frozen=True)
class Target:
    """The other end of a link that may be made."""

    kind: ObjectType
    id: str
    type_ids: tuple[int, ...]


def default_id(start: ObjectType, end: ObjectType) -> int:
    """The default association type of a pair; 400 where two types cannot be linked."""
    found = ASSOCIATION_IDS.get((start.plural, end.plural))
    if found is None:
        raise bad_request(f"No default association type exists between {start.label} and {end.label}")
    return found


def named(name: str) -> ObjectType:
    """The object type of a path segment; 400 for one the portal does not know."""
    found = object_type(name)
    if found is None:
        raise bad_request(f"Unable to infer object type from: {name}")
    return found


class Associations:
    """The links of one portal."""

    def __init__(self, portal: Portal, listener: LinkListener) -> None:
        self._portal = portal
        self._listener = listener

    def plan(self, start: ObjectType, asked: list[Json]) -> list[Target]:
        """The links a create asks for; 400 for a type id that does not fit or a record that is not there."""
        targets = []
        for entry in asked:
            type_ids = tuple(int(spec["associationTypeId"]) for spec in entry["types"])
            if not type_ids:
                raise bad_request("An association needs at least one type")
            ends = {self._end_of(start, type_id) for type_id in type_ids}
            if len(ends) != 1:
                raise bad_request("The association types of one target must lead to one object type")
            end = _BY_PLURAL[ends.pop()]
            targets.append(Target(end, self._existing(end, str(entry["to"]["id"]))["id"], type_ids))
        return targets

    def make(self, start: ObjectType, from_id: str, target: Target, source: Source) -> None:
        """Link two records."""
        for type_id in target.type_ids:
            self._add(start, from_id, target.kind, target.id, type_id, source)
            self._add(
                target.kind,
                target.id,
                start,
                from_id,
                self._mirror(start, target.kind, type_id),
                source,
            )
            if type_id == PRIMARY_IDS.get((start.plural, target.kind.plural)):
                self._add(start, from_id, target.kind, target.id, default_id(start, target.kind), source)
                self._add(target.kind, target.id, start, from_id, default_id(target.kind, start), source)

    def checked(
        self,
        start: ObjectType,
        from_id: str,
        end: ObjectType,
        to_id: str,
        type_ids: list[int],
    ) -> Target:
        """A link between two records that are both there; 404 or 400."""
        self._existing(start, from_id)
        self._existing(end, to_id)
        for type_id in type_ids:
            if self._end_of(start, type_id) != end.plural:
                raise bad_request(
                    f"association type {type_id} does not lead from {start.label} to {end.label}",
                )
        return Target(end, to_id, tuple(type_ids))

    def remove(
        self,
        start: ObjectType,
        from_id: str,
        end: ObjectType,
        to_id: str,
        only: list[int] | None,
        source: Source,
    ) -> None:
        """Undo a link, or only some of its types; nothing there is fine."""
        link = self._portal.link(_key(start, from_id, end, to_id))
        for type_id in list(link["type_ids"]) if link is not None else []:
            if only is None or type_id in only:
                self._drop(start, from_id, end, to_id, type_id, source)
                self._drop(end, to_id, start, from_id, self._mirror(start, end, type_id), source)

    def of(self, kind: ObjectType, record_id: str, end: ObjectType) -> list[Json]:
        """Links from a record to records of one type that are not archived."""
        links = self._portal.links(kind, record_id)
        return [
            link
            for link in links
            if link["to_type"] == end.plural and self._portal.record(end, link["to_id"]) is not None
        ]

    def _existing(self, kind: ObjectType, record_id: str) -> Json:
        found = self._portal.record(kind, record_id)
        if found is None:
            raise not_found(f"{kind.label} {record_id}")
        return found

    def _end_of(self, start: ObjectType, type_id: int) -> str:
        for table in (ASSOCIATION_IDS, PRIMARY_IDS):
            for (one, other), known in table.items():
                if one == start.plural and known == type_id:
                    return other
        raise bad_request(f"association type {type_id} does not exist for {start.label}")

    def _mirror(self, start: ObjectType, end: ObjectType, type_id: int) -> int:
        if type_id == PRIMARY_IDS.get((start.plural, end.plural)):
            return PRIMARY_IDS[end.plural, start.plural]
        return default_id(end, start)

    def _add(
        self,
        start: ObjectType,
        from_id: str,
        end: ObjectType,
        to_id: str,
        type_id: int,
        source: Source,
    ) -> None:
        key = _key(start, from_id, end, to_id)
        link = self._portal.link(key) or {
            "key": key,
            "mirror": _key(end, to_id, start, from_id),
            "from_type": start.plural,
            "from_id": from_id,
            "to_type": end.plural,
            "to_id": to_id,
            "type_ids": [],
        }
        if type_id in link["type_ids"]:
            return
        link["type_ids"].append(type_id)
        self._portal.save_link(key, link)
        self._listener.linked(link, type_id, source, removed=False)

    def _drop(
        self,
        start: ObjectType,
        from_id: str,
        end: ObjectType,
        to_id: str,
        type_id: int,
        source: Source,
    ) -> None:
        key = _key(start, from_id, end, to_id)
        link = self._portal.link(key)
        if link is None or type_id not in link["type_ids"]:
            return
        link["type_ids"].remove(type_id)
        if link["type_ids"]:
            self._portal.save_link(key, link)
        else:
            self._portal.forget_link(key)
        self._listener.linked(link, type_id, source, removed=True)


def is_primary(link: Json, type_id: int) -> bool:
    """Whether an association type makes the link the primary one."""
    return PRIMARY_IDS.get((link["from_type"], link["to_type"])) == type_id


def _key(start: ObjectType, from_id: str, end: ObjectType, to_id: str) -> str:
    return f"{start.plural}/{from_id}/{end.plural}/{to_id}"

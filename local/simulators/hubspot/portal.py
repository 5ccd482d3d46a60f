"""One portal's contents: settings, property definitions, owners, records and the claims on unique values."""

from dataclasses import dataclass
from typing import Any

from local.simulators.common import Json, World
from local.simulators.hubspot import catalogue
from local.simulators.hubspot.catalogue import OBJECT_TYPES, ObjectType
from local.simulators.hubspot.values import Definitions, iso

_FIRST_RECORD = 151_000_000_001
_OWNERS = (
    {"email": "asha.rao@example.com", "firstName": "Asha", "lastName": "Rao"},
    {"email": "tom.berg@example.com", "firstName": "Tom", "lastName": "Berg"},
)

# echo: notifications for changes made through the API. webhook_format: `object` (generic subscriptions) or
# `legacy` (contact.*, deal.* …; notes stay generic). subscribed_properties: names that notify, null for all.
# rate_limit calls in rate_window_seconds, of them search_rate_limit searches a second; 0 for no limit.
DEFAULTS: Json = {
    "echo": True,
    "webhook_format": "object",
    "subscribed_properties": None,
    "association_changes": True,
    "rate_limit": 100,
    "rate_window_seconds": 10,
    "search_rate_limit": 5,
}


@dataclass(frozen=True)
class Source:
    """Who changed something, in the words of HubSpot's property history and notifications."""

    type: str
    id: str


class Portal:
    """Typed access to the store. Records are live documents, their times in milliseconds."""

    def __init__(self, world: World, portal_id: int, app_id: int) -> None:
        self._store = world.store
        self._clock = world.clock
        self._config = world.config
        self.portal_id = portal_id
        self.app_id = app_id

    def ensure(self) -> None:
        """Lay out a fresh portal if this one holds nothing yet."""
        if self._store.setting("portal", None) is not None:
            return
        self._store.set_setting("portal", {"id": self.portal_id, "app": self.app_id})
        at = iso(self.now())
        for kind in OBJECT_TYPES:
            group = catalogue.group_name(kind)
            self.save_group(kind, {"name": group, "label": group, "displayOrder": 0, "archived": False})
            for definition in catalogue.default_properties(kind, at):
                self.save_definition(kind, definition)
        for owner in self._config.get("owners", _OWNERS):
            self.add_owner(owner)

    def now(self) -> int:
        """The portal's time in milliseconds."""
        return round(self._clock.precise() * 1000)

    def next_number(self, counter: str, first: int) -> int:
        """The next number of a named sequence."""
        number = int(self._store.setting(f"next_{counter}", first))
        self._store.set_setting(f"next_{counter}", number + 1)
        return number

    # settings

    def settings(self) -> Json:
        """The portal's behaviour as it stands: defaults, then the config file, then what was set since."""
        configured = {name: value for name, value in self._config.items() if name in DEFAULTS}
        return {**DEFAULTS, **configured, **self._store.setting("behaviour", {})}

    def change_settings(self, wanted: Json) -> Json:
        """Set some of it; ValueError for a name or value that means nothing."""
        if unknown := set(wanted) - set(DEFAULTS):
            raise ValueError(f"unknown settings {sorted(unknown)}; known are {sorted(DEFAULTS)}")
        if wanted.get("webhook_format", "object") not in ("object", "legacy"):
            raise ValueError("webhook_format is 'object' or 'legacy'")
        self._store.set_setting("behaviour", {**self._store.setting("behaviour", {}), **wanted})
        return self.settings()

    # property definitions and groups

    def definitions(self, kind: ObjectType, *, archived: bool = False) -> Definitions:
        """A type's property definitions by name."""
        held = self._store.all(f"properties_{kind.plural}")
        return {definition["name"]: definition for definition in held if definition["archived"] is archived}

    def save_definition(self, kind: ObjectType, definition: Json) -> Json:
        """Keep one property definition."""
        return self._store.put(f"properties_{kind.plural}", definition["name"], definition)

    def groups(self, kind: ObjectType) -> list[Json]:
        """A type's property groups."""
        return [group for group in self._store.all(f"groups_{kind.plural}") if not group["archived"]]

    def save_group(self, kind: ObjectType, group: Json) -> Json:
        """Keep one property group."""
        return self._store.put(f"groups_{kind.plural}", group["name"], group)

    # owners

    def owners(self) -> list[Json]:
        """Everyone a record can belong to."""
        return self._store.all("owners")

    def add_owner(self, person: Json) -> Json:
        """A new owner; `email`, `firstName` and `lastName` as given."""
        number = self.next_number("owner", 71_000_001)
        at = iso(self.now())
        owner = {
            "id": str(number),
            "email": person["email"],
            "firstName": person.get("firstName", ""),
            "lastName": person.get("lastName", ""),
            "type": "PERSON",
            "userId": number - 60_000_000,
            "createdAt": at,
            "updatedAt": at,
            "archived": False,
        }
        return self._store.put("owners", owner["id"], owner)

    # records

    def new_record(self) -> Json:
        """An empty record with its id, not kept until `save`."""
        at = self.now()
        number = self.next_number("record", _FIRST_RECORD)
        return {
            "id": str(number),
            "created": at,
            "updated": at,
            "archived": None,
            "properties": {},
            "history": {},
        }

    def save(self, kind: ObjectType, record: Json) -> None:
        """Keep a record."""
        self._store.put(kind.plural, record["id"], record)

    def forget(self, kind: ObjectType, record: Json) -> None:
        """Remove a record for good."""
        self._store.delete(kind.plural, record["id"])

    def record(self, kind: ObjectType, record_id: str, *, archived: bool = False) -> Json | None:
        """A record by id, if it is archived as asked."""
        found = self._store.get(kind.plural, record_id)
        return found if found is not None and (found["archived"] is not None) is archived else None

    def records(self, kind: ObjectType) -> list[Json]:
        """All records of a type, archived ones too, oldest first."""
        return self._store.all(kind.plural)

    def by_unique(self, kind: ObjectType, name: str, value: str) -> Json | None:
        """The record that holds a value of a unique property."""
        claim = self._store.get("_unique", f"{kind.plural}/{name}/{value}")
        return None if claim is None else self.record(kind, claim["id"])

    def claim(self, kind: ObjectType, name: str, value: str, record_id: str) -> None:
        """Note who holds a unique value."""
        self._store.put("_unique", f"{kind.plural}/{name}/{value}", {"id": record_id})

    def release(self, kind: ObjectType, name: str, value: str) -> None:
        """A unique value is free again."""
        self._store.delete("_unique", f"{kind.plural}/{name}/{value}")

    # associations

    def link(self, key: str) -> Json | None:
        """One direction of a link by its key."""
        return self._store.get("associations", key)

    def save_link(self, key: str, link: Json) -> None:
        """Keep one direction of a link."""
        self._store.put("associations", key, link)

    def forget_link(self, key: str) -> None:
        """Remove one direction of a link."""
        self._store.delete("associations", key)

    def links(self, kind: ObjectType, record_id: str) -> list[Json]:
        """Links that start at a record."""
        return [
            link
            for link in self._store.all("associations")
            if link["from_type"] == kind.plural and link["from_id"] == record_id
        ]

    def contents(self) -> dict[str, list[Any]]:
        """Everything visible by kind."""
        return {kind: self._store.all(kind) for kind in self._store.kinds()}

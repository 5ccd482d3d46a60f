"""The properties API (v3): definitions and groups of a type, with uniqueness for custom properties."""

import re
from typing import Any

from local.simulators.common import Json
from local.simulators.hubspot.catalogue import ObjectType
from local.simulators.hubspot.errors import HubspotError, bad_request, not_found
from local.simulators.hubspot.portal import Portal
from local.simulators.hubspot.values import iso

_NAME = re.compile(r"^[a-z][a-z0-9_]{0,99}$")
_UNIQUE_EACH = 10
_FIELD_TYPES = {
    "string": {"text", "textarea", "html", "phonenumber", "file"},
    "number": {"number"},
    "date": {"date"},
    "datetime": {"date"},
    "bool": {"booleancheckbox"},
    "enumeration": {"select", "radio", "checkbox", "booleancheckbox"},
    "phone_number": {"phonenumber"},
}
_UNCHANGEABLE = ("name", "hasUniqueValue")


class Properties:
    """Definitions of one portal's properties."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def listed(self, kind: ObjectType, *, archived: bool = False) -> list[Json]:
        """Every definition of a type."""
        return list(self._portal.definitions(kind, archived=archived).values())

    def one(self, kind: ObjectType, name: str, *, archived: bool = False) -> Json:
        """A definition by name; 404."""
        found = self._portal.definitions(kind, archived=archived).get(name)
        if found is None:
            raise not_found(f"Property {name}")
        return found

    def create(self, kind: ObjectType, asked: Json) -> Json:
        """A new custom property; 400 or 409."""
        name, form, field = asked["name"], asked["type"], asked["fieldType"]
        if not _NAME.match(name):
            raise bad_request(
                f"Property name {name} may hold lower-case letters, digits and underscores only",
            )
        if name in self._portal.definitions(kind):
            raise HubspotError(409, "OBJECT_ALREADY_EXISTS", f"A property named '{name}' already exists.")
        self._group_or_refuse(kind, asked["groupName"])
        if field not in _FIELD_TYPES.get(form, ()):
            raise bad_request(f"Invalid fieldType {field} for type {form}")
        unique = bool(asked.get("hasUniqueValue", False))
        if unique and form not in ("string", "number"):
            raise bad_request("only string and number properties can have unique values")
        held = [one for one in self._portal.definitions(kind).values() if not one["hubspotDefined"]]
        if unique and sum(one["hasUniqueValue"] for one in held) >= _UNIQUE_EACH:
            raise bad_request(f"at most {_UNIQUE_EACH} unique properties are allowed for {kind.label}")
        at = iso(self._portal.now())
        optional = {"calculationFormula", "currencyPropertyName", "numberDisplayHint", "referencedObjectType",
                    "showCurrencySymbol", "textDisplayHint"}  # fmt: skip
        definition: Json = {
            "name": name,
            "label": asked["label"],
            "description": asked.get("description", ""),
            "type": form,
            "fieldType": field,
            "groupName": asked["groupName"],
            "options": _options(asked.get("options", [])),
            "displayOrder": asked.get("displayOrder", -1),
            "calculated": False,
            "externalOptions": asked.get("externalOptions", False),
            "hasUniqueValue": unique,
            "hidden": asked.get("hidden", False),
            "hubspotDefined": False,
            "formField": asked.get("formField", False),
            "dataSensitivity": asked.get("dataSensitivity", "non_sensitive"),
            "archived": False,
            "createdAt": at,
            "updatedAt": at,
            "modificationMetadata": {"archivable": True, "readOnlyDefinition": False, "readOnlyValue": False},
            **{key: asked[key] for key in sorted(optional & set(asked))},
        }
        return self._portal.save_definition(kind, definition)

    def update(self, kind: ObjectType, name: str, asked: Json) -> Json:
        """Change a custom property's definition; 400 or 404."""
        definition = self.one(kind, name)
        if definition["hubspotDefined"]:
            raise bad_request(f"Property {name} is defined by HubSpot and cannot be changed")
        if fixed := [key for key in _UNCHANGEABLE if key in asked]:
            raise bad_request(f"{', '.join(fixed)} cannot be changed")
        if "groupName" in asked:
            self._group_or_refuse(kind, asked["groupName"])
        changes = {**asked, "options": _options(asked["options"])} if "options" in asked else asked
        definition.update(changes, updatedAt=iso(self._portal.now()))
        return self._portal.save_definition(kind, definition)

    def archive(self, kind: ObjectType, name: str) -> None:
        """Take a custom property out of use."""
        definition = self._portal.definitions(kind).get(name)
        if definition is None:
            return
        if definition["hubspotDefined"]:
            raise bad_request(f"Property {name} is defined by HubSpot and cannot be archived")
        at = iso(self._portal.now())
        definition.update(archived=True, archivedAt=at, updatedAt=at)
        self._portal.save_definition(kind, definition)

    def groups(self, kind: ObjectType) -> list[Json]:
        """Every property group of a type."""
        return self._portal.groups(kind)

    def group(self, kind: ObjectType, name: str) -> Json:
        """A group by name; 404."""
        for group in self._portal.groups(kind):
            if group["name"] == name:
                return group
        raise not_found(f"Property group {name}")

    def create_group(self, kind: ObjectType, asked: Json) -> Json:
        """A new property group; 409 if the name is taken."""
        name = asked["name"]
        if any(group["name"] == name for group in self._portal.groups(kind)):
            raise HubspotError(
                409,
                "OBJECT_ALREADY_EXISTS",
                f"A property group named '{name}' already exists.",
            )
        order = asked.get("displayOrder", -1)
        return self._portal.save_group(
            kind, {"name": name, "label": asked["label"], "displayOrder": order, "archived": False}
        )

    def _group_or_refuse(self, kind: ObjectType, name: str) -> None:
        if all(group["name"] != name for group in self._portal.groups(kind)):
            raise bad_request(f"property group {name} does not exist")


def _options(asked: list[Any]) -> list[Json]:
    return [{"displayOrder": order, "hidden": False, **option} for order, option in enumerate(asked)]

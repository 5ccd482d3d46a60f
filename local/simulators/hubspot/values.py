"""What a property value must be, and the form HubSpot keeps it in. Values are text; an empty one clears."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from local.simulators.hubspot.errors import HubspotError, invalid_values

_EMAIL = re.compile(r"^[^@\s\"(),:;<>\[\\\]]+@[^@\s.]+(\.[^@\s.]+)+$")
_MAX_TEXT = 65_536

Definitions = dict[str, dict[str, Any]]


def iso(ms: int) -> str:
    """Milliseconds since the epoch as HubSpot writes times: `2026-11-20T09:35:00.123Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def checked(definitions: Definitions, given: dict[str, str]) -> dict[str, str]:
    """The given values in stored form. Raises one HubspotError (400) that lists every value refused."""
    problems: list[dict[str, Any]] = []
    accepted: dict[str, str] = {}
    for name, value in given.items():
        definition = definitions.get(name)
        if definition is None:
            problems.append(_problem(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'))
        elif definition["modificationMetadata"]["readOnlyValue"]:
            problems.append(
                _problem(
                    name,
                    "READ_ONLY_VALUE",
                    f'"{name}" is a read only property; its value cannot be set.',
                )
            )
        else:
            try:
                accepted[name] = _stored(definition, value)
            except _Refused as refused:
                problems.append(_problem(name, refused.code, refused.message))
    if problems:
        raise invalid_values(problems)
    return accepted


def taken(name: str, value: str) -> HubspotError:
    """400 for a value another record already holds in a unique property."""
    return invalid_values([_problem(name, "CONFLICTING_UNIQUE_VALUE", f"{value} already has that value.")])


def comparable(definition: dict[str, Any], value: str | None) -> Decimal | str | None:
    """A value as search compares it: numbers and times by size, everything else as folded text."""
    if value is None or value == "":
        return None
    try:
        if definition["type"] == "number":
            return Decimal(value)
        if definition["type"] in ("date", "datetime"):
            return Decimal(_milliseconds(value))
    except (InvalidOperation, _Refused):
        return None
    return value.casefold()


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _problem(name: str, error: str, message: str) -> dict[str, Any]:
    return {"name": name, "error": error, "message": message}


def _stored(definition: dict[str, Any], value: str) -> str:
    if value == "":
        return ""
    kind = definition["type"]
    if kind == "enumeration":
        return _choice(definition, value)
    if kind == "number":
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or value != value.strip():
            raise _Refused("INVALID_INTEGER", f"{value} was not a valid number.")
        return value
    if kind == "bool":
        if value not in ("true", "false"):
            raise _Refused("INVALID_OPTION", f"{value} was not one of the allowed options: [true, false]")
        return value
    if kind == "datetime":
        return iso(_milliseconds(value))
    if kind == "date":
        return iso(_midnight(value))[:10]
    if definition["name"] == "email":
        return _email(value)
    if len(value) > _MAX_TEXT:
        raise _Refused("PROPERTY_VALUE_TOO_LONG", f"the value is longer than {_MAX_TEXT} characters.")
    return value


def _choice(definition: dict[str, Any], value: str) -> str:
    allowed = [option["value"] for option in definition["options"]]
    chosen = value.split(";") if definition["fieldType"] == "checkbox" else [value]
    if any(part not in allowed for part in chosen):
        raise _Refused(
            "INVALID_OPTION",
            f"{value} was not one of the allowed options: [{', '.join(allowed)}]",
        )
    return value


def _email(value: str) -> str:
    address = value.strip().lower()
    if not _EMAIL.match(address):
        raise _Refused("INVALID_EMAIL", f"Email address {value} is invalid")
    return address


def _milliseconds(value: str) -> int:
    if re.fullmatch(r"-?\d{1,15}", value):
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _Refused("INVALID_LONG", f"{value} was not a valid long.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _midnight(value: str) -> int:
    ms = _milliseconds(value)
    if ms % 86_400_000:
        raise _Refused("INVALID_DATE", f"{value} is not midnight UTC.")
    return ms

"""Fields that a company declares for itself: each has a type, and what is said is read as it (LEAD-1, CAP-10)."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from revops.crm.normalise import tidy
from revops.kernel import FieldIssue, Invalid
from revops.settings import SettingsDocument

CustomValue = bool | int | str
"""A value as it is kept: yes or no, a whole number, or text; other numbers are decimals as text, dates are ISO 8601."""
Given = bool | int | float | str | None
"""A value as it comes, out of JSON or a table."""
MAX_FIELDS = 50
_YES, _NO = frozenset({"yes", "true", "1", "ja", "oui", "si"}), frozenset({"no", "false", "0", "nein", "non"})


class CustomType(StrEnum):
    """What a declared field holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"
    CHOICE = "choice"


class CustomField(BaseModel):
    """A declared field. `choices` belong to the type choice and are compared casefolded."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    type: CustomType
    label: str = Field(default="", max_length=120)
    choices: tuple[Annotated[str, Field(min_length=1, max_length=120)], ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _choices_fit(self) -> "CustomField":
        if bool(self.choices) != (self.type is CustomType.CHOICE):
            raise ValueError("a choice has choices, and nothing else has")
        return self


class CustomFields(SettingsDocument):
    """The declared fields of leads, by name."""

    SETTING: ClassVar[str] = "custom_fields"

    lead: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")], CustomField] = Field(
        default_factory=dict, max_length=MAX_FIELDS
    )


def typed(said: Mapping[str, object], declared: CustomFields) -> tuple[dict[str, CustomValue], tuple[FieldIssue, ...]]:
    """What is said, read as what was declared; and what is wrong with the rest, by field. A blank text is nothing."""
    values: dict[str, CustomValue] = {}
    issues: list[FieldIssue] = []
    for name, given in said.items():
        field = declared.lead.get(name)
        if field is None:
            accepted = ", ".join(sorted(declared.lead)) or "none is declared"
            issues.append(
                FieldIssue(f"custom_fields.{name[:60]}", "CAP-10 undeclared", "is no declared field", accepted)
            )
            continue
        if given is None or (isinstance(given, str) and not tidy(given)):
            continue
        value = _READ[field.type](given, field)
        if value is None:
            issues.append(
                FieldIssue(f"custom_fields.{name}", f"CAP-10 {field.type}", "cannot be read", _accepted(field))
            )
        else:
            values[name] = value
    return values, tuple(issues)


def read_custom_fields(said: Mapping[str, object], declared: CustomFields) -> dict[str, CustomValue]:
    """What is said, read as what was declared. Raises Invalid, naming each field that cannot be read."""
    values, issues = typed(said, declared)
    if issues:
        raise Invalid("custom fields: " + "; ".join(f"{each.field} {each.message}" for each in issues), list(issues))
    return values


def kept_values(said: Mapping[str, Given]) -> dict[str, CustomValue]:
    """Typed values, as they stand on the lead."""
    return {name: value for name, value in said.items() if isinstance(value, bool | int | str)}


_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,28}(?:\.[0-9]{0,28})?|\.[0-9]{1,28})(?:[eE][+-]?[0-9]{1,3})?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
"""A text that is one and a bit where a point is written, and thousands where points stand between them."""


def _text(given: object, _: CustomField) -> CustomValue | None:
    return tidy(given)[:500] if isinstance(given, str) and len(given) <= 500 else None


def _number(given: object, _: CustomField) -> CustomValue | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    written = str(given).strip()
    if not _NUMBER.fullmatch(written) or (isinstance(given, str) and _THOUSANDS.fullmatch(written)):
        return None
    number = Decimal(written)
    if abs(number.adjusted()) > 18:
        return None
    return int(number) if number == number.to_integral_value() else format(number.normalize(), "f")


def _date(given: object, _: CustomField) -> CustomValue | None:
    if not isinstance(given, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given.strip()):
        return None
    try:
        return date.fromisoformat(given.strip()).isoformat()
    except ValueError:
        return None


def _yes_no(given: object, _: CustomField) -> CustomValue | None:
    if isinstance(given, bool):
        return given
    word = str(given).strip().casefold()
    return True if word in _YES else False if word in _NO else None


def _choice(given: object, field: CustomField) -> CustomValue | None:
    word = tidy(given).casefold() if isinstance(given, str) else None
    return next((choice for choice in field.choices if choice.casefold() == word), None)


_READ = {
    CustomType.TEXT: _text,
    CustomType.NUMBER: _number,
    CustomType.DATE: _date,
    CustomType.YES_NO: _yes_no,
    CustomType.CHOICE: _choice,
}


def _accepted(field: CustomField) -> str:
    match field.type:
        case CustomType.CHOICE:
            return ", ".join(field.choices)[:200]
        case CustomType.DATE:
            return "a date such as 2026-11-20"
        case CustomType.NUMBER:
            return "a number such as 1200 or 12.5; not 1.200 as a text, which may be either"
        case CustomType.YES_NO:
            return "yes or no"
        case _:
            return "a text of at most 500 characters"

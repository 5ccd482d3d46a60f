"""An audit entry: one version of one record."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FieldChange(BaseModel):
    """A field with its value before and after; None where there was or is none."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    field: str
    old: Any = None
    new: Any = None


class AuditEntry(BaseModel):
    """Who changed which fields of a record in one version, when and from where.

    `gap` marks a version whose change the stream lost: it says that something happened and cannot say what.
    `hash` covers the entry and `previous_hash`, so an entry cannot be altered, dropped or slipped in unseen.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    record: str
    kind: str
    version: int
    changes: tuple[FieldChange, ...] = ()
    at: str = ""
    by: str = ""
    on_behalf_of: str = ""
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""
    gap: bool = False
    deleted: bool = False
    previous_hash: str = ""
    hash: str = Field(default="")

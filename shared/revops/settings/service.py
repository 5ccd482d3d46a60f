"""Planning and applying settings: what would change, what that would have meant, and the change itself."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from revops.access import Policy, Resource
from revops.audit import changes_between
from revops.kernel import CallContext, Clock, Invalid, NotFound, TooLarge, VersionConflict, issue_of
from revops.settings.model import SettingsDocument, SettingsRecord
from revops.settings.store import SETTINGS
from revops.table import MAX_DOC, ConditionFailed, Row, Table, begin

MOST_BYTES = (MAX_DOC - 10_000) // 2
"""The largest document: the audit entry of a change holds it as it was and as it is, in one item of the table."""

Preview = Callable[[SettingsDocument, SettingsDocument], list[str]]
"""Given the rules in force and the planned ones, what they would have decided differently over recent history."""


class SettingsDifference(BaseModel):
    """One top-level part of a document that differs."""

    model_config = ConfigDict(defer_build=True)

    field: str
    old: Any = None
    new: Any = None


class SettingsPlan(BaseModel):
    """What applying a document would do: nothing is written."""

    model_config = ConfigDict(defer_build=True)

    name: str = Field(examples=["membership"])
    current_version: int
    differences: list[SettingsDifference]
    preview: list[str]


class SettingsView(BaseModel):
    """A document in force; version 0 means the defaults that hold before anything is applied."""

    model_config = ConfigDict(defer_build=True)

    name: str = Field(examples=["membership"])
    version: int
    content: dict[str, Any]


class ChangeSettings:
    """Reads, plans and applies the documents that exist; a name or a content that does not fit is refused."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        policy: Policy,
        documents: Mapping[str, type[SettingsDocument]],
        previews: Mapping[str, Preview],
    ) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._documents = documents
        self._previews = previews

    def read(self, name: str, call: CallContext) -> SettingsView:
        """Raises NotFound, also for those who have no access to settings."""
        self._policy.require_read(call.principal, Resource.SETTINGS, "", f"settings {name}")
        record, _, shown = self._current(name)
        return SettingsView(name=name, version=record.version if record else 0, content=shown)

    def plan(self, name: str, content: Mapping[str, Any], call: CallContext) -> SettingsPlan:
        """What applying would change, and what it would have meant for recent history."""
        self._policy.require_read(call.principal, Resource.SETTINGS, "", f"settings {name}")
        record, current, shown = self._current(name)
        wanted = self._parse(name, content)
        preview = self._previews.get(name)
        return SettingsPlan(
            name=name,
            current_version=record.version if record else 0,
            differences=_differences(shown, wanted.model_dump(mode="json")),
            preview=preview(current, wanted) if preview else [],
        )

    def apply(self, name: str, content: Mapping[str, Any], version: int, call: CallContext) -> SettingsView:
        """Applies a document over the version that was read; the same content again writes nothing. Raises
        VersionConflict, Invalid, and TooLarge for more than the audit of a change can hold twice."""
        self._policy.require_write(call.principal, Resource.SETTINGS, "", f"settings {name}")
        document = self._parse(name, content).model_dump(mode="json")
        before, _, current = self._current(name)
        stood = before.version if before else 0
        if stood and not _differences(current, document):
            return SettingsView(name=name, version=stood, content=current)
        if stood != version:
            raise VersionConflict(f"settings {name} were changed by someone else", stood)
        if (size := len(_as_row(document).doc.encode())) > MOST_BYTES:
            raise TooLarge(f"a settings document of {size} bytes; at most {MOST_BYTES}")
        now = self._clock.now()
        transaction = begin(call, now)
        if before is not None:
            record = before.revised(now, content=document)
            SETTINGS.update(transaction, record)
        else:
            record = SettingsRecord(id=name, created_at=now, modified_at=now, content=document)
            SETTINGS.create(transaction, record)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise VersionConflict(f"settings {name} were changed by someone else") from error
        return SettingsView(name=name, version=record.version, content=document)

    def _current(self, name: str) -> tuple[SettingsRecord | None, SettingsDocument, dict[str, Any]]:
        """What was applied last, the rules that hold by it, and those rules as they are shown. What another release
        applied and this one cannot read is shown as it stands, so that anything else, the defaults too, is a change;
        its preview goes by the defaults."""
        kind = self._documents.get(name)
        if kind is None:
            raise NotFound("settings document", name)
        record = SETTINGS.get(self._table, name)
        if record is None:
            return None, kind(), kind().model_dump(mode="json")
        try:
            document = kind.applied(record.content)
        except ValidationError:
            return record, kind(), record.content
        return record, document, document.model_dump(mode="json")

    def _parse(self, name: str, content: Mapping[str, Any]) -> SettingsDocument:
        try:
            return self._documents[name].model_validate(content)
        except KeyError as error:
            raise NotFound("settings document", name) from error
        except ValidationError as error:
            issues = [issue_of(item, ("content", *item["loc"])) for item in error.errors()[:50]]
            raise Invalid("the document does not fit", issues) from error


def _differences(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[SettingsDifference]:
    changes = changes_between(_as_row(current), _as_row(wanted))
    return [SettingsDifference(field=change.field, old=change.old, new=change.new) for change in changes]


def _as_row(document: Mapping[str, Any]) -> Row:
    return Row("settings", "document", "SETTINGS", doc=json.dumps(document, ensure_ascii=False))

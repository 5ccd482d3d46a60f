"""Where settings stand.

| item | pk | sk | read by |
|---|---|---|---|
| applied document | SETTINGS#<name> | CURRENT | name |

Every version is in the audit of the record. Readers keep a document for `ttl` seconds, which bounds how long a
change takes to be in force everywhere.
"""

import time
from collections.abc import Callable
from typing import Any

from revops.settings.model import SettingsDocument, SettingsRecord
from revops.table import EntityKind, Key, Table

SETTINGS = EntityKind[SettingsRecord](
    kind="SETTINGS",
    title="settings document",
    model=SettingsRecord,
    key=lambda name: Key(f"SETTINGS#{name}", "CURRENT"),
)


class SettingsReader:
    """Hands each slice the rules in force, as its own type."""

    def __init__(self, table: Table, ttl: float = 30.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._ttl = ttl
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, Any, int]] = {}

    def read[D: SettingsDocument](self, document: type[D]) -> D:
        """The document in force, or its defaults when none was ever applied."""
        return self.versioned(document)[0]

    def versioned[D: SettingsDocument](self, document: type[D]) -> tuple[D, int]:
        """The document in force and its version; 0 for the defaults."""
        kept = self._kept.get(document.SETTING)
        if kept is not None and self._monotonic() - kept[0] < self._ttl:
            found: D = kept[1]
            return found, kept[2]
        record = SETTINGS.get(self._table, document.SETTING)
        current = document() if record is None else document.applied(record.content)
        version = 0 if record is None else record.version
        self._kept[document.SETTING] = (self._monotonic(), current, version)
        return current, version

    def forget(self) -> None:
        """Read afresh next time."""
        self._kept.clear()

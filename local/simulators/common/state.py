"""Durable state of a simulator: documents by kind and id, settings and append-only logs in one SQLite file.

Documents live in memory and are written through on `commit`; a call that fails in an unforeseen way is rolled
back by reading the file again. `get` returns the live document: change it, then `put` it.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

type Document = dict[str, Any]

_LOG_LIMIT = 5_000


class Store:
    """All state of one simulator. Not thread-safe: the server runs one call at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "state.sqlite", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS doc (kind TEXT, id TEXT, pos INTEGER, body TEXT, PRIMARY KEY (kind, id))"
        )
        self._docs: dict[str, dict[str, Document]] = {}
        self._position: dict[tuple[str, str], int] = {}
        self._dirty: dict[tuple[str, str], None] = {}
        self._touched: set[str] = set()
        self._next = 0
        self._load()

    def _load(self) -> None:
        self._docs, self._position, self._next = {}, {}, 0
        self._dirty.clear()
        self._touched.clear()
        for kind, id_, pos, body in self._db.execute("SELECT kind, id, pos, body FROM doc ORDER BY pos"):
            self._docs.setdefault(kind, {})[id_] = json.loads(body)
            self._position[kind, id_] = pos
            self._next = pos + 1

    def get(self, kind: str, id_: str) -> Document | None:
        """The live document, or None."""
        self._touched.add(kind)
        return self._docs.get(kind, {}).get(id_)

    def put(self, kind: str, id_: str, document: Document) -> Document:
        """Store a document under its id; the first put fixes its place in `all`."""
        if (kind, id_) not in self._position:
            self._position[kind, id_] = self._next
            self._next += 1
        self._docs.setdefault(kind, {})[id_] = document
        self._dirty[kind, id_] = None
        self._touched.add(kind)
        return document

    def delete(self, kind: str, id_: str) -> None:
        """Forget a document; unknown ids are ignored."""
        if self._docs.get(kind, {}).pop(id_, None) is not None:
            self._dirty[kind, id_] = None
            self._touched.add(kind)

    def all(self, kind: str) -> list[Document]:
        """Every document of a kind, oldest first."""
        self._touched.add(kind)
        return list(self._docs.get(kind, {}).values())

    def items(self, kind: str) -> list[tuple[str, Document]]:
        """Ids and documents of a kind, oldest first."""
        self._touched.add(kind)
        return list(self._docs.get(kind, {}).items())

    def kinds(self) -> list[str]:
        """The kinds that hold at least one document, without the store's own."""
        return sorted(kind for kind, docs in self._docs.items() if docs and not kind.startswith("_"))

    def position(self) -> int:
        """A counter that grows with every new document: the source of sequence numbers."""
        return self._next

    def setting(self, name: str, default: Any) -> Any:
        """A single stored value."""
        held = self.get("_setting", name)
        return default if held is None else held["value"]

    def set_setting(self, name: str, value: Any) -> None:
        """Store a single value (JSON)."""
        self.put("_setting", name, {"value": value})

    def append(self, log: str, entry: Document) -> None:
        """Add to a log; the oldest entries give way once it holds 5,000."""
        self.put(f"_log_{log}", f"{self._next:012d}", entry)
        held = self._docs[f"_log_{log}"]
        if len(held) > _LOG_LIMIT:
            self.delete(f"_log_{log}", next(iter(held)))

    def log(self, log: str) -> list[Document]:
        """Entries of a log, oldest first."""
        return self.all(f"_log_{log}")

    def commit(self) -> None:
        """Write what changed, all or nothing."""
        self._touched.clear()
        if not self._dirty:
            return
        self._db.execute("BEGIN")
        for kind, id_ in self._dirty:
            document = self._docs.get(kind, {}).get(id_)
            if document is None:
                self._db.execute("DELETE FROM doc WHERE kind = ? AND id = ?", (kind, id_))
                self._position.pop((kind, id_), None)
            else:
                body = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
                row = (kind, id_, self._position[kind, id_], body)
                self._db.execute("INSERT OR REPLACE INTO doc VALUES (?, ?, ?, ?)", row)
        self._db.execute("COMMIT")
        self._dirty.clear()

    def rollback(self) -> None:
        """Return to the last commit: the kinds read or written since then are read again."""
        for kind in self._touched:
            for id_ in self._docs.pop(kind, {}):
                self._position.pop((kind, id_), None)
            rows = self._db.execute("SELECT id, pos, body FROM doc WHERE kind = ? ORDER BY pos", (kind,))
            for id_, pos, body in rows:
                self._docs.setdefault(kind, {})[id_] = json.loads(body)
                self._position[kind, id_] = pos
        self._touched.clear()
        self._dirty.clear()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on the way out; on an exception return to the last commit."""
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def reset(self) -> None:
        """Forget everything."""
        self._db.execute("DELETE FROM doc")
        self._load()

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._db.close()

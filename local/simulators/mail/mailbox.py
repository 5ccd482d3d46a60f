"""Messages kept by id. A message with a line break in a header field is refused: it is an injection."""

from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from local.simulators.common import Json, Store

_KEPT = 5_000
_NO_MORE: Json = {"headers": {}, "tags": {}}
"""Of a message that did not come through the door."""


class Mailbox:
    """What was sent, newest first, in a store that survives a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, account: str, sent: list[Json]) -> int:
        """Keep the emulator's records that are new here; returns how many were."""
        new = 0
        with self._store.transaction():
            for record in sent:
                message_id = str(record.get("MessageId", ""))
                if not message_id or self._store.get("seen", message_id) is not None:
                    continue
                new += 1
                self._store.put("seen", message_id, {})
                message = _message(account, message_id, record)
                if reason := _injection(message):
                    self._store.append("refused", {"id": message_id, "reason": reason})
                else:
                    self._store.put("message", message_id, message)
            for surplus in self._store.all("message")[:-_KEPT]:
                self._store.delete("message", surplus["id"])
        return new

    def messages(self, to: str | None = None) -> list[Json]:
        """Messages, newest first; with `to`, only those addressed to it in any of to, cc and bcc."""
        wanted = None if to is None else _address(to)
        return [
            self._whole(message)
            for message in reversed(self._store.all("message"))
            if wanted is None or wanted in {_address(one) for one in _recipients(message)}
        ]

    def message(self, message_id: str) -> Json | None:
        """One message by id."""
        message = self._store.get("message", message_id)
        return None if message is None else self._whole(message)

    def _whole(self, message: Json) -> Json:
        """A message with what the door kept of it."""
        return {**message, **(self._store.get("sent", message["id"]) or _NO_MORE)}

    def refused(self) -> list[Json]:
        """Messages that were not kept, with the reason."""
        return self._store.log("refused")

    def clear(self) -> None:
        """Forget the messages; they do not come back from the emulator."""
        with self._store.transaction():
            for message in self._store.all("message"):
                self._store.delete("message", message["id"])


def _message(account: str, message_id: str, record: Json) -> Json:
    return {
        "id": message_id,
        "account": account,
        "from": str(record.get("Source") or ""),
        "to": _texts(record.get("To")),
        "cc": _texts(record.get("CC")),
        "bcc": _texts(record.get("BCC")),
        "subject": str(record.get("Subject") or ""),
        "text": str(record.get("BodyText") or ""),
        "html": str(record.get("BodyHtml") or ""),
        "sent_at": _utc(record.get("Timestamp")),
    }


def _injection(message: Json) -> str | None:
    """Which header field carries a line break, if one does."""
    fields = [("from", message["from"]), ("subject", message["subject"])]
    fields += [(name, one) for name in ("to", "cc", "bcc") for one in message[name]]
    for name, value in fields:
        if "\r" in value or "\n" in value:
            return f"line break in the header field '{name}'"
    return None


def _recipients(message: Json) -> list[str]:
    return [*message["to"], *message["cc"], *message["bcc"]]


def _address(written: str) -> str:
    return (parseaddr(written)[1] or written).strip().casefold()


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _utc(timestamp: Any) -> str:
    seconds = float(timestamp) if isinstance(timestamp, (int, float)) else 0.0
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

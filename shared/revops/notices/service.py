"""Telling somebody once, although the bus delivers an event at least once.

| item | pk | sk | read by |
|---|---|---|---|
| notice | NOTICE#<event id, and whom it is for> | NOTICE | event |

A notice is written as `sending` before and as `sent` after the call to the mail service or to the webhook. One that
stays `sending` for two minutes belonged to a function that was killed in between: it is sent again, because a lost
alert is worse than a second one. One that was refused is written as `failed`, and the next delivery tries again at
once.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from revops.kernel import Clock, DomainError, Unavailable, canonical_json, parse_time, system_call, time_text
from revops.table import ABSENT, ConditionFailed, Key, Row, Table, begin

NOTICE = "NOTICE"
_LEASE = timedelta(minutes=2)
_KEEP_SECONDS = 40 * 86_400


class Mailer(Protocol):
    """The mail service."""

    def send(self, to: str, subject: str, text: str) -> None: ...


class Once:
    """Does something once per name."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, name: str, send: Callable[[], None]) -> bool:
        """True when this call sent it. Raises Unavailable while another call may be sending it."""
        key = Key(f"NOTICE#{name}", "NOTICE")
        row = self._table.get(key)
        now = self._clock.now()
        if row is not None:
            state = json.loads(row.doc)
            if state["state"] == "sent":
                return False
            if state["state"] == "sending" and now - parse_time(state["at"]) < _LEASE:
                raise Unavailable("this notice is being sent", retry_after=_LEASE.total_seconds())
        try:
            version = self._write(key, "sending", row)
        except ConditionFailed as error:
            raise Unavailable("this notice is being sent", retry_after=_LEASE.total_seconds()) from error
        try:
            send()
        except DomainError:
            self._write(key, "failed", version)
            raise
        self._write(key, "sent", version)
        return True

    def _write(self, key: Key, state: str, before: Row | None) -> Row:
        now = self._clock.now()
        transaction = begin(system_call("notices"), now)
        row = Row(
            pk=key.pk,
            sk=key.sk,
            kind=NOTICE,
            version=before.version + 1 if before else 1,
            doc=json.dumps({"state": state, "at": time_text(now)}),
            ttl=int(now.timestamp()) + _KEEP_SECONDS,
        )
        transaction.put(row, before.version if before else ABSENT)
        self._table.commit(transaction)
        return row


class SendNotice:
    """Sends one mail per event, or per event and addressee when the name says so."""

    def __init__(self, table: Table, clock: Clock, mailer: Mailer) -> None:
        self._once = Once(table, clock)
        self._mailer = mailer

    def __call__(self, event_id: str, to: str, subject: str, text: str) -> bool:
        """True when this call sent it. Raises Unavailable while another call may be sending it."""
        return self._once(event_id, lambda: self._mailer.send(to, subject, text))


class SendWebhook:
    """Posts one signed message per event. `post` takes the address, the event's id and the body."""

    def __init__(self, table: Table, clock: Clock, post: Callable[[str, str, bytes], None]) -> None:
        self._once = Once(table, clock)
        self._post = post

    def __call__(self, event_id: str, url: str, message: Mapping[str, Any]) -> bool:
        """True when this call delivered it. Raises Unavailable when the receiver did not take it."""
        body = canonical_json(dict(message)).encode()
        return self._once(f"{event_id}:webhook", lambda: self._post(url, event_id, body))

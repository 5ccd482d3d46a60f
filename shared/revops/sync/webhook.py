"""HubSpot's webhook: a batch of up to 100 events becomes signals in the inbox (HUB-3).

`eventId` is not unique, so an event is known by a hash of everything in it but the number of the attempt.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from revops.inbox import InboxEntry, ReceiveSignal, Signal, inbox_id
from revops.inbox.service import MAX_INLINE
from revops.inbox.store import inbox_row
from revops.kernel import CallContext, Clock, Invalid, JsonError, canonical_json, parse_json, several
from revops.sync.model import SYSTEM
from revops.table import ABSENT, ConditionFailed, Table, begin

MAX_EVENTS = 100
_CHUNK_BYTES = 1_000_000
_TYPES: Mapping[str, str] = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket", "0-46": "note"}
_SUBJECTS = ("objectId", "newObjectId", "primaryObjectId", "fromObjectId")


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """One event of a batch: what happened (`contact.creation`, …) to which object, and the event as it came."""

    topic: str
    subject: str
    content: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """What makes a repeat recognisable."""
        told = {name: value for name, value in self.content.items() if name != "attemptNumber"}
        return hashlib.sha256(canonical_json(told).encode()).hexdigest()


def parse_events(body: bytes, portal_id: str) -> list[RemoteEvent]:
    """The events of a verified body. Raises Invalid for anything but an array of at most 100 events of our portal."""
    try:
        content = parse_json(body)
    except JsonError as error:
        raise Invalid(str(error)) from error
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise Invalid("the body is not an array of events")
    if len(content) > MAX_EVENTS:
        raise Invalid(f"{len(content)} events in one batch; at most {MAX_EVENTS}")
    return [_event(entry, portal_id) for entry in content]


def _event(entry: dict[str, Any], portal_id: str) -> RemoteEvent:
    if str(entry.get("portalId", "")) != portal_id:
        raise Invalid.field("portalId", "foreign", "an event of another portal")
    kind = entry.get("subscriptionType")
    if not isinstance(kind, str) or "." not in kind or len(kind) > 100:
        raise Invalid.field("subscriptionType", "missing", "which subscription an event is for", "contact.creation, …")
    subject = next((entry[name] for name in _SUBJECTS if isinstance(entry.get(name), int | str)), None)
    text = str(subject)
    if subject is None or isinstance(subject, bool) or not text.isdecimal() or len(text) > 20:
        raise Invalid.field("objectId", "missing", "which object an event is about", "a number")
    object_type, _, happened = kind.partition(".")
    if object_type == "object":
        object_type = _TYPES.get(str(entry.get("objectTypeId", "")), "object")
    return RemoteEvent(f"{object_type}.{happened}", text, entry)


def signals(events: Iterable[RemoteEvent]) -> list[Signal]:
    """One signal per kind of event and object: what a worker fetches once need not be signalled twice."""
    groups: dict[tuple[str, str], dict[str, RemoteEvent]] = {}
    for event in events:
        groups.setdefault((event.topic, event.subject), {})[event.digest] = event
    return [
        Signal(
            provider=SYSTEM,
            event_id=hashlib.sha256("\n".join(sorted(group)).encode()).hexdigest(),
            event_type=topic,
            subject=subject,
            body=canonical_json([group[digest].content for digest in sorted(group)]),
        )
        for (topic, subject), group in groups.items()
    ]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request of HubSpot as it came: the method, the URL it was sent to, the raw body and its two headers."""

    method: str
    uri: str
    body: bytes
    timestamp: str
    signature: str


class VerifySignature(Protocol):
    """Raises Invalid unless one of the secrets signed the delivery lately."""

    def __call__(
        self, method: str, uri: str, body: bytes, timestamp: str, signature: str, secrets: Sequence[str], now: datetime
    ) -> None: ...


class ReceiveDelivery:
    """The webhook, whole: prove the sender, read the events, store each once."""

    def __init__(
        self,
        clock: Clock,
        verify: VerifySignature,
        credentials: Callable[[], Mapping[str, Any]],
        receive: "ReceiveEvents",
        webhook_url: str = "",
    ) -> None:
        """`credentials` gives `client_secrets` and `portal_id`; `webhook_url` is the URL as HubSpot knows it."""
        self._clock = clock
        self._verify = verify
        self._credentials = credentials
        self._receive = receive
        self._webhook_url = webhook_url

    def __call__(self, delivery: Delivery, call: CallContext) -> int:
        """Answers how many signals were new. Raises Invalid, or Unavailable so that HubSpot sends it again."""
        known = self._credentials()
        self._verify(
            delivery.method,
            self._webhook_url or delivery.uri,
            delivery.body,
            delivery.timestamp,
            delivery.signature,
            several(known, "client_secrets"),
            self._clock.now(),
        )
        return self._receive(signals(parse_events(delivery.body, str(known["portal_id"]))), call)


class ReceiveEvents:
    """Stores the signals of a batch: those of ordinary size in one transaction, which a repeat of some does not stop.

    Either all is stored or an error is raised, upon which HubSpot sends the batch again; what was stored by then is
    recognised.
    """

    def __init__(self, table: Table, clock: Clock, receive: ReceiveSignal) -> None:
        self._table = table
        self._clock = clock
        self._receive = receive

    def __call__(self, batch: Sequence[Signal], call: CallContext) -> int:
        """Answers how many signals were new."""
        large = [signal for signal in batch if len(signal.body) > MAX_INLINE]
        new = sum(self._receive(signal, call) for signal in large)
        chunk: list[Signal] = []
        size = 0
        for signal in batch:
            if len(signal.body) > MAX_INLINE:
                continue
            if chunk and size + len(signal.body) > _CHUNK_BYTES:
                new += self._store(chunk, call)
                chunk, size = [], 0
            chunk.append(signal)
            size += len(signal.body)
        return new + self._store(chunk, call)

    def _store(self, batch: list[Signal], call: CallContext) -> int:
        waiting = {inbox_id(signal.provider, signal.event_id): signal for signal in batch}
        while waiting:
            transaction = begin(call, self._clock.now())
            keys = {}
            for identifier, signal in waiting.items():
                row = inbox_row(self._entry(identifier, signal))
                keys[row.key] = identifier
                transaction.put(row, ABSENT)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                for failure in error.failures:
                    waiting.pop(keys[failure.key], None)
                continue
            break
        return len(waiting)

    def _entry(self, identifier: str, signal: Signal) -> InboxEntry:
        now = self._clock.now()
        return InboxEntry(
            id=identifier,
            created_at=now,
            modified_at=now,
            provider=signal.provider,
            event_id=signal.event_id,
            event_type=signal.event_type,
            subject=signal.subject,
            body=signal.body,
        )

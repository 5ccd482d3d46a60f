"""What the channel worker does with a message: one queue for whatever comes in from people.

Three shapes arrive. An *entry* names what a webhook or the form stored in the inbox. An *event* is EventBridge's own
envelope, such as that of a call at Amazon Connect. An *object* is what S3 says about a new one, such as a mail that
SES put there. Who takes which is a table made where the slices are wired.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from revops.inbox import InboxEntry, Settlement
from revops.kernel import CallContext, DomainError, Invalid, Unavailable, system_call

SettleEntry = Callable[[InboxEntry, CallContext], str]
"""Takes a waiting entry and settles it, in the transaction of its effects or after effects that a repeat does not
repeat. Answers what became of it, for the log. A DomainError that trying again cannot mend gives the entry up."""
TakeNotice = Callable[[Mapping[str, Any], CallContext], str]
"""Takes an event or the record of an object. Delivered at least once; raises DomainError to have it again."""
S3 = "aws:s3"
"""The name that notices of S3 go by; those of EventBridge go by their source, such as `aws.connect`."""


_MOST_WAITS = 8
_LONGEST_DELAY = 900


class OwnQueue(Protocol):
    """The worker's own queue, for what has to come back after a while."""

    def send(self, message: Mapping[str, Any], delay_seconds: int = 0) -> None: ...


class SettleMessage:
    """Settles one message of the channel queue. `entries` is the table by provider, `notices` by source; each part is
    made when it is first needed.

    What trying again may mend is put back with a wait that doubles, eight times at most, so that it comes again sooner
    than what a dead worker held; after that it counts as a receive that failed.
    """

    def __init__(
        self,
        settlement: Settlement,
        entries: Mapping[str, Callable[[], SettleEntry]],
        notices: Mapping[str, Callable[[], TakeNotice]],
        queue: OwnQueue,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settlement = settlement
        self._entries = entries
        self._notices = notices
        self._queue = queue
        self._jitter = jitter

    def __call__(self, message: Mapping[str, Any]) -> str:
        """What became of the message, for the log. Raises DomainError for one to be received again; Invalid for one
        that nobody here takes, which ends in the dead-letter queue."""
        try:
            return self._settle(message)
        except DomainError as error:
            waits = int(message.get("waits", 0)) + 1
            if not error.retryable or waits > _MOST_WAITS:
                raise
            asked = error.retry_after if isinstance(error, Unavailable) else None
            delay = max(asked or 0.0, self._jitter() * 2.0**waits)
            delay_seconds = min(_LONGEST_DELAY, math.ceil(delay))
            self._queue.send({**message, "waits": waits}, delay_seconds)
            return f"waits {delay_seconds} s"

    def _settle(self, message: Mapping[str, Any]) -> str:
        if "inbox_id" in message:
            return self._entry(str(message["inbox_id"]))
        if message.get("Event") == "s3:TestEvent":  # what S3 sends when a notification is configured
            return "a test of S3's"
        return ", ".join(self._notice(source, notice) for source, notice in _notices(message))

    def _entry(self, inbox_id: str) -> str:
        entry = self._settlement.load(inbox_id)
        if not entry.waiting:
            return "settled before"
        settle = self._entries.get(entry.provider)
        if settle is None:
            raise Invalid("no channel takes entries of this provider")
        call = system_call("channel_worker", causation_id=entry.id)
        try:
            return settle()(entry, call)
        except DomainError as error:
            if error.retryable:
                raise
            self._settlement.dead(entry, error.detail, call)
            return "dead"

    def _notice(self, source: str, notice: Mapping[str, Any]) -> str:
        take = self._notices.get(source)
        if take is None:
            raise Invalid("no channel takes notices of this source")
        subject = str(notice.get("id", "")) or source
        return take()(notice, system_call("channel_worker", causation_id=subject))


def _notices(message: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The notices of a message with their sources. Raises Invalid for what is none."""
    records = message.get("Records")
    if isinstance(records, list) and records:
        for record in records:
            yield str(record.get("eventSource", "")), record
    elif "detail-type" in message:
        yield str(message.get("source", "")), message
    else:
        raise Invalid("a message names an inbox entry, or is an event or a notice of S3")

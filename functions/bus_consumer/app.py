"""The bus consumer: what our own events set going (`revops.bus`), each reaction to be repeated without harm."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.batch import handle_messages
from revops.platform.logging import LogCode, log

use = wiring()
consume = use.consume_event()


def react(event: dict[str, Any], receives: int) -> None:  # noqa: ARG001 - the queue counts, reactions may be repeated
    """One event as EventBridge delivers it; an error makes the queue deliver it again, then to the dead letters."""
    done = consume(event)
    log(LogCode.CHANGES, event_type=event["detail-type"], reason_code=done)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """A batch of events in, those to come again out."""
    return handle_messages(event, react, use.come_again)

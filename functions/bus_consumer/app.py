"""The bus consumer: starts and wakes the order workflow, rechecks new leads, tells people by mail."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.logging import LogCode, log

consume = wiring().consume_event()


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 - Lambda's signature
    """One event as EventBridge delivers it; an error makes the bus deliver it again, then to the dead-letter queue."""
    done = consume(event)
    log(LogCode.CHANGES, event_type=event["detail-type"], reason_code=done)

"""The change relay: committed changes become audit entries, events, messages for workers and dirty marks."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.logging import LogCode, log

relay = wiring().relay_changes()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """A batch of stream records in, the first one to deliver again out."""
    outcome = relay(event["Records"])
    for letter in outcome.isolated:
        log(LogCode.CHANGE_ISOLATED, "warning", entity_id=letter)
    log(LogCode.CHANGES, count=len(event["Records"]), written=outcome.audited, sequence=outcome.retry_from)
    return {"batchItemFailures": [{"itemIdentifier": outcome.retry_from}] if outcome.retry_from else []}

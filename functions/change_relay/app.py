"""The change relay: committed changes become audit entries, events, messages for workers and dirty marks."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.logging import LogCode, log
from revops.table import Key

relay = wiring().relay_changes()
redrive = wiring().redrive_records()


@reports_failure
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """A batch of stream records in, the first one to deliver again out; or the keys of records that were lost."""
    if "redrive" in event:
        count = redrive([Key(pk, sk) for pk, sk in event["redrive"]])
        log(LogCode.REDRIVEN, count=count)
        return {"redriven": count}
    outcome = relay(event["Records"])
    for letter in outcome.isolated:
        log(LogCode.CHANGE_ISOLATED, "warning", entity_id=letter)
    for entry in outcome.given_up:
        log(LogCode.RECORD_DEAD, "warning", inbox_id=entry)
    if outcome.retry_from:
        log(LogCode.CHANGE_DEFERRED, "warning", sequence=outcome.retry_from, reason_code=outcome.reason)
    log(LogCode.CHANGES, count=len(event["Records"]), written=outcome.audited)
    return {"batchItemFailures": [{"itemIdentifier": outcome.retry_from}] if outcome.retry_from else []}

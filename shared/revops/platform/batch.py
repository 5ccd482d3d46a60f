"""Batches from a queue: each message alone, the failed ones handed back (R12, R13)."""

from collections.abc import Callable, Mapping
from typing import Any

from revops.kernel import DomainError, JsonError, parse_json
from revops.platform.logging import LogCode, log, log_error


def handle_messages(event: Mapping[str, Any], handle: Callable[[dict[str, Any], int], None]) -> dict[str, Any]:
    """Runs `handle(body, receive_count)` for every SQS record and answers which ones are to come again.

    One failing message never touches its neighbours. After the queue's own limit of receives the message goes to
    the dead-letter queue.
    """
    failed: list[dict[str, str]] = []
    records = event.get("Records", [])
    for record in records:
        try:
            body = parse_json(record["body"])
            if not isinstance(body, dict):
                raise JsonError("a message is a JSON object")
            handle(body, int(record.get("attributes", {}).get("ApproximateReceiveCount", "1")))
        except DomainError as error:
            failed.append({"itemIdentifier": record["messageId"]})
            log_error(LogCode.RECORD_FAILED, error, reason_code=error.slug)
        except Exception as error:
            # the batch must answer for every record, so nothing may escape; the queue's redrive limit bounds retries
            failed.append({"itemIdentifier": record["messageId"]})
            log_error(LogCode.RECORD_FAILED, error)
    log(LogCode.BATCH, count=len(records), failed=len(failed))
    return {"batchItemFailures": failed}

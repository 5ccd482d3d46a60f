"""Batches from a queue: each message alone, the failed ones handed back (R12, R13)."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from revops.kernel import DomainError, JsonError, parse_json
from revops.platform.logging import LogCode, log, log_error

_FIRST_PAUSE = 5
_GROWTH = 4


class ComeAgain(Protocol):
    """The queue a batch is from, which can bring a message again sooner than it would by itself."""

    def __call__(self, queue_arn: str, pauses: Mapping[str, int]) -> None:
        """Seconds from now by receipt handle, at most as long as the queue hides what was received. Raises nothing:
        without it they come too."""
        ...


def handle_messages(
    event: Mapping[str, Any], handle: Callable[[dict[str, Any], int], None], come_again: ComeAgain
) -> dict[str, Any]:
    """Runs `handle(body, receive_count)` for every SQS record and answers which ones are to come again.

    One failing message never touches its neighbours. It comes again after 5, 20, 80 … seconds, at most after the
    queue's visibility: what lost a race or met a hiccup of a vendor is over soon, and an outage is waited for. After
    the queue's own limit of receives it goes to the dead-letter queue, under the id by which the log says why (R12).
    """
    failed: list[dict[str, str]] = []
    pauses: dict[str, dict[str, int]] = {}
    records = event.get("Records", [])
    for record in records:
        receives = int(record.get("attributes", {}).get("ApproximateReceiveCount", "1"))
        which = {"message_id": record["messageId"], "attempt": receives}
        try:
            body = parse_json(record["body"])
            if not isinstance(body, dict):
                raise JsonError("a message is a JSON object")
            handle(body, receives)
        except DomainError as error:
            log_error(LogCode.RECORD_FAILED, error, reason_code=error.slug, **which)
        except Exception as error:
            # the batch must answer for every record, so nothing may escape; the queue's redrive limit bounds retries
            log_error(LogCode.RECORD_FAILED, error, **which)
        else:
            continue
        failed.append({"itemIdentifier": record["messageId"]})
        pauses.setdefault(record["eventSourceARN"], {})[record["receiptHandle"]] = _pause(receives)
    for arn, some in pauses.items():
        come_again(arn, some)
    log(LogCode.BATCH, count=len(records), failed=len(failed))
    return {"batchItemFailures": failed}


def _pause(receives: int) -> int:
    """Seconds until a message that failed for the n-th time comes again."""
    return int(min(_FIRST_PAUSE * _GROWTH ** min(max(receives, 1) - 1, 8), 43_200))

"""Batches from the table's stream for a consumer that only cares where records end up."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from revops.kernel import DomainError
from revops.platform.logging import LogCode, log_error
from revops.table import Change, parse_record


def handle_changes(event: Mapping[str, Any], apply: Callable[[Sequence[Change]], int]) -> tuple[int, dict[str, Any]]:
    """Applies a batch; when that fails, record by record, so that a broken one is left out and its neighbours count.

    A record that cannot be read or applied is logged and passed over: the relay keeps it as a dead letter, and the
    sweeper counts it from the state. A dependency that does not answer stops the batch there.
    """
    changes: list[tuple[str, Change]] = []
    for record in event["Records"]:
        try:
            changes.append((record["dynamodb"]["SequenceNumber"], parse_record(record)))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            log_error(LogCode.CHANGE_ISOLATED, error)
    try:
        return apply([change for _, change in changes]), {"batchItemFailures": []}
    except DomainError:
        return 0, {"batchItemFailures": [{"itemIdentifier": changes[0][0]}]}
    except ValueError as error:
        log_error(LogCode.CHANGE_ISOLATED, error)
    return _one_by_one(changes, apply)


def _one_by_one(
    changes: Sequence[tuple[str, Change]], apply: Callable[[Sequence[Change]], int]
) -> tuple[int, dict[str, Any]]:
    counted = 0
    for sequence, change in changes:
        try:
            counted += apply([change])
        except DomainError:
            return counted, {"batchItemFailures": [{"itemIdentifier": sequence}]}
        except ValueError as error:  # pydantic's ValidationError is one
            log_error(LogCode.CHANGE_ISOLATED, error, kind=change.kind)
    return counted, {"batchItemFailures": []}

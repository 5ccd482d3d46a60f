"""Logs: JSON by Powertools' Logger, greppable by code, and never a person's data (S16).

`log` takes a code from a closed list and fields from an allow-list; a field that is not on it is not written, whatever
its value. Errors are logged as type and places in the code, without their message, which may quote the input.
"""

import logging
import traceback
from enum import StrEnum
from functools import cache
from typing import Any, Final

from aws_lambda_powertools import Logger


class LogCode(StrEnum):
    """What a log line is about."""

    REQUEST = "HTTP001"
    REQUEST_FAILED = "HTTP002"
    BATCH = "BAT001"
    RECORD_FAILED = "BAT002"
    RECORD_DEAD = "BAT003"
    CHANGES = "CHG001"
    CHANGE_ISOLATED = "CHG002"
    SEND_REFUSED = "CHG003"
    CHANGE_DEFERRED = "CHG004"
    REDRIVEN = "CHG005"
    SIGNAL_IGNORED = "SIG001"
    USAGE_NOT_TAKEN = "SIG002"
    JOB = "JOB001"
    JOB_SKIPPED = "JOB002"
    JOB_FAILED = "JOB003"
    CATALOGUE_DRIFT = "CAT001"
    RECONCILED = "REC001"


_ALLOWED: Final = frozenset(
    [
        "method",
        "route",
        "status",
        "milliseconds",
        "request_id",
        "principal",
        "role",
        "problem",
        "error",
        "places",
        "entity_id",
        "kind",
        "version",
        "inbox_id",
        "provider",
        "event_type",
        "order_id",
        "step",
        "attempt",
        "reason_code",
        "count",
        "failed",
        "written",
        "skipped",
        "job",
        "period",
        "sequence",
        "function",
        "queue",
        "message_id",
        "retry_after",
    ]
)


_TALKATIVE: Final = ("aws_lambda_powertools", "botocore", "httpcore", "httpx", "stripe", "urllib3")
for _library in _TALKATIVE:  # at DEBUG they write whole requests, whatever level a function is set to
    logging.getLogger(_library).setLevel(logging.WARNING)


_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


@cache
def _logger() -> Logger:
    """Its level and service come from the variables that Powertools documents."""
    return Logger(location=None)  # every line is written from here: where says nothing


def log(code: LogCode, level: str = "info", **fields: Any) -> None:
    """One JSON line. Fields outside the allow-list are dropped."""
    allowed = {name: value for name, value in fields.items() if name in _ALLOWED}
    getattr(_logger(), level)(code.value, code=code.name, **allowed)


def log_error(code: LogCode, error: BaseException, **fields: Any) -> None:
    """The type of an error and where it came from; not its message."""
    log(code, "error", error=type(error).__name__, places=places_of(error), **fields)


def places_of(error: BaseException) -> list[str]:
    """Where in the code an error came from, the innermost place last."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames]

"""How a function that answers nobody fails: by type and place, and without a word of its input (S16).

Lambda writes the message of what a handler raises into the log and hands it to the failure destination, Step Functions
keeps it in the history of the execution; and a message may quote a person's data.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from revops.platform.logging import LogCode, log_error, places_of

_NAMED = ("order_id", "step", "period")


class Failed(Exception):
    """A function failed as a whole; says where in the code, as its log does (JOB003)."""


def reports_failure[R](handler: Callable[[dict[str, Any], Any], R]) -> Callable[[dict[str, Any], Any], R]:
    """The same handler. What it raises is logged and leaves it as a `Failed` of the same name, so that whoever called
    tries again and alarms count as before."""

    @wraps(handler)
    def reporting(event: dict[str, Any], context: Any) -> R:
        try:
            return handler(event, context)
        except Exception as error:  # whatever it is, its message must not get out; it fails all the same
            log_error(LogCode.JOB_FAILED, error, **{name: event[name] for name in _NAMED if name in event})
            failed = type(type(error).__name__, (Failed,), {})(", ".join(places_of(error)[-3:]))
        raise failed

    return reporting

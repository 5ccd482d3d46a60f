"""Housekeeping: drives again what the stream, a queue or a clock left behind."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.jobs import run_job

use = wiring()
sweep = use.housekeeping()


@reports_failure
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One run per period, whoever asks twice."""
    return run_job("housekeeping", event, context, use.table, use.clock, sweep)

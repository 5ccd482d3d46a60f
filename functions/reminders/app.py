"""Scheduled reminders: response targets, tasks, reviews, dunning, renewals, and ticket blocks whose holder died."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.jobs import run_job

use = wiring()
remind = use.reminders()


@reports_failure
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One run per period, whoever asks twice."""
    return run_job("reminders", event, context, use.table, use.clock, remind)

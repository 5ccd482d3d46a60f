"""Scheduled sweep of caps: finds crossed thresholds that nobody was told of yet, and tells each once."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.jobs import run_job

use = wiring()
sweep = use.sweep_spend_caps()


@reports_failure
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One run per period, whoever asks twice."""
    return run_job("spend_cap_alerts", event, context, use.table, use.clock, sweep)

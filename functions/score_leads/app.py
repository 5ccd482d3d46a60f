"""Scheduled scoring: rescores the leads that changed or that decay is about to change."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.jobs import run_job

use = wiring()
rescore = use.rescore_leads()


@reports_failure
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One run per period, whoever asks twice."""
    return run_job("score_leads", event, context, use.table, use.clock, rescore)

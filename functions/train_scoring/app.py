"""Scheduled training: learns from closed leads, and puts a model in force that is better than the one that is."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.jobs import run_job

use = wiring()
train = use.train_scoring()


@reports_failure
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One run per period, whoever asks twice."""
    return run_job("train_scoring", event, context, use.table, use.clock, train)

"""Scheduled jobs: one run per period, whoever wakes it and how often (R17)."""

from collections.abc import Callable
from typing import Any

from revops.kernel import Clock, time_text
from revops.platform.logging import LogCode, log
from revops.table import Table
from revops.table.leases import lease


def run_job(
    name: str,
    event: dict[str, Any],
    context: Any,
    table: Table,
    clock: Clock,
    work: Callable[[str], dict[str, int]],
) -> dict[str, Any]:
    """Runs `work(period)` under a lease and answers with its counts.

    The period is the schedule's own nominal time, so a schedule that fires twice names one period twice; a call by
    hand names its own `period` or gets the present second.
    """
    period = str(event.get("period") or event.get("time") or time_text(clock.now())[:19])
    holder = str(getattr(context, "aws_request_id", "") or "by-hand")
    with lease(table, name, period, holder, clock) as mine:
        if not mine:
            log(LogCode.JOB_SKIPPED, job=name, period=period)
            return {"job": name, "period": period, "skipped": True}
        counts = work(period)
    log(LogCode.JOB, job=name, period=period, count=sum(counts.values()))
    return {"job": name, "period": period, "skipped": False, **counts}

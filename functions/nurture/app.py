"""Nurture: sends what is due in sequences; notes what SES says of mails that bounced or were complained about."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.jobs import run_job
from revops.platform.logging import LogCode, log

use = wiring()
run = use.run_nurture()


@reports_failure
def handler(event: dict[str, Any], context: Any) -> dict[str, Any] | None:
    """A schedule's call is one run per period; an event of SES is one word about one mail."""
    if event.get("source") == "aws.ses":
        done = use.take_ses_event(event)
        log(LogCode.CHANGES, event_type=event["detail-type"], reason_code=done)
        return None
    return run_job("nurture", event, context, use.table, use.clock, run)

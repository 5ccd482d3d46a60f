"""Tasks of the order workflow: the step an order calls for, safe to repeat; an unknown task is told where it stands.

Once a day it also looks whether the billing catalogue is still what our plan data says.
"""

from dataclasses import asdict
from typing import Any

from revops.bootstrap import wiring
from revops.kernel import system_call
from revops.orders.workflow import StepTask
from revops.platform.failing import reports_failure
from revops.platform.jobs import run_job
from revops.platform.logging import LogCode, log

use = wiring()
run_order_step = use.run_order_step()
sync_catalogue = use.sync_catalogue()


@reports_failure
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """`{"order_id", "step", …}` in, `{"order_id", "status", "next"}` out; raises what the workflow shall retry."""
    if event.get("source") == "aws.events":
        found = run_job("catalogue", event, context, use.table, use.clock, sync_catalogue.check)
        if found.get("drifted"):
            log(LogCode.CATALOGUE_DRIFT, count=found["drifted"])
        return found
    task = StepTask(
        order_id=event["order_id"],
        step=event.get("step", ""),
        task_token=event.get("task_token", ""),
        failed_step=event.get("failed_step", ""),
        error=event.get("error", ""),
    )
    result = run_order_step(task, system_call("order_steps", causation_id=task.order_id))
    log(LogCode.JOB, job="order_steps", order_id=result.order_id, step=task.step)
    return asdict(result)

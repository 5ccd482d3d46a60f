"""Tasks of the order workflow: the step an order calls for, safe to repeat; an unknown task is told where it stands."""

from dataclasses import asdict
from typing import Any

from revops.bootstrap import wiring
from revops.kernel import system_call
from revops.orders.workflow import StepTask
from revops.platform.logging import LogCode, log

run_order_step = wiring().run_order_step()


def handler(event: dict[str, Any], context: object) -> dict[str, str]:  # noqa: ARG001 - Lambda's signature
    """`{"order_id", "step", …}` in, `{"order_id", "status", "next"}` out; raises what the workflow shall retry."""
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

"""The order workflow on Step Functions."""

import json
from typing import Any

from revops.adapters.aws import AwsError, unavailable

_SERVICE = "the workflow engine"
_GONE = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})


class StepFunctionsWorkflow:
    """`WorkflowEngine` over one state machine. A function that only answers waits passes no ARN."""

    def __init__(self, client: Any, state_machine_arn: str = "") -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, name: str, order_id: str, attempt: int) -> None:
        """Names are unique for 90 days, so a repeated event starts nothing, whether or not the first one ended.

        Raises Unavailable.
        """
        task = json.dumps({"order_id": order_id, "attempt": attempt})
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=task)
        except AwsError as error:
            if _code(error) != "ExecutionAlreadyExists":
                raise unavailable(_SERVICE, error) from error

    def answer(self, token: str, order_id: str) -> bool:
        """A token that timed out, was answered or belongs to a stopped execution is no longer good.

        Raises Unavailable.
        """
        try:
            self._client.send_task_success(taskToken=token, output=json.dumps({"order_id": order_id}))
        except AwsError as error:
            if _code(error) in _GONE:
                return False
            raise unavailable(_SERVICE, error) from error
        return True


def _code(error: Exception) -> str:
    response: dict[str, dict[str, str]] = getattr(error, "response", {})
    return response.get("Error", {}).get("Code", "")

"""Rollups: the counters follow the records, each contribution once."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.failing import reports_failure
from revops.platform.logging import LogCode, log
from revops.platform.stream import handle_changes

apply_rollups = wiring().apply_rollups


@reports_failure
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """A batch of stream records in, the first one to deliver again out."""
    counted, answer = handle_changes(event, apply_rollups)
    log(LogCode.CHANGES, count=len(event["Records"]), written=counted)
    return answer

"""Lead import: an uploaded list becomes leads, every row with its verdict; handed on before the time is up."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.batch import handle_messages
from revops.platform.logging import LogCode, log

use = wiring()
handle = use.handle_import_message()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A file that arrived, or an import that another worker handed on; what failed comes again."""

    def work(message: dict[str, Any], receives: int) -> None:
        done = handle(message, context.aws_request_id, lambda: context.get_remaining_time_in_millis() / 1000)
        log(LogCode.JOB, job="lead_import", reason_code=done, attempt=receives)

    return handle_messages(event, work, use.come_again)

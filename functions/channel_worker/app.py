"""Channel worker: what came in by form, message, call or mail becomes a lead; what failed comes again."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.batch import handle_messages

use = wiring()
settle_message = use.settle_channel_message()


def settle(message: dict[str, Any], receives: int) -> None:  # noqa: ARG001 - the queue counts, entries are settled
    """One inbox entry, one event of Amazon Connect or one object: settled, or raised to be received again."""
    settle_message(message)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """A batch of messages in, those to come again out."""
    return handle_messages(event, settle, use.come_again)

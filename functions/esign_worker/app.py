"""E-sign worker: asks the provider how an envelope stands and converges its order on it; what failed comes again."""

from typing import Any

from revops.bootstrap import wiring
from revops.kernel import system_call
from revops.platform.batch import handle_messages

use = wiring()
converge = use.converge_envelope()


def settle(message: dict[str, Any], receives: int) -> None:  # noqa: ARG001 - the queue counts, looking may be repeated
    """A signal of the inbox, or an envelope that is due or whose order has ended."""
    subject = str(message.get("inbox_id") or message["entity_id"])
    call = system_call("esign_worker", causation_id=subject)
    if "inbox_id" in message:
        converge(subject, call)
    else:
        converge.converge(subject, call)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """A batch of messages in, those to come again out."""
    return handle_messages(event, settle, use.come_again)

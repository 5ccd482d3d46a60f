"""HubSpot worker: closes the difference between a person and their contact, in either direction."""

from typing import Any

from revops.bootstrap import wiring
from revops.platform.batch import handle_messages

use = wiring()
handle = use.handle_hubspot_message()


def settle(message: dict[str, Any], receives: int) -> None:  # noqa: ARG001 - the queue counts, we converge
    """One inbox entry or one dirty person: settled, put back for later, or raised to be received again."""
    handle(message)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """A batch of messages in, those to come again out."""
    return handle_messages(event, settle, use.come_again)

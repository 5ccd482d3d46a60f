"""Stripe worker: fetches what a message is about and converges the customer on it; what failed comes again."""

from typing import Any

from revops.bootstrap import wiring
from revops.kernel import system_call
from revops.platform.batch import handle_messages

converge = wiring().converge_customer


def settle(message: dict[str, Any], _receives: int) -> None:
    """A signal of the inbox, or a customer whose status the clock changed."""
    subject = str(message.get("inbox_id") or message["entity_id"])
    call = system_call("stripe_worker", causation_id=subject)
    if "inbox_id" in message:
        converge(subject, call)
    else:
        converge.converge(subject, call)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """A batch of messages in, those to come again out."""
    return handle_messages(event, settle)

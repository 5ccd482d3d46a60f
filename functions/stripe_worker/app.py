"""Stripe worker: fetches what a message is about and converges the customer on it; what failed comes again."""

from typing import Any

from revops.bootstrap import wiring
from revops.kernel import system_call
from revops.platform.batch import handle_messages
from revops.platform.logging import LogCode, log

use = wiring()
converge = use.converge_customer


def settle(message: dict[str, Any], _receives: int) -> None:
    """A signal of the inbox, a customer whose status the clock changed, or what the change of a row asks for."""
    subject = str(message.get("inbox_id") or message["entity_id"])
    call = system_call("stripe_worker", causation_id=subject)
    match message.get("kind", "INBOX"):
        case kind if work := use.work_after(kind):
            work(subject, call)
        case "INBOX":
            outcome = converge(subject, call)
            if outcome.settled == "ignored":
                log(LogCode.SIGNAL_IGNORED, inbox_id=subject, event_type=outcome.event_type)
            elif outcome.settled == "reported":
                log(LogCode.USAGE_NOT_TAKEN, "error", inbox_id=subject, count=outcome.count)
            use.sales_stripe_work.follow(subject, call)
        case kind if use.sales_stripe_work.takes(kind):
            use.sales_stripe_work(kind, subject, call)
        case kind if use.reconcile_work.takes(kind):
            log(LogCode.RECONCILED, entity_id=subject, kind=kind, count=use.reconcile_work(kind, subject, call))
        case _:
            converge.converge(subject, call)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """A batch of messages in, those to come again out."""
    return handle_messages(event, settle, use.come_again)

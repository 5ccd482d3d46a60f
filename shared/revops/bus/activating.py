"""Reactions of activation: what a provisioning system says of a tenant, and what begins when an order is in service
(ORD-2)."""

from collections.abc import Callable

from revops.bus.consume import Occurred
from revops.bus.reactions import Reactions
from revops.orders.tenant import FAILED_EVENT, READY_EVENT, AcknowledgeTenant
from revops.orders.welcoming import WelcomeCustomer
from revops.orders.workflow import AnswerWait


def tenant_reactions(acknowledge: Callable[[], AcknowledgeTenant]) -> Reactions:
    """To events of outside systems: a tenant is open, or could not be opened. What is refused is delivered again and
    then kept with the dead letters: nobody's order waits for an answer that was passed over in silence."""

    def answer(event: Occurred) -> str:
        order = acknowledge().from_bus(event.source, event.name, event.data, event.call)
        return f"order is {order.status}"

    return {READY_EVENT: (answer,), FAILED_EVENT: (answer,)}


def activation_reactions(answer_wait: Callable[[], AnswerWait], welcome: Callable[[], WelcomeCustomer]) -> Reactions:
    """To the end of the wait for a tenant, and to an order in service."""

    def wake(event: Occurred) -> str:
        woken = answer_wait()(event.data["order_id"], event.call)
        return f"{woken} executions woken" if woken else ""

    def mail(event: Occurred) -> str:
        return welcome().mail(event.data["order_id"])

    def tasks(event: Occurred) -> str:
        return welcome().tasks(event.data["order_id"], event.call)

    def catch_up(event: Occurred) -> str:
        """A change of an order was lost: it may be the one that activated it."""
        order_id = event.lost("ORDER")
        if not order_id:
            return ""
        return ", ".join(filter(None, (welcome().mail(order_id), welcome().tasks(order_id, event.call))))

    return {"OrderFormActivated": (wake, mail, tasks), "OrderFormBlocked": (wake,), "RecordRedriven": (catch_up,)}

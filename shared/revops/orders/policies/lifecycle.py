"""The legal moves of an order, and the step each status calls for. One table; nothing else knows them (ORD-2)."""

from collections.abc import Iterable, Mapping

from revops.kernel import Refused
from revops.orders.model import OrderForm, OrderStatus, Step

S = OrderStatus

MOVES: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    S.SUBMITTED: frozenset({S.IN_REVIEW, S.APPROVED, S.CANCELLED}),
    S.IN_REVIEW: frozenset({S.APPROVED, S.REJECTED, S.CHANGES_REQUESTED, S.CANCELLED}),
    S.CHANGES_REQUESTED: frozenset({S.SUBMITTED, S.CANCELLED}),
    S.APPROVED: frozenset({S.AWAITING_SIGNATURE, S.CANCELLED}),
    S.AWAITING_SIGNATURE: frozenset({S.EXECUTED, S.CHANGES_REQUESTED, S.CANCELLED}),
    S.EXECUTED: frozenset({S.PROVISIONED, S.BLOCKED}),
    S.PROVISIONED: frozenset({S.ACTIVE, S.AWAITING_TENANT, S.BLOCKED}),
    S.AWAITING_TENANT: frozenset({S.ACTIVE, S.BLOCKED}),
    S.BLOCKED: frozenset({S.EXECUTED, S.PROVISIONED}),
    S.ACTIVE: frozenset(),
    S.REJECTED: frozenset(),
    S.CANCELLED: frozenset(),
}
"""After execution nothing is undone by itself: from `Executed` on there is no way to `Cancelled`."""

STEPS: Mapping[OrderStatus, Step] = {
    S.SUBMITTED: Step.REVIEW,
    S.IN_REVIEW: Step.AWAIT_REVIEW,
    S.APPROVED: Step.REQUEST_SIGNATURE,
    S.AWAITING_SIGNATURE: Step.AWAIT_SIGNATURE,
    S.EXECUTED: Step.PROVISION,
    S.PROVISIONED: Step.ACTIVATE,
    S.AWAITING_TENANT: Step.AWAIT_TENANT,
}

WAITS: Mapping[Step, str] = {
    Step.AWAIT_REVIEW: "legal review",
    Step.AWAIT_SIGNATURE: "signature",
    Step.AWAIT_TENANT: "the tenant to be opened",
}
"""The steps that wait for people or for another system, and for what."""


def next_step(status: OrderStatus) -> Step:
    """The step an order in a status calls for; `done` when there is nothing to do for the workflow."""
    return STEPS.get(status, Step.DONE)


def require_move(order_id: str, current: OrderStatus, wanted: OrderStatus) -> None:
    """Raises Refused, naming the legal moves, unless the move is one of them."""
    if wanted not in MOVES[current]:
        raise Refused(
            f"order {order_id} is {current}; it cannot become {wanted}. Possible from here: {legal(current)}",
            {"current": current.value, "possible": sorted(status.value for status in MOVES[current])},
        )


def legal(current: OrderStatus) -> str:
    """The legal moves in words."""
    return ", ".join(sorted(MOVES[current])) or "nothing, this is where it ends"


def is_executed(status: OrderStatus) -> bool:
    """Whether the form is signed by everybody: from here on nothing is undone by itself."""
    return status in {S.EXECUTED, S.PROVISIONED, S.AWAITING_TENANT, S.ACTIVE, S.BLOCKED}


def all_ended(orders: Iterable[OrderForm]) -> bool:
    """Whether none of the orders goes on: each was rejected or cancelled."""
    return all(order.status in {S.REJECTED, S.CANCELLED} for order in orders)


def is_automatic(status: OrderStatus) -> bool:
    """Whether the workflow, and nobody else, moves an order on from here."""
    step = next_step(status)
    return step is not Step.DONE and step not in WAITS

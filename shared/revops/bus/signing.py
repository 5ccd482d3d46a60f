"""Reactions of signing: an order that ended, or was signed by other means, takes back what it sent out (ORD-3)."""

from collections.abc import Callable, Mapping, Sequence

from revops.bus.consume import Occurred, Reaction

Reactions = Mapping[str, Sequence[Reaction]]


def signing_reactions(hand_over: Callable[[], Callable[[str], int]]) -> Reactions:
    """Hands the open envelopes of the order to the worker. One that nobody took is found by the sweep."""

    def follow(event: Occurred) -> str:
        return _said(hand_over()(event.data["order_id"]))

    def catch_up(event: Occurred) -> str:
        """A change of an order was lost: it may be its end."""
        order_id = event.lost("ORDER")
        return _said(hand_over()(order_id)) if order_id else ""

    return {"OrderFormCancelled": (follow,), "OrderFormExecuted": (follow,), "RecordRedriven": (catch_up,)}


def _said(count: int) -> str:
    return f"{count} envelopes looked after" if count else ""

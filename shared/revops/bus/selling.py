"""Reactions after a sale: sales orders follow order forms, credit requests go to their worker, a seller hears of unpaid
invoices, an alert on a cap is a reason to look for more to sell (ORD-9)."""

from collections.abc import Callable

from revops.bus.consume import Occurred
from revops.bus.reactions import Reactions
from revops.sales.handing import HandOver
from revops.sales.ordering import MakeSalesOrder
from revops.sales.telling import TellOfDunning
from revops.sales.upselling import FindUpsells


def selling_reactions(
    make_sales_order: Callable[[], MakeSalesOrder],
    hand_over: Callable[[], HandOver],
    find_upsells: Callable[[], FindUpsells],
    tell_of_dunning: Callable[[], TellOfDunning],
) -> Reactions:
    """What the events of orders, credits, invoices and caps set going. Each looks at what is true now, so a lost change
    is made good by the sweeper's word of it."""

    def sold(event: Occurred) -> str:
        made = make_sales_order()(event.data["order_id"], event.call)
        return "sales order stands" if made else ""

    def requested(event: Occurred) -> str:
        hand_over().request(event.data["request_id"])
        return "credit request handed over"

    def alerted(event: Occurred) -> str:
        opened = find_upsells()(event.data["account_id"], event.call)
        return f"{len(opened)} × upsell opened" if opened else ""

    def unpaid(event: Occurred) -> str:
        return tell_of_dunning()(event.data["invoice_id"], event.data["stage"], event.id)

    def catch_up(event: Occurred) -> str:
        """A change was lost: what its events would have set in motion."""
        order_id = event.lost("ORDER")
        return "sales order stands" if order_id and make_sales_order()(order_id, event.call) else ""

    return {
        "OrderFormProvisioned": (sold,),
        "OrderFormActivated": (sold,),
        "CreditRequested": (requested,),
        "SpendCapAlertRaised": (alerted,),
        "DunningStageReached": (unpaid,),
        "RecordRedriven": (catch_up,),
    }

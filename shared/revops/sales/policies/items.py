"""What was sold, as lines with exact amounts (ORD-9): the order's own currency, rounded once a line."""

from decimal import ROUND_HALF_UP, Context, Decimal

from revops.sales.model import SalesItem
from revops.sales.ports import ExecutedOrder

_EXACT = Context(prec=80)


def sales_items(order: ExecutedOrder) -> tuple[SalesItem, ...]:
    """A line for the seats over the whole term, and one for each usage line. Usage within the cap costs nothing more,
    and beyond it is billed as it is used, so it adds nothing to the total."""
    exact = _EXACT.multiply(_EXACT.multiply(order.seat_price, order.seats), order.term_months)
    seats = SalesItem(
        kind="seats",
        description=f"{order.plan}, {order.seats} {'seat' if order.seats == 1 else 'seats'}",
        quantity=order.seats,
        unit_price=order.seat_price,
        months=order.term_months,
        amount=rounded(exact),
    )
    usage = (
        SalesItem(
            kind="usage",
            description=f"{line.meter}, {line.included} a month included",
            quantity=line.included,
            unit_price=line.unit_price,
            months=order.term_months,
            amount=0,
        )
        for line in order.usage
    )
    return (seats, *usage)


def rounded(exact: Decimal) -> int:
    """Whole minor units, half up."""
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP, context=_EXACT))

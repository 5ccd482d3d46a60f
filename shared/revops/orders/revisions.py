"""Revisions of an order form: what was agreed before is kept beside what holds now (ORD-1)."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from revops.kernel import CallContext
from revops.orders.model import OrderForm, OrderTerms
from revops.orders.queries import ReadOrder
from revops.orders.reviews import Rendering, Review
from revops.orders.store import order_key
from revops.table import ABSENT, Query, Row, Table, Transaction, query_all

REVISION = "ORDER_REVISION"


class TermChange(BaseModel):
    """One field of the terms that differs between two revisions; values as they travel."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    field: str
    old: Any = None
    new: Any = None


class Revision(BaseModel):
    """The terms as they stood for a while: who wrote them, when, what was said to them, and the form of them."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    number: int
    at: AwareDatetime
    by: str
    terms: OrderTerms
    review: Review
    document: Rendering | None = None


def archive(transaction: Transaction, order: OrderForm) -> None:
    """Adds the present revision to those that were, before another takes its place."""
    row = Row(
        pk=order_key(order.id).pk,
        sk=f"REVISION#{order.revision:04d}",
        kind=REVISION,
        doc=_present(order).model_dump_json(exclude_none=True),
    )
    transaction.put(row, ABSENT)


def changes_between(before: OrderTerms, after: OrderTerms) -> tuple[TermChange, ...]:
    """The fields that differ, in the order of the form."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return tuple(TermChange(field=name, old=old[name], new=new[name]) for name in new if old[name] != new[name])


class ReadRevisions:
    """The revisions of an order, the first one first, for somebody who may read it."""

    def __init__(self, table: Table, read: ReadOrder) -> None:
        self._table = table
        self._read = read

    def __call__(self, order_id: str, call: CallContext) -> list[Revision]:
        """Raises NotFound."""
        order = self._read(order_id, call)
        query = Query(pk=order_key(order_id).pk, begins="REVISION#", consistent=True)
        earlier = [Revision.model_validate_json(row.doc) for row in query_all(self._table, query)]
        return [*(each for each in earlier if each.number < order.revision), _present(order)]


def _present(order: OrderForm) -> Revision:
    return Revision(
        number=order.revision,
        at=order.revised_at or order.created_at,
        by=order.revised_by or order.owner_id,
        terms=order.terms,
        review=order.review,
        document=order.document if order.document and order.document.revision == order.revision else None,
    )

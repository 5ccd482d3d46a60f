"""Reading orders: one, and lists of them (ORD-1, SAFE-1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from revops.access import Policy, Resource
from revops.kernel import CallContext, Forbidden, Invalid, NotFound
from revops.orders.model import OrderForm, OrderStatus
from revops.orders.ports import CrmRecords
from revops.orders.store import ORDERS, orders_in, orders_of_account, orders_of_owners
from revops.table import CursorSigner, Query, Table, merge_pages, present

Scope = Literal["mine", "team", "all"]


class ReadOrder:
    """An order for somebody who may read it. Orders follow their account (SAFE-1)."""

    def __init__(self, table: Table, crm: CrmRecords, policy: Policy) -> None:
        self._table = table
        self._crm = crm
        self._policy = policy

    def __call__(self, order_id: str, call: CallContext) -> OrderForm:
        """Raises NotFound."""
        order = ORDERS.require(self._table, order_id)
        owner_id = self._crm.account(order.account_id).owner_id
        self._policy.require_read(call.principal, Resource.ORDERS, owner_id, f"order form {order_id}")
        return order


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """A question for a list: those I or my team handed in, everybody's, or an account's; the latest first."""

    scope: Scope = "mine"
    account_id: str = ""
    status: OrderStatus | None = None
    limit: int = 25
    cursor: str = ""

    def partitions(self, people: frozenset[str]) -> dict[str, Query]:
        """Name → query of each partition that the list merges."""
        if self.account_id:
            return orders_of_account(self.account_id)
        if self.scope == "all":
            return orders_in(self.status)
        return orders_of_owners(people, self.status)


@dataclass(frozen=True, slots=True)
class OrderPage:
    """A page of orders. `next_cursor` is empty at the end."""

    orders: list[OrderForm]
    next_cursor: str


class ListOrders:
    """Orders as a principal may see them."""

    def __init__(self, table: Table, crm: CrmRecords, policy: Policy, cursors: Callable[[], CursorSigner]) -> None:
        self._table = table
        self._crm = crm
        self._policy = policy
        self._cursors = cursors

    def __call__(self, query: OrderQuery, call: CallContext) -> OrderPage:
        """A page; an order whose account went to somebody else meanwhile is shown to nobody who may not read it, so a
        page may be short. Raises Forbidden, Invalid, and NotFound for an account that the caller may not read."""
        self._require(query, call)
        people = frozenset({call.principal.id}) | (call.principal.members if query.scope == "team" else frozenset())
        name = f"orders/{query.scope}/{query.account_id}/{query.status or ''}"
        binding = {"who": call.principal.id, "list": name}
        positions = self._cursors().open(query.cursor, binding) if query.cursor else {}
        rows, after = merge_pages(self._table, query.partitions(people), positions, query.limit)
        found = ORDERS.load_all(present(self._table.get_many([row.key for row in rows], consistent=False)))
        owners = self._crm.owners_of({order.account_id for order in found})
        shown = [
            order
            for order in found
            if self._policy.reads(call.principal, Resource.ORDERS, owners.get(order.account_id, ""))
        ]
        return OrderPage(shown, self._cursors().sign(after, binding) if after else "")

    def _require(self, query: OrderQuery, call: CallContext) -> None:
        self._policy.require_any(call.principal, Resource.ORDERS)
        if query.account_id:
            if query.status is not None:
                raise Invalid.field("status", "closed-filters", "goes with a scope", "no status with account_id")
            owner_id = self._crm.owners_of({query.account_id}).get(query.account_id)
            if owner_id is None or not self._policy.reads(call.principal, Resource.ORDERS, owner_id):
                raise NotFound("account", query.account_id)
        elif query.scope == "all" and self._policy.readable_owners(call.principal, Resource.ORDERS) is not None:
            raise Forbidden("a list over all accounts is for who reads them all; take scope=mine or team")

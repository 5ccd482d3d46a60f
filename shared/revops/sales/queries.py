"""Reading what follows a sale: lists within one's scope, and an account's statement (ORD-9, SAFE-1).

Sales orders and renewals are governed as orders are, invoices, payments, credits and the statement as billing is; all
of them follow the account's owner as it is now. An account one may not read is the same as one that is not there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, Forbidden, Invalid, NotFound
from revops.sales.model import Credit, Invoice, InvoiceStatus, Payment, Renewal, RenewalStatus, SalesOrder, Upsell
from revops.sales.policies.books import Totals, totals
from revops.sales.policies.renewing import RenewalRules
from revops.sales.ports import CrmDesk
from revops.sales.renewing import ahead
from revops.sales.store import (
    CREDITS,
    INVOICES,
    PAYMENTS,
    RENEWALS,
    SALES_ORDERS,
    BookEntry,
    books_of,
    credits_of,
    invoices_in,
    invoices_of,
    payments_of,
    renewals_in,
    renewals_of_owners,
    sales_orders_of,
    upsells_of,
)
from revops.settings import SettingsReader
from revops.table import CursorSigner, EntityKind, Query, Row, Table, merge_pages, present


@dataclass(frozen=True, slots=True)
class Listed[T]:
    """A page of records. `next_cursor` is empty at the end."""

    records: list[T]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What an account was billed, paid, was credited and owes: by currency, and entry by entry, newest first."""

    account_id: str
    totals: list[Totals]
    entries: list[BookEntry]
    left_out: int


class ReadSales:
    """Records after a sale as a principal may see them."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        policy: Policy,
        desk: CrmDesk,
        settings: SettingsReader,
        cursors: Callable[[], CursorSigner],
    ) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._desk = desk
        self._settings = settings
        self._cursors = cursors

    # -- one ---------------------------------------------------------------------------------------------------------

    def sales_order(self, identifier: str, call: CallContext) -> SalesOrder:
        """Raises NotFound."""
        found = SALES_ORDERS.require(self._table, identifier)
        self._require(found.account_id, Resource.ORDERS, f"sales order {identifier}", call)
        return found

    def invoice(self, identifier: str, call: CallContext) -> Invoice:
        """Raises NotFound."""
        found = INVOICES.require(self._table, identifier)
        self._require(found.account_id, Resource.BILLING, f"invoice {identifier}", call)
        return found

    def payment(self, identifier: str, call: CallContext) -> Payment:
        """Raises NotFound."""
        found = PAYMENTS.require(self._table, identifier)
        self._require(found.account_id, Resource.BILLING, f"payment {identifier}", call)
        return found

    # -- lists -------------------------------------------------------------------------------------------------------

    def sales_orders(self, account_id: str, limit: int, cursor: str, call: CallContext) -> Listed[SalesOrder]:
        """An account's, newest first."""
        self._require_account(account_id, Resource.ORDERS, call)
        return self._page(
            SALES_ORDERS, sales_orders_of(account_id), f"sales/{account_id}", limit, cursor, call, account_id
        )

    def invoices(
        self, account_id: str, status: InvoiceStatus | None, limit: int, cursor: str, call: CallContext
    ) -> Listed[Invoice]:
        """An account's, newest first; or everybody's of a status, the longest due first, for who reads everybody's."""
        if account_id and status is None:
            self._require_account(account_id, Resource.BILLING, call)
            return self._page(
                INVOICES, invoices_of(account_id), f"invoices/{account_id}", limit, cursor, call, account_id
            )
        if account_id or status is None:
            raise Invalid.field("account_id", "closed-filters", "name an account or a status", "one of the two")
        self._policy.require_any(call.principal, Resource.BILLING)
        if self._policy.readable_owners(call.principal, Resource.BILLING) is not None:
            raise Forbidden("a list over all accounts is for who reads them all; name an account")
        return self._page(INVOICES, invoices_in(status), f"invoices//{status}", limit, cursor, call)

    def payments(self, account_id: str, limit: int, cursor: str, call: CallContext) -> Listed[Payment]:
        """An account's, newest first."""
        self._require_account(account_id, Resource.BILLING, call)
        return self._page(PAYMENTS, payments_of(account_id), f"payments/{account_id}", limit, cursor, call, account_id)

    def credits(self, account_id: str, limit: int, cursor: str, call: CallContext) -> Listed[Credit]:
        """An account's credit notes, refunds and chargebacks, newest first."""
        self._require_account(account_id, Resource.BILLING, call)
        return self._page(CREDITS, credits_of(account_id), f"credits/{account_id}", limit, cursor, call, account_id)

    def renewals(
        self, scope: Literal["mine", "team", "all"], days: int, limit: int, cursor: str, call: CallContext
    ) -> Listed[Renewal]:
        """The undecided terms that end within `days` (0: as the rules say), the next to end first. A row whose account
        went to somebody else meanwhile is shown to nobody who may not read it."""
        self._policy.require_any(call.principal, Resource.ORDERS)
        days = days or self._settings.read(RenewalRules).list_days
        until = ahead(self._clock.now().astimezone(UTC).date(), days)
        if scope == "all":
            if self._policy.readable_owners(call.principal, Resource.ORDERS) is not None:
                raise Forbidden("a list over all accounts is for who reads them all; take scope=mine or team")
            partitions = renewals_in(RenewalStatus.OPEN, until)
        else:
            team = call.principal.members if scope == "team" else frozenset[str]()
            partitions = renewals_of_owners(team | {call.principal.id}, until)
        page = self._page(RENEWALS, partitions, f"renewals/{scope}/{days}", limit, cursor, call)
        owners = self._desk.owners_of({one.account_id for one in page.records})
        shown = [
            one
            for one in page.records
            if self._policy.reads(call.principal, Resource.ORDERS, owners.get(one.account_id, ""))
        ]
        return Listed(shown, page.next_cursor)

    def upsells(self, account_id: str, call: CallContext) -> list[Upsell]:
        """The deals that were opened for an account because it looked ready for more, newest first."""
        self._require_account(account_id, Resource.OPPORTUNITIES, call)
        return upsells_of(self._table, account_id)

    # -- the statement -----------------------------------------------------------------------------------------------

    def statement(self, account_id: str, limit: int, call: CallContext) -> Statement:
        """Strongly consistent: what was committed before is in it. Raises NotFound."""
        self._require_account(account_id, Resource.BILLING, call)
        entries = sorted(books_of(self._table, account_id), key=lambda entry: (entry.on, entry.record_id), reverse=True)
        return Statement(account_id, totals(entries, self._clock.now()), entries[:limit], max(0, len(entries) - limit))

    # -- how ---------------------------------------------------------------------------------------------------------

    def _require(self, account_id: str, resource: Resource, what: str, call: CallContext) -> None:
        owner = (self._desk.owner_of(account_id) if account_id else None) or ""
        self._policy.require_read(call.principal, resource, owner, what)

    def _require_account(self, account_id: str, resource: Resource, call: CallContext) -> None:
        self._policy.require_any(call.principal, resource)
        owner = self._desk.owner_of(account_id)
        if owner is None or not self._policy.reads(call.principal, resource, owner):
            raise NotFound("account", account_id)

    def _page[T: Any](
        self,
        kind: EntityKind[T],
        partitions: Mapping[str, Query],
        name: str,
        limit: int,
        cursor: str,
        call: CallContext,
        account_id: str = "",
    ) -> Listed[T]:
        """A page; of an account's, without what an index that lags still has of it (R22)."""
        binding = {"who": call.principal.id, "list": name}
        positions = self._cursors().open(cursor, binding) if cursor else {}
        rows, after = merge_pages(self._table, partitions, positions, limit)
        found: Sequence[Row] = present(self._table.get_many([row.key for row in rows], consistent=False))
        records = [one for one in kind.load_all(found) if account_id in ("", one.account_id)]
        return Listed(records, self._cursors().sign(after, binding) if after else "")

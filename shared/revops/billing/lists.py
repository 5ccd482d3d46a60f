"""Customers in lists, their activity log in pages, and what people may change on a profile (STR-3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.billing.model import ActivityLogEntry, ActivityType, Customer, MembershipStatus
from revops.billing.rights import CustomerRights
from revops.billing.store import ACTIVITY_LOG, CUSTOMER, activity_query, customer_partitions, place_in_list
from revops.kernel import CallContext, Clock, Forbidden, StatedTime, VersionConflict
from revops.table import (
    CursorSigner,
    Row,
    Table,
    begin,
    commit_update,
    merge_pages,
    present,
)


@dataclass(frozen=True, slots=True)
class CustomerQuery:
    """A question for a list: `scope` is mine, team or all; without `statuses` it is every status. Newest first."""

    scope: str = "mine"
    statuses: tuple[MembershipStatus, ...] = ()
    limit: int = 25
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """A page of customers. `next_cursor` is empty at the end."""

    customers: list[Customer]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A page of an activity log, newest first. `next_cursor` is empty at the end."""

    entries: list[ActivityLogEntry]
    next_cursor: str


def owners_in(policy: Policy, scope: str, call: CallContext) -> frozenset[str] | None:
    """Whose customers a scope means; None is everybody's. Raises Forbidden when it reaches further than the caller."""
    policy.require_any(call.principal, Resource.BILLING)
    readable = policy.readable_owners(call.principal, Resource.BILLING)
    if scope == "mine":
        return frozenset({call.principal.id})
    if scope == "team":
        team = call.principal.members | {call.principal.id}
        return team if readable is None else team & readable
    if readable is not None:
        raise Forbidden(f"a {call.principal.role.value} may not list everybody's customers; try scope=team or mine")
    return None


class ReadCustomers:
    """Customers as a principal may see them."""

    def __init__(
        self, table: Table, policy: Policy, rights: CustomerRights, cursors: Callable[[], CursorSigner]
    ) -> None:
        self._table = table
        self._policy = policy
        self._rights = rights
        self._cursors = cursors

    def list(self, query: CustomerQuery, call: CallContext) -> CustomerPage:
        """A page. Raises Forbidden when the scope reaches further than the caller may read."""
        owners = owners_in(self._policy, query.scope, call)
        binding = {"who": call.principal.id, "list": f"customers/{query.scope}/{','.join(query.statuses)}"}
        positions = self._cursors().open(query.cursor, binding) if query.cursor else {}
        partitions = customer_partitions(owners, query.statuses or tuple(MembershipStatus))

        def rank(row: Row) -> str:
            return place_in_list(row, owners)

        rows, after = merge_pages(self._table, partitions, positions, query.limit, rank)
        found = CUSTOMER.load_all(present(self._table.get_many([row.key for row in rows], consistent=False)))
        seen = [each for each in found if self._policy.reads(call.principal, Resource.BILLING, each.owner_id)]
        return CustomerPage(seen, self._cursors().sign(after, binding) if after else "")

    def activity(
        self, identifier: str, call: CallContext, kind: ActivityType | None = None, limit: int = 25, cursor: str = ""
    ) -> ActivityPage:
        """A page of a customer's log, of one type or of all. Raises NotFound for who may not read the customer."""
        customer = self._rights.readable(identifier, call)
        binding = {"who": call.principal.id, "list": f"activity/{customer.id}/{kind or ''}"}
        after = self._cursors().open(cursor, binding).get("log", "") if cursor else ""
        found: list[ActivityLogEntry] = []
        while len(found) < limit:
            page = self._table.query(activity_query(customer.id, limit - len(found), after))
            entries = ACTIVITY_LOG.load_all(list(page.rows))
            found += [entry for entry in entries if kind is None or entry.type is kind]
            after = page.last
            if not after:
                break
        return ActivityPage(found, self._cursors().sign({"log": after}, binding) if after else "")


class CustomerChange(BaseModel):
    """What people keep on a profile, under the version that was read. Everything else comes from Stripe."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"version": 3, "next_follow_up_at": "2026-12-01T09:00:00Z"}]},
    )

    version: Annotated[int, Field(ge=1, description="The version that was read; another one stands → 409")]
    notes: Annotated[str, Field(max_length=10_000)] | None = None
    next_follow_up_at: Annotated[StatedTime | None, Field(description="null takes it away")] = None


class ChangeCustomer:
    """A change by hand of what people keep on a profile."""

    def __init__(self, table: Table, clock: Clock, rights: CustomerRights) -> None:
        self._table = table
        self._clock = clock
        self._rights = rights

    def __call__(self, identifier: str, change: CustomerChange, call: CallContext) -> Customer:
        """Raises NotFound, Forbidden, VersionConflict."""
        customer = self._rights.workable(identifier, call)
        if customer.version != change.version:
            raise VersionConflict(f"customer {customer.id} was changed by someone else", customer.version)
        asked: dict[str, Any] = change.model_dump(exclude_unset=True, exclude={"version"})
        if asked.get("notes", "") is None:
            asked["notes"] = ""
        wanted = {name: value for name, value in asked.items() if value != getattr(customer, name)}
        if not wanted:
            return customer
        now = self._clock.now()
        changed = customer.revised(now, **wanted)
        transaction = begin(call, now)
        CUSTOMER.update(transaction, changed)
        commit_update(self._table, transaction, CUSTOMER, changed)
        return changed

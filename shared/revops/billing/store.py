"""Where billing stands in the table.

| item | pk | sk | gsi1 | due | read by |
|---|---|---|---|---|---|
| customer | CUSTOMER#<id> | PROFILE | CUSTOMERS#<shard> / id | `membership` at `changes_at` | id; due; everyone |
| fence | CUSTOMER#<id> | FENCE | | | id |
| log entry | BILLINGLOG#<id> | ENTRY | CUSTOMER#<customer>#LOG / occurred | | id (repeat); customer, newest first |
| asset link | CUSTOMER#<customer> | ASSET#<sha256 of the asset> | | | customer |
| claim `stripe_payer` | a payer at Stripe → customer id | | | | payer |
| claim `account_customer` | an account → customer id | | | | account |

| index | partition | sort | list |
|---|---|---|---|
| customer gsi2 | CUSTOMERS#OWNER#<owner>#<status> | created | mine, my team's |
| customer gsi3 | CUSTOMERS#ALL#<status>#<shard> | created | everybody's |
| log entry gsi2 | BILLINGLOG#<type>#OWNER#<owner> | occurred | reports of mine, of my team's |
| log entry gsi3 | BILLINGLOG#<type>#ALL#<shard> | occurred | reports of everybody's |
| log entry gsi4 | CUSTOMER#<customer>#ASSET#<sha256 of the asset> | occurred | what was paid for an asset |

Only the types that reports tell of (`REPORTED`) are in gsi2 and gsi3.

The fence is one version on with every convergence, also with one that changed nothing: a worker that fetched before
another one committed must never write what it fetched (A → B → A would otherwise let B win). It stands beside the
profile so that a convergence without a change leaves no version, no audit entry and no event behind.
"""

import hashlib
from collections.abc import Iterable

from revops.billing.model import ActivityLogEntry, ActivityType, AssetLink, Customer, MembershipStatus
from revops.kernel import time_text
from revops.table import (
    ABSENT,
    EntityKind,
    Index,
    Key,
    Query,
    Row,
    Table,
    Transaction,
    due_index,
    holder_of,
    query_all,
    shard_of,
)

DUE_TOPIC = "membership"
PAYER = "stripe_payer"
ACCOUNT = "account_customer"
FENCE = "CUSTOMER_FENCE"
SHARDS = 4
REPORTED = frozenset({ActivityType.PAYMENT_FAILURE, ActivityType.SUBSCRIPTION_CANCELLED})


def _customer_key(identifier: str) -> Key:
    return Key(f"CUSTOMER#{identifier}", "PROFILE")


def _of_owner(owner_id: str, status: MembershipStatus) -> str:
    return f"CUSTOMERS#OWNER#{owner_id}#{status}"


def _of_all(status: MembershipStatus, shard: int) -> str:
    return f"CUSTOMERS#ALL#{status}#{shard}"


def _reported_of(kind: ActivityType, owner_id: str) -> str:
    return f"BILLINGLOG#{kind}#OWNER#{owner_id}"


def _reported_in(kind: ActivityType, shard: int) -> str:
    return f"BILLINGLOG#{kind}#ALL#{shard}"


def _asset_log(customer_id: str, asset_id: str) -> str:
    return f"CUSTOMER#{customer_id}#ASSET#{_asset_digest(asset_id)}"


def customer_partitions(owners: Iterable[str] | None, statuses: Iterable[MembershipStatus]) -> dict[str, Query]:
    """Name → query of each partition of a list of customers, newest first; `owners` None is everybody's."""
    if owners is None:
        return {
            f"{status}/{shard}": Query(pk=_of_all(status, shard), index="gsi3", descending=True)
            for status in statuses
            for shard in range(SHARDS)
        }
    return {
        f"{owner}/{status}": Query(pk=_of_owner(owner, status), index="gsi2", descending=True)
        for status in statuses
        for owner in sorted(owners)
    }


def reported_partitions(kind: ActivityType, owners: Iterable[str] | None, low: str, high: str) -> dict[str, Query]:
    """Name → query of each partition of what reports tell of, newest first, between two times."""
    if owners is None:
        keys = {str(shard): (_reported_in(kind, shard), "gsi3") for shard in range(SHARDS)}
    else:
        keys = {owner: (_reported_of(kind, owner), "gsi2") for owner in sorted(owners)}
    return {
        name: Query(pk=pk, index=index, low=low, high=high, descending=True, limit=200)
        for name, (pk, index) in keys.items()
    }


def place_in_list(row: Row, owners: Iterable[str] | None) -> str:
    """The sort text of a row of either list."""
    return row.index["gsi3" if owners is None else "gsi2"][1]


def activity_query(customer_id: str, limit: int, after: str = "") -> Query:
    """A page of a customer's activity log, newest first."""
    return Query(pk=f"CUSTOMER#{customer_id}#LOG", index="gsi1", descending=True, limit=limit, after=after)


def asset_activity(table: Table, customer_id: str, asset_id: str, low: str, high: str) -> list[ActivityLogEntry]:
    """What was paid, or failed to be, for an asset between two times."""
    query = Query(pk=_asset_log(customer_id, asset_id), index="gsi4", low=low, high=high, limit=200)
    return [ACTIVITY_LOG.load(row) for row in query_all(table, query)]


def _customer_index(customer: Customer) -> Index:
    shard, place = shard_of(customer.id, SHARDS), f"{time_text(customer.created_at)}#{customer.id}"
    index = {
        "gsi1": (f"CUSTOMERS#{shard}", customer.id),
        "gsi3": (_of_all(customer.membership_status, shard), place),
    }
    if customer.owner_id:
        index["gsi2"] = (_of_owner(customer.owner_id, customer.membership_status), place)
    if customer.changes_at is not None:
        index["due"] = due_index(DUE_TOPIC, customer.changes_at, _customer_key(customer.id))
    return index


def _log_index(entry: ActivityLogEntry) -> Index:
    place = f"{time_text(entry.occurred_at)}#{entry.id}"
    index = {"gsi1": (f"CUSTOMER#{entry.customer_id}#LOG", place)}
    if entry.type in REPORTED:
        index["gsi3"] = (_reported_in(entry.type, shard_of(entry.id, SHARDS)), place)
        if entry.owner_id:
            index["gsi2"] = (_reported_of(entry.type, entry.owner_id), place)
    if entry.metadata.asset_id:
        index["gsi4"] = (_asset_log(entry.customer_id, entry.metadata.asset_id), place)
    return index


def _asset_key(identifier: str) -> Key:
    customer_id, _, digest = identifier.partition(".")
    return Key(f"CUSTOMER#{customer_id}", f"ASSET#{digest}")


CUSTOMER = EntityKind[Customer](
    kind="CUSTOMER", title="customer", model=Customer, key=_customer_key, index=_customer_index
)
ACTIVITY_LOG = EntityKind[ActivityLogEntry](
    kind="BILLING_LOG",
    title="activity log entry",
    model=ActivityLogEntry,
    key=lambda identifier: Key(f"BILLINGLOG#{identifier}", "ENTRY"),
    index=_log_index,
)
ASSET_LINK = EntityKind[AssetLink](kind="ASSET_LINK", title="asset link", model=AssetLink, key=_asset_key)


def customer_id_of_key(key: Key) -> str:
    """The customer a due row belongs to."""
    return key.pk.removeprefix("CUSTOMER#")


def asset_link_id(customer_id: str, asset_id: str) -> str:
    """One link per customer and asset; the asset's own id never stands in a key."""
    return f"{customer_id}.{_asset_digest(asset_id)}"


def _asset_digest(asset_id: str) -> str:
    return hashlib.sha256(asset_id.encode()).hexdigest()[:32]


def fence_key(customer_id: str) -> Key:
    """Where a customer's fence stands: bumped by every convergence, changed or not (R2)."""
    return Key(f"CUSTOMER#{customer_id}", "FENCE")


def fence_at(table: Table, customer_id: str) -> int:
    """How often the customer was converged; read *before* Stripe is asked. 0 for never."""
    row = table.get(fence_key(customer_id))
    return 0 if row is None else row.version


def pass_fence(transaction: Transaction, customer_id: str, seen: int) -> None:
    """Adds "nobody converged this customer since `seen`"; the commit fails otherwise."""
    key = fence_key(customer_id)
    transaction.put(Row(pk=key.pk, sk=key.sk, kind=FENCE, version=seen + 1), seen or ABSENT)


def customer_of_payer(table: Table, payer: str) -> str | None:
    """The customer a payer at Stripe belongs to, strongly consistent."""
    return holder_of(table, PAYER, payer)


def customer_for_account(table: Table, account_id: str) -> Customer | None:
    """The customer an account is, if it is one: plan, membership and subscription status, lifetime value."""
    holder = holder_of(table, ACCOUNT, account_id)
    return None if holder is None else CUSTOMER.get(table, holder)


def find_customer(table: Table, identifier: str) -> Customer | None:
    """A customer by our id, by a Stripe customer or by the payment intent of one who has none."""
    if not identifier.startswith("CUST_"):
        holder = customer_of_payer(table, identifier)
        if holder is None:
            return None
        identifier = holder
    return CUSTOMER.get(table, identifier)


def recent_activity(table: Table, customer_id: str, limit: int = 25) -> list[ActivityLogEntry]:
    """The latest entries of a customer's activity log, newest first."""
    return ACTIVITY_LOG.load_all(table.query(activity_query(customer_id, limit)).rows)


def customer_block(table: Table, shard: int, place: str, limit: int) -> list[str]:
    """The ids of the customers that come after a place in a shard, for whoever walks over them all."""
    low = f"{place}!" if place else ""  # "!" stands before every character of an id
    query = Query(pk=f"CUSTOMERS#{shard}", index="gsi1", low=low, limit=limit, documents=False)
    return [customer_id_of_key(row.key) for row in table.query(query).rows]


def asset_links(table: Table, customer_id: str) -> list[AssetLink]:
    """Every asset of a customer, strongly consistent."""
    query = Query(pk=f"CUSTOMER#{customer_id}", begins="ASSET#", consistent=True)
    return ASSET_LINK.load_all(list(query_all(table, query)))

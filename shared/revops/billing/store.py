"""Where billing stands in the table.

| item | pk | sk | gsi1 | due | read by |
|---|---|---|---|---|---|
| customer | CUSTOMER#<id> | PROFILE | CUSTOMERS#<shard> / id | `membership` at `changes_at` | id; due; everyone |
| fence | CUSTOMER#<id> | FENCE | | | id |
| log entry | BILLINGLOG#<id> | ENTRY | CUSTOMER#<customer>#LOG / occurred | | id (repeat); customer, newest first |
| asset link | CUSTOMER#<customer> | ASSET#<sha256 of the asset> | | | customer |
| claim `stripe_payer` | a payer at Stripe → customer id | | | | payer |
| claim `account_customer` | an account → customer id | | | | account |

The fence is one version on with every convergence, also with one that changed nothing: a worker that fetched before
another one committed must never write what it fetched (A → B → A would otherwise let B win). It stands beside the
profile so that a convergence without a change leaves no version, no audit entry and no event behind.
"""

import hashlib
from collections.abc import Iterator

from revops.billing.model import ActivityLogEntry, AssetLink, Customer
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


def _customer_key(identifier: str) -> Key:
    return Key(f"CUSTOMER#{identifier}", "PROFILE")


def _customer_index(customer: Customer) -> Index:
    index = {"gsi1": (f"CUSTOMERS#{shard_of(customer.id, SHARDS)}", customer.id)}
    if customer.changes_at is not None:
        index["due"] = due_index(DUE_TOPIC, customer.changes_at, _customer_key(customer.id))
    return index


def _log_index(entry: ActivityLogEntry) -> Index:
    return {"gsi1": (f"CUSTOMER#{entry.customer_id}#LOG", f"{time_text(entry.occurred_at)}#{entry.id}")}


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
    return f"{customer_id}.{hashlib.sha256(asset_id.encode()).hexdigest()[:32]}"


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


def every_customer(table: Table) -> Iterator[str]:
    """The id of every customer, for whoever converges them all."""
    for shard in range(SHARDS):
        query = Query(pk=f"CUSTOMERS#{shard}", index="gsi1", documents=False, limit=200)
        yield from (customer_id_of_key(row.key) for row in query_all(table, query))


def recent_activity(table: Table, customer_id: str, limit: int = 25) -> list[ActivityLogEntry]:
    """The latest entries of a customer's activity log, newest first."""
    query = Query(pk=f"CUSTOMER#{customer_id}#LOG", index="gsi1", descending=True, limit=limit)
    return ACTIVITY_LOG.load_all(table.query(query).rows)


def asset_links(table: Table, customer_id: str) -> list[AssetLink]:
    """Every asset of a customer."""
    query = Query(pk=f"CUSTOMER#{customer_id}", begins="ASSET#")
    return ASSET_LINK.load_all(list(query_all(table, query)))

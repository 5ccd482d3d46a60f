"""Where orders stand.

| item | pk | sk | gsi1 | gsi2 | due |
|---|---|---|---|---|---|
| order form | ORDER#<id> | FORM | ORDERS#ACCOUNT#<account> / created | ORDERS#OWNER#<owner> / created | by status |
| earlier revision | ORDER#<id> | REVISION#<number> | | | |
| comment | ORDER#<id> | COMMENT#<time>#<id> | | | |
| count of comments | ORDER#<id> | COMMENTS | | | |
| step taken | ORDER#<id> | STEP#<order version> | | | |
| waiting task | ORDER#<id> | WAIT#<sha256 of the token> | | | |
| timeline | ORDER#<id> | TIMELINE | | | `timeline` |
| creation | CREATION#<what>#<id> | STATE | | | |

An order form also stands at gsi3 ORDERS#STATUS#<status> / created and at gsi4 ORDERS#OWNER#<owner>#<status> / created:
an order moves a few times in its life, so one partition takes a status of hundreds of orders a second.

Read by: order id (form, its steps in order of time, earlier revisions, comments, waiting tasks); account, owner and
status, newest or oldest first; due: the workflow should have moved the order on by then (`order`), the stage of its
review is to be told or is late (`order_review`), its tenant should be acknowledged (`tenant`), or the next terms of a
subscription hold from then on (`timeline`); a creation by what is to exist once at the provider.
A step is written in the transaction of the order version it made, so the two cannot disagree. Waiting tasks expire
with their longest wait.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.orders.model import OrderForm, OrderStatus, StepRecord
from revops.orders.policies.lifecycle import is_automatic
from revops.orders.policies.stages import current
from revops.orders.policies.timeline import Timeline
from revops.orders.provisioning.creation import Creation
from revops.table import ABSENT, ANYTHING, EntityKind, Index, Key, Query, Row, Table, Transaction, due_index, query_all

STALLED_AFTER = timedelta(minutes=30)
"""An order that the workflow should have moved on by now: longer than all retries of a step together."""

REVIEW_TOPIC = "order_review"
"""Due: the people of a review's stage are to be told, or it is late."""

TENANT_TOPIC = "tenant"
"""Due: the tenant of an order should have been acknowledged by then."""

WAIT_KEPT = timedelta(days=100)
STEP = "ORDER_STEP"
WAIT = "ORDER_WAIT"


def order_key(order_id: str) -> Key:
    """Where an order form stands."""
    return Key(f"ORDER#{order_id}", "FORM")


def _index(order: OrderForm) -> Index:
    created = f"{order.created_at.isoformat()}#{order.id}"
    index = {
        "gsi1": (f"ORDERS#ACCOUNT#{order.account_id}", created),
        "gsi2": (f"ORDERS#OWNER#{order.owner_id}", created),
        "gsi3": (f"ORDERS#STATUS#{order.status}", created),
        "gsi4": (f"ORDERS#OWNER#{order.owner_id}#{order.status}", created),
    }
    if is_automatic(order.status):
        index["due"] = due_index("order", order.modified_at + STALLED_AFTER, order_key(order.id))
    stage = current(order.review) if order.status is OrderStatus.IN_REVIEW else None
    if stage is not None and stage.look_at is not None:
        index["due"] = due_index(REVIEW_TOPIC, stage.look_at, order_key(order.id))
    if order.status is OrderStatus.AWAITING_TENANT and order.tenant is not None:
        index["due"] = due_index(TENANT_TOPIC, order.tenant.due_at, order_key(order.id))
    return index


ORDERS = EntityKind[OrderForm](kind="ORDER", title="order form", model=OrderForm, key=order_key, index=_index)


def orders_of_account(account_id: str) -> dict[str, Query]:
    """The partition of an account's orders, the latest first."""
    return {"account": Query(pk=f"ORDERS#ACCOUNT#{account_id}", index="gsi1", descending=True)}


def orders_of_owners(owners: Iterable[str], status: OrderStatus | None) -> dict[str, Query]:
    """The partitions of what some people handed in, of a status or all, the latest first."""
    if status is None:
        return {who: Query(pk=f"ORDERS#OWNER#{who}", index="gsi2", descending=True) for who in sorted(owners)}
    places = {who: f"ORDERS#OWNER#{who}#{status}" for who in sorted(owners)}
    return {who: Query(pk=place, index="gsi4", descending=True) for who, place in places.items()}


def orders_in(status: OrderStatus | None) -> dict[str, Query]:
    """The partitions of everybody's orders, of a status or all, the latest first."""
    statuses = (status,) if status else tuple(OrderStatus)
    return {each: Query(pk=f"ORDERS#STATUS#{each}", index="gsi3", descending=True) for each in statuses}


def walk_in(status: OrderStatus, limit: int, after: str = "") -> Query:
    """A page of the orders of a status, oldest first, for whoever walks over them all."""
    return Query(pk=f"ORDERS#STATUS#{status}", index="gsi3", limit=limit, after=after)


CREATIONS = EntityKind[Creation](
    kind="CREATION",
    title="creation",
    model=Creation,
    key=lambda identifier: Key(f"CREATION#{identifier}", "STATE"),
)


def _timeline_index(timeline: Timeline) -> Index:
    if timeline.next_at is None:
        return {}
    return {"due": due_index("timeline", timeline.next_at, Key(f"ORDER#{timeline.id}", "TIMELINE"))}


TIMELINES = EntityKind[Timeline](
    kind="TIMELINE",
    title="timeline of a subscription",
    model=Timeline,
    key=lambda identifier: Key(f"ORDER#{identifier}", "TIMELINE"),
    index=_timeline_index,
)


def add_step(transaction: Transaction, order: OrderForm, step: StepRecord) -> None:
    """Adds the record of the step that made this version of the order."""
    row = Row(
        pk=order_key(order.id).pk,
        sk=f"STEP#{order.version:08d}",
        kind=STEP,
        doc=step.model_dump_json(exclude_none=True),
    )
    transaction.put(row, ABSENT)


def steps_of(table: Table, order_id: str) -> list[StepRecord]:
    """Every step taken, oldest first, strongly consistent."""
    query = Query(pk=order_key(order_id).pk, begins="STEP#", consistent=True)
    return [StepRecord.model_validate_json(row.doc) for row in query_all(table, query)]


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """A workflow task that waits for people: its token, and the step it waits at."""

    key: Key
    token: str
    step: str


def add_wait(transaction: Transaction, order_id: str, step: str, token: str, now: datetime) -> None:
    """Adds a waiting task; storing the same one again changes nothing that matters."""
    row = Row(
        pk=order_key(order_id).pk,
        sk=f"WAIT#{hashlib.sha256(token.encode()).hexdigest()}",
        kind=WAIT,
        doc=json.dumps({"step": step, "token": token}),
        ttl=int((now + WAIT_KEPT).timestamp()),
    )
    transaction.put(row, ANYTHING)


def waits_of(table: Table, order_id: str) -> Iterator[WaitingTask]:
    """The waiting tasks of an order, strongly consistent."""
    query = Query(pk=order_key(order_id).pk, begins="WAIT#", consistent=True)
    for row in query_all(table, query):
        doc = json.loads(row.doc)
        yield WaitingTask(row.key, str(doc["token"]), str(doc["step"]))

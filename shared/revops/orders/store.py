"""Where orders stand.

| item | pk | sk | gsi1 | gsi2 | due |
|---|---|---|---|---|---|
| order form | ORDER#<id> | FORM | ORDERS#ACCOUNT#<account> / created | ORDERS#OWNER#<owner> / created | `order` |
| step taken | ORDER#<id> | STEP#<order version> | | | |
| waiting task | ORDER#<id> | WAIT#<sha256 of the token> | | | |
| creation | CREATION#<what>#<id> | STATE | | | |

Read by: order id (form, its steps in order of time, its waiting tasks); account and owner, newest or oldest first;
due: the workflow should have moved the order on by then; a creation by what is to exist once at the provider.
A step is written in the transaction of the order version it made, so the two cannot disagree. Waiting tasks expire
with their longest wait.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.orders.model import OrderForm, StepRecord
from revops.orders.policies.lifecycle import is_automatic
from revops.orders.provisioning.creation import Creation
from revops.table import ABSENT, ANYTHING, EntityKind, Index, Key, Query, Row, Table, Transaction, due_index, query_all

STALLED_AFTER = timedelta(minutes=30)
"""An order that the workflow should have moved on by now: longer than all retries of a step together."""

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
    }
    if is_automatic(order.status):
        index["due"] = due_index("order", order.modified_at + STALLED_AFTER, order_key(order.id))
    return index


ORDERS = EntityKind[OrderForm](kind="ORDER", title="order form", model=OrderForm, key=order_key, index=_index)

CREATIONS = EntityKind[Creation](
    kind="CREATION",
    title="creation",
    model=Creation,
    key=lambda identifier: Key(f"CREATION#{identifier}", "STATE"),
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

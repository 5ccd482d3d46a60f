"""Where reconciliations stand.

| item | pk | sk | gsi1 | due |
|---|---|---|---|---|
| reconciliation | RECON#<id> | RUN | RECONS#<month> / begun | `reconcile` while it runs |
| difference | RECON#<id> | DIFF#<digest> | RECON#<id>#ALL / severity | `repair` once approved |
| sighting | RECON#<id>#SEEN#<sha256 of the order> | SEEN | | |
| claim `repair` | an order or a subscription → the difference that is being repaired | | | |

A difference of an account's order also stands at gsi2 RECON#<id>#OWNER#<owner> / severity.

Read by: id; newest first; differences of a run by severity, everybody's or an owner's; due: a run whose next block was
lost, a repair that was. A sighting is what one run saw of the subscriptions that name an order; it
lets a run of any size compare an order with all of its subscriptions without holding more than a page of either, and
without asking the provider once per order. It expires after a week.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.kernel import time_text
from revops.reconcile.model import Difference, DifferenceState, Finding, Reconciliation, RunStatus, SeenSubscription
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
    query_all,
)

RUN_TOPIC = "reconcile"
REPAIR_TOPIC = "repair"
STALLED_AFTER = timedelta(minutes=10)
SIGHTING_KEPT = timedelta(days=7)
SIGHTING = "RECON_SEEN"
REPAIR = "repair"


def stable_id(prefix: str, fact: str) -> str:
    """The same identifier for the same fact."""
    return f"{prefix}_{hashlib.sha256(f'{prefix}#{fact}'.encode()).hexdigest()[:26].upper()}"


def difference_id(reconciliation_id: str, finding: Finding) -> str:
    """One per run, order or subscription, kind and subject, however often a run comes past it."""
    fact = "\0".join((finding.order_id or finding.subscription_id, finding.kind, finding.subject))
    return f"{reconciliation_id}.{hashlib.sha256(fact.encode()).hexdigest()[:26].upper()}"


def _run_key(identifier: str) -> Key:
    return Key(f"RECON#{identifier}", "RUN")


def _run_index(run: Reconciliation) -> Index:
    begun = time_text(run.created_at)
    index = {"gsi1": (f"RECONS#{begun[:7]}", f"{begun}#{run.id}")}
    if run.status is RunStatus.RUNNING:
        index["due"] = due_index(RUN_TOPIC, run.modified_at + STALLED_AFTER, _run_key(run.id))
    return index


def _difference_key(identifier: str) -> Key:
    run_id, _, digest = identifier.partition(".")
    return Key(f"RECON#{run_id}", f"DIFF#{digest}")


def _difference_index(difference: Difference) -> Index:
    place = f"{difference.finding.severity.rank}#{difference.id}"
    index = {"gsi1": (f"RECON#{difference.reconciliation_id}#ALL", place)}
    if difference.owner_id:
        index["gsi2"] = (f"RECON#{difference.reconciliation_id}#OWNER#{difference.owner_id}", place)
    if difference.state is DifferenceState.APPROVED:
        index["due"] = due_index(REPAIR_TOPIC, difference.modified_at + STALLED_AFTER, _difference_key(difference.id))
    return index


RECONCILIATIONS = EntityKind[Reconciliation](
    kind="RECONCILIATION", title="reconciliation", model=Reconciliation, key=_run_key, index=_run_index
)
DIFFERENCES = EntityKind[Difference](
    kind="DIFFERENCE", title="difference", model=Difference, key=_difference_key, index=_difference_index
)


def id_of_run(key: Key) -> str:
    """The run that stands at a key."""
    return key.pk.removeprefix("RECON#")


def id_of_difference(key: Key) -> str:
    """The difference that stands at a key."""
    return f"{id_of_run(key)}.{key.sk.removeprefix('DIFF#')}"


def runs_of(month: str) -> Query:
    """The runs that began in a month such as `2026-11`, newest first."""
    return Query(pk=f"RECONS#{month}", index="gsi1", descending=True)


def difference_partitions(run_id: str, owners: Iterable[str] | None) -> dict[str, Query]:
    """Name → query of each partition of a run's differences, the worst first; `owners` None is everybody's."""
    if owners is None:
        return {"all": Query(pk=f"RECON#{run_id}#ALL", index="gsi1")}
    return {owner: Query(pk=f"RECON#{run_id}#OWNER#{owner}", index="gsi2") for owner in sorted(owners)}


def differences_of(table: Table, run_id: str) -> Iterator[Difference]:
    """Every difference of a run, a page at a time, strongly consistent."""
    query = Query(pk=f"RECON#{run_id}", begins="DIFF#", limit=200, consistent=True)
    return (DIFFERENCES.load(row) for row in query_all(table, query))


# -- sightings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sightings:
    """Rows of what was seen, by order, each with its subscriptions by id."""

    rows: Mapping[str, Row | None]
    seen: Mapping[str, Mapping[str, SeenSubscription]]


def _sighting_key(run_id: str, order_id: str) -> Key:
    return Key(f"RECON#{run_id}#SEEN#{hashlib.sha256(order_id.encode()).hexdigest()[:32]}", "SEEN")


def sightings(table: Table, run_id: str, orders: Iterable[str]) -> Sightings:
    """What the run saw of these orders so far, strongly consistent."""
    names = list(dict.fromkeys(orders))
    rows = table.get_many([_sighting_key(run_id, name) for name in names]) if names else []
    held = dict(zip(names, rows, strict=True))
    return Sightings(held, {name: _read(row) for name, row in held.items()})


def add_sighting(
    transaction: Transaction,
    run_id: str,
    order_id: str,
    before: Row | None,
    seen: Mapping[str, SeenSubscription],
    now: datetime,
) -> None:
    """Notes the subscriptions of an order; the commit fails when another worker noted some meanwhile."""
    key = _sighting_key(run_id, order_id)
    doc = json.dumps({name: each.model_dump(mode="json", exclude_defaults=True) for name, each in seen.items()})
    row = Row(
        pk=key.pk,
        sk=key.sk,
        kind=SIGHTING,
        version=before.version + 1 if before else 1,
        doc=doc,
        ttl=int((now + SIGHTING_KEPT).timestamp()),
    )
    transaction.put(row, before.version if before else ABSENT)


def _read(row: Row | None) -> dict[str, SeenSubscription]:
    found = json.loads(row.doc) if row else {}
    return {str(name): SeenSubscription.model_validate(each) for name, each in found.items()}

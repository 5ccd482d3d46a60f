"""Syncing a customer whole, and everybody (STR-4, 5, 7).

| item | pk | sk | gsi1 | due | read by |
|---|---|---|---|---|---|
| resync | RESYNC#<id> | RESYNC | RESYNCS#<month> / begun | `resync` while running | id; newest first; due |
| claim `resync`: the running one of everybody | | | | | `everybody` |

A resync of everybody walks over the customers a block at a time. Each block is one message; what it found and where it
got to is written in one commit, and that commit makes the next message. So it goes on where it stopped, whatever dies;
two workers on one block count it once; and between blocks there is a pause that keeps it below its rate, so that the
signals of the day never wait for it. A claim keeps it the only one: two at once would be twice the rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import Annotated, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.billing.assets import AssetSync, LinkAssets
from revops.billing.model import ActivityLogEntry, ActivityMetadata, ActivityType
from revops.billing.ports import StripeRefused
from revops.billing.record import stable_id
from revops.billing.store import ACTIVITY_LOG, CUSTOMER, SHARDS, customer_block
from revops.kernel import CallContext, Clock, Conflict, DomainError, IdFactory, NotFound, time_text
from revops.table import (
    ConditionFailed,
    Entity,
    EntityKind,
    Index,
    Key,
    Query,
    Table,
    Transaction,
    begin,
    claim,
    due_index,
    holder_of,
    release,
)

DUE_TOPIC = "resync"
RUNNING, EVERYBODY = "resync", "everybody"
STALLED_AFTER = timedelta(minutes=10)
BLOCK = 10
"""Customers of one message: at five questions to Stripe each, well within a worker's time."""
MAX_NAMED = 50


class Converge(Protocol):
    """Brings a customer in line with Stripe."""

    def converge(self, customer_id: str, call: CallContext) -> None:
        """Raises NotFound, StripeRefused, Unavailable, Contention."""
        ...


class SyncCustomer:
    """The full sync of one customer: status from Stripe, asset links from their approval, and an entry in the log."""

    def __init__(self, table: Table, clock: Clock, converge: Converge, assets: LinkAssets) -> None:
        self._table = table
        self._clock = clock
        self._converge = converge
        self._assets = assets

    def __call__(self, customer_id: str, cause: str, call: CallContext) -> AssetSync:
        """One entry of the log per cause, however often it is done. Raises NotFound, StripeRefused, Unavailable,
        Contention."""
        self._converge.converge(customer_id, call)
        synced = self._assets.sync(customer_id, call)
        entry_id = stable_id("ACT", f"{ActivityType.FULL_SYNC}#{customer_id}#{cause}")
        if ACTIVITY_LOG.get(self._table, entry_id) is None:
            self._log(customer_id, entry_id, synced, call)
        return synced

    def _log(self, customer_id: str, entry_id: str, synced: AssetSync, call: CallContext) -> None:
        now = self._clock.now()
        customer = CUSTOMER.require(self._table, customer_id)
        links = ", ".join(f"{count} {status}" for status, count in synced.assets.items()) or "none"
        entry = ActivityLogEntry(
            id=entry_id,
            created_at=now,
            modified_at=now,
            customer_id=customer_id,
            owner_id=customer.owner_id,
            type=ActivityType.FULL_SYNC,
            occurred_at=now,
            details=f"Synced whole: {customer.membership_status}; asset links: {links}",
            metadata=ActivityMetadata(event_type="full_sync", assets=dict(synced.assets)),
        )
        transaction = begin(call, now)
        ACTIVITY_LOG.create(transaction, entry)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return  # another worker synced it for the same cause


# ── everybody ─────────────────────────────────────────────────────────────────────────────────────────────────────


class ResyncStatus(StrEnum):
    """Where a resync stands."""

    RUNNING = "Running"
    DONE = "Done"
    CANCELLED = "Cancelled"


class Resync(Entity):
    """A resync of one customer or of everybody. `place` is the last customer that was looked at, in the walk over the
    shards; `refused` names some of those that Stripe would not answer for, with its reason."""

    requested_by: str = Field(examples=["system:operate"])
    customer_id: str = ""
    per_minute: int = 300
    status: ResyncStatus = ResyncStatus.RUNNING
    shard: int = 0
    place: str = ""
    synced: int = 0
    failed: int = 0
    refused: dict[str, str] = Field(default_factory=dict)
    finished_at: AwareDatetime | None = None

    @property
    def pause_seconds(self) -> int:
        """Between two blocks."""
        return 0 if self.customer_id else min(900, ceil(BLOCK * 60 / self.per_minute))


def _key(identifier: str) -> Key:
    return Key(f"RESYNC#{identifier}", "RESYNC")


def _index(resync: Resync) -> Index:
    begun = time_text(resync.created_at)
    index = {"gsi1": (f"RESYNCS#{begun[:7]}", f"{begun}#{resync.id}")}
    if resync.status is ResyncStatus.RUNNING:
        index["due"] = due_index(DUE_TOPIC, resync.modified_at + STALLED_AFTER, _key(resync.id))
    return index


RESYNCS = EntityKind[Resync](kind="RESYNC", title="resync", model=Resync, key=_key, index=_index)


def resync_of_key(key: Key) -> str:
    """The id of a resync by its primary key."""
    return key.pk.removeprefix("RESYNC#")


def _over(transaction: Transaction, resync: Resync) -> None:
    """Lets another one of everybody begin, in the transaction that ends this one."""
    if resync.status is not ResyncStatus.RUNNING and not resync.customer_id:
        release(transaction, RUNNING, EVERYBODY)


class ResyncRequest(BaseModel):
    """Everybody, at most so many a minute."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", json_schema_extra={"examples": [{"per_minute": 300}]}
    )

    per_minute: Annotated[int, Field(ge=10, le=3000, description="Customers a minute at most")] = 300


class RequestResync:
    """Begins, reads and stops resyncs; the stream hands them to the worker."""

    def __init__(self, table: Table, clock: Clock, ids: IdFactory, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._policy = policy

    def everybody(self, wanted: ResyncRequest, call: CallContext) -> Resync:
        """Raises NotFound for who may not change everybody's billing, Conflict while another one runs."""
        self._require(call)
        running = holder_of(self._table, RUNNING, EVERYBODY)
        if running is not None:
            raise Conflict(f"resync {running} is running; wait for it or cancel it")
        try:
            return self._begin(wanted.per_minute, "", call)
        except ConditionFailed as error:
            raise Conflict("another resync was begun in this moment; wait for it or cancel it") from error

    def one(self, customer_id: str, call: CallContext) -> Resync:
        """Of a customer the caller was found to look after."""
        return self._begin(3000, customer_id, call)

    def read(self, identifier: str, call: CallContext) -> Resync:
        """Raises NotFound for what is not there or not for this caller; who asked for one reads it."""
        resync = RESYNCS.require(self._table, identifier)
        if resync.requested_by != call.principal.id:
            self._require(call)
        return resync

    def latest(self, call: CallContext) -> list[Resync]:
        """Those of everybody, newest first. Raises NotFound."""
        self._require(call)
        return self._latest()

    def cancel(self, identifier: str, call: CallContext) -> Resync:
        """Stops one after the block it is at. Raises NotFound."""
        self._require(call)
        while True:
            resync = RESYNCS.require(self._table, identifier)
            if resync.status is not ResyncStatus.RUNNING:
                return resync
            now = self._clock.now()
            stopped = resync.revised(now, status=ResyncStatus.CANCELLED, finished_at=now)
            transaction = begin(call, now)
            RESYNCS.update(transaction, stopped)
            _over(transaction, stopped)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # the worker finished a block meanwhile
            return stopped

    def _require(self, call: CallContext) -> None:
        self._policy.require_read(call.principal, Resource.BILLING, "", "this route")
        self._policy.require_write(call.principal, Resource.BILLING, "", "this route")

    def _latest(self, limit: int = 25) -> list[Resync]:
        """Those of everybody, of this month and the one before."""
        now = self._clock.now()
        found: list[Resync] = []
        for month in (now, now.replace(day=1) - timedelta(days=1)):
            query = Query(pk=f"RESYNCS#{time_text(month)[:7]}", index="gsi1", descending=True, limit=4 * limit)
            found += RESYNCS.load_all(list(self._table.query(query).rows))
        return [each for each in found if not each.customer_id][:limit]

    def _begin(self, per_minute: int, customer_id: str, call: CallContext) -> Resync:
        now = self._clock.now()
        resync = Resync(
            id=self._ids.new("RSY"),
            created_at=now,
            modified_at=now,
            requested_by=call.principal.id,
            customer_id=customer_id,
            per_minute=per_minute,
        )
        transaction = begin(call, now)
        RESYNCS.create(transaction, resync)
        if not customer_id:
            claim(transaction, RUNNING, EVERYBODY, resync.id)
        self._table.commit(transaction)
        return resync


@dataclass(frozen=True, slots=True)
class _Found:
    """What a block came to."""

    synced: int
    refused: Mapping[str, str]


class RunResync:
    """The worker's part: one block of a resync."""

    def __init__(self, table: Table, clock: Clock, sync: SyncCustomer) -> None:
        self._table = table
        self._clock = clock
        self._sync = sync

    def __call__(self, identifier: str, call: CallContext) -> Resync:
        """Syncs the next block and says where it got to. What one customer fails with holds none of the others up; an
        outage does: the message comes again. Raises NotFound, Unavailable, Contention."""
        resync = RESYNCS.require(self._table, identifier)
        if resync.status is not ResyncStatus.RUNNING:
            return resync
        customers, shard, place = self._block(resync)
        found = self._run(customers, resync, call)
        now = self._clock.now()
        done = bool(resync.customer_id) or shard >= SHARDS
        named = {**resync.refused, **found.refused}
        after = resync.revised(
            now,
            shard=shard,
            place=place,
            synced=resync.synced + found.synced,
            failed=resync.failed + len(found.refused),
            refused=dict(list(named.items())[:MAX_NAMED]),
            status=ResyncStatus.DONE if done else ResyncStatus.RUNNING,
            finished_at=now if done else None,
        )
        transaction = begin(call, now)
        RESYNCS.update(transaction, after)
        _over(transaction, after)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return RESYNCS.require(self._table, identifier)  # another worker did this block, or somebody stopped it
        return after

    def _block(self, resync: Resync) -> tuple[list[str], int, str]:
        """The next customers, and the place after them."""
        if resync.customer_id:
            return [resync.customer_id], SHARDS, ""
        customers = customer_block(self._table, resync.shard, resync.place, BLOCK)
        if len(customers) < BLOCK:
            return customers, resync.shard + 1, ""
        return customers, resync.shard, customers[-1]

    def _run(self, customers: list[str], resync: Resync, call: CallContext) -> _Found:
        refused: dict[str, str] = {}
        for customer_id in customers:
            try:
                self._sync(customer_id, resync.id, call)
            except (StripeRefused, NotFound) as error:
                refused[customer_id] = error.detail[:200]
            except DomainError as error:
                if error.retryable:
                    raise
                refused[customer_id] = error.detail[:200]
        return _Found(len(customers) - len(refused), refused)

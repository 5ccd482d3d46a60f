"""The rate budget all workers share (HUB-5): calls per window, a stop after a 429, nothing lost when it is empty.

| item | pk | sk | written |
|---|---|---|---|
| slot | RATE#hubspot#<slot start> | SLOT | as `table.rates` says |
| stop | RATE#hubspot | STOP | until when HubSpot asked for quiet |

HubSpot counts over a *sliding* window, so a counter per fixed window would let through twice the limit around its
edge. The window is cut into slots; a sliding window touches one slot more than fit into it, and the limit is divided
among that many.
"""

import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field, model_validator

from revops.kernel import CallContext, Clock, parse_time, time_text
from revops.settings import SettingsDocument, SettingsReader
from revops.sync.exchange import sync_call
from revops.sync.fields import FieldMap
from revops.sync.model import ContactWrite, RemoteContact
from revops.sync.ports import HubspotGateway, RateLimited
from revops.table import ABSENT, ConditionFailed, Key, Row, Table, begin
from revops.table.rates import slot_of, take_block

_STOP = "RATE_STOP"
_STOP_KEY = Key("RATE#hubspot", "STOP")
_DEFAULT_STOP = 10.0


class HubspotBudget(SettingsDocument):
    """How much of HubSpot's rate is ours. `block` calls are taken from a slot at once."""

    SETTING: ClassVar[str] = "hubspot_budget"

    calls: int = Field(default=100, ge=1, le=10_000, description="Calls per window, over all workers")
    window_seconds: int = Field(default=10, ge=1, le=60)
    slot_seconds: int = Field(default=1, ge=1, le=60)
    block: int = Field(default=3, ge=1, le=100)
    bulk_records_per_hour: int = Field(default=10_000, ge=1)
    webhooks_per_10_seconds: int = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _adds_up(self) -> "HubspotBudget":
        if self.per_slot < 1:
            raise ValueError("fewer calls than slots: make the slots longer")
        return self

    @property
    def per_slot(self) -> int:
        """Calls of one slot, such that no sliding window holds more than `calls`."""
        return self.calls // (math.ceil(self.window_seconds / self.slot_seconds) + 1)


class RateBudget:
    """Hands out calls. One instance per worker process; what it took and did not use ends with the slot."""

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader, call: CallContext | None = None) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings
        self._call = call or sync_call()
        self._slot = 0
        self._held = 0

    def spend(self) -> None:
        """Takes one call. Raises RateLimited with the seconds until there may be one."""
        rules = self._settings.read(HubspotBudget)
        now = self._clock.now()
        self._obey_stop(now)
        slot = slot_of(now, rules.slot_seconds)
        if slot != self._slot:
            self._slot, self._held = slot, 0
        if self._held == 0:
            self._held = take_block(
                self._table, "hubspot", slot, now, self._call, per_slot=rules.per_slot, block=rules.block
            )
        if self._held == 0:
            wait = slot + rules.slot_seconds - now.timestamp()
            raise RateLimited("the rate budget is used up for now", retry_after=max(0.05, wait))
        self._held -= 1

    def stop(self, seconds: float | None) -> datetime:
        """HubSpot asked for quiet: nobody calls until then. A longer stop that stands is kept."""
        until = self._clock.now() + timedelta(seconds=_DEFAULT_STOP if seconds is None else seconds)
        self._held = 0
        for _ in range(8):
            row = self._table.get(_STOP_KEY)
            if row is not None and _until(row) >= until:
                return _until(row)
            stop = Row(
                pk=_STOP_KEY.pk,
                sk=_STOP_KEY.sk,
                kind=_STOP,
                version=1 if row is None else row.version + 1,
                doc=json.dumps({"until": time_text(until)}),
            )
            transaction = begin(self._call, self._clock.now())
            transaction.put(stop, ABSENT if row is None else row.version)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue
            return until
        return until  # others keep writing stops, which is as good

    def _obey_stop(self, now: datetime) -> None:
        row = self._table.get(_STOP_KEY)
        if row is not None and (until := _until(row)) > now:
            raise RateLimited("HubSpot asked for quiet", retry_after=(until - now).total_seconds())


def _until(row: Row) -> datetime:
    return parse_time(json.loads(row.doc)["until"])


class BudgetedGateway:
    """A gateway whose every call is paid for first, and that makes all workers obey a Retry-After."""

    def __init__(self, gateway: HubspotGateway, budget: RateBudget) -> None:
        self._gateway = gateway
        self._budget = budget

    def contact(self, remote_id: str, properties: Sequence[str]) -> RemoteContact | None:
        with _Paid(self._budget):
            return self._gateway.contact(remote_id, properties)

    def contact_of(self, person_id: str, properties: Sequence[str]) -> RemoteContact | None:
        with _Paid(self._budget):
            return self._gateway.contact_of(person_id, properties)

    def contacts(self, remote_ids: Sequence[str], properties: Sequence[str]) -> list[RemoteContact]:
        with _Paid(self._budget):
            return self._gateway.contacts(remote_ids, properties)

    def write(self, write: ContactWrite) -> RemoteContact:
        with _Paid(self._budget):
            return self._gateway.write(write)

    def define(self, lines: Sequence[FieldMap]) -> int:
        with _Paid(self._budget):
            return self._gateway.define(lines)


class _Paid:
    """One call: paid for on entry; a 429 from HubSpot inside stops everybody."""

    def __init__(self, budget: RateBudget) -> None:
        self._budget = budget

    def __enter__(self) -> None:
        self._budget.spend()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RateLimited):
            self._budget.stop(error.retry_after)

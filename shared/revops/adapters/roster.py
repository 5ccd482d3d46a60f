"""Who takes new leads: the active SDRs that are not absent, from the users of this deployment (CAP-12)."""

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from revops.access import USERS, User
from revops.access.store import users_with_role
from revops.analytics.store import rollup_key
from revops.crm.policies.assignment import OWNERS
from revops.crm.store import OPEN_STATUSES
from revops.kernel import Clock, Role
from revops.table import Table

_KEEP_SECONDS = 30.0
_MOST_KEPT = 1000


class TableRoster:
    """`Roster` over the user rows, kept for half a minute: an absence is in force within 60 s (SAFE-6)."""

    def __init__(self, table: Table, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._clock = clock
        self._monotonic = monotonic
        self._sdrs: tuple[float, list[User]] | None = None
        self._working: tuple[float, dict[str, int]] | None = None
        self._users: dict[str, tuple[float, User | None]] = {}

    def sdrs(self) -> Sequence[str]:
        now = self._monotonic()
        if self._sdrs is None or now - self._sdrs[0] >= _KEEP_SECONDS:
            keys = [USERS.key(user_id) for user_id in users_with_role(self._table, Role.SDR)]
            users = USERS.load_all(self._table.get_many(keys)) if keys else []
            self._sdrs = (now, sorted(users, key=lambda user: user.id))
        moment = self._clock.now()
        return [user.id for user in self._sdrs[1] if user.present(moment)]

    def present(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        found, moment = self._read(user_ids), self._clock.now()
        return frozenset(name for name, user in found.items() if user is not None and user.present(moment))

    def active(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        return frozenset(name for name, user in self._read(user_ids).items() if user is not None and user.active)

    def sellers(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        there, found = self.present(user_ids), self._read(user_ids)
        return frozenset(name for name in there if (user := found[name]) is not None and user.role in OWNERS)

    def zone(self, user_id: str) -> str:
        known = next((user for user in (self._sdrs or (0.0, []))[1] if user.id == user_id), None)
        user = known or self._read({user_id})[user_id]
        return user.time_zone if user is not None else ""

    def open_leads(self, user_ids: AbstractSet[str]) -> Mapping[str, int]:
        now = self._monotonic()
        if not user_ids:
            return {}
        if self._working is None or now - self._working[0] >= _KEEP_SECONDS or user_ids - self._working[1].keys():
            names = sorted(user_ids)
            rows = self._table.get_many([rollup_key(f"leads:{name}") for name in names], consistent=False)
            counts = {name: _open(row.counters) if row else 0 for name, row in zip(names, rows, strict=True)}
            self._working = (now, counts)
        return {name: self._working[1][name] for name in user_ids}

    def _read(self, user_ids: AbstractSet[str]) -> dict[str, User | None]:
        now = self._monotonic()
        if len(self._users) > _MOST_KEPT:
            self._users.clear()
        kept = self._users
        asked = [name for name in sorted(user_ids) if name not in kept or now - kept[name][0] >= _KEEP_SECONDS]
        if asked:
            rows = self._table.get_many([USERS.key(name) for name in asked])
            for name, row in zip(asked, rows, strict=True):
                kept[name] = (now, USERS.load(row) if row else None)
        return {name: kept[name][1] for name in user_ids}


def _open(counters: Mapping[str, int]) -> int:
    return sum(counters.get(status.value, 0) for status in OPEN_STATUSES)

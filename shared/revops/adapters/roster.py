"""Who takes new leads: the active SDRs that are not absent, from the users of this deployment (CAP-12)."""

import time
from collections.abc import Callable, Sequence

from revops.access import USERS
from revops.access.store import users_with_role
from revops.kernel import Clock, Role
from revops.table import Table

_KEEP_SECONDS = 30.0


class TableRoster:
    """`Roster` over the user rows, kept for half a minute: an absence is in force within 60 s (SAFE-6)."""

    def __init__(self, table: Table, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._clock = clock
        self._monotonic = monotonic
        self._kept: tuple[float, list[str]] | None = None

    def sdrs(self) -> Sequence[str]:
        now = self._monotonic()
        if self._kept is not None and now - self._kept[0] < _KEEP_SECONDS:
            return self._kept[1]
        keys = [USERS.key(user_id) for user_id in users_with_role(self._table, Role.SDR)]
        users = USERS.load_all(self._table.get_many(keys)) if keys else []
        moment = self._clock.now()
        present = [user.id for user in users if user.active and not (user.absent_until and user.absent_until > moment)]
        self._kept = (now, sorted(present))
        return self._kept[1]

"""Applying changes to counters exactly once, and reading them under the policy."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from revops.access import Policy, Resource
from revops.analytics.contributions import COUNTED, contributions
from revops.analytics.store import ROLLUP, contribution_key, contribution_row, rollup_key
from revops.kernel import CallContext, Clock, Unavailable, system_call
from revops.table import ABSENT, Change, ConditionFailed, Key, Row, Table, begin, present

_PER_TRANSACTION = 20
_ATTEMPTS = 5


class ApplyRollups:
    """Brings the counters to where the changed records are now.

    Level-triggered: a record's stored contribution is replaced by its current one and the counters move by the
    difference, all in one transaction. Delivered twice, out of order or after a loss, the counters end right (I3).
    """

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, changes: Sequence[Change]) -> int:
        """Returns how many records were counted anew. Raises Unavailable when others keep interfering."""
        wanted = _newest([change for change in changes if change.kind in COUNTED])
        counted = 0
        for start in range(0, len(wanted), _PER_TRANSACTION):
            counted += self._apply(wanted[start : start + _PER_TRANSACTION])
        return counted

    def _apply(self, changes: Sequence[Change]) -> int:
        for _ in range(_ATTEMPTS):
            stood = self._table.get_many([contribution_key(change.key) for change in changes])
            news = [
                (change, row)
                for change, row in zip(changes, stood, strict=True)
                if row is None or row.version < _version(change)
            ]
            if not news:
                return 0
            try:
                self._commit(news)
            except ConditionFailed:
                continue  # another delivery counted one of them meanwhile
            return len(news)
        raise Unavailable("the counters are being moved by others")

    def _commit(self, news: Sequence[tuple[Change, Row | None]]) -> None:
        transaction = begin(system_call("rollups"), self._clock.now())
        moves: Counter[str] = Counter()
        for change, stood in news:
            now = contributions(change.after)
            moves.update(now)
            moves.subtract(json.loads(stood.doc) if stood else {})
            transaction.put(contribution_row(change.key, _version(change), now), stood.version if stood else ABSENT)
        for name, fields in _by_rollup(moves).items():
            transaction.move(rollup_key(name), ROLLUP, fields)
        self._table.commit(transaction)


def _newest(changes: Sequence[Change]) -> list[Change]:
    """The newest change of each record, in whatever order they come."""
    newest: dict[Key, Change] = {}
    for change in changes:
        known = newest.get(change.key)
        if known is None or _version(known) <= _version(change):
            newest[change.key] = change
    return list(newest.values())


def _version(change: Change) -> int:
    return change.row.version + 1 if change.after is None else change.row.version


def _by_rollup(moves: Counter[str]) -> dict[str, dict[str, int]]:
    rollups: dict[str, dict[str, int]] = {}
    for name, amount in sorted(moves.items()):
        if amount:
            rollup, _, field = name.partition("/")
            rollups.setdefault(rollup, {})[field] = amount
    return rollups


class ReadCounts:
    """Counts of what a principal may list, from the counters: the same cost at any size."""

    def __init__(self, table: Table, policy: Policy) -> None:
        self._table = table
        self._policy = policy

    def leads_by_status(self, call: CallContext) -> dict[str, int]:
        """How many leads of each status the caller may see."""
        return self._sum("leads", Resource.LEADS, call)

    def response_times(self, call: CallContext) -> dict[str, int]:
        """Of the leads the caller may see: how many were `touched`, after how many `seconds` in all, and how many
        targets were met `in_time` or `missed` (CAP-14)."""
        return self._sum("responses", Resource.LEADS, call)

    def pipeline(self, call: CallContext) -> dict[str, int]:
        """Deals per stage: `count <stage>` and `value <currency> <stage>` in minor units."""
        return self._sum("pipeline", Resource.OPPORTUNITIES, call)

    def _sum(self, rollup: str, resource: Resource, call: CallContext) -> dict[str, int]:
        self._policy.require_any(call.principal, resource)
        owners = self._policy.readable_owners(call.principal, resource)
        names = [rollup] if owners is None else [f"{rollup}:{owner}" for owner in sorted(owners)]
        return _total(present(self._table.get_many([rollup_key(name) for name in names], consistent=False)))


def _total(rows: Iterable[Row]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row.counters)
    return {name: amount for name, amount in sorted(total.items()) if amount}

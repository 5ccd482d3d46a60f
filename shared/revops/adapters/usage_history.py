"""`UsageHistory` over the counters of usage: one read of the months' rows, nothing else."""

from collections.abc import Mapping, Sequence

from revops.orders.model import Meter
from revops.table import Table
from revops.usage import Meter as Used
from revops.usage.store import units_key, used


class CountedUsage:
    """What was counted, by account and month."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def months(self, account_id: str, months: Sequence[str]) -> Mapping[str, Mapping[Meter, int]]:
        rows = self._table.get_many([units_key(account_id, month) for month in months])
        return {
            month: {Meter(meter.value): row.counters[used(meter)] for meter in Used if row.counters[used(meter)]}
            for month, row in zip(months, rows, strict=True)
            if row is not None
        }

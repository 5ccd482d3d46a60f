"""What rescoring reads and writes: of all leads those that are due, and under a new model those whose score changes."""

from collections.abc import Sequence

from revops.crm.rescoring import RescoreLeads
from revops.crm.store import LEADS
from revops.kernel import system_call
from revops.scoring import LearnedModel
from revops.scoring.learned import FieldWeights
from revops.settings import SETTINGS, SettingsReader, SettingsRecord
from revops.table import Key, begin
from revops.table import Row as TableRow
from tests.bench.measure import Row
from tests.bench.sample import NOW, Leads
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

SIZE, DUE, _BATCH = 100_000, 1_000, 100
CALL = system_call("bench")


class _Counting(MemoryTable):
    """Counts the leads that are read; what is written stands in `changes`."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[TableRow | None]:
        self.read += sum(key.sk == "LEAD" for key in keys)
        return super().get_many(keys, consistent)

    def written(self) -> int:
        """The leads written since this was last asked."""
        leads = sum(change.key.sk == "LEAD" for change in self.changes)
        self.changes.clear()
        return leads


def rows(seed: int) -> list[Row]:
    """Counted, not timed: 100,000 leads, of whom every hundredth is due because it changed or decayed, rescored by the
    scheduled job until nothing is left to do; then a model comes into force that speaks of one industry in six."""
    table, clock = _Counting(), ManualClock(NOW)
    affected = _filled(table, seed)
    job = RescoreLeads(table, clock, SettingsReader(table, ttl=0))
    looked = _until_done(job)
    due_read, due_written = table.read, table.written()
    _put_in_force(table)
    table.changes.clear()
    _until_done(job)
    model_written = table.written()
    size: dict[str, float | str] = {"leads": SIZE, "due": DUE, "looked at": looked}
    return [
        Row("rescoring: leads read over leads due", due_read / DUE, budget=1, details=size),
        Row("rescoring: leads written over leads due", due_written / DUE, budget=1),
        Row(
            "rescoring under a new model: leads written over those it changes",
            model_written / affected,
            budget=1,
            details={"it changes": affected, "written": model_written},
        ),
    ]


def _filled(table: MemoryTable, seed: int) -> int:
    """Puts the leads into a table; how many of them the model is about."""
    stream, affected = Leads(seed), 0
    for start in range(0, SIZE, _BATCH):
        transaction = begin(CALL, NOW)
        for number in range(start, start + _BATCH):
            lead = stream.lead(number)
            affected += lead.industry == "Mining"
            due = NOW if number % (SIZE // DUE) == 0 else None
            LEADS.create(transaction, lead.model_copy(update={"rescore_at": due}))
        table.commit(transaction)
    table.changes.clear()
    return affected


def _until_done(job: RescoreLeads) -> int:
    """How many were looked at until a run found nobody."""
    looked = 0
    while found := job("bench")["looked_at"]:
        looked += found
    return looked


def _put_in_force(table: MemoryTable) -> None:
    model = LearnedModel(base_rate=0.2, fields={"industry": FieldWeights(values={"mining": 0.3}, other=0.0)})
    transaction = begin(CALL, NOW)
    content = model.model_dump(mode="json")
    record = SettingsRecord(id=LearnedModel.SETTING, created_at=NOW, modified_at=NOW, content=content)
    SETTINGS.create(transaction, record)
    table.commit(transaction)

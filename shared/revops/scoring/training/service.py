"""The training job: reads closed leads, decides, keeps the report, and puts a better model in force (LEAD-4)."""

from collections.abc import Callable, Sequence

from revops.kernel import BlobStore, Clock, system_call, time_text
from revops.scoring.learned import LearnedModel
from revops.scoring.page import page_of
from revops.scoring.store import LEADS_TRAINING, TRAINING_RUNS
from revops.scoring.training.decide import Fit, decide
from revops.scoring.training.model import Example, Outcome, TrainingRun, Verdict
from revops.scoring.training.rules import TrainingRules
from revops.settings import SETTINGS, SettingsReader, SettingsRecord
from revops.table import Table, Transaction, begin

type History = Callable[[int], Sequence[Example]]
"""At most so many closed leads, the newest."""


class TrainScoring:
    """One training. The report is in place before anything points at it; run and model change in one transaction."""

    def __init__(
        self, table: Table, clock: Clock, settings: SettingsReader, history: History, blobs: BlobStore, fit: Fit
    ) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings
        self._history = history
        self._blobs = blobs
        self._fit = fit

    def __call__(self, period: str) -> dict[str, int]:
        """Counts of closed leads, of conversions among them, and of models taken (0 or 1). Raises ConditionFailed when
        somebody else changed the model meanwhile: the next run looks again."""
        now, rules = self._clock.now(), self._settings.read(TrainingRules)
        record = SETTINGS.get(self._table, LearnedModel.SETTING)
        champion = LearnedModel() if record is None else LearnedModel.applied(record.content)
        outcome = decide(self._history(rules.most_leads), champion, rules, self._fit, now)
        call = system_call("train_scoring", period)
        transaction = begin(call, now)
        self._note(transaction, outcome, self._keep(outcome))
        if outcome.model is not None:
            self._put_in_force(transaction, outcome.model, record)
        self._table.commit(transaction)
        taken = int(outcome.report.verdict is Verdict.REPLACED)
        return {"closed": outcome.report.leads, "conversions": outcome.report.conversions, "taken": taken}

    def _keep(self, outcome: Outcome) -> str:
        """Stores report and model; the name of the report, without its ending."""
        stem = time_text(outcome.report.at).replace(":", "")
        name = f"scoring/reports/{stem}"
        self._blobs.put(f"{name}.json", outcome.report.model_dump_json(indent=1).encode(), "application/json")
        self._blobs.put(f"{name}.html", page_of(outcome.report).encode(), "text/html; charset=utf-8")
        if outcome.model is not None:
            content = outcome.model.model_dump_json(indent=1).encode()
            self._blobs.put(f"scoring/models/{stem}.json", content, "application/json")
        return name

    def _note(self, transaction: Transaction, outcome: Outcome, report: str) -> None:
        said = outcome.report
        measured = next((each.measures for each in said.candidates if each.name == "challenger"), None)
        shown = {"verdict": said.verdict, "why": said.why, "leads": said.leads, "conversions": said.conversions}
        fields = {**shown, "report": report, "measures": measured}
        last = TRAINING_RUNS.get(self._table, LEADS_TRAINING)
        if last is not None:
            TRAINING_RUNS.update(transaction, last.revised(said.at, **fields))
            return
        first = {"id": LEADS_TRAINING, "created_at": said.at, "modified_at": said.at}
        TRAINING_RUNS.create(transaction, TrainingRun.model_validate(first | fields))

    def _put_in_force(self, transaction: Transaction, model: LearnedModel, record: SettingsRecord | None) -> None:
        now, content = self._clock.now(), model.model_dump(mode="json")
        if record is not None:
            SETTINGS.update(transaction, record.revised(now, content=content))
            return
        name = LearnedModel.SETTING
        SETTINGS.create(transaction, SettingsRecord(id=name, created_at=now, modified_at=now, content=content))

"""What people are told of scores: the model in force and why, the report behind it."""

from collections.abc import Callable, Mapping

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import Policy
from revops.kernel import BlobStore, CallContext, DomainError, NotFound
from revops.scoring.learned import LearnedModel, Measures
from revops.scoring.store import LEADS_TRAINING, TRAINING_RUNS
from revops.scoring.training.model import Report, Verdict
from revops.settings import SETTINGS
from revops.table import Table


class NothingTrained(NotFound):
    """There is no report yet."""

    def __init__(self) -> None:
        DomainError.__init__(self, "nothing was trained yet; the first training makes a report")


class TrainingView(BaseModel):
    """The newest training."""

    model_config = ConfigDict(defer_build=True)

    at: AwareDatetime
    verdict: Verdict
    why: str = Field(examples=["too few conversions: 12 of the 100 it takes"])
    closed_leads: int
    conversions: int
    measures: Measures | None = Field(default=None, description="Of what was trained, on leads it did not learn from")


class ModelView(BaseModel):
    """The model in force. Version 0: there was never one, and the learned term of every score is 0."""

    model_config = ConfigDict(defer_build=True)

    version: int
    speaks: bool = Field(description="Whether scores have a learned term")
    in_force_since: AwareDatetime | None = None
    trained_at: AwareDatetime | None = None
    learned_until: AwareDatetime | None = Field(
        default=None, description="Closing time of the newest lead it learned from"
    )
    base_rate: float = 0.0
    measures: Measures | None = Field(default=None, description="On leads it did not learn from, when it was taken")
    fields: list[str] = Field(default_factory=list, description="What it looks at, of what a lead came with")
    last_training: TrainingView | None = None


class ReadScoring:
    """The model and its report, for administrators and managers."""

    def __init__(self, table: Table, policy: Policy, blobs: Callable[[], BlobStore]) -> None:
        self._table = table
        self._policy = policy
        self._blobs = blobs

    def model(self, call: CallContext) -> ModelView:
        """Raises Forbidden."""
        self._policy.require_model(call.principal)
        record = SETTINGS.get(self._table, LearnedModel.SETTING)
        model = LearnedModel() if record is None else LearnedModel.applied(record.content)
        return ModelView(
            version=record.version if record else 0,
            speaks=model.speaks,
            in_force_since=record.modified_at if record else None,
            trained_at=model.trained_at,
            learned_until=model.learned_until,
            base_rate=model.base_rate,
            measures=model.measures,
            fields=list(model.fields),
            last_training=self._last_training(),
        )

    def report(self, call: CallContext) -> Report:
        """The newest training, whole. Raises Forbidden, NothingTrained."""
        return Report.model_validate_json(self._stored(call, "json"))

    def page(self, call: CallContext) -> str:
        """The same as a page. Raises Forbidden, NothingTrained."""
        return self._stored(call, "html").decode()

    def _stored(self, call: CallContext, ending: str) -> bytes:
        self._policy.require_model(call.principal)
        run = TRAINING_RUNS.get(self._table, LEADS_TRAINING)
        if run is None:
            raise NothingTrained
        return self._blobs().get(f"{run.report}.{ending}")

    def _last_training(self) -> TrainingView | None:
        run = TRAINING_RUNS.get(self._table, LEADS_TRAINING)
        if run is None:
            return None
        counts: Mapping[str, int] = {"closed_leads": run.leads, "conversions": run.conversions}
        return TrainingView(at=run.modified_at, verdict=run.verdict, why=run.why, measures=run.measures, **counts)

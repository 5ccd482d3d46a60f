"""The training job: what it keeps, puts in force and says, with fitting handed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from local.settings_files import apply_files
from revops.access import Policy
from revops.bootstrap import Wiring, settings_documents
from revops.kernel import CallContext, Forbidden, NotFound, Principal, Role
from revops.scoring import LearnedModel
from revops.scoring.learned import FieldWeights
from revops.scoring.service import ReadScoring
from revops.scoring.store import LEADS_TRAINING, TRAINING_RUNS
from revops.scoring.training.model import Example, Verdict
from revops.scoring.training.service import TrainScoring
from revops.settings import SettingsReader
from revops.settings.service import ChangeSettings
from revops.table import ConditionFailed, Transaction
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL
from tests.builders.history import VALUES, Company
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """A fit that was told its result."""

    model: LearnedModel
    strength: float = 0.1


def weighted(scale: float) -> LearnedModel:
    """The true weights, scaled."""
    fields = {
        name: FieldWeights(values={value: scale * weight for value, weight in values.items()})
        for name, values in VALUES.items()
    }
    return LearnedModel(base_rate=0.22, fields=fields)


class Job:
    """A company with closed leads, and the job that learns from them."""

    def __init__(self, leads: int = 2000) -> None:
        self.table, self.clock, self.blobs = MemoryTable(), ManualClock(NOW), MemoryBlobs()
        self.settings = SettingsReader(self.table, ttl=0)
        self.leads = [Example(lead.origin(), lead.converted, lead.closed_at) for lead in Company(seed=3).history(leads)]
        self.fitted: Told | None = Told(weighted(1.0))
        self.train = TrainScoring(self.table, self.clock, self.settings, self._history, self.blobs, self._fit)
        self.read = ReadScoring(self.table, Policy(), lambda: self.blobs)

    def _history(self, most: int) -> Sequence[Example]:
        return self.leads[:most]

    def _fit(self, train: Sequence[Example], calibrate: Sequence[Example]) -> Told | None:
        assert max(each.closed_at for each in train) <= min(each.closed_at for each in calibrate)
        return self.fitted

    def model(self) -> tuple[LearnedModel, int]:
        return self.settings.versioned(LearnedModel)


@pytest.mark.mission("LEAD-4")
def test_a_first_model_is_put_in_force_with_its_report() -> None:
    job = Job()
    assert job.train("p1") == {"closed": 2000, "conversions": 443, "taken": 1}
    model, version = job.model()
    assert (version, model.speaks, model.trained_at) == (1, True, NOW)
    assert model.measures is not None
    assert sorted(name.rpartition(".")[2] for name in job.blobs.kept) == ["html", "json", "json"]
    view = job.read.model(CALL)
    assert (view.version, view.in_force_since, view.measures) == (1, NOW, model.measures)
    assert view.last_training is not None
    assert view.last_training.why.startswith("took the challenger")
    assert job.read.report(CALL).verdict is Verdict.REPLACED
    assert job.read.page(CALL).startswith("<!doctype html>")


@pytest.mark.mission("LEAD-4")
@pytest.mark.fault("R17")
def test_the_same_again_changes_nothing_but_the_note_of_it() -> None:
    job = Job()
    job.train("p1")
    job.clock.advance(days=7)
    assert job.train("p2")["taken"] == 0
    assert job.model()[1] == 1
    run = TRAINING_RUNS.require(job.table, LEADS_TRAINING)
    assert (run.version, run.verdict, run.modified_at) == (2, Verdict.KEPT, job.clock.now())
    assert len([name for name in job.blobs.kept if "/models/" in name]) == 1


@pytest.mark.mission("LEAD-4")
def test_a_worse_challenger_and_one_that_says_nothing_leave_the_champion() -> None:
    job = Job()
    job.train("p1")
    for fitted in (Told(weighted(0.2)), Told(weighted(-1.0)), None):
        job.fitted = fitted
        assert job.train("again")["taken"] == 0
        assert job.model()[0] == LearnedModel.model_validate(
            weighted(1.0).model_dump() | job.model()[0].model_dump(include={"trained_at", "learned_until", "measures"})
        )
    assert TRAINING_RUNS.require(job.table, LEADS_TRAINING).verdict is Verdict.NO_SIGNAL


@pytest.mark.mission("LEAD-4")
def test_too_few_are_said_in_the_report_and_by_the_route_and_the_term_stays_zero() -> None:
    job = Job(leads=300)
    assert job.train("p1")["taken"] == 0
    view = job.read.model(CALL)
    assert (view.version, view.speaks) == (0, False)
    assert view.last_training is not None
    assert view.last_training.verdict is Verdict.TOO_FEW
    assert "of the 100 it takes" in view.last_training.why
    assert job.model()[0].points(job.leads[0].origin) == 0
    assert view.last_training.why in job.read.page(CALL)


@pytest.mark.mission("LEAD-4")
@pytest.mark.fault("R3", "R19")
def test_who_changes_the_model_meanwhile_is_not_overwritten() -> None:
    """Run and model are one transaction: nothing of a training that lost the race stands."""
    job = Job()
    change = ChangeSettings(job.table, job.clock, Policy(), settings_documents(), {})
    change.apply("scoring_model", weighted(-1.0).model_dump(mode="json"), 0, CALL)

    def meddle(_: Transaction) -> None:
        job.table.before_commit = lambda _: None
        change.apply("scoring_model", {}, 1, CALL)

    job.table.before_commit = meddle
    with pytest.raises(ConditionFailed):
        job.train("p1")
    assert TRAINING_RUNS.get(job.table, LEADS_TRAINING) is None
    assert job.model() == (LearnedModel(), 2)
    assert job.train("p2")["taken"] == 1


@pytest.mark.mission("LEAD-4", "SAFE-3")
def test_an_earlier_model_is_taken_back_like_any_other_rules() -> None:
    job = Job()
    change = ChangeSettings(job.table, job.clock, Policy(), settings_documents(), {})
    job.train("p1")
    first = change.read("scoring_model", CALL)
    change.apply("scoring_model", {}, 1, CALL)
    assert not job.model()[0].speaks
    assert change.apply("scoring_model", first.content, 2, CALL).version == 3
    assert job.model()[0].speaks


@pytest.mark.mission("LEAD-4")
def test_applying_the_files_does_not_undo_the_job() -> None:
    job = Job()
    job.train("p1")
    change = ChangeSettings(job.table, job.clock, Policy(), settings_documents(), {})
    deployed = cast(Wiring, SimpleNamespace(change_settings=change))
    applied = apply_files(deployed, CALL)
    assert "scoring" in applied
    assert "scoring_model" not in applied
    assert job.model()[0].speaks
    with pytest.raises(NotFound, match="scoring_model"):
        apply_files(deployed, CALL, ["scoring_model"])


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.ADMIN, Role.SALES_MANAGER, Role.SYSTEM)])
def test_how_scores_are_made_is_for_admins_and_managers(role: Role) -> None:
    job = Job(leads=300)
    call = CallContext(Principal("x", role, scopes=frozenset({"leads:read"})))
    for ask in (job.read.model, job.read.report, job.read.page):
        with pytest.raises(Forbidden):
            ask(call)


@pytest.mark.mission("LEAD-4")
def test_before_any_training_there_is_no_report_and_the_model_says_so() -> None:
    job = Job()
    assert job.read.model(CALL).last_training is None
    for read in (job.read.report, job.read.page):
        with pytest.raises(NotFound, match=r"^nothing was trained yet"):
            read(CALL)

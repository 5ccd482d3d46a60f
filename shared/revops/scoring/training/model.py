"""What training works on and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.scoring.features import Origin
from revops.scoring.learned import LearnedModel, Measures
from revops.scoring.measures import Bin
from revops.table import Entity


@dataclass(frozen=True, slots=True)
class Example:
    """A closed lead: what it came with, whether it was converted, when that was settled."""

    origin: Origin
    converted: bool
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Split:
    """History cut by closing time: learned from, calibrated on, tested on, each later than the one before."""

    train: Sequence[Example]
    calibrate: Sequence[Example]
    test: Sequence[Example]


class Verdict(StrEnum):
    """What a training came to."""

    TOO_FEW = "too-few"
    NO_SIGNAL = "no-signal"
    KEPT = "champion-kept"
    REPLACED = "challenger-taken"


class Candidate(BaseModel):
    """One of those compared on the test window: none (the base rate for everybody), champion or challenger."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    name: str
    measures: Measures
    calibration: list[Bin] = Field(default_factory=list)
    calibration_error: float = 0.0
    roc: list[tuple[float, float]] = Field(default_factory=list)
    top_fifth: float = Field(default=0.0, description="Part of the conversions among the best fifth of the leads")


class Window(BaseModel):
    """A stretch of history by closing time."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    name: str
    leads: int
    conversions: int
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None


class Report(BaseModel):
    """One training, whole: what there was to learn from, who was compared, what was decided and why."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    at: AwareDatetime
    verdict: Verdict
    why: str = Field(examples=["42 conversions; a model needs 100"])
    leads: int
    conversions: int
    needed: int
    windows: list[Window] = Field(default_factory=list)
    candidates: list[Candidate] = Field(default_factory=list)
    strength: float | None = Field(default=None, description="Regularisation chosen: smaller is stronger")
    champion_saw: int = Field(default=0, description="Test leads that the model in force was itself trained on")
    weights: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="Challenger: field → value → log odds"
    )
    looked_at: list[str] = Field(default_factory=list, description="The fields a model may look at")


class TrainingRun(Entity):
    """The newest training; every earlier one is in the audit of this record. Its report is kept under `report`."""

    verdict: Verdict
    why: str
    leads: int
    conversions: int
    report: str
    measures: Measures | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training decided: its report, and the model to put in force, if any."""

    report: Report
    model: LearnedModel | None = None

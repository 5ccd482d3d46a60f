"""By what a model is trained and judged: rules as data."""

from typing import ClassVar

from pydantic import Field

from revops.settings import SettingsDocument


class TrainingRules(SettingsDocument):
    """When there is enough to learn from, how history is cut, and by how much a model must be better to be taken.

    `margin` is in nats of logarithmic loss per lead. Below `min_conversions` nothing is learned: with fewer than a
    hundred, weights of a dozen fields are mostly chance.
    """

    SETTING: ClassVar[str] = "scoring_training"

    min_conversions: int = Field(default=100, ge=100, le=100_000)
    min_others: int = Field(default=100, ge=100, le=100_000)
    test_share: float = Field(default=0.25, ge=0.1, le=0.5)
    calibration_share: float = Field(default=0.25, ge=0.1, le=0.5)
    min_in_test: int = Field(default=20, ge=10, le=10_000)
    margin: float = Field(default=0.003, ge=0, le=1)
    most_leads: int = Field(default=50_000, ge=1_000, le=200_000)

"""The parts of a score, kept apart and shown."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Points(BaseModel):
    """Points for one reason; the points of a card sum to its score. `at_most` bounds them in either direction; the line
    `clamp` has no bound of its own: it is what 0 and 100 take away."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    factor: str
    value: str
    points: int
    at_most: int


class ScoreCard(BaseModel):
    """An explained score. `changes_at` is when decay alone changes the rounded score; None when it never will."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    score: int
    fit: int
    engagement: int
    learned: int = 0
    points: tuple[Points, ...]
    table_version: int = 0
    model_version: int = 0
    changes_at: AwareDatetime | None = None

"""A clock that only moves when told to, and identifiers that come from a seed."""

import random
from datetime import UTC, datetime, timedelta

from revops.kernel import RandomIds


class ManualClock:
    """Stands at a moment until `advance`d."""

    def __init__(self, start: datetime | None = None) -> None:
        self.moment = start or datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def advance(self, **parts: float) -> None:
        self.moment += timedelta(**parts)


def seeded_ids(seed: int) -> RandomIds:
    """The same identifiers for the same seed."""
    return RandomIds(random.Random(seed).getrandbits)

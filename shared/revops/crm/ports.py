"""What the CRM asks of others."""

from collections.abc import Sequence
from typing import Protocol


class Roster(Protocol):
    """Who takes new leads."""

    def sdrs(self) -> Sequence[str]:
        """The ids of those present, in a stable order."""
        ...

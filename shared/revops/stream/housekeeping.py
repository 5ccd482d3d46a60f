"""One run of everything that catches up: each part alone, so that one that fails keeps no other from running."""

from collections.abc import Callable, Mapping

from revops.kernel import DomainError


class Housekeep:
    """Runs named parts in order. A part whose dependency does not answer is left for the next run, and named."""

    def __init__(self, parts: Mapping[str, Callable[[str], int]]) -> None:
        self._parts = dict(parts)

    def __call__(self, period: str) -> dict[str, int]:
        """Counts by part. Raises the first failure after every other part had its turn."""
        counts: dict[str, int] = {}
        failure: DomainError | None = None
        for name, part in self._parts.items():
            try:
                counts[name] = part(period)
            except DomainError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return counts

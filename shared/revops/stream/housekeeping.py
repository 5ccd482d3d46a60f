"""One run of everything that catches up: each part alone, so that one that fails keeps no other from running."""

from collections.abc import Callable, Mapping


class Housekeep:
    """Runs named parts in order. A part that fails is left for the next run."""

    def __init__(self, parts: Mapping[str, Callable[[str], int]]) -> None:
        self._parts = dict(parts)

    def __call__(self, period: str) -> dict[str, int]:
        """Counts by part. Raises the first failure after every other part had its turn."""
        counts: dict[str, int] = {}
        failure: Exception | None = None
        for name, part in self._parts.items():
            try:
                counts[name] = part(period)
            except Exception as error:  # it is raised again once the others had their turn
                failure = failure or error
        if failure is not None:
            raise failure
        return counts

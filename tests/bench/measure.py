"""Rows of the budget table, and how two things are timed so that a busy machine is busy for both."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Clock = Callable[[], float]
cpu: Clock = time.process_time
wall: Clock = time.perf_counter


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `low` and `high` are the extremes over the rounds; without a budget it is only shown."""

    name: str
    value: float
    unit: str = "×"
    budget: float | None = None
    at_least: bool = False
    low: float | None = None
    high: float | None = None
    details: dict[str, float | str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.budget is None:
            return ""
        met = self.value >= self.budget if self.at_least else self.value <= self.budget
        return "met" if met else "MISSED"


@dataclass(frozen=True, slots=True)
class Pair:
    """Samples of two things, a round each: seconds per operation."""

    ours: tuple[float, ...]
    floor: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: the two halves of a round are neighbours in time, so a burst of other work
        that lasts a few rounds slows both and leaves the ratio alone."""
        return statistics.median(self.ratios)

    @property
    def ratios(self) -> list[float]:
        """Round by round: what the noise is read from."""
        return sorted(a / b for a, b in zip(self.ours, self.floor, strict=True))

    def row(self, name: str, budget: float | None, scale: float = 1e6, unit: str = "µs", **more: float | str) -> Row:
        """The ratio as a row; the medians of both stand in its details, in `unit`."""
        return Row(
            name,
            self.ratio,
            budget=budget,
            low=self.ratios[0],
            high=self.ratios[-1],
            details={
                f"ours {unit}": round(statistics.median(self.ours) * scale, 1),
                f"floor {unit}": round(statistics.median(self.floor) * scale, 1),
                **more,
            },
        )


def spent(work: Callable[[], object], times: int, clock: Clock) -> float:
    """Seconds per call over `times` calls, by a clock, with the garbage of before out of the way."""
    gc.collect()
    started = clock()
    for _ in range(times):
        work()
    return (clock() - started) / times


def side_by_side(
    ours: Callable[[], object], floor: Callable[[], object], *, rounds: int, times: int, clock: Clock = cpu
) -> Pair:
    """A B A B: each round times both, in turn first, after one unmeasured round of each."""
    spent(ours, max(1, times // 5), clock)
    spent(floor, max(1, times // 5), clock)
    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        order = ((0, ours), (1, floor)) if number % 2 == 0 else ((1, floor), (0, ours))
        for side, work in order:
            samples[side].append(spent(work, times, clock))
    return Pair(tuple(samples[0]), tuple(samples[1]))


def median(samples: Sequence[float]) -> float:
    return statistics.median(samples)

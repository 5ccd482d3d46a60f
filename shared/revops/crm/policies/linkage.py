"""How likely two records are one: the scoring core, which knows neither people nor companies.

A record is a tuple of comparable values; an empty one says nothing. Each field compared gives points: the binary
logarithm of how much likelier such a likeness is between two records of one subject than between two of different
ones (Fellegi and Sunter, 1969). Points add up. The fields that rule most pairs out come first, and a pair that can no
longer reach the floor is left at once, so that comparing stays cheap and only pairs that matter are explained.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Values = Sequence[Any]
"""A record in comparable form: a text, or whatever a step's comparison takes, in each place."""
Compare = Callable[[Any, Any], float]
"""How alike two values are, 0–1, the same from either side."""
Levels = Sequence[tuple[float, float]]
"""(likeness from which, points), rising from a likeness of 0."""

NO_FLOOR = -math.inf


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one field says of a pair: how alike, and the points it gives."""

    field: str
    likeness: float
    points: float


@dataclass(frozen=True, slots=True)
class Field:
    """A place of a record that is compared. What one side lacks gives no points."""

    name: str
    place: int
    compare: Compare
    levels: Levels


@dataclass(frozen=True, slots=True)
class Swap:
    """Two places that people write in either order: where they agree crosswise, the crossed order counts if it fits
    better, at a cost. `name` is the field under which that is told."""

    name: str
    places: tuple[int, int]
    cost: float


_Step = tuple[int, Compare, list[float], list[float], float, float]


class Linkage:
    """Fields in the order in which they are compared."""

    def __init__(self, fields: Sequence[Field], swaps: Sequence[Swap] = ()) -> None:
        self._fields = tuple(fields)
        self._swaps = [(*swap.places, swap) for swap in swaps]
        self._steps: list[_Step] = []
        rest = sum(_most(field) for field in fields)
        for field in fields:
            ordered = sorted(field.levels)
            bounds, given = [bound for bound, _ in ordered[1:]], [points for _, points in ordered]
            rest -= _most(field)
            self._steps.append((field.place, field.compare, bounds, given, given[-1], rest))

    def score(self, left: Values, right: Values, floor: float = NO_FLOOR) -> float | None:
        """The points of a pair, the same from either side; None as soon as they cannot reach the floor."""
        for here, there, swap in self._swaps:
            one = left[here]
            other = left[there]
            if (one and one == right[there]) or (other and other == right[here]):
                total, _ = self._in_either_order(left, right, swap)
                return None if total < floor else total
        total = 0.0
        for place, compare, bounds, given, top, rest in self._steps:
            one = left[place]
            other = right[place]
            if one and other:
                total += top if one == other else given[bisect_right(bounds, compare(one, other))]
                if total + rest < floor:
                    return None
        return None if total < floor else total

    def explain(self, left: Values, right: Values) -> tuple[Evidence, ...]:
        """What each field contributes; the points sum to the score."""
        found = self._evidence(left, right)
        for here, there, swap in self._swaps:
            if (left[here] and left[here] == right[there]) or (left[there] and left[there] == right[here]):
                total, crossed = self._in_either_order(left, right, swap)
                if crossed:
                    names = {field.name for field in self._fields if field.place in swap.places}
                    others = tuple(part for part in found if part.field not in names)
                    likeness = self._crossed_likeness(left, right, swap)
                    return (Evidence(swap.name, likeness, total - sum(part.points for part in others)), *others)
        return found

    def _in_either_order(self, left: Values, right: Values, swap: Swap) -> tuple[float, bool]:
        """Points, and whether they are those of the crossed order. Each side is turned once, so that it does not
        matter which one is written the wrong way round."""
        straight = self._total(left, right)
        crossed = self._total(left, _turned(right, swap)) + self._total(_turned(left, swap), right)
        return max((straight, False), (crossed / 2 - swap.cost, True))

    def _crossed_likeness(self, left: Values, right: Values, swap: Swap) -> float:
        here, there = swap.places
        compare = next(field.compare for field in self._fields if field.place == here)
        pairs = [(left[here], right[there]), (left[there], right[here])]
        found = [1.0 if one == other else compare(one, other) for one, other in pairs if one and other]
        return sum(found) / len(found)

    def _evidence(self, left: Values, right: Values) -> tuple[Evidence, ...]:
        found = []
        for field, (place, compare, bounds, given, _, _) in zip(self._fields, self._steps, strict=True):
            one, other = left[place], right[place]
            if one and other:
                likeness = 1.0 if one == other else compare(one, other)
                points = given[-1] if one == other else given[bisect_right(bounds, likeness)]
                found.append(Evidence(field.name, likeness, points))
        return tuple(found)

    def _total(self, left: Values, right: Values) -> float:
        return sum(part.points for part in self._evidence(left, right))


def fitted(
    compare: Compare, bounds: Sequence[float], same: Iterable[tuple[Any, Any]], different: Iterable[tuple[Any, Any]]
) -> Levels:
    """Levels whose points are learned from pairs known to be one and pairs known to be two. Each count starts at one
    half, so that what was never seen is unlikely and not impossible."""
    edges = [0.0, *bounds]

    def shares(pairs: Iterable[tuple[Any, Any]]) -> list[float]:
        counts = [0.5] * len(edges)
        for one, other in pairs:
            if one and other:
                likeness = 1.0 if one == other else compare(one, other)
                counts[bisect_right(edges, likeness) - 1] += 1
        return [count / sum(counts) for count in counts]

    return [(edge, math.log2(m / u)) for edge, m, u in zip(edges, shares(same), shares(different), strict=True)]


def _most(field: Field) -> float:
    return max(0.0, *(points for _, points in field.levels))


def _turned(values: Values, swap: Swap) -> Values:
    here, there = swap.places
    turned = list(values)
    turned[here], turned[there] = values[there], values[here]
    return turned

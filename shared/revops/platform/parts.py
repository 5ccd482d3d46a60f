"""One function behind many routes, of which a request meets one: each part is made when it is first asked for.

A cold start pays for the part of its request alone, however many slices the API has.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from revops.platform.http import Api


@dataclass(frozen=True, slots=True)
class Part:
    """Some routes: the templates of their paths, and what makes the API that answers them."""

    paths: Sequence[str]
    make: Callable[[], Api]


class PartedApi:
    """The Lambda handler of an API in parts. The last part answers what is nobody's."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._made: dict[int, Api] = {}

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answers a request by the part that its path belongs to."""
        return self.part(self.number_of(str(event.get("rawPath", ""))))(event, context)

    def __len__(self) -> int:
        return len(self._parts)

    def paths(self, number: int) -> frozenset[str]:
        """The paths a part is said to answer."""
        return frozenset(self._parts[number].paths)

    def part(self, number: int) -> Api:
        """A part's API, made once."""
        if number not in self._made:
            self._made[number] = self._parts[number].make()
        return self._made[number]

    def number_of(self, path: str) -> int:
        """Which part a path belongs to."""
        number = self._exact.get(path)
        if number is not None:
            return number
        found = self._pattern.fullmatch(path)
        return int((found.lastgroup or "")[1:]) if found else len(self._parts) - 1

    @cached_property
    def _exact(self) -> Mapping[str, int]:
        return {path: number for number, part in enumerate(self._parts) for path in part.paths if "{" not in path}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        open_paths = (
            (number, "|".join(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) for path in part.paths if "{" in path))
            for number, part in enumerate(self._parts)
        )
        return re.compile("|".join(f"(?P<p{number}>{paths})" for number, paths in open_paths if paths))

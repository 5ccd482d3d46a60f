"""What goes wrong, when. A pure function of the seed, the actor and how many calls it made before.

Each actor draws from a generator of its own, so that leaving one mishap out (to shrink a failing schedule) disturbs
the others as little as possible.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Killed(BaseException):
    """The Lambda is gone, here and now. Not an Exception: no handler may catch it and tidy up."""


class Mishap(StrEnum):
    """What can happen to a call."""

    KILL_BEFORE = "killed before"
    KILL_AFTER = "killed after"
    LOST = "answer lost, retried"
    SILENT = "done, never answered"
    UNREACHED = "not done, never answered"
    THROTTLE = "throttled"
    THROTTLED_OUT = "throttled for good"
    CONFLICT = "transaction conflict"
    STALE = "stale read"
    REFUSED = "refused"
    DUPLICATED = "duplicated"


COMMIT = (
    Mishap.KILL_BEFORE,
    Mishap.KILL_AFTER,
    Mishap.LOST,
    Mishap.SILENT,
    Mishap.THROTTLE,
    Mishap.THROTTLED_OUT,
    Mishap.CONFLICT,
)
READ = (Mishap.KILL_BEFORE, Mishap.THROTTLED_OUT)
LAZY_READ = (*READ, Mishap.STALE)
REMOTE_READ = (Mishap.KILL_BEFORE, Mishap.KILL_AFTER, Mishap.UNREACHED)
REMOTE_WRITE = (Mishap.KILL_BEFORE, Mishap.KILL_AFTER, Mishap.UNREACHED, Mishap.SILENT)
SEND = (Mishap.KILL_BEFORE, Mishap.KILL_AFTER, Mishap.REFUSED, Mishap.UNREACHED, Mishap.SILENT, Mishap.DUPLICATED)

_RATES = (0.0, 0.003, 0.012, 0.05)


@dataclass(frozen=True, slots=True)
class Fired:
    """A mishap that happened: to the n-th call of an actor."""

    actor: str
    number: int
    site: str
    mishap: Mishap

    @property
    def name(self) -> str:
        return f"{self.actor}:{self.number}"


@dataclass
class Trouble:
    """Decides about every call. `spared` are the names of mishaps to be left out."""

    seed: int
    actor: Callable[[], str]
    spared: frozenset[str] = frozenset()
    rates: dict[Mishap, float] = field(default_factory=dict)
    fired: list[Fired] = field(default_factory=list)
    calm: bool = False
    aside: bool = False

    def __post_init__(self) -> None:
        self._dice: dict[str, random.Random] = {}
        self._counts: dict[str, int] = {}
        rng = random.Random(self.seed * 2 + 1)
        for mishap in Mishap:
            self.rates[mishap] = rng.choice(_RATES)

    def strikes(self, site: str, possible: tuple[Mishap, ...]) -> Mishap | None:
        """What happens to this call, if anything."""
        actor = self.actor()
        if self.calm or self.aside or not actor:
            return None
        count = self._counts[actor] = self._counts.get(actor, 0) + 1
        dice = self._dice.get(actor)
        if dice is None:
            dice = self._dice[actor] = random.Random(f"{self.seed}/{actor}")
        mark = dice.random()
        for mishap in possible:
            mark -= self.rates[mishap]
            if mark < 0:
                fired = Fired(actor, count, site, mishap)
                if fired.name in self.spared:
                    return None
                self.fired.append(fired)
                return mishap
        return None

"""The simulated clock: real time plus an offset that tests move forward and that survives a restart."""

import time

from local.simulators.common.state import Store


class Clock:
    """Seconds since the epoch as the simulated vendor sees them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def offset(self) -> int:
        """Whole seconds the simulated clock runs ahead of the machine's."""
        return int(self._store.setting("clock_offset", 0))

    def now(self) -> int:
        """The vendor's current time in whole seconds."""
        return int(time.time()) + self.offset

    def precise(self) -> float:
        """The vendor's current time with its fraction."""
        return time.time() + self.offset

    def advance(self, seconds: int) -> int:
        """Move the clock forward; returns the new time. A negative step is refused with ValueError."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._store.set_setting("clock_offset", self.offset + seconds)
        return self.now()

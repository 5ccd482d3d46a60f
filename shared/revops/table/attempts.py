"""Trying a command again after somebody was quicker: its decision was overtaken, so it looks again and decides anew.

What is lost to a busy table is another matter, which `DynamoTable` tries again by itself.
"""

from collections.abc import Callable, Iterator

_FIRST = 0.02
_LONGEST = 0.4


def attempts(most: int, sleep: Callable[[float], None], jitter: Callable[[], float]) -> Iterator[int]:
    """Numbers the attempts of a command from 0, with a pause before each but the first: at most 20 ms, doubling, never
    more than 0.4 s, and with `jitter` (0 to 1) anything below, so that those who met once do not meet again (R6)."""
    for attempt in range(most):
        if attempt:
            sleep(min(_LONGEST, _FIRST * 2 ** (attempt - 1)) * jitter())
        yield attempt

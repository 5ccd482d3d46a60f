"""Which of the things a lead did stand on it (LEAD-3, LEAD-5)."""

from collections import Counter
from collections.abc import Iterable

from revops.crm.model import Engagement

MOST = 50
"""Events that a lead keeps: at most about 20 kB of its item, with the longest `ref` in each."""


def kept(events: Iterable[Engagement]) -> tuple[Engagement, ...]:
    """The events that stand, in the order in which they happened; those of one moment stay in the order given.

    Beyond `MOST` the oldest of the event that stands most often goes, of two that stand equally often the older one. So
    what is rare is never lost to what is frequent: fifty pages do not take away the click or the webinar.
    """
    standing = sorted(events, key=lambda done: done.at)
    while len(standing) > MOST:
        often = Counter(done.event for done in standing)
        highest = max(often.values())
        standing.remove(next(done for done in standing if often[done.event] == highest))
    return tuple(standing)

"""Rate limits, counted over a sliding window of real time: the portal's own and the one of search."""

import math
import time
from collections import deque

from local.simulators.common import Json
from local.simulators.hubspot.errors import rate_limited


class RateLimit:
    """Calls of the last window; a refused call does not count. Forgotten on restart."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()
        self._searches: deque[float] = deque()

    def take(self, settings: Json, *, search: bool) -> dict[str, str]:
        """Count a call; returns HubSpot's rate headers, raises HubspotError 429 when the limit is reached."""
        limit, window = int(settings["rate_limit"]), float(settings["rate_window_seconds"])
        searches = int(settings["search_rate_limit"])
        now = time.monotonic()
        if search and searches:
            _make_room(self._searches, searches, 1.0, now)
        if not limit:
            self._searches.extend([now] if search else [])
            return {}
        _make_room(self._calls, limit, window, now)
        self._calls.append(now)
        self._searches.extend([now] if search else [])
        return {
            "X-HubSpot-RateLimit-Max": str(limit),
            "X-HubSpot-RateLimit-Remaining": str(limit - len(self._calls)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(round(window * 1000)),
        }


def _make_room(calls: deque[float], limit: int, window: float, now: float) -> None:
    while calls and calls[0] <= now - window:
        calls.popleft()
    if len(calls) >= limit:
        policy = "ten_secondly_rolling" if window > 1 else "secondly"
        raise rate_limited(max(1, math.ceil(calls[0] + window - now)), policy)

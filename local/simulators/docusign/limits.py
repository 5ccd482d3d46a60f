"""How often an account may call: so many an hour, and so many within thirty seconds of real time."""

import time
from collections import deque

from local.simulators.common import Json
from local.simulators.docusign.errors import burst_limit, hourly_limit

_HOURLY, _BURST, _BURST_SECONDS = 3000, 500, 30.0


class Limits:
    """Calls of this hour and of the last thirty seconds; forgotten on restart.

    `hourly_limit` and `burst_limit` of the config change how many they may be.
    """

    def __init__(self, config: Json) -> None:
        self._hourly = int(config.get("hourly_limit", _HOURLY))
        self._burst = int(config.get("burst_limit", _BURST))
        self._hour, self._calls = 0, 0
        self._recent: deque[float] = deque()

    def take(self) -> dict[str, str]:
        """Counts a call; DocuSign's rate headers. Raises DocusignError when there were too many."""
        now = time.time()
        if int(now // 3600) != self._hour:
            self._hour, self._calls = int(now // 3600), 0
        while self._recent and self._recent[0] <= now - _BURST_SECONDS:
            self._recent.popleft()
        if self._calls >= self._hourly:
            raise hourly_limit()
        if len(self._recent) >= self._burst:
            raise burst_limit()
        self._calls += 1
        self._recent.append(now)
        return self.headers()

    def headers(self) -> dict[str, str]:
        """What every answer says of the account's calls."""
        return {
            "X-RateLimit-Limit": str(self._hourly),
            "X-RateLimit-Remaining": str(max(self._hourly - self._calls, 0)),
            "X-RateLimit-Reset": str((self._hour + 1) * 3600),
            "X-BurstLimit-Limit": str(self._burst),
            "X-BurstLimit-Remaining": str(max(self._burst - len(self._recent), 0)),
        }

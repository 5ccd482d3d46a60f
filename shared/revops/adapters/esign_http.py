"""HTTP to e-sign providers: a call ends in time, and whether it may have had an effect is always told.

DocuSign and Adobe Sign word their refusals differently and mean the same by their statuses.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from revops.kernel import Unavailable, parse_json
from revops.signing.ports import EnvelopeRefused, OutcomeUnknown

_TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0, pool=0.5)
_LONGEST: Final = 9.0
"""Seconds a call may take from its beginning to the last byte: a lease on a creation counts on ten."""
_MOST_BYTES: Final = 30_000_000
_PAUSE: Final = 5.0
_MENDED_BY_HAND: Final = 60.0
_LONGEST_PAUSE: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object in it; an empty one when there is none."""
        try:
            found = parse_json(self.content)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class NoAnswer(Exception):
    """The request may have arrived; nothing came back that could be read."""


class EsignHttp:
    """Calls to one vendor. `transport` lets a test look at the wire."""

    def __init__(
        self,
        vendor: str,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vendor = vendor
        self._monotonic = monotonic
        self._client = httpx.Client(timeout=_TIMEOUT, transport=transport, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, url: str, **request: Any) -> Reply:
        """The answer, whatever its status. Raises Unavailable when the vendor was not reached, NoAnswer when it may
        have been."""
        until = self._monotonic() + _LONGEST
        content = bytearray()
        try:
            with self._client.stream(method, url, **request) as response:
                for chunk in response.iter_bytes():
                    content += chunk
                    if self._monotonic() > until or len(content) > _MOST_BYTES:
                        raise NoAnswer(f"{self._vendor}'s answer did not end")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"{self._vendor} cannot be reached", retry_after=_PAUSE) from error
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self._vendor} did not answer") from error
        return Reply(response.status_code, response.headers, bytes(content))

    def ask(self, method: str, url: str, **request: Any) -> Reply:
        """`call` for what may be repeated: no answer is Unavailable."""
        try:
            return self.call(method, url, **request)
        except NoAnswer as error:
            raise Unavailable(str(error), retry_after=_PAUSE) from error

    def create(self, method: str, url: str, **request: Any) -> Reply:
        """`call` for what must not be done twice. Raises OutcomeUnknown unless it is sure what became of it."""
        try:
            reply = self.call(method, url, **request)
        except NoAnswer as error:
            raise OutcomeUnknown(str(error)) from error
        if reply.status >= 500:
            raise OutcomeUnknown(f"{self._vendor} answered {reply.status}")
        return reply

    def refusal(
        self, reply: Reply, code: str, message: str, *, limits: frozenset[str]
    ) -> Unavailable | EnvelopeRefused:
        """What an answer that is no success means. `limits` are codes for too many calls, and come with any status."""
        told = f"{self._vendor} answered {reply.status} {code}".rstrip()
        if reply.status == httpx.codes.TOO_MANY_REQUESTS or code in limits:
            return Unavailable(told, retry_after=self._pause(reply))
        if reply.status >= 500 or reply.status == httpx.codes.REQUEST_TIMEOUT:
            return Unavailable(told, retry_after=_PAUSE)
        if reply.status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            # a key, a consent or a right that somebody has to mend; then what waits goes through
            return Unavailable(told, retry_after=_MENDED_BY_HAND)
        return EnvelopeRefused(f"{told}: {message}"[:500], code)

    @staticmethod
    def _pause(reply: Reply) -> float:
        """Seconds to wait, as the vendor says."""
        text = reply.headers.get("retry-after", "")
        try:
            return min(max(float(text), 0.0), _LONGEST_PAUSE)
        except ValueError:
            return _MENDED_BY_HAND


class HeldToken:
    """An access token, kept until shortly before its end. `fetch` tells a new one and the seconds it lasts; `identity`
    says for whom, so that other credentials mean another token."""

    def __init__(self, fetch: Callable[[], tuple[str, float]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._token, self._until, self._identity = "", 0.0, ""

    def __call__(self, identity: str) -> str:
        if not self._token or self._identity != identity or self._monotonic() >= self._until:
            token, seconds = self._fetch()
            self._token, self._identity = token, identity
            self._until = self._monotonic() + max(seconds * 0.9, seconds - 300.0)
        return self._token

    def drop(self) -> None:
        """The vendor does not take it any more."""
        self._token = ""

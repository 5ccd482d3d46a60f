"""Calls to e-sign vendors end in time and tell what may have happened; a token is kept no longer than it lasts."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from revops.adapters.esign_http import EsignHttp, HeldToken
from revops.kernel import Unavailable
from revops.signing.ports import EnvelopeRefused, OutcomeUnknown

URL = "https://vendor.example/envelopes"


def http(answer: Callable[[httpx.Request], httpx.Response], seconds: Iterator[float] | None = None) -> EsignHttp:
    ticks = seconds or iter(lambda: 0.0, None)
    return EsignHttp("Vendor", httpx.MockTransport(answer), lambda: next(ticks))


def raising(error: type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("no", request=request)

    return answer


@pytest.mark.fault("R8")
@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteTimeout])
def test_what_may_have_arrived_is_unknown_for_a_creation_and_asked_again_for_a_question(
    error: type[httpx.TransportError],
) -> None:
    line = http(raising(error))
    with pytest.raises(OutcomeUnknown):
        line.create("POST", URL)
    with pytest.raises(Unavailable):
        line.ask("GET", URL)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_what_never_left_may_be_sent_again(error: type[httpx.TransportError]) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        http(raising(error)).create("POST", URL)


@pytest.mark.fault("R8")
def test_an_answer_that_does_not_end_is_no_answer() -> None:
    def drip() -> Iterator[bytes]:
        while True:
            yield b"x"

    line = http(lambda _: httpx.Response(201, content=drip()), iter(float(second) for second in range(100)))
    with pytest.raises(OutcomeUnknown):
        line.create("POST", URL)


@pytest.mark.fault("R8")
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_of_theirs_does_not_say_that_nothing_was_made(status: int) -> None:
    line = http(lambda _: httpx.Response(status))
    with pytest.raises(OutcomeUnknown):
        line.create("POST", URL)
    assert line.ask("GET", URL).status == status


@pytest.mark.fault("R11")
@pytest.mark.parametrize(
    ("status", "headers", "code", "retry_after"),
    [
        (429, {"Retry-After": "7"}, "", 7.0),
        (429, {"Retry-After": "999999"}, "", 3600.0),
        (429, {"Retry-After": "soon"}, "", 60.0),
        (400, {}, "TOO_MANY", 60.0),
        (503, {}, "", 5.0),
        (401, {}, "", 60.0),
        (403, {}, "", 60.0),
    ],
)
def test_what_passes_is_tried_again_after_as_long_as_the_vendor_says(
    status: int, headers: dict[str, str], code: str, retry_after: float
) -> None:
    line = http(lambda _: httpx.Response(status, headers=headers))
    error = line.refusal(line.ask("GET", URL), code, "", limits=frozenset({"TOO_MANY"}))
    assert isinstance(error, Unavailable)
    assert error.retry_after == retry_after


def test_any_other_refusal_is_for_good_with_the_vendors_words() -> None:
    line = http(lambda _: httpx.Response(400))
    error = line.refusal(line.ask("GET", URL), "INVALID", "no such address", limits=frozenset())
    assert isinstance(error, EnvelopeRefused)
    assert (error.code, error.detail) == ("INVALID", "Vendor answered 400 INVALID: no such address")


def test_a_token_serves_until_shortly_before_its_end_or_until_the_credentials_change() -> None:
    now, fetched = [0.0], []

    def fetch() -> tuple[str, float]:
        fetched.append(now[0])
        return f"token-{len(fetched)}", 3600.0

    token = HeldToken(fetch, lambda: now[0])
    assert (token("us"), token("us")) == ("token-1", "token-1")
    now[0] = 3299.0
    assert token("us") == "token-1"
    now[0] = 3301.0
    assert token("us") == "token-2"
    assert token("others") == "token-3"
    token.drop()
    assert token("others") == "token-4"

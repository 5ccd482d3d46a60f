"""HubSpot's signature v3: who sent it, when, and that nothing else gets in."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from revops.adapters.hubspot_signature import hubspot_signature, signed_uri, verify_hubspot_signature
from revops.kernel import Invalid, Unavailable

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
URI = "https://example.com/webhooks/hubspot"
BODY = '[{"objectId":1,"name":"राहुल"}]'.encode()
SECRET, OTHER = secrets.token_hex(16), secrets.token_hex(16)


def _stamp(shift: timedelta = timedelta()) -> str:
    return str(round((NOW + shift).timestamp() * 1000))


def _verify(body: bytes = BODY, stamp: str = _stamp(), signature: str | None = None, uri: str = URI) -> None:
    made = hubspot_signature(SECRET, "POST", URI, BODY, stamp) if signature is None else signature
    verify_hubspot_signature("POST", uri, body, stamp, made, [OTHER, SECRET], NOW)


@pytest.mark.mission("HUB-3")
@pytest.mark.fault("S6")
@pytest.mark.parametrize(("seconds", "good"), [(0, True), (-300, True), (300, True), (-301, False), (301, False)])
def test_the_window_is_five_minutes_both_ways(seconds: int, good: bool) -> None:
    stamp = _stamp(timedelta(seconds=seconds))
    if good:
        _verify(stamp=stamp)
    else:
        with pytest.raises(Invalid):
            _verify(stamp=stamp)


@pytest.mark.fault("S7")
def test_any_other_body_uri_or_method_is_refused() -> None:
    _verify()
    good = hubspot_signature(SECRET, "POST", URI, BODY, _stamp())
    for change in (
        {"body": BODY + b" "},
        {"uri": URI + "/"},
        {"signature": ("B" if good[0] == "A" else "A") + good[1:]},
        {"signature": ""},
    ):
        with pytest.raises(Invalid):
            _verify(**{"signature": good, **change})  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        verify_hubspot_signature("GET", URI, BODY, _stamp(), good, [SECRET], NOW)


@pytest.mark.fault("S6")
@pytest.mark.parametrize("stamp", ["", "now", "-1", "1e12", "NaN", "１７６０００００００", "9" * 17])
def test_a_timestamp_that_is_no_number_of_milliseconds_is_refused(stamp: str) -> None:
    with pytest.raises(Invalid):
        _verify(stamp=stamp)


@pytest.mark.fault("S8")
def test_both_secrets_hold_while_rotating_and_the_old_one_not_after() -> None:
    old = hubspot_signature(OTHER, "POST", URI, BODY, _stamp())
    verify_hubspot_signature("POST", URI, BODY, _stamp(), old, [SECRET, OTHER], NOW)
    with pytest.raises(Invalid):
        verify_hubspot_signature("POST", URI, BODY, _stamp(), old, [SECRET], NOW)


@pytest.mark.fault("R28")
@pytest.mark.parametrize("known", [[], ["", ""]])
def test_without_a_secret_nothing_is_accepted(known: list[str]) -> None:
    empty = hubspot_signature("", "POST", URI, BODY, _stamp())
    with pytest.raises(Unavailable):
        verify_hubspot_signature("POST", URI, BODY, _stamp(), empty, known, NOW)


def test_twelve_encodings_are_decoded_once_and_no_others() -> None:
    assert signed_uri("https://x/%3a%2F%3F%40%21%24%27%28%29%2a%2C%3b") == "https://x/:/?@!$'()*,;"
    assert signed_uri("https://x/%20%26%3D%2B%23%25?q=%252F") == "https://x/%20%26%3D%2B%23%25?q=%252F"

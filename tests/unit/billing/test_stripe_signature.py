"""STR-1: who sent a webhook is proven on its raw bytes, with rotation, five minutes both ways (S6, S7, S8)."""

from datetime import UTC, datetime, timedelta

import pytest

from revops.adapters.stripe_signature import verify_stripe_signature
from revops.kernel import Invalid, Unavailable
from tests.builders.billing import signature_header

pytestmark = pytest.mark.mission("STR-1")

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
OLD, NEW = "an old signing key", "a new signing key"
RAW = b'{"id": "evt_1",  "amount": 2000}'


def _mac(raw: bytes = RAW, secret: str = NEW, at: datetime = NOW) -> str:
    return signature_header(raw, secret, at).partition("v1=")[2]


@pytest.mark.parametrize("secret", [OLD, NEW])
@pytest.mark.fault("S8")
def test_every_active_secret_verifies(secret: str) -> None:
    verify_stripe_signature(RAW, signature_header(RAW, secret, NOW), [OLD, NEW], NOW)


@pytest.mark.fault("S8")
def test_a_revoked_secret_does_not() -> None:
    with pytest.raises(Invalid, match="no signature matches"):
        verify_stripe_signature(RAW, signature_header(RAW, OLD, NOW), [NEW], NOW)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
@pytest.mark.fault("S6")
def test_up_to_300_seconds_either_way(seconds: int) -> None:
    verify_stripe_signature(RAW, signature_header(RAW, NEW, NOW + timedelta(seconds=seconds)), [NEW], NOW)


@pytest.mark.parametrize("seconds", [-86_400, -301, 301, 86_400])
@pytest.mark.fault("S6")
def test_not_a_second_more(seconds: int) -> None:
    with pytest.raises(Invalid, match="300 seconds"):
        verify_stripe_signature(RAW, signature_header(RAW, NEW, NOW + timedelta(seconds=seconds)), [NEW], NOW)


def test_a_fraction_of_a_second_more_is_too_much() -> None:
    header = signature_header(RAW, NEW, NOW)
    with pytest.raises(Invalid):
        verify_stripe_signature(RAW, header, [NEW], NOW + timedelta(seconds=300, milliseconds=1))


@pytest.mark.parametrize("first", ["0" * 64, "zz", "ünïcode"])
def test_one_of_several_signatures_is_enough(first: str) -> None:
    stamp = int(NOW.timestamp())
    verify_stripe_signature(RAW, f"t={stamp},v1={first},v0=abc,v1={_mac()}", [OLD, NEW], NOW)


@pytest.mark.parametrize("body", [RAW.replace(b"  ", b" "), RAW + b"\n", b"", RAW[::-1]])
@pytest.mark.fault("S7")
def test_other_bytes_do_not_pass(body: bytes) -> None:
    with pytest.raises(Invalid):
        verify_stripe_signature(body, signature_header(RAW, NEW, NOW), [NEW], NOW)


_T = f"t={int(NOW.timestamp())}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "garbage",
        _T,
        f"{_T},v0={_mac()}",
        f"v1={_mac()}",
        f"{_T},{_T},v1={_mac()}",
        f"{_T},t=1,v1={_mac()}",
        f"{_T},v1={_mac()},{_T},v1={_mac()}",
        f"t=,v1={_mac()}",
        f"t=-1,v1={_mac()}",
        f"t=1e9,v1={_mac()}",
        f"t={int(NOW.timestamp())}.5,v1={_mac()}",
        f"t=١٢٣,v1={_mac()}",
        f"t={'9' * 400},v1={_mac()}",
        f"{_T},v1=",
        f"{_T},v1={_mac()},junk",
        f"{_T},v1={_mac().upper()}",
        f"{_T}," + ",".join(f"v1={_mac(secret=OLD)}" for _ in range(100)),
    ],
)
def test_garbled_headers_are_refused(header: str) -> None:
    with pytest.raises(Invalid):
        verify_stripe_signature(RAW, header, [NEW], NOW)


@pytest.mark.parametrize("known", [[], [""]])
@pytest.mark.fault("R28")
def test_without_a_secret_nothing_passes_and_the_sender_comes_again(known: list[str]) -> None:
    with pytest.raises(Unavailable):
        verify_stripe_signature(RAW, signature_header(RAW, "", NOW), known, NOW)

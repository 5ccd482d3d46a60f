"""STR-1: proven, ours, stored once, acknowledged."""

import secrets
from datetime import datetime

import pytest

from revops.adapters.stripe_events import read_stripe_event
from revops.adapters.stripe_signature import verify_stripe_signature
from revops.billing import ReceiveStripeEvent, StripeIdentity
from revops.inbox import INBOX
from revops.kernel import Invalid, Unavailable, system_call
from tests.builders.billing import BillingBench, event_body, signature_header

pytestmark = pytest.mark.mission("STR-1")

SECRET = secrets.token_hex(16)
CALL = system_call("stripe_webhook")
BODY = event_body("evt_1", "customer.created", {"id": "cus_1", "object": "customer"}).encode()


@pytest.fixture
def bench() -> BillingBench:
    return BillingBench()


def _webhook(bench: BillingBench, *active: str, livemode: bool = False) -> ReceiveStripeEvent:
    def prove(raw: bytes, header: str, now: datetime) -> None:
        verify_stripe_signature(raw, header, active, now)

    identity = StripeIdentity("acct_ours", livemode)
    return ReceiveStripeEvent(bench.receive, prove, read_stripe_event, lambda: identity, bench.clock)


def _header(bench: BillingBench, raw: bytes = BODY) -> str:
    return signature_header(raw, SECRET, bench.clock.now())


def _stored(bench: BillingBench) -> int:
    return sum(row.kind == INBOX.kind for row in bench.table.rows.values())


@pytest.mark.fault("R1")
def test_stored_once_and_acknowledged_each_time(bench: BillingBench) -> None:
    webhook = _webhook(bench, SECRET)
    assert [webhook(BODY, _header(bench), CALL) for _ in range(3)] == [True, False, False]
    entry = bench.entry("evt_1")
    assert (entry.subject, entry.event_type, entry.body.encode()) == ("cus_1", "customer.created", BODY)
    assert _stored(bench) == 1


@pytest.mark.parametrize("header", ["", "t=1,v1=00", "nonsense"])
@pytest.mark.fault("S6")
def test_forged_is_refused_and_not_stored(bench: BillingBench, header: str) -> None:
    with pytest.raises(Invalid):
        _webhook(bench, SECRET)(BODY, header, CALL)
    assert _stored(bench) == 0


@pytest.mark.parametrize("minutes", [-6, 6, 1440])
@pytest.mark.fault("S6")
def test_stale_and_future_are_refused_and_not_stored(bench: BillingBench, minutes: int) -> None:
    header = _header(bench)
    bench.clock.advance(minutes=minutes)
    with pytest.raises(Invalid):
        _webhook(bench, SECRET)(BODY, header, CALL)
    assert _stored(bench) == 0


@pytest.mark.fault("S9")
def test_the_other_mode_and_another_account_are_refused(bench: BillingBench) -> None:
    with pytest.raises(Invalid, match="livemode"):
        _webhook(bench, SECRET, livemode=True)(BODY, _header(bench), CALL)
    foreign = BODY.replace(b'"livemode"', b'"account": "acct_other", "livemode"')
    with pytest.raises(Invalid, match="account"):
        _webhook(bench, SECRET)(foreign, _header(bench, foreign), CALL)
    assert _stored(bench) == 0
    ours = BODY.replace(b'"livemode"', b'"account": "acct_ours", "livemode"')
    assert _webhook(bench, SECRET)(ours, _header(bench, ours), CALL)


@pytest.mark.fault("S13")
def test_signed_nonsense_is_refused(bench: BillingBench) -> None:
    raw = b'{"object": "event", "amount": NaN}'
    with pytest.raises(Invalid):
        _webhook(bench, SECRET)(raw, _header(bench, raw), CALL)


@pytest.mark.fault("R28")
def test_without_secrets_the_sender_comes_again(bench: BillingBench) -> None:
    with pytest.raises(Unavailable):
        _webhook(bench)(BODY, _header(bench), CALL)


@pytest.mark.fault("R24")
def test_a_large_body_is_kept_outside_the_table(bench: BillingBench) -> None:
    raw = event_body("evt_1", "customer.created", {"id": "cus_1", "object": "customer", "note": "x" * 200_000}).encode()
    assert _webhook(bench, SECRET)(raw, _header(bench, raw), CALL)
    assert bench.entry("evt_1").body == ""
    assert bench.settlement.load(bench.entry("evt_1").id).body.encode() == raw

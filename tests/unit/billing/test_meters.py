"""STR-1: usage that Stripe did not take is kept once, told by mail, and can be read by those who answer for it."""

import json
from dataclasses import replace

import pytest

from revops.billing import events as billing_events
from revops.billing.meters import METER_REPORTS
from revops.billing.ports import MeterErrors, StripeRefused
from revops.billing.service import Settled
from revops.bus.consume import Occurred
from revops.bus.reactions import notice_reactions
from revops.inbox import InboxStatus
from revops.kernel import Unavailable
from tests.builders.billing import START
from tests.builders.customers import CustomerDesk

pytestmark = pytest.mark.mission("STR-1")

ERRORS = MeterErrors(
    meter_id="mtr_1",
    summary="There are 3 invalid events",
    start=START,
    end=START,
    count=3,
    codes={"timestamp_too_far_in_past": 2, "archived_meter": 1},
    samples=("usage-1",),
)


@pytest.fixture
def desk() -> CustomerDesk:
    desk = CustomerDesk()
    desk.bench.stripe.errors = {"evt_m": ERRORS, "evt_again": ERRORS, "evt_none": replace(ERRORS, meter_id="")}
    return desk


def _body(event_id: str, kind: str = "error_report_triggered") -> str:
    related = {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}
    event = {
        "id": event_id,
        "object": "v2.core.event",
        "type": f"v1.billing.meter.{kind}",
        "created": "2026-11-01T08:00:00.000Z",
        "livemode": False,
    }
    return json.dumps(event | ({"related_object": related} if kind.startswith("error") else {}))


def _reports(desk: CustomerDesk) -> list[str]:
    return [row.kind for row in desk.bench.table.rows.values() if row.kind == METER_REPORTS.kind]


@pytest.mark.fault("R1")
def test_a_report_is_kept_once_with_all_it_says(desk: CustomerDesk) -> None:
    outcome = desk.bench.converge(desk.bench.arrive(_body("evt_m")), desk.bench.call)
    assert (outcome.settled, outcome.count) == (Settled.REPORTED, 3)
    desk.bench.work(_body("evt_again"))
    assert desk.bench.entry("evt_again").status is InboxStatus.APPLIED
    assert len(_reports(desk)) == 1
    month = desk.bench.clock.now().strftime("%Y-%m")
    (report,) = desk.ask("GET", f"/reports/meter-errors?month={month}", user="finance").body["reports"]
    assert (report["meter_id"], report["error_count"], report["codes"]) == ("mtr_1", 3, dict(ERRORS.codes))
    assert (report["samples"], report["window_start"]) == (["usage-1"], "2026-11-01T08:00:00Z")
    assert desk.ask("GET", "/reports/meter-errors?month=2026-01", user="finance").body["reports"] == []


def test_a_name_that_no_meter_has_is_another_report(desk: CustomerDesk) -> None:
    desk.bench.work(_body("evt_m"))
    desk.bench.work(_body("evt_none", "no_meter_found"))
    assert len(_reports(desk)) == 2


@pytest.mark.fault("R27")
def test_nothing_is_lost_while_stripe_is_away_and_a_refusal_is_dead(desk: CustomerDesk) -> None:
    entry = desk.bench.arrive(_body("evt_m"))
    desk.bench.stripe.failure = Unavailable("Stripe did not answer")
    with pytest.raises(Unavailable):
        desk.bench.converge(entry, desk.bench.call)
    assert desk.bench.entry("evt_m").waiting
    desk.bench.stripe.failure = StripeRefused("Stripe answered 404: the event is older than 30 days")
    desk.bench.converge(entry, desk.bench.call)
    assert desk.bench.entry("evt_m").status is InboxStatus.DEAD
    assert _reports(desk) == []


@pytest.mark.mission("BUS-1")
def test_the_operators_are_told(desk: CustomerDesk) -> None:
    desk.bench.work(_body("evt_m"))
    told = [event for change in desk.bench.table.changes for event in billing_events.events(change)]
    (event,) = (event for event in told if event.name == "MeterErrorsReported")
    assert event.data["error_count"] == 3
    mails: list[tuple[str, ...]] = []

    def send(*said: str) -> bool:
        mails.append(said)
        return True

    reactions = notice_reactions(lambda: send, "ops@example.com")["MeterErrorsReported"]  # type: ignore[arg-type, return-value]
    assert [react(Occurred(event.name, event.id, event.data)) for react in reactions] == ["mailed"]
    (mail,) = mails
    assert mail[1] == "ops@example.com"
    assert "3 usage events for meter mtr_1 (archived_meter, timestamp_too_far_in_past)" in mail[3]


@pytest.mark.fault("S1")
def test_who_reads_the_reports(desk: CustomerDesk) -> None:
    for user, status in {"finance": 200, "admin": 200, "support": 200, "rep": 404, "manager": 404, "sdr": 404}.items():
        assert desk.ask("GET", "/reports/meter-errors", user=user).status == status, user

"""Quiet hours over every zone and day; a sequence in any order of what can happen (LEAD-5, R25, I11)."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revops.kernel import Refused, Unavailable
from revops.nurture.model import StepStatus
from revops.nurture.ports import OutcomeUnknown
from revops.nurture.zones import QuietHours, next_decent, zones_of
from tests.builders.crm import CALL
from tests.builders.nurture import Nurture, mail, task, whatsapp

ZONES = (
    "Pacific/Kiritimati", "Pacific/Chatham", "Pacific/Auckland", "Australia/Lord_Howe", "Australia/Adelaide",
    "Asia/Tokyo", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Asia/Dubai", "Europe/Moscow", "Africa/Cairo",
    "Africa/Casablanca", "Europe/Berlin", "Europe/London", "Atlantic/Azores", "America/St_Johns", "America/Halifax",
    "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu",
    "Pacific/Marquesas",
)  # fmt: skip


@pytest.mark.fault("R25")
def test_a_message_waits_until_it_is_decent_and_never_two_days_longer() -> None:
    """4,000 days × 24 zones: with quiet nights and weekends, the wait ends in a decent hour within 66 hours."""
    quiet = QuietHours()
    for place, zone in enumerate(ZONES):
        clock = ZoneInfo(zone)
        for day in range(4_000):
            moment = datetime(2024, 1, 1, (day * 7 + place) % 24, (day * 13) % 60, tzinfo=UTC) + timedelta(days=day)
            sent = next_decent(moment, (zone,), quiet)
            local = sent.astimezone(clock)
            assert quiet.decent(local), (zone, moment, sent)
            assert timedelta(0) <= sent - moment <= timedelta(hours=66), (zone, moment, sent)
            if sent != moment:
                before = (sent - timedelta(minutes=1)).astimezone(clock)
                assert not quiet.decent(before), f"{zone}: {sent} could have been sooner"


@settings(max_examples=200, deadline=None)
@given(
    minutes=st.integers(0, 11 * 365 * 24 * 60),
    begins=st.times(),
    ends=st.times(),
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3),
    weekends=st.booleans(),
)
def test_waiting_is_never_backwards_and_ends_in_an_hour_that_is_decent_somewhere(
    minutes: int, begins: time, ends: time, zones: list[str], weekends: bool
) -> None:
    quiet = QuietHours(begins=begins, ends=ends, weekends=weekends)
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    sent = next_decent(moment, zones, quiet)
    assert moment <= sent <= moment + timedelta(days=8)
    assert quiet.decent(sent.astimezone(ZoneInfo(zones[0])))


def test_every_country_has_a_zone_in_which_somebody_can_be_reached() -> None:
    monday = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
    for country in ("DE", "GB", "IN", "NP", "NZ", "US", "BR", "RU", "KI", "AQ", "XX", ""):
        zones = zones_of(country, {}, "Europe/London")
        local = next_decent(monday, zones, QuietHours()).astimezone(ZoneInfo(zones[0]))
        assert QuietHours().decent(local), country


MOVES = st.lists(
    st.sampled_from(
        ["run", "run", "run", "minute", "hour", "withdraw", "open", "reply", "stop", "review", "fail", "refuse", "lost"]
    ),
    max_size=25,
)


@pytest.mark.mission("LEAD-5")
@pytest.mark.fault("S21")
@settings(max_examples=40, deadline=None)
@given(moves=MOVES)
def test_in_any_order_each_step_is_sent_once_at_most_and_never_after_a_withdrawal(moves: list[str]) -> None:
    nurture = Nurture()
    nurture.rules(
        [
            mail("a"),
            mail("b", "PT1H"),
            whatsapp("w", "PT1H", of="engagement"),
            mail("c", "PT1H", of="previous"),
            task("t", "PT2H"),
        ],
        closes_after="P2D",
    )
    lead = nurture.enrolled()
    sent_when_withdrawn: int | None = None
    trouble = {"fail": Unavailable("busy"), "refuse": Refused("no"), "lost": OutcomeUnknown("no answer")}
    for number, move in enumerate(moves):
        if move in trouble:
            nurture.sender.trouble.append(trouble[move])
        elif move == "run":
            nurture.run(f"{number}")
        elif move in ("minute", "hour"):
            nurture.clock.advance(**{f"{move}s": 1})
        elif move == "withdraw":
            nurture.withdraw(lead)
            nurture.withdraw(lead, "whatsapp")
            if sent_when_withdrawn is None:
                sent_when_withdrawn = nurture.sender.calls
        elif move == "stop":
            nurture.end(lead.id, "stopped by hand", CALL)
        elif move == "review":
            nurture.review(lead.id, CALL)
        else:
            nurture.engage(lead.id, "reply" if move == "reply" else "email_open", f"{number}", CALL)
    nurture.pass_time(timedelta(days=3), every=timedelta(hours=3))
    steps = nurture.enrolment(lead).steps
    ids = [sent.message_id for sent in nurture.sender.mails]
    assert len(ids) == len(set(ids))
    assert all(step.status.ended for step in steps), "no step is lost"
    assert all(step.reason for step in steps if step.status not in (StepStatus.SENT, StepStatus.DONE))
    assert {step.message_id for step in steps if step.status is StepStatus.SENT and step.channel == "email"} == set(ids)
    if sent_when_withdrawn is not None:
        assert nurture.sender.calls == sent_when_withdrawn

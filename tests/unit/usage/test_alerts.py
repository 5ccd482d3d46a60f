"""Alerts: once per account, cap, threshold and cycle, whoever sweeps and however often."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from revops.settings import SETTINGS, SettingsRecord
from revops.table import ConditionFailed, Transaction, begin
from revops.usage import Line, Meter, SpendCapRules, UsageEvent
from revops.usage.events import events
from tests.builders.memory_table import MemoryTable
from tests.builders.usage import ACCOUNT, CALL, MONTH, UsageDesk, alerts_of, api_calls, line, terms


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def desk(table: MemoryTable) -> UsageDesk:
    return UsageDesk(table)


def raised(desk: UsageDesk) -> list[tuple[str, int, str]]:
    return sorted((one.cap, one.threshold_percent, one.cycle) for one in alerts_of(desk.table, ACCOUNT))


@pytest.mark.mission("USE-4")
def test_each_threshold_is_told_once_when_it_is_crossed(desk: UsageDesk) -> None:
    desk.plan(api_calls(0, "1"), spend_cap=1000)
    desk.use(4)
    assert desk.sweep("p")["raised"] == 0
    desk.use(1)
    assert desk.sweep("p")["raised"] == 1
    assert raised(desk) == [("Spend", 50, MONTH)]
    assert desk.notes == [f"{ACCOUNT}: Spend cap: 50 % reached in 2026-11. Used 5.00 EUR of 10.00 EUR."]
    assert desk.sweep("p")["raised"] == 0
    desk.use(5)
    assert desk.sweep("p")["raised"] == 2
    assert raised(desk) == [("Spend", 50, MONTH), ("Spend", 80, MONTH), ("Spend", 100, MONTH)]


def test_a_usage_cap_is_told_like_a_spend_cap(desk: UsageDesk) -> None:
    desk.plan(api_calls(10), line(Line.SIGNATURES, 4, "1", limit=8))
    desk.use(8)
    desk.use(4, Meter.SIGNATURES)
    desk.sweep("p")
    assert raised(desk) == [("API Calls", 50, MONTH), ("API Calls", 80, MONTH), ("Signatures", 50, MONTH)]
    assert f"{ACCOUNT}: Usage cap on API Calls: 80 % reached in 2026-11. Used 8 of 10 API Calls." in desk.notes


def test_a_pool_is_told_as_a_pool(desk: UsageDesk) -> None:
    desk.plan(line(Line.POOLED, 10))
    desk.use(3)
    desk.use(2, Meter.VERIFICATIONS)
    desk.sweep("p")
    assert raised(desk) == [("Pooled", 50, MONTH)]


def test_every_cycle_is_told_anew(desk: UsageDesk) -> None:
    desk.plan(api_calls(10))
    desk.use(5)
    desk.sweep("p")
    desk.clock.advance(days=30)
    desk.use(5)
    desk.sweep("p")
    assert raised(desk) == [("API Calls", 50, MONTH), ("API Calls", 50, "2026-12")]


def test_a_missed_sweep_is_caught_up_by_the_next_also_after_the_month(desk: UsageDesk) -> None:
    desk.plan(api_calls(10, "1"), spend_cap=1000, spend_period="Annual", starts_on="2026-11-01")
    desk.use(20)
    desk.clock.advance(days=30)
    assert desk.sweep("p")["raised"] == 6


@pytest.mark.mission("USE-4")
@pytest.mark.fault("R17")
def test_double_overlapping_and_late_sweeps_tell_once(desk: UsageDesk, table: MemoryTable) -> None:
    desk.plan(api_calls(10))
    desk.use(9)
    other = UsageDesk(table, desk.clock, seed=2)

    def step_in(_: Transaction) -> None:
        table.before_commit = lambda _: None
        other.sweep("p")

    table.before_commit = step_in
    assert desk.sweep("p")["raised"] == 0
    assert raised(desk) == [("API Calls", 50, MONTH), ("API Calls", 80, MONTH)]
    assert other.sweep("later")["raised"] == 0


def test_a_sweep_that_failed_is_made_up_for(desk: UsageDesk, table: MemoryTable) -> None:
    desk.plan(api_calls(10))
    desk.use(9)

    def fail(transaction: Transaction) -> None:
        if len(transaction.operations) > 1:
            raise ConnectionError

    table.before_commit = fail
    with pytest.raises(ConnectionError):
        desk.sweep("p")
    table.before_commit = lambda _: None
    assert desk.sweep("p")["raised"] == 2


def test_a_claim_of_something_else_is_not_mistaken_for_a_raised_alert(desk: UsageDesk, table: MemoryTable) -> None:
    desk.plan(api_calls(10))
    desk.use(5)
    desk.sweep("p")
    desk.use(3)
    again = UsageDesk(table, desk.clock)  # the same seed: its first alert's id is taken
    with pytest.raises(ConditionFailed):
        again.sweep("p")
    assert len(raised(desk)) == 1


def test_thresholds_are_data(desk: UsageDesk) -> None:
    now = desk.clock.now()
    transaction = begin(CALL, now)
    content = {"thresholds_percent": [10, 90]}
    SETTINGS.create(transaction, SettingsRecord(id="spend_caps", created_at=now, modified_at=now, content=content))
    desk.table.commit(transaction)
    desk.plan(api_calls(100))
    desk.use(89)
    desk.sweep("p")
    assert raised(desk) == [("API Calls", 10, MONTH)]


def test_the_file_says_what_the_defaults_say() -> None:
    file = Path(__file__).parents[3] / "config" / "spend_caps.json"
    assert SpendCapRules.model_validate(json.loads(file.read_text("utf-8"))) == SpendCapRules()


@pytest.mark.mission("BUS-1")
def test_an_alert_is_an_event_once(desk: UsageDesk, table: MemoryTable) -> None:
    desk.plan(api_calls(10))
    desk.use(5)
    desk.sweep("p")
    (told,) = [one for change in table.changes for one in events(change)]
    (alert,) = alerts_of(table, ACCOUNT)
    assert told.name == "SpendCapAlertRaised"
    assert told.data == {
        "alert_id": alert.id,
        "account_id": ACCOUNT,
        "cap": "API Calls",
        "threshold_percent": 50,
        "cycle": MONTH,
    }
    assert told.occurred_at == datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_every_account_is_looked_at(table: MemoryTable) -> None:
    desk = UsageDesk(table)
    for number in range(450):
        account = f"ACC_{number}"
        desk.set_plan(terms(api_calls(2), account_id=account), CALL)
        desk.record(UsageEvent(id=account, account_id=account, meter=Meter.API_CALLS, quantity=1), CALL)
    swept = desk.sweep("p")
    assert swept == {"looked_at": 450, "raised": 450}

"""Usage is counted once, exactly, and never past a cap."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from revops.kernel import CapReached, Conflict, Invalid, Money, NotFound, Refused
from revops.table import Key, Page, Query, Row
from revops.usage import Line, Meter, UsageEvent
from revops.usage.policies import ATOMS
from tests.builders.memory_table import MemoryTable
from tests.builders.usage import ACCOUNT, CALL, MONTH, UsageDesk, api_calls, line


class CountingTable(MemoryTable):
    """Notes what is asked of it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.before_commit = lambda _: self.asked.append("commit")

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        self.asked.append("get")
        return super().get(key, consistent)

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        found = super().get_many(keys, consistent)
        self.asked.append("get_many")
        return found

    def query(self, query: Query) -> Page:
        self.asked.append("query")
        return super().query(query)


@pytest.fixture
def desk() -> UsageDesk:
    return UsageDesk(MemoryTable())


@pytest.mark.mission("USE-1")
def test_an_event_is_counted_and_answered_with_what_remains(desk: UsageDesk) -> None:
    desk.plan(api_calls(100, "0.015"), spend_cap=1000)
    receipt = desk.use(30)
    assert (receipt.included_units, receipt.overage_units, receipt.overage_cost) == (30, 0, Decimal(0))
    assert (receipt.cycle, receipt.duplicate) == (MONTH, False)
    assert receipt.remaining.included == 70
    assert receipt.remaining.units is None
    assert receipt.remaining.spend == Money(minor=1000, currency="EUR")
    assert desk.use(30).remaining.included == 40
    assert desk.units() == 60


@pytest.mark.mission("USE-1")
@pytest.mark.fault("R1", "R7")
def test_the_same_event_again_has_the_same_answer_and_no_second_effect(desk: UsageDesk) -> None:
    desk.plan(api_calls(100, "0.015"))
    first = desk.use(30, event_id="same")
    desk.clock.advance(days=400)
    again = desk.use(30, event_id="same")
    assert again == first.model_copy(update={"duplicate": True})
    assert (desk.units(), desk.ledger()[:2]) == (30, (1, 30))


def test_a_repeat_may_leave_out_the_time_or_repeat_it(desk: UsageDesk) -> None:
    desk.plan(api_calls(100))
    at = desk.clock.now() - timedelta(hours=1)
    desk.use(1, event_id="same", at=at)
    assert desk.use(1, event_id="same").duplicate
    assert desk.use(1, event_id="same", at=at).duplicate
    with pytest.raises(Conflict):
        desk.use(1, event_id="same", at=at + timedelta(seconds=1))


@pytest.mark.parametrize("change", [{"quantity": 2}, {"meter": Meter.SIGNATURES}, {"account_id": "ACC_other"}])
def test_an_id_names_one_event(desk: UsageDesk, change: dict[str, object]) -> None:
    desk.plan(api_calls(100), line(Line.SIGNATURES, 5))
    desk.plan(api_calls(100), account_id="ACC_other")
    event = UsageEvent(id="same", account_id=ACCOUNT, meter=Meter.API_CALLS, quantity=1)
    desk.record(event, CALL)
    with pytest.raises(Conflict, match="another usage event"):
        desk.record(event.model_copy(update=change), CALL)
    assert desk.units() == 1


@pytest.mark.mission("USE-3")
def test_units_stop_at_the_usage_cap_and_the_refusal_has_the_numbers(desk: UsageDesk) -> None:
    desk.plan(api_calls(100))
    desk.use(60)
    error = desk.refused(41)
    assert error.status == 402
    assert error.extra == {
        "cap": "API Calls",
        "cycle": MONTH,
        "unit": "units",
        "limit": 100,
        "used": 60,
        "remaining": 40,
        "requested": 41,
    }
    assert desk.use(40).remaining.units == 0
    assert desk.refused(1).extra["remaining"] == 0
    assert (desk.units(), desk.ledger()[1]) == (100, 100)


@pytest.mark.mission("USE-3")
def test_money_stops_at_the_spend_cap_apart_from_units(desk: UsageDesk) -> None:
    desk.plan(api_calls(10, "0.015", limit=10_000), spend_cap=150)
    assert desk.use(110).overage_cost == Decimal("1.5")
    error = desk.refused(1)
    assert error.extra == {
        "cap": "Spend",
        "cycle": MONTH,
        "unit": "EUR",
        "limit": "1.5",
        "used": "1.5",
        "remaining": "0",
        "requested": "0.015",
    }
    assert desk.spent() == 150 * ATOMS
    assert desk.units() == 110


def test_an_event_is_counted_whole_or_refused_whole(desk: UsageDesk) -> None:
    desk.plan(api_calls(10, "1"), spend_cap=500)
    assert "5" in desk.refused(16).detail
    assert (desk.units(), desk.spent()) == (0, 0)
    assert desk.use(15).remaining.spend == Money(minor=0, currency="EUR")


def test_the_very_first_event_can_already_be_too_much(desk: UsageDesk) -> None:
    desk.plan(api_calls(10))
    assert desk.refused(11).extra["used"] == 0
    desk.plan(api_calls(10, "1"), spend_cap=100)
    assert desk.refused(12).extra["used"] == "0"
    assert desk.ledger() == (0, 0, 0)


@pytest.mark.mission("USE-2")
def test_an_event_across_the_boundary_is_split_exactly(desk: UsageDesk) -> None:
    desk.plan(api_calls(100, "0.0015"))
    desk.use(95)
    receipt = desk.use(10)
    assert (receipt.included_units, receipt.overage_units, receipt.overage_cost) == (5, 5, Decimal("0.0075"))
    assert desk.use(1).overage_cost == Decimal("0.0015")
    assert desk.spent() == 6 * 15 * ATOMS // 100


@pytest.mark.mission("USE-3")
def test_ordinarily_one_transaction_and_no_read_before_it() -> None:
    table = CountingTable()
    desk = UsageDesk(table)
    desk.plan(api_calls(100, "0.01"))
    desk.use(10)
    table.asked.clear()
    desk.use(10)
    assert table.asked[0] == "commit"
    assert table.asked.count("commit") == 1
    desk.use(75)
    table.asked.clear()
    desk.use(10)  # across the boundary: one retry, answered from the row that stood in the way
    assert table.asked[:2] == ["commit", "commit"]
    assert table.asked.count("commit") <= 3  # the third makes the cycle's spend row
    table.asked.clear()
    desk.use(10)
    assert table.asked[0] == "commit"
    assert table.asked.count("commit") == 1
    table.asked.clear()
    desk.use(10, event_id="evt-1")
    assert table.asked[0] == "commit"


def test_a_pool_is_shared_by_all_meters(desk: UsageDesk) -> None:
    desk.plan(line(Line.POOLED, 100))
    desk.use(40, Meter.API_CALLS)
    desk.use(40, Meter.SIGNATURES)
    assert desk.refused(21, Meter.VERIFICATIONS).extra["cap"] == "Pooled"
    assert desk.use(20, Meter.VERIFICATIONS).remaining.units == 0


def test_meters_have_lines_of_their_own(desk: UsageDesk) -> None:
    desk.plan(api_calls(10), line(Line.SIGNATURES, 5))
    desk.use(10)
    desk.refused(1)
    assert desk.use(5, Meter.SIGNATURES).remaining.units == 0
    with pytest.raises(Refused, match="API Calls, Signatures"):
        desk.use(1, Meter.VERIFICATIONS)


def test_a_repeat_is_answered_although_the_meter_left_the_plan(desk: UsageDesk) -> None:
    desk.plan(api_calls(10), line(Line.SIGNATURES, 5))
    first = desk.use(3, Meter.SIGNATURES, event_id="same")
    desk.plan(api_calls(10))
    again = UsageDesk(desk.table).use(3, Meter.SIGNATURES, event_id="same")
    assert (again.duplicate, again.included_units) == (True, first.included_units)


def test_an_account_without_a_plan_is_not_found(desk: UsageDesk) -> None:
    with pytest.raises(NotFound):
        desk.use(1)


@pytest.mark.mission("USE-1")
@pytest.mark.fault("R21", "R25")
def test_late_usage_counts_in_the_month_it_happened(desk: UsageDesk) -> None:
    desk.plan(api_calls(10))
    desk.use(10)
    october = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
    assert desk.use(3, at=october).cycle == "2026-10"
    assert (desk.units(month="2026-10"), desk.units()) == (3, 10)
    for moment in (desk.clock.now() - timedelta(days=35, seconds=1), desk.clock.now() + timedelta(seconds=301)):
        with pytest.raises(Invalid) as caught:
            desk.use(1, at=moment)
        assert caught.value.issues[0].rule == "usage-window"
    assert desk.use(1, at=desk.clock.now() - timedelta(days=35)).cycle == "2026-10"


def test_a_new_month_begins_afresh_and_an_annual_cap_goes_on(desk: UsageDesk) -> None:
    desk.plan(api_calls(0, "1"), spend_cap=500, spend_period="Annual", starts_on="2024-02-29")
    desk.use(3)
    desk.clock.advance(days=30)
    assert desk.refused(3).extra["cycle"] == "Y2026-02-28"
    desk.use(2)
    assert (desk.units(month="2026-12"), desk.spent("Y2026-02-28")) == (2, 500 * ATOMS)
    desk.clock.moment = datetime(2027, 2, 28, tzinfo=UTC)
    desk.use(5)
    assert desk.spent("Y2027-02-28") == 500 * ATOMS


# --- plans that change ------------------------------------------------------------------------------------------------


def test_a_change_of_plan_is_in_force_at_once_and_keeps_what_was_used(desk: UsageDesk) -> None:
    desk.plan(api_calls(10, "1"), spend_cap=1000)
    desk.use(12)
    desk.plan(api_calls(20, "2"), spend_cap=2000)
    receipt = desk.use(10)
    assert (receipt.included_units, receipt.overage_units, receipt.overage_cost) == (8, 2, Decimal(4))
    assert receipt.remaining.spend == Money(minor=2000 - 200 - 400, currency="EUR")
    desk.plan(api_calls(5), spend_cap=2000)
    assert desk.refused(1).extra == {
        "cap": "API Calls",
        "cycle": MONTH,
        "unit": "units",
        "limit": 5,
        "used": 22,
        "remaining": 0,
        "requested": 1,
    }


def test_a_plan_may_change_from_lines_to_a_pool(desk: UsageDesk) -> None:
    desk.plan(api_calls(10), line(Line.SIGNATURES, 10))
    desk.use(7)
    desk.use(6, Meter.SIGNATURES)
    desk.plan(line(Line.POOLED, 20))
    assert desk.refused(8, Meter.VERIFICATIONS).extra["used"] == 13
    desk.use(7, Meter.VERIFICATIONS)
    desk.plan(api_calls(10), line(Line.VERIFICATIONS, 9))
    assert desk.use(2, Meter.VERIFICATIONS).remaining.units == 0
    with pytest.raises(Refused):
        desk.use(1, Meter.SIGNATURES)


def test_a_line_that_joins_the_plan_is_seen_at_once(desk: UsageDesk) -> None:
    desk.plan(api_calls(10))
    desk.use(1)
    desk.plan(api_calls(10), line(Line.SIGNATURES, 10))
    assert desk.use(10, Meter.SIGNATURES).remaining.units == 0


def test_last_months_late_usage_keeps_last_months_terms(desk: UsageDesk) -> None:
    october = datetime(2026, 10, 31, 12, tzinfo=UTC)
    desk.plan(api_calls(10, "1"))
    desk.use(10, at=october)
    desk.plan(api_calls(10, "5"))
    assert desk.use(1, at=october).overage_cost == 1
    assert desk.use(11).overage_cost == 5


def test_last_months_late_usage_of_a_line_that_is_dropped_keeps_last_months_terms(desk: UsageDesk) -> None:
    october = datetime(2026, 10, 31, 12, tzinfo=UTC)
    desk.plan(api_calls(10, "1"))
    desk.use(10, at=october)
    desk.use(4)
    desk.plan()
    for name, seen in {"warm": desk, "cold": UsageDesk(desk.table)}.items():
        assert seen.use(1, at=october, event_id=name).overage_cost == 1
        with pytest.raises(Refused, match="no usage lines"):
            seen.use(1, event_id="today")
    assert (desk.units(), desk.units(month="2026-10")) == (4, 12)
    desk.plan(api_calls(10, "1"))
    assert desk.use(1).remaining.included == 5, "what was used in the month stays used"


def test_the_same_plan_again_writes_nothing(desk: UsageDesk) -> None:
    desk.plan(api_calls(10))
    table = desk.table
    assert isinstance(table, MemoryTable)
    count = len(table.changes)
    desk.plan(api_calls(10))
    assert len(table.changes) == count


def test_the_currency_stays_while_money_was_spent_in_the_cycle(desk: UsageDesk) -> None:
    desk.plan(api_calls(0, "1"))
    desk.plan(api_calls(0, "1"), currency="GBP")
    desk.use(1)
    with pytest.raises(Refused, match="currency"):
        desk.plan(api_calls(0, "1"), currency="EUR")


def test_a_plan_that_changes_while_a_month_is_opened_is_never_mixed(desk: UsageDesk) -> None:
    desk.plan(api_calls(10))
    table = desk.table
    assert isinstance(table, MemoryTable)
    late = UsageDesk(table, desk.clock)
    tries = 0

    def before_commit(_: object) -> None:
        nonlocal tries
        tries += 1
        if tries == 2:  # the plan was read and the month is about to be opened under it
            table.before_commit = lambda _: None
            desk.plan(api_calls(3))

    table.before_commit = before_commit
    with pytest.raises(CapReached):
        late.use(5)
    assert late.use(3).remaining.units == 0

"""More to sell: signals that the data shows, one deal per account, rule and month (ORD-9)."""

import pytest
from pydantic import ValidationError

from revops.kernel import Forbidden, Money, NotFound
from revops.payloads_sales import UpsellOpened
from revops.sales.events import events
from revops.sales.model import SignalKind
from revops.sales.policies.upselling import UpsellRule, UpsellRules, months_back
from revops.sales.ports import MonthUsage
from tests.builders.sales import ACCOUNT, FINANCE, OTHER, OWNER, REP, WORKER, SalesBench, executed

pytestmark = pytest.mark.mission("ORD-9")
MONTHS = ("2026-11", "2026-10", "2026-09")


def _usage(*used: int, cap: str = "Pooled", limit: int = 1000) -> list[MonthUsage]:
    return [MonthUsage(cap, month, part, limit, f"{month}: {part}") for month, part in zip(MONTHS, used, strict=False)]


def test_three_months_close_to_the_cap_open_one_deal_with_a_task() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed()
    sold = bench.sell("ORD_ONE", WORKER)
    bench.usage.units = _usage(800, 900, 1000)
    (made,) = bench.look_for_more(ACCOUNT, WORKER)
    assert (made.owner_id, made.signal.rule, made.signal.period) == (OWNER, "usage_near_cap", "2026-11")
    assert made.signal.evidence == "Pooled: 2026-11: 800; 2026-10: 900; 2026-09: 1000"
    assert list(bench.tasks()) == [f"upsell:{made.id}"]
    assert sold is not None
    said = [one for change in bench.memory.changes for one in events(change) if one.name == "UpsellOpened"]
    assert UpsellOpened.model_validate(said[0].data).opportunity_id == made.opportunity_id
    assert bench.look_for_more(ACCOUNT, WORKER) == []
    bench.manual.advance(days=31)
    bench.usage.units = [MonthUsage("Pooled", month, 900, 1000, month) for month in months_back("2026-12", 3)]
    assert bench.look_for_more(ACCOUNT, WORKER) == [], "one was opened a month ago"
    bench.manual.advance(days=180)
    month = f"{bench.manual.now():%Y-%m}"
    bench.usage.units = [MonthUsage("Pooled", each, 900, 1000, each) for each in months_back(month, 3)]
    assert len(bench.look_for_more(ACCOUNT, WORKER)) == 1


@pytest.mark.parametrize(
    "seen",
    [
        _usage(799, 900, 1000),
        _usage(900, 900),
        _usage(900, 900, 900, limit=0),
        [*_usage(900, 900, cap="API Calls"), MonthUsage("Signatures", "2026-09", 900, 1000, "")],
    ],
    ids=["one month below", "a month missing", "no cap", "two caps by turns"],
)
def test_what_is_no_signal_opens_nothing(seen: list[MonthUsage]) -> None:
    bench = SalesBench()
    bench.usage.units = seen
    assert bench.look_for_more(ACCOUNT, WORKER) == []
    assert bench.desk.deals == 0


def test_spend_close_to_its_cap_is_a_signal_of_its_own() -> None:
    bench = SalesBench()
    bench.usage.money = _usage(850, 900, cap="Spend")
    bench.usage.units = _usage(900, 900, 900)
    opened = bench.look_for_more(ACCOUNT, WORKER)
    assert [one.signal.kind for one in opened] == [SignalKind.USAGE, SignalKind.SPEND]


def test_a_deal_of_one_rule_keeps_no_other_rule_quiet() -> None:
    bench = SalesBench()
    bench.usage.units = _usage(900, 900, 900)
    assert [one.signal.rule for one in bench.look_for_more(ACCOUNT, WORKER)] == ["usage_near_cap"]
    bench.usage.money = _usage(850, 900, cap="Spend")
    assert [one.signal.rule for one in bench.look_for_more(ACCOUNT, WORKER)] == ["spend_near_cap"]


@pytest.mark.fault("R17", "R19")
def test_two_looks_at_once_open_one_deal() -> None:
    bench = SalesBench()
    bench.usage.units = _usage(900, 900, 900)
    raced = [True]

    def step_in(_: object) -> None:
        if raced:
            raced.clear()
            assert len(bench.look_for_more(ACCOUNT, WORKER)) == 1

    bench.memory.before_commit = step_in
    assert bench.look_for_more(ACCOUNT, WORKER) == []
    assert len([row for row in bench.memory.rows.values() if row.kind == "FAKE_DEAL"]) == 1


def test_an_account_without_an_owner_waits() -> None:
    bench = SalesBench()
    bench.usage.units = _usage(900, 900, 900)
    bench.desk.owners[ACCOUNT] = ""
    assert bench.look_for_more(ACCOUNT, WORKER) == []


@pytest.mark.mission("SAFE-1")
def test_a_seller_opens_one_by_hand() -> None:
    bench = SalesBench()
    value = Money(minor=50_000, currency="EUR")
    made = bench.open_upsell(ACCOUNT, "20 more seats", "they hire", value, REP)
    assert (made.signal.rule, made.owner_id) == ("manual", OWNER)
    assert bench.read.upsells(ACCOUNT, REP) == [made]
    with pytest.raises(NotFound):
        bench.open_upsell(ACCOUNT, "x", "y", value, OTHER)
    with pytest.raises(NotFound):
        bench.open_upsell("ACC_NOBODY", "x", "y", value, REP)
    with pytest.raises(Forbidden):
        bench.open_upsell(ACCOUNT, "x", "y", value, FINANCE)
    with pytest.raises(NotFound):
        bench.read.upsells(ACCOUNT, OTHER)


def test_rules_stand_apart_and_look_at_data() -> None:
    rule = UpsellRule(name="one", kind=SignalKind.USAGE, percent=80, months=1, offer="more")
    for rules in ((rule, rule), (rule.model_copy(update={"kind": SignalKind.MANUAL}),)):
        with pytest.raises(ValidationError):
            UpsellRules(rules=rules)
    assert months_back("2026-01", 3) == ["2026-01", "2025-12", "2025-11"]

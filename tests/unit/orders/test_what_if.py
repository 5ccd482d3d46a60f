"""What terms would cost against what was used, and beside the provider's own preview (ORD-6)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from revops.access import Policy
from revops.kernel import Invalid, NotFound, Role
from revops.orders.model import Meter, OrderForm
from revops.orders.policies.calendar import midnight
from revops.orders.policies.trial import WhatIf
from revops.orders.provisioning.ports import Preview, PreviewLine
from revops.orders.what_if import TryTerms
from revops.settings import SettingsReader
from tests.builders.clock import ManualClock
from tests.builders.orders import REP, Desk, caller
from tests.unit.orders.test_changing import amended

pytestmark = pytest.mark.mission("ORD-6")


class Used:
    """`UsageHistory` of what a test says."""

    def __init__(self, **months: dict[Meter, int]) -> None:
        self.by_month = {name.replace("m", "").replace("_", "-"): units for name, units in months.items()}

    def months(self, account_id: str, months: Sequence[str]) -> Mapping[str, Mapping[Meter, int]]:
        return {month: self.by_month[month] for month in months if month in self.by_month}


HISTORY = Used(
    m2026_09={Meter.API_CALLS: 9_000},
    m2026_11={Meter.API_CALLS: 30_000, Meter.SIGNATURES: 1_000},
    m2026_12={Meter.API_CALLS: 10**9},  # the month that runs is not whole
)


@pytest.fixture
def desk() -> Desk:
    return Desk(clock=ManualClock(datetime(2026, 12, 1, 0, 30, tzinfo=UTC)))


@pytest.fixture
def try_terms(desk: Desk) -> TryTerms:
    settings = SettingsReader(desk.table, ttl=0)
    return TryTerms(desk.table, desk.clock, desk.crm, Policy(), settings, HISTORY, lambda: desk.stripe, desk.read)


@pytest.fixture
def order(desk: Desk) -> OrderForm:
    return desk.run_until_it_waits(desk.executed(start_date="2026-12-01").id)


def previewed(desk: Desk, order: OrderForm, *amounts: int) -> None:
    lines = tuple(PreviewLine(f"line {n}", amount, True, "price", 0, 0) for n, amount in enumerate(amounts))
    desk.stripe.previews[order.stripe_subscription_id] = Preview("EUR", sum(amounts), lines)


def test_seats_tier_cap_and_overage_against_what_was_used(desk: Desk, try_terms: TryTerms, order: OrderForm) -> None:
    desk.clock.advance(days=15, hours=10)
    live = desk.stripe.live[order.stripe_subscription_id].items[0]
    assert (live.period_end - live.period_start) == 30 * 86_400
    previewed(desk, order, -73_750, 168_750)
    trial = WhatIf.model_validate(
        {
            "plan": "Enterprise",
            "list_price": 9000,
            "discount_percent": "10",
            "seats": 25,
            "usage": [{"meter": "API Calls", "monthly_cap": 20_000, "overage_price": "0.0155"}],
            "spend_cap": {"minor": 15_000, "period": "Monthly"},
        }
    )
    answer = try_terms.live(order.id, trial, REP)
    assert answer.now is not None
    assert (answer.now.seats_per_month.minor, answer.then.seats_per_month.minor) == (25 * 5900, 25 * 8100)
    # from September on, when there first was usage; October counts as nothing
    assert [
        (month.month, month.overage_now and month.overage_now.minor, month.overage_then.minor)
        for month in answer.history
    ] == [
        ("2026-09", 0, 0),
        ("2026-10", 0, 0),
        ("2026-11", 31_500, 15_500),
    ]
    assert [month.stopped_then for month in answer.history] == [False, False, True]
    assert answer.now.overage_per_month is not None
    assert answer.then.overage_per_month is not None
    assert (answer.now.overage_per_month.minor, answer.then.overage_per_month.minor) == (10_500, 5_167)
    assert answer.more_per_month.minor == 25 * (8100 - 5900) + 5_167 - 10_500
    assert answer.not_covered == (Meter.SIGNATURES,)
    assert (answer.at_once.days_left, answer.at_once.days) == (15, 30)
    assert (answer.at_once.ours.minor, answer.at_once.provider and answer.at_once.provider.minor) == (27_500, 95_000)
    assert [(line.ours, line.provider, line.explained) for line in answer.at_once.lines] == [
        (-73_750, -73_750, True),
        (101_250, 168_750, False),
    ]
    assert f"at {midnight(answer.at_once.effective_date, 'Europe/Berlin')}" in " ".join(desk.stripe.calls)
    assert not desk.stripe.changes


def test_the_terms_in_force_are_what_is_compared_with(desk: Desk, try_terms: TryTerms, order: OrderForm) -> None:
    desk.clock.advance(days=3)
    desk.run_until_it_waits(amended(desk, order, seats=30, start_date="2026-12-04").id)
    previewed(desk, order)
    answer = try_terms.live(order.id, WhatIf(), REP)
    assert answer.now is not None
    assert (answer.now.seats, answer.then.seats, answer.more_per_month.minor) == (30, 30, 0)
    assert (answer.at_once.ours.minor, answer.at_once.lines) == (0, ())


def test_a_day_beyond_the_period_costs_nothing_in_it(desk: Desk, try_terms: TryTerms, order: OrderForm) -> None:
    """Stripe refuses to prorate at an instant outside of the period."""
    previewed(desk, order)
    desk.clock.advance(days=2)
    answer = try_terms.live(order.id, WhatIf(seats=50, effective_date=date(2027, 3, 1)), REP)
    end = desk.stripe.live[order.stripe_subscription_id].items[0].period_end
    assert desk.stripe.calls[-1] == f"preview 50 × 5900 at {end}"
    assert (answer.at_once.days_left, answer.at_once.ours.minor) == (0, 0)


@pytest.mark.mission("ORD-5")
def test_what_is_not_prorated_costs_nothing_at_once(desk: Desk, try_terms: TryTerms) -> None:
    """Neither here nor at the provider, whose preview would be of the next period; a new cycle is charged whole."""
    order = desk.run_until_it_waits(desk.executed(start_date="2026-12-01", proration=False).id)
    desk.clock.advance(days=10)
    previewed(desk, order, 50 * 5900)
    more = try_terms.live(order.id, WhatIf(seats=50), REP)
    assert (more.at_once.ours.minor, more.at_once.provider, more.at_once.lines) == (0, None, ())
    assert "next period" in more.at_once.no_preview
    assert more.more_per_month.minor == 25 * 5900
    annual = try_terms.live(order.id, WhatIf.model_validate({"billing_cycle": "Annual"}), REP)
    assert annual.at_once.ours.minor == 12 * 25 * 5900
    assert [line.ours for line in annual.at_once.lines] == [12 * 25 * 5900]
    desk.run_until_it_waits(amended(desk, order, seats=50, start_date="2026-12-11").id)
    assert [change.proration_date for change in desk.stripe.changes] == [0]


def test_terms_nobody_agreed_on_yet(desk: Desk, try_terms: TryTerms, order: OrderForm) -> None:
    line = PreviewLine("12 × Starter", 12 * 2900 * 12, False, "price", 0, 0)
    desk.stripe.previews[""] = Preview("EUR", line.minor, (line,))
    trial = {"plan": "Starter", "currency": "EUR", "billing_cycle": "Annual", "seats": 12}
    answer = try_terms.new(WhatIf.model_validate(trial), REP)
    assert (answer.now, answer.history, answer.then.overage_per_month) == (None, (), None)
    assert answer.then.seats_per_cycle.minor == answer.at_once.ours.minor == 12 * 2900 * 12
    assert [(line.ours, line.provider, line.reason) for line in answer.at_once.lines] == [(417_600, 417_600, "")]
    with_history = try_terms.new(WhatIf.model_validate({**trial, "account_id": order.account_id}), REP)
    assert len(with_history.history) == 3
    assert set(with_history.not_covered) == {Meter.API_CALLS, Meter.SIGNATURES}


def test_no_preview_is_no_reason_for_no_answer(desk: Desk, try_terms: TryTerms, order: OrderForm) -> None:
    desk.stripe.read_failure = 1.0
    desk.clock.advance(days=2)
    answer = try_terms.live(order.id, WhatIf(seats=30), REP)
    assert answer.at_once.provider is None
    assert answer.at_once.no_preview == "the provider is slow today"
    assert answer.then.seats_per_month.minor == 30 * 5900


@pytest.mark.parametrize(
    ("trial", "field"),
    [
        ({"seats": 5}, "plan"),
        ({"plan": "Custom", "currency": "EUR", "billing_cycle": "Monthly", "seats": 5}, "list_price"),
    ],
)
def test_what_is_missing_is_named(try_terms: TryTerms, trial: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        try_terms.new(WhatIf.model_validate(trial), REP)
    assert [issue.field for issue in refused.value.issues] == [field]


def test_a_stranger_learns_nothing(try_terms: TryTerms, order: OrderForm) -> None:
    other = caller("USR_other", Role.SALES_REP)
    with pytest.raises(NotFound):
        try_terms.live(order.id, WhatIf(seats=3), other)
    trial = {
        "plan": "Starter",
        "currency": "EUR",
        "billing_cycle": "Annual",
        "seats": 1,
        "account_id": order.account_id,
    }
    with pytest.raises(NotFound):
        try_terms.new(WhatIf.model_validate(trial), other)


def test_an_amendment_s_currency_and_account_stand(try_terms: TryTerms, order: OrderForm) -> None:
    for wrong in ({"currency": "USD"}, {"account_id": "ACC_OTHER"}):
        with pytest.raises(Invalid):
            try_terms.live(order.id, WhatIf.model_validate(wrong), REP)


def test_a_yearly_spend_cap_is_spent_month_by_month(try_terms: TryTerms, order: OrderForm, desk: Desk) -> None:
    previewed(desk, order)
    trial = {
        "usage": [{"meter": "Pooled", "monthly_cap": 0, "overage_price": "0.01"}],
        "spend_cap": {"minor": 39_000, "period": "Annual"},
    }
    answer = try_terms.live(order.id, WhatIf.model_validate(trial), REP)
    assert [(month.overage_then.minor, month.stopped_then) for month in answer.history] == [
        (9_000, False),
        (0, False),
        (31_000, True),
    ]


def test_a_monthly_spend_cap_begins_anew_each_month(try_terms: TryTerms, order: OrderForm, desk: Desk) -> None:
    previewed(desk, order)
    trial = {
        "usage": [{"meter": "Pooled", "monthly_cap": 0, "overage_price": "0.01"}],
        "spend_cap": {"minor": 31_000, "period": "Monthly"},
    }
    answer = try_terms.live(order.id, WhatIf.model_validate(trial), REP)
    assert [(month.overage_then.minor, month.stopped_then) for month in answer.history] == [
        (9_000, False),
        (0, False),
        (31_000, False),
    ]

"""Forms that nobody can approve are refused where they are handed in; live orders are changed by forms of their own."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from revops.adapters.sales_records import StoredOrders
from revops.kernel import Conflict, Forbidden, Invalid, NotFound
from revops.orders.amending import ChangeSubmission
from revops.orders.decisions import Amendment
from revops.orders.model import OrderForm, OrderKind, OrderStatus
from revops.orders.reviews import ReviewDecision
from revops.orders.signature import SignedDocument
from revops.table import Transaction
from tests.builders.orders import LEGAL, PDF, REP, Desk, caller, order_terms

pytestmark = pytest.mark.mission("ORD-1", "ORD-5")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def live(desk: Desk, **changes: Any) -> OrderForm:
    order = desk.run_until_it_waits(desk.executed(**changes).id)
    assert order.status is OrderStatus.ACTIVE
    return order


def change(desk: Desk, base: OrderForm, **said: Any) -> OrderForm:
    wanted = {"amends": base.id, "start_date": "2026-12-20", **said}
    return desk.submit(ChangeSubmission.model_validate(wanted), REP).order


def signed(desk: Desk, order: OrderForm) -> OrderForm:
    if desk.run_until_it_waits(order.id).status is OrderStatus.IN_REVIEW:
        desk.approve(order.id)
        desk.run_until_it_waits(order.id)
    desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF + order.id.encode()), REP)
    return desk.run_until_it_waits(order.id)


def refused(desk: Desk, act: Any) -> tuple[str, str, str]:
    """Field, rule and what would be accepted of the one refusal, after which nothing was written."""
    before = len(desk.memory.rows)
    with pytest.raises(Invalid) as told:
        act()
    assert len(desk.memory.rows) == before
    (issue,) = told.value.issues
    assert issue.message
    return issue.field, issue.rule, issue.accepted


# -- what nobody can approve -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "accepted"),
    [
        ({"signatory_name": "  "}, "signatory_name", "a name"),
        ({"legal_entity_name": " "}, "legal_entity_name", "a name"),
        ({"spend_cap": {"minor": 147_499, "period": "Monthly"}}, "spend_cap", "at least 147500 minor units, or none"),
        ({"spend_cap": {"minor": 1_769_999, "period": "Annual"}}, "spend_cap", "at least 1770000 minor units, or none"),
        (
            {"spend_cap": {"minor": 139_756, "period": "Monthly"}, "discount_percent": "5.25"},
            "spend_cap",
            "at least 139757 minor units, or none",
        ),
        ({"start_date": "2025-11-20"}, "renewal_date", "a day after 2026-11-20"),
        ({"renewal_date": "2026-11-20", "start_date": "2026-01-01"}, "renewal_date", "a day after 2026-11-20"),
    ],
)
def test_a_form_that_nobody_can_approve(desk: Desk, changes: dict[str, Any], field: str, accepted: str) -> None:
    assert refused(desk, lambda: desk.submitted(**changes))[::2] == (field, accepted)


def test_a_cap_that_just_covers_the_seats_is_taken(desk: Desk) -> None:
    assert desk.submitted(spend_cap={"minor": 147_500, "period": "Monthly"}).terms.spend_cap


def test_every_wrong_field_is_told_at_once(desk: Desk) -> None:
    with pytest.raises(Invalid) as told:
        desk.submitted(signatory_name=" ", spend_cap={"minor": 1, "period": "Annual"})
    assert {issue.field for issue in told.value.issues} == {"signatory_name", "spend_cap"}


def test_changed_terms_that_nobody_can_approve_are_refused_as_well(desk: Desk) -> None:
    order = desk.run_until_it_waits(desk.submitted(term_months=6).id)
    desk.review(order.id, ReviewDecision.ASK, "a year, please", LEGAL)
    wrong = order_terms(spend_cap={"minor": 1, "period": "Monthly"})
    assert refused(desk, lambda: desk.resume(order.id, Amendment(terms=wrong), REP))[0] == "spend_cap"
    assert desk.order(order.id).status is OrderStatus.CHANGES_REQUESTED


# -- changing what runs ----------------------------------------------------------------------------------------------


def test_an_amendment_says_what_changes_and_the_rest_stays(desk: Desk) -> None:
    base = live(desk, discount_percent="5", dpa="2026-01-01")
    order = change(desk, base, seats=40)
    assert (order.kind, order.amends, order.account_id) == (OrderKind.AMENDMENT, base.id, base.account_id)
    expected = base.terms.model_copy(update={"seats": 40, "start_date": date(2026, 12, 20)})
    assert order.terms == expected, "it ends with the contract it changes"
    assert signed(desk, order).status is OrderStatus.ACTIVE
    assert desk.order(order.id).stripe_subscription_id == base.stripe_subscription_id


def test_an_amendment_may_be_the_whole_form(desk: Desk) -> None:
    base = live(desk)
    whole = order_terms(seats=30, start_date="2027-01-01", term_months=12, renewal_date="2027-11-20")
    order = change(desk, base, **whole.model_dump(mode="json"), account_id=base.account_id)
    assert order.terms == whole


def test_another_plan_has_its_own_list_price_and_a_cap_can_be_taken_away(desk: Desk) -> None:
    order = change(desk, live(desk), plan="Enterprise", spend_cap=None)
    assert (order.terms.plan, order.terms.list_price, order.terms.spend_cap) == ("Enterprise", 9900, None)


def test_a_renewal_begins_where_the_term_ends(desk: Desk) -> None:
    base = live(desk)
    order = desk.submit(ChangeSubmission(amends=base.id, kind=OrderKind.RENEWAL, term_months=24), REP).order
    dates = (order.terms.start_date, order.terms.renewal_date)
    assert (order.kind, *dates) == (OrderKind.RENEWAL, date(2027, 11, 20), date(2029, 11, 20))


def test_the_form_that_is_suggested_for_the_next_term_can_be_handed_in_as_it_is(desk: Desk) -> None:
    base = live(desk)
    suggested = StoredOrders(desk.table).next_form(base.id, base.terms.renewal_date, 12)
    order = desk.submit(ChangeSubmission.model_validate(dict(suggested)), REP).order
    assert (order.kind, order.terms.stripe_customer_id) == (OrderKind.RENEWAL, "")
    assert desk.run_until_it_waits(order.id).status is OrderStatus.AWAITING_SIGNATURE


def test_an_amendment_of_what_renewed_by_itself_ends_with_the_present_term(desk: Desk) -> None:
    base = live(desk)
    desk.clock.advance(days=500)
    order = change(desk, base, seats=26, start_date="2028-05-01")
    assert order.terms.renewal_date == date(2028, 11, 20)


def test_what_was_agreed_before_is_not_reviewed_again(desk: Desk) -> None:
    base = live(desk, discount_percent="25", term_months=60)
    assert desk.run_until_it_waits(change(desk, base, seats=30).id).status is OrderStatus.AWAITING_SIGNATURE
    other = live(desk, discount_percent="25")
    more = desk.run_until_it_waits(change(desk, other, discount_percent="30").id)
    assert [finding.rule for finding in more.review.findings] == ["max_discount_percent"]


def test_another_plan_at_the_price_of_the_old_one_is_reviewed(desk: Desk) -> None:
    cheap = change(desk, live(desk, plan="Starter"), plan="Enterprise", list_price=2900)
    (found,) = desk.run_until_it_waits(cheap.id).review.findings
    assert (found.rule, found.message) == (
        "catalogue_price_only",
        "a list price of 2900 EUR minor units; the catalogue says 9900",
    )


def test_a_price_of_null_is_that_of_the_plan(desk: Desk) -> None:
    assert change(desk, live(desk, plan="Starter"), plan="Enterprise", list_price=None).terms.list_price == 9900
    assert change(desk, live(desk, list_price=5000), seats=26, list_price=None).terms.list_price == 5000


def test_a_contract_is_not_made_longer_unseen(desk: Desk) -> None:
    longer = change(desk, live(desk, discount_percent="25"), renewal_date="2036-11-20")
    (found,) = desk.run_until_it_waits(longer.id).review.findings
    assert (found.rule, found.needs_approval) == ("renewal_date", True)
    assert found.message == "it renews on 2036-11-20; the contract that it changes renews on 2027-11-20"


@pytest.mark.mission("ORD-8")
def test_the_documents_of_another_region_are_told_of(desk: Desk) -> None:
    moved = change(desk, live(desk, region="US", dpa="No", sccs="No"), region="EU")
    assert [(each.field, each.needs_approval) for each in moved.review.findings] == [("dpa", False), ("sccs", False)]
    stays = change(desk, live(desk, region="US", dpa="No"), seats=26)
    assert stays.review.findings == ()


@pytest.mark.fault("R4")
def test_a_key_tells_taking_a_cap_away_from_saying_nothing_of_it(desk: Desk) -> None:
    base = live(desk)
    said = {"amends": base.id, "start_date": "2026-12-20", "seats": 26}
    desk.submit(ChangeSubmission.model_validate(said), REP, "key-1")
    with pytest.raises(Conflict, match="Idempotency-Key"):
        desk.submit(ChangeSubmission.model_validate({**said, "spend_cap": None}), REP, "key-1")


@pytest.mark.parametrize(
    ("said", "deal"),
    [
        ({"seats": 26}, ("Upsell", 5900)),
        ({"seats": 24}, None),
        ({"seats": 26, "deal": "none"}, None),
        ({"kind": "Renewal", "start_date": None}, ("Renewal", 5900 * 25 * 12)),
    ],
)
def test_a_change_is_a_deal_or_none(desk: Desk, said: dict[str, Any], deal: tuple[str, int] | None) -> None:
    order = change(desk, live(desk), **said)
    assert order.opened_opportunity is (deal is not None)
    if deal is None:
        assert order.opportunity_id == ""
        assert signed(desk, order).status is OrderStatus.ACTIVE, "without a deal it goes its way"
        return
    opened = desk.crm.deal(order.opportunity_id)
    assert opened["source"] == deal[0]
    assert abs(opened["value"] - deal[1] * (11 if deal[0] == "Upsell" else 1)) <= deal[1] // 12
    desk.cancel(order.id, "changed their mind", REP)
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Closed Lost"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"currency": "USD"}, ("currency", "ORD-5 same-currency", "EUR")),
        ({"start_date": "2026-11-19"}, ("start_date", "ORD-5 after-base", "2026-11-20 or a later day")),
        ({"start_date": None}, ("start_date", "ORD-5 effective-date", "a day, such as 2027-01-15")),
        ({"plan": "Custom"}, ("list_price", "required", "minor units")),
        ({"account_id": "ACC_OTHER"}, ("account_id", "ORD-5 same-account", "")),
        ({"seats": 100}, ("spend_cap", "ORD-1 cap-covers-seats", "at least 590000 minor units, or none")),
        ({"seats": 0}, ("seats", "greater_than_equal", "")),
        ({"renewal_date": "2026-12-20"}, ("renewal_date", "value_error", "")),
        (
            {"usage": [{"meter": "Pooled", "monthly_cap": 1, "overage_price": "1"}] * 2},
            ("usage", "value_error", ""),
        ),
    ],
)
def test_a_change_that_does_not_fit(desk: Desk, said: dict[str, Any], refusal: tuple[str, str, str]) -> None:
    base = live(desk)
    field, rule, accepted = refused(desk, lambda: change(desk, base, **said))
    assert (field, rule) == refusal[:2]
    assert accepted == (refusal[2] or accepted)


@pytest.mark.fault("R25")
@pytest.mark.parametrize(
    ("started", "months", "day", "ends"),
    [
        ("2026-10-31", 1, "2027-01-15", "2027-01-31"),
        ("2026-10-31", 1, "2027-02-28", "2027-03-31"),
        ("2026-08-31", 3, "2027-03-01", "2027-05-31"),
        ("2026-10-30", 1, "2027-03-01", "2027-03-30"),
        ("2026-11-29", 12, "2027-12-01", "2028-11-29"),
    ],
)
def test_an_amendment_ends_with_the_term_it_falls_into_counted_from_the_day_of_the_contract(
    desk: Desk, started: str, months: int, day: str, ends: str
) -> None:
    base = live(desk, start_date=started, term_months=months)
    assert change(desk, base, seats=60, start_date=day).terms.renewal_date == date.fromisoformat(ends)


@pytest.mark.fault("R25")
def test_an_amendment_of_an_amendment_is_counted_from_the_day_of_the_contract_too(desk: Desk) -> None:
    base = live(desk, start_date="2026-10-31", term_months=1)
    first = signed(desk, change(desk, base, seats=60, start_date="2026-11-20"))
    assert (first.status, first.terms.renewal_date) == (OrderStatus.ACTIVE, date(2026, 11, 30))
    second = change(desk, first, seats=70, start_date="2027-01-15")
    assert second.terms.renewal_date == date(2027, 1, 31)
    assert [each.field for each in second.review.findings] == []
    desk.run_until_it_waits(second.id)
    assert [each.rule for each in desk.order(second.id).review.findings if each.field == "renewal_date"] == []


@pytest.mark.fault("S13")
@pytest.mark.parametrize("kind", ["Amendment", "Renewal"])
@pytest.mark.parametrize("field", ["start_date", "renewal_date"])
def test_a_day_that_no_calendar_goes_beyond_is_refused(kind: str, field: str) -> None:
    days = {"start_date": "2027-01-01", field: "9999-12-31"}
    with pytest.raises(ValidationError) as refused:
        ChangeSubmission.model_validate({"amends": "ORD_1", "kind": kind, **days})
    assert [each["loc"] for each in refused.value.errors()] == [(field,)]


def test_only_what_runs_is_changed_and_by_those_who_may(desk: Desk) -> None:
    waiting = desk.submitted()
    assert refused(desk, lambda: change(desk, waiting, seats=30)) == (
        "amends",
        "ORD-5 live-order",
        "an Active order form",
    )
    base = live(desk)
    wanted = ChangeSubmission(amends=base.id, start_date=date(2026, 12, 1), seats=30)
    with pytest.raises(NotFound):
        desk.submit(wanted, caller("USR_stranger"))
    with pytest.raises(Forbidden):
        desk.submit(wanted, LEGAL)
    with pytest.raises(NotFound):
        desk.submit(wanted.model_copy(update={"amends": "ORD_NONE"}), REP)
    assert refused(desk, lambda: desk.submitted(kind="Renewal"))[0] == "amends"


def test_one_amendment_and_one_renewal_at_a_time(desk: Desk) -> None:
    base = live(desk)
    first = change(desk, base, seats=26)
    assert refused(desk, lambda: change(desk, base, seats=27))[1] == "ORD-5 one-at-a-time"
    renewal = change(desk, base, kind="Renewal", start_date=None)
    assert renewal.kind is OrderKind.RENEWAL
    desk.cancel(first.id, "no", REP)
    second = change(desk, base, seats=28)
    assert signed(desk, second).status is OrderStatus.ACTIVE
    third = change(desk, desk.order(second.id), seats=29, start_date="2027-01-10")
    assert third.terms.seats == 29


def test_the_next_change_starts_from_the_last_one_in_force(desk: Desk) -> None:
    base = live(desk)
    second = signed(desk, change(desk, base, seats=28, start_date="2026-11-20"))
    assert refused(desk, lambda: change(desk, base, seats=29)) == ("amends", "ORD-5 in-force", second.id)
    assert change(desk, second, seats=29).amends == second.id


@pytest.mark.fault("R18", "R19")
def test_two_amendments_handed_in_at_once_are_one(desk: Desk) -> None:
    base = live(desk)

    def race(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        change(desk, base, seats=27)

    desk.memory.before_commit = race
    with pytest.raises(Conflict):
        change(desk, base, seats=28)
    assert refused(desk, lambda: change(desk, base, seats=28))[1] == "ORD-5 one-at-a-time"


@pytest.mark.fault("R4")
def test_an_idempotency_key_stands_for_one_change(desk: Desk) -> None:
    wanted = ChangeSubmission(amends=live(desk).id, start_date=date(2026, 12, 1), seats=30)
    first, again = desk.submit(wanted, REP, "key-1"), desk.submit(wanted, REP, "key-1")
    assert (first.created, again.created, again.order) == (True, False, first.order)


# -- the deal ---------------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-2")
def test_a_deal_that_another_live_order_names_outlives_the_one_that_opened_it(desk: Desk) -> None:
    opener = desk.submitted()
    other = desk.submitted(account_id=opener.account_id, opportunity_id=opener.opportunity_id)
    desk.cancel(opener.id, "two forms for one deal", REP)
    assert desk.crm.deal(opener.opportunity_id)["stage"] == "Prospect"
    desk.cancel(other.id, "no", REP)
    assert desk.crm.deal(opener.opportunity_id)["stage"] == "Closed Lost"

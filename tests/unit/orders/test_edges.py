"""The edges of what may be done with an order: the last value that is standard, the first that is not, and who comes at
the wrong moment or has no say."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from revops.access import PlaceUser, Team, User
from revops.crm.tasks import TASKS, Task
from revops.kernel import CallContext, Conflict, Forbidden, Invalid, NotFound, Refused, Role, system_call
from revops.orders.amending import ChangeSubmission
from revops.orders.decisions import Amendment
from revops.orders.model import OrderForm, OrderStatus, Step
from revops.orders.policies.form import OrderFormRules, form_of
from revops.orders.policies.pricing import contract_value
from revops.orders.policies.review import ReviewRules
from revops.orders.reviews import ReviewDecision
from revops.orders.signature import SignedDocument
from revops.orders.store import ORDERS, order_key
from revops.orders.workflow import StepTask
from revops.settings import SETTINGS, SettingsRecord
from revops.table import Query, Transaction, begin
from tests.builders.orders import FINANCE, LEGAL, PDF, REP, WORKER, Desk, caller, order_terms

pytestmark = pytest.mark.mission("ORD-2")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def waiting(desk: Desk, **changes: Any) -> OrderForm:
    """As far as the workflow takes it."""
    return desk.run_until_it_waits(desk.submitted(**changes).id)


def live(desk: Desk, **changes: Any) -> OrderForm:
    return desk.run_until_it_waits(desk.executed(**changes).id)


def change(desk: Desk, base: OrderForm, **said: Any) -> OrderForm:
    return desk.submit(ChangeSubmission.model_validate({"amends": base.id, **said}), REP).order


def signed(desk: Desk, order: OrderForm) -> OrderForm:
    desk.run_until_it_waits(order.id)
    desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF + order.id.encode()), REP)
    return desk.run_until_it_waits(order.id)


def meanwhile(desk: Desk, act: Any) -> None:
    """Just before the next commit somebody else does something."""

    def once(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        act()

    desk.memory.before_commit = once


# -- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize(
    ("call", "refused"),
    [
        (caller("USR_stranger"), NotFound),
        (caller("USR_sdr", Role.SDR), NotFound),
        (FINANCE, Forbidden),
        (LEGAL, Forbidden),
        (caller("USR_support", Role.SUPPORT), Forbidden),
    ],
    ids=lambda each: each.principal.id if isinstance(each, CallContext) else "",
)
def test_who_may_not_change_an_order_signs_resumes_and_cancels_none(
    desk: Desk, call: CallContext, refused: type[Exception]
) -> None:
    order = waiting(desk)
    signing = SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF)
    acts: tuple[Callable[[], OrderForm], ...] = (
        lambda: desk.sign(order.id, signing, call),
        lambda: desk.resume(order.id, Amendment(), call),
        lambda: desk.cancel(order.id, "no", call),
    )
    for act in acts:
        with pytest.raises(refused):
            act()
    assert desk.order(order.id) == order


def test_a_deal_of_another_account_is_not_built_on(desk: Desk) -> None:
    base, other = live(desk), desk.submitted()
    with pytest.raises(Invalid, match="deal of another account"):
        desk.submitted(account_id=base.account_id, opportunity_id=other.opportunity_id)
    with pytest.raises(Invalid, match="deal of another account"):
        change(desk, base, start_date="2026-12-01", seats=26, opportunity_id=other.opportunity_id)
    with pytest.raises(Invalid, match="account_id"):
        desk.submitted(opportunity_id=other.opportunity_id)


# -- what is standard ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standard", "beyond"),
    [
        ({"discount_percent": "10"}, {"discount_percent": "10.0001"}),
        ({"term_months": 12}, {"term_months": 11}),
        ({"term_months": 36}, {"term_months": 37}),
        ({"seats": 500, "spend_cap": None}, {"seats": 501, "spend_cap": None}),
        ({"start_date": "2026-10-20"}, {"start_date": "2026-10-19"}),
        ({"start_date": "2027-11-20"}, {"start_date": "2027-11-21"}),
    ],
)
def test_what_is_standard_ends_where_the_rules_say(
    desk: Desk, standard: dict[str, Any], beyond: dict[str, Any]
) -> None:
    assert waiting(desk, **standard).status is OrderStatus.AWAITING_SIGNATURE
    assert waiting(desk, **beyond).status is OrderStatus.IN_REVIEW


@pytest.mark.mission("ORD-5")
def test_what_is_as_odd_as_before_and_yet_another_is_reviewed_again(desk: Desk) -> None:
    def free(cap: int) -> list[dict[str, Any]]:
        return [{"meter": "Signatures", "monthly_cap": cap, "overage_price": "0"}]

    base = desk.executed(usage=free(10))
    base = desk.run_until_it_waits(base.id)
    more = change(desk, base, start_date="2026-12-01", usage=free(900_000))
    assert [each.rule for each in desk.run_until_it_waits(more.id).review.findings] == ["usage_lines"]


@pytest.mark.mission("ORD-8")
def test_an_amendment_into_another_region_waits_for_its_documents(desk: Desk) -> None:
    moved = signed(
        desk, change(desk, live(desk, region="US", dpa="No", sccs="No"), start_date="2026-12-01", region="EU")
    )
    assert (moved.status, moved.block and moved.block.step) == (OrderStatus.BLOCKED, Step.ACTIVATE)
    desk.resume(moved.id, Amendment(dpa="Yes", sccs="Module 2"), LEGAL)
    assert desk.run_until_it_waits(moved.id).status is OrderStatus.ACTIVE


# -- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-1")
def test_half_a_minor_unit_of_the_whole_contract_is_one() -> None:
    terms = order_terms(list_price=1, discount_percent="50", seats=1, term_months=13, spend_cap=None)
    assert contract_value(terms) == 7


@pytest.mark.mission("ORD-1")
@pytest.mark.parametrize(
    ("currency", "price", "net"), [("JPY", 999, "666.000333 JPY"), ("KWD", 12345, "8.230004115 KWD")]
)
def test_the_form_shows_parts_of_a_minor_unit_in_every_currency(
    desk: Desk, currency: str, price: int, net: str
) -> None:
    order = desk.submitted(currency=currency, list_price=price, discount_percent="33.3333", spend_cap=None)
    shown = dict(next(each.rows for each in form_of(order, OrderFormRules()).sections if each.heading == "Price"))
    assert shown["Net price per seat and month"] == net


@pytest.mark.mission("ORD-9")
def test_an_upsell_that_brings_nothing_is_worth_nothing_and_never_less(desk: Desk) -> None:
    order = change(desk, live(desk), start_date="2026-12-01", seats=20, deal="upsell")
    assert desk.crm.deal(order.opportunity_id)["value"] == 0


# -- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-3")
def test_it_may_be_tomorrow_already_where_somebody_signs(desk: Desk) -> None:
    order = waiting(desk)
    with pytest.raises(Invalid, match="signed_on"):
        desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 22), PDF), REP)
    tomorrow = SignedDocument("Anna Beispiel", date(2026, 11, 21), PDF)
    assert desk.sign(order.id, tomorrow, REP).status is OrderStatus.EXECUTED


def test_it_is_known_since_when_an_order_stands_where_it_stands(desk: Desk) -> None:
    order = waiting(desk)
    desk.clock.advance(days=40)
    desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF), REP)
    assert desk.progress(order.id, REP).since == desk.clock.now()


def test_changed_terms_have_no_document_before_they_are_printed(desk: Desk) -> None:
    order = waiting(desk, term_months=6)
    desk.review(order.id, ReviewDecision.ASK, "a year", LEGAL)
    assert desk.document(order.id, REP).document.revision == 1
    desk.resume(order.id, Amendment(terms=order_terms()), REP)
    with pytest.raises(Refused, match="not printed yet"):
        desk.document(order.id, REP)
    assert desk.progress(order.id, REP).document == ""


def test_whoever_only_asks_takes_no_step(desk: Desk) -> None:
    order = desk.submitted()
    for step in ("read", "", "provision", "a step of an old release"):
        assert desk.run(StepTask(order.id, step), WORKER).next == Step.REVIEW
    assert desk.order(order.id) == order


@pytest.mark.fault("R22")
def test_an_index_that_is_behind_restarts_no_order_that_moved_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order = desk.executed()
    desk.clock.advance(minutes=31)
    query = desk.memory.query
    stale = {pk: query(Query(pk=pk, index="due", limit=9)) for pk in (f"DUE#order#{shard}" for shard in range(4))}
    assert [row.key for page in stale.values() for row in page.rows] == [order_key(order.id)]
    desk.run(StepTask(order.id, Step.PROVISION), WORKER)
    monkeypatch.setattr(desk.memory, "query", lambda asked: stale.get(asked.pk) or query(asked))
    assert desk.restart_stalled(WORKER) == 0
    assert desk.order(order.id).attempt == 1


@pytest.mark.mission("ORD-5")
@pytest.mark.fault("R19")
def test_an_order_that_changes_while_it_is_amended_is_amended_anew(desk: Desk) -> None:
    base = live(desk)

    def touched() -> None:
        transaction = begin(WORKER, desk.clock.now())
        ORDERS.update(transaction, desk.order(base.id).revised(desk.clock.now()))
        desk.table.commit(transaction)

    meanwhile(desk, touched)
    with pytest.raises(Conflict):
        change(desk, base, start_date="2026-12-01", seats=26)
    assert change(desk, base, start_date="2026-12-01", seats=26).terms.seats == 26


@pytest.mark.mission("ORD-5")
def test_one_renewal_of_a_subscription_whichever_of_its_forms_it_starts_from(desk: Desk) -> None:
    base = live(desk)
    later = signed(desk, change(desk, base, start_date="2026-12-20", seats=28))
    renewal = change(desk, base, kind="Renewal")
    assert (renewal.amends, renewal.terms.seats) == (base.id, 25), "of what holds today"
    with pytest.raises(Invalid, match="under way"):
        change(desk, later, kind="Renewal")


# -- those who are asked ---------------------------------------------------------------------------------------------


def tasks(desk: Desk) -> list[Task]:
    return [TASKS.load(row) for row in desk.memory.rows.values() if row.kind == "TASK"]


def place_lawyers(desk: Desk, count: int) -> None:
    call, place, now = system_call("tests"), PlaceUser(desk.table, desk.clock), desk.clock.now()
    common: dict[str, Any] = {"created_at": now, "modified_at": now}
    place.team(Team(id="TEAM_1", name="Legal", **common), call)
    for number in range(count):
        name = f"USR_{number:02d}"
        place.user(User(id=name, name=name, email="", role=Role.LEGAL, team_id="TEAM_1", **common), call)


def test_a_large_department_is_not_flooded(desk: Desk) -> None:
    place_lawyers(desk, 12)
    waiting(desk, term_months=60)
    assert desk.watch_reviews("p") == 1
    assert len(tasks(desk)) == 10


def test_who_has_less_time_than_the_reminder_is_reminded_at_once(desk: Desk) -> None:
    place_lawyers(desk, 1)
    stage = {"name": "Legal", "roles": ["Legal"], "hours": 2, "remind_hours": 8}
    content = ReviewRules.model_validate({"stages": [stage]}).model_dump(mode="json")
    now, transaction = desk.clock.now(), begin(WORKER, desk.clock.now())
    SETTINGS.create(transaction, SettingsRecord(id="review_rules", created_at=now, modified_at=now, content=content))
    desk.table.commit(transaction)
    waiting(desk, term_months=60)
    desk.watch_reviews("p")
    (task,) = tasks(desk)
    assert (task.remind_at, task.due_at) == (now, now + timedelta(hours=2))

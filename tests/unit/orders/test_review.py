"""Reviews: what is standard, who decides in which order and by when, and who is told."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from revops.access import PlaceUser, Team, User
from revops.crm.tasks import TASKS, Task, TaskPriority, TaskStatus
from revops.kernel import CallContext, Forbidden, NotFound, Principal, Refused, Role, VersionConflict, system_call
from revops.orders.decisions import Amendment
from revops.orders.model import OrderForm, OrderStatus, Step
from revops.orders.policies.review import ReviewRules
from revops.orders.reviewing import Read
from revops.orders.reviews import Finding, Review, ReviewDecision
from revops.orders.signature import SignedDocument
from revops.orders.store import ORDERS
from revops.settings import SETTINGS, SettingsRecord
from revops.table import Key, Row, begin
from tests.builders.orders import FINANCE, LEGAL, MANAGER, PDF, REP, Desk, caller

pytestmark = pytest.mark.mission("ORD-2")
ADMIN = caller("USR_admin", Role.ADMIN)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def in_review(desk: Desk, **changes: Any) -> OrderForm:
    order = desk.run_until_it_waits(desk.submitted(**changes).id)
    assert order.status is OrderStatus.IN_REVIEW
    return order


def apply(desk: Desk, content: dict[str, Any]) -> None:
    """Review rules as they were applied, perhaps by another release."""
    now, transaction = desk.clock.now(), begin(ADMIN, desk.clock.now())
    SETTINGS.create(transaction, SettingsRecord(id="review_rules", created_at=now, modified_at=now, content=content))
    desk.table.commit(transaction)


def stages(order: OrderForm) -> list[tuple[str, tuple[str, ...]]]:
    return [(stage.name, stage.rules) for stage in order.review.stages]


# -- what is standard ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "rule", "message"),
    [
        ({"seats": 501, "spend_cap": None}, "max_seats", "501 seats are more than 500"),
        ({"start_date": "2026-10-01"}, "start_window", "it starts on 2026-10-01; standard is 2026-10-20 to 2027-11-20"),
        ({"start_date": "2027-12-01"}, "start_window", "it starts on 2027-12-01"),
        ({"renewal_date": "2028-01-01"}, "renewal_date", "a term of 12 months ends on 2027-11-20"),
        (
            {"usage": [{"meter": "API Calls", "monthly_cap": 1_000_001, "overage_price": "0.1"}]},
            "usage_lines",
            "1000001 units of API Calls a month are included; at most 1000000 are standard",
        ),
        (
            {"usage": [{"meter": "Signatures", "monthly_cap": 10, "overage_price": "0"}]},
            "usage_lines",
            "Signatures beyond what is included costs nothing",
        ),
    ],
)
def test_what_is_odd_is_told_in_words(desk: Desk, changes: dict[str, Any], rule: str, message: str) -> None:
    (found,) = in_review(desk, **changes).review.findings
    assert (found.rule, found.needs_approval) == (rule, True)
    assert message in found.message


@pytest.mark.mission("ORD-8")
def test_a_missing_document_is_told_when_the_form_is_handed_in_and_holds_nothing_up_yet(desk: Desk) -> None:
    order = desk.submitted(dpa="No", sccs="No")
    warned = [(finding.field, finding.needs_approval) for finding in order.review.findings]
    assert warned == [("dpa", False), ("sccs", False)]
    order = desk.run_until_it_waits(order.id)
    assert order.status is OrderStatus.AWAITING_SIGNATURE
    progress = desk.progress(order.id, REP)
    assert progress.findings == []
    assert progress.warnings[0] == "service in EU will wait for the data processing agreement (DPA)"


def test_a_company_may_have_missing_documents_approved(desk: Desk) -> None:
    apply(desk, {"warnings": []})
    assert desk.submitted(dpa="No").review.findings == (), "what needs approval is found by the review itself"
    assert stages(in_review(desk, dpa="No")) == [("Legal", ("documents",))]


# -- who decides ---------------------------------------------------------------------------------------------------


def test_a_discount_goes_to_the_manager_then_to_finance(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25")
    assert stages(order) == [("Manager", ("max_discount_percent",)), ("Finance", ("max_discount_percent",))]
    for principal in (LEGAL, FINANCE, caller("USR_rep", Role.SALES_REP)):
        with pytest.raises(Forbidden):
            desk.review(order.id, ReviewDecision.APPROVE, "", principal)
    desk.clock.advance(hours=3)
    order = desk.review(order.id, ReviewDecision.APPROVE, "a good reference", MANAGER)
    assert (order.status, desk.progress(order.id, REP).waits_for) == (OrderStatus.IN_REVIEW, "finance review")
    with pytest.raises(Forbidden):
        desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER)
    desk.clock.advance(hours=5)
    order = desk.review(order.id, ReviewDecision.APPROVE, "", FINANCE)
    assert (order.status, order.review.decision) == (OrderStatus.APPROVED, ReviewDecision.APPROVE)
    steps = [each for each in desk.progress(order.id, REP).steps if each.name is Step.AWAIT_REVIEW]
    assert [(each.actor, each.reason, each.ended_at - each.started_at) for each in steps] == [
        ("USR_manager", "Manager: a good reference", timedelta(hours=3)),
        ("USR_finance", "Finance: approve", timedelta(hours=5)),
    ]


def test_every_finding_has_its_stage_and_what_none_names_is_for_the_rest(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25", list_price=5800, term_months=60, start_date="2026-01-01")
    assert stages(order) == [
        ("Manager", ("max_discount_percent", "catalogue_price_only")),
        ("Finance", ("max_discount_percent",)),
        ("Legal", ("term_months", "start_window")),
    ]
    assert desk.approve(order.id).status is OrderStatus.APPROVED


def test_one_stage_says_no_and_the_others_are_not_asked(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25", term_months=60)
    desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER)
    order = desk.review(order.id, ReviewDecision.REJECT, "not at this price", FINANCE)
    assert (order.status, order.end_reason) == (OrderStatus.REJECTED, "not at this price")
    assert [stage.decision for stage in order.review.stages] == [ReviewDecision.APPROVE, ReviewDecision.REJECT, None]
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Closed Lost"


def test_nobody_decides_on_a_form_of_their_own_and_an_admin_on_any_other(desk: Desk) -> None:
    order = desk.run_until_it_waits(desk.submit(desk.form(discount_percent="25"), MANAGER).order.id)
    with pytest.raises(Forbidden, match="their own"):
        desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER)
    for _ in order.review.stages:
        order = desk.review(order.id, ReviewDecision.APPROVE, "", ADMIN)
    assert order.status is OrderStatus.APPROVED


@pytest.mark.fault("R4")
def test_a_decision_that_is_sent_twice_decides_one_stage(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25")
    manager = Read(revision=1, stage="Manager")
    desk.review(order.id, ReviewDecision.APPROVE, "", ADMIN, manager)
    with pytest.raises(Refused, match="stage Finance with revision 1"):
        desk.review(order.id, ReviewDecision.APPROVE, "", ADMIN, manager)
    assert desk.progress(order.id, REP).waits_for == "finance review"


@pytest.mark.fault("R19")
def test_terms_that_nobody_read_are_not_approved(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25")
    desk.review(order.id, ReviewDecision.ASK, "less", MANAGER)
    worse = order.terms.model_copy(update={"discount_percent": Decimal(80), "spend_cap": None})
    desk.resume(order.id, Amendment(terms=worse), REP)
    desk.run_until_it_waits(order.id)
    with pytest.raises(Refused, match="revision 2"):
        desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER, Read(revision=1))
    assert desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER, Read(revision=2)).status is OrderStatus.IN_REVIEW


@pytest.mark.mission("SAFE-1")
def test_whoever_wrote_the_terms_does_not_approve_them(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25")
    desk.review(order.id, ReviewDecision.ASK, "mine are better", MANAGER)
    terms = order.terms.model_copy(update={"discount_percent": Decimal(90), "spend_cap": None})
    desk.resume(order.id, Amendment(terms=terms), MANAGER)
    desk.run_until_it_waits(order.id)
    with pytest.raises(Forbidden, match="terms they wrote"):
        desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER)


@pytest.mark.fault("R19")
@pytest.mark.parametrize("late", [MANAGER, FINANCE, LEGAL, ADMIN], ids=lambda each: each.principal.id)
def test_who_comes_after_the_last_decision_is_told_that_it_is_over(desk: Desk, late: CallContext) -> None:
    order = in_review(desk, discount_percent="25")
    desk.approve(order.id)
    with pytest.raises(Refused, match="Approved, not in review"):
        desk.review(order.id, ReviewDecision.APPROVE, "", late)
    desk.cancel(order.id, "no budget", REP)
    with pytest.raises(Refused, match="Cancelled, not in review"):
        desk.review(order.id, ReviewDecision.REJECT, "too late", late)
    with pytest.raises(NotFound):
        desk.review(order.id, ReviewDecision.APPROVE, "", caller("USR_stranger"))


def test_rules_changed_meanwhile_change_no_review_under_way(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25")
    only = {"name": "Board", "roles": ["Admin"], "rules": []}
    apply(desk, {"stages": [only]})
    assert [name for name, _ in stages(desk.order(order.id))] == ["Manager", "Finance"]
    assert [name for name, _ in stages(in_review(desk, discount_percent="25"))] == ["Board"]


def test_rules_of_an_older_release_keep_working(desk: Desk) -> None:
    apply(desk, {"max_discount_percent": "30", "max_seats": 10, "a_rule_of_then": True})
    assert (
        desk.run_until_it_waits(desk.submitted(discount_percent="25", seats=10).id).status is not OrderStatus.IN_REVIEW
    )
    assert stages(in_review(desk, seats=11)) == [("Legal", ("max_seats",))]


def test_a_review_that_began_before_there_were_stages_is_decided_by_legal(desk: Desk) -> None:
    order = in_review(desk, discount_percent="25")
    old = Review(findings=(Finding(rule="max_discount_percent", field="discount_percent", message="25 %"),))
    transaction = begin(REP, desk.clock.now())
    ORDERS.update(transaction, order.revised(desk.clock.now(), review=old))
    desk.table.commit(transaction)
    assert desk.progress(order.id, REP).waits_for == "legal review"
    assert desk.watch_reviews("2026-11-20") == 0
    with pytest.raises(Forbidden):
        desk.review(order.id, ReviewDecision.APPROVE, "", FINANCE)
    assert desk.review(order.id, ReviewDecision.APPROVE, "fine", LEGAL).status is OrderStatus.APPROVED


def test_the_stages_of_the_rules_name_rules_that_there_are() -> None:
    named = {rule for stage in ReviewRules().stages for rule in stage.rules}
    assert named <= {"max_discount_percent", "catalogue_price_only", "usage_lines"}


# -- by when -------------------------------------------------------------------------------------------------------


@pytest.fixture
def staffed(desk: Desk) -> Desk:
    """A seller with a manager, two people in finance of whom one is away, one in legal and an admin."""
    call, place = system_call("tests"), PlaceUser(desk.table, desk.clock)
    now = desk.clock.now()
    common: dict[str, Any] = {"created_at": now, "modified_at": now}
    place.team(Team(id="TEAM_1", name="North", **common), call)
    people = (
        ("USR_rep", Role.SALES_REP),
        ("USR_manager", Role.SALES_MANAGER),
        ("USR_finance", Role.FINANCE),
        ("USR_away", Role.FINANCE),
        ("USR_legal", Role.LEGAL),
        ("USR_admin", Role.ADMIN),
    )
    for name, role in people:
        away = now + timedelta(days=30) if name == "USR_away" else None
        user = User(id=name, name=name, email="", role=role, team_id="TEAM_1", absent_until=away, **common)
        place.user(user, call)
    return desk


def tasks(desk: Desk) -> dict[str, Task]:
    return {
        task.assignee_id: task for row in desk.memory.rows.values() if row.kind == "TASK" for task in [TASKS.load(row)]
    }


def test_the_people_of_a_stage_have_a_task_and_are_late_at_its_end(staffed: Desk) -> None:
    desk = staffed
    order = in_review(desk, discount_percent="25")
    opened = desk.clock.now()
    assert desk.watch_reviews("p1") == 1
    assert desk.watch_reviews("p2") == 0, "told once"
    (task,) = tasks(desk).values()
    assert (task.assignee_id, task.related_to, task.type) == ("USR_manager", order.account_id, "order_review")
    assert (task.due_at, task.remind_at) == (opened + timedelta(hours=24), opened + timedelta(hours=20))
    assert "a discount of 25 % is above 10 %" in task.details
    desk.clock.advance(hours=23)
    assert desk.watch_reviews("p3") == 0
    desk.clock.advance(hours=2)
    assert desk.watch_reviews("p4") == 1
    late = tasks(desk)["USR_admin"]
    assert (late.priority, late.remind_at) == (TaskPriority.URGENT, desk.clock.now())
    (stage, *_) = desk.progress(order.id, REP).stages
    assert (stage.open, stage.told, stage.escalated_at) == (True, ["USR_manager", "USR_admin"], desk.clock.now())
    desk.clock.advance(days=9)
    assert desk.watch_reviews("p5") == 0, "escalated once"
    desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER)
    assert {task.status for task in tasks(desk).values()} == {TaskStatus.CANCELLED}
    assert desk.watch_reviews("p6") == 1
    assert tasks(desk)["USR_finance"].status is TaskStatus.OPEN
    assert "USR_away" not in tasks(desk)


def test_the_tasks_go_with_the_order(staffed: Desk) -> None:
    desk = staffed
    order = in_review(desk, term_months=60)
    desk.watch_reviews("p1")
    assert tasks(desk)["USR_legal"].status is TaskStatus.OPEN
    desk.cancel(order.id, "another supplier", REP)
    assert tasks(desk)["USR_legal"].status is TaskStatus.CANCELLED
    desk.clock.advance(days=30)
    assert desk.watch_reviews("p2") == 0


@pytest.mark.fault("R17", "R19")
def test_a_decision_that_falls_into_the_look_wins(staffed: Desk) -> None:
    desk = staffed
    order = in_review(desk, term_months=60)

    def decide(_: object) -> None:
        desk.memory.before_commit = lambda _: None
        desk.review(order.id, ReviewDecision.APPROVE, "", LEGAL)

    desk.memory.before_commit = decide
    assert desk.watch_reviews("p1") == 0
    assert (desk.order(order.id).status, tasks(desk)) == (OrderStatus.APPROVED, {})


@pytest.mark.fault("R17", "R19")
def test_a_decision_stands_though_its_people_are_told_in_that_moment(staffed: Desk) -> None:
    desk = staffed
    order = in_review(desk, term_months=60)

    def tell(_: object) -> None:
        desk.memory.before_commit = lambda _: None
        assert desk.watch_reviews("p1") == 1

    desk.memory.before_commit = tell
    assert desk.review(order.id, ReviewDecision.APPROVE, "", LEGAL).status is OrderStatus.APPROVED
    assert {task.status for task in tasks(desk).values()} == {TaskStatus.CANCELLED}


@pytest.mark.fault("R17", "R19")
def test_an_order_is_cancelled_though_its_people_are_told_in_that_moment(staffed: Desk) -> None:
    desk = staffed
    order = in_review(desk, term_months=60)

    def tell(_: object) -> None:
        desk.memory.before_commit = lambda _: None
        assert desk.watch_reviews("p1") == 1

    desk.memory.before_commit = tell
    assert desk.cancel(order.id, "not wanted", REP).status is OrderStatus.CANCELLED
    assert {task.status for task in tasks(desk).values()} == {TaskStatus.CANCELLED}


@pytest.mark.fault("R17", "R19")
def test_an_order_that_is_executed_in_that_moment_is_not_cancelled(desk: Desk) -> None:
    order = desk.submitted()
    desk.run_until_it_waits(order.id)

    def sign(_: object) -> None:
        desk.memory.before_commit = lambda _: None
        desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF), REP)

    desk.memory.before_commit = sign
    with pytest.raises(Refused, match="Executed"):
        desk.cancel(order.id, "too late", REP)
    assert desk.order(order.id).status is OrderStatus.EXECUTED


@pytest.mark.fault("R17", "R19")
def test_of_two_decisions_at_once_none_is_taken_for_the_next_stage(staffed: Desk) -> None:
    desk = staffed
    order = in_review(desk, discount_percent="25")

    def decide(_: object) -> None:
        desk.memory.before_commit = lambda _: None
        desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER)

    desk.memory.before_commit = decide
    with pytest.raises(VersionConflict):
        desk.review(order.id, ReviewDecision.APPROVE, "", ADMIN)
    (first, second) = desk.order(order.id).review.stages
    assert (first.decided_by, second.decision) == ("USR_manager", None)


@pytest.mark.fault("R17", "R19")
def test_a_decision_that_falls_after_the_second_look_is_none_of_the_next_stage(staffed: Desk) -> None:
    """The people are told in the first commit; the manager decides right after the order was read again."""
    desk = staffed
    order = in_review(desk, discount_percent="25")
    read = desk.memory.get

    def tell(_: object) -> None:
        desk.memory.before_commit = lambda _: None
        assert desk.watch_reviews("p1") == 1
        desk.memory.get = decided  # type: ignore[method-assign]

    def decided(key: Key, consistent: bool = True) -> Row | None:
        row = read(key, consistent)
        if key == ORDERS.key(order.id):
            desk.memory.get = read  # type: ignore[method-assign]
            desk.review(order.id, ReviewDecision.APPROVE, "", MANAGER)
        return row

    desk.memory.before_commit = tell
    with pytest.raises(VersionConflict):
        desk.review(order.id, ReviewDecision.APPROVE, "", ADMIN)
    (first, second) = desk.order(order.id).review.stages
    assert (first.decided_by, second.decision) == ("USR_manager", None)


def test_a_manager_who_sells_is_decided_on_by_the_one_above(staffed: Desk) -> None:
    desk, call, now = staffed, system_call("tests"), staffed.clock.now()
    common: dict[str, Any] = {"created_at": now, "modified_at": now}
    place = PlaceUser(desk.table, desk.clock)
    place.team(Team(id="TEAM_2", name="North, by the sea", parent_id="TEAM_1", **common), call)
    for name, role in (("USR_coast", Role.SALES_REP), ("USR_lead", Role.SALES_MANAGER)):
        place.user(User(id=name, name=name, email="", role=role, team_id="TEAM_2", **common), call)
    account = desk.submit(desk.form(), caller("USR_coast")).order.account_id
    form = desk.form(discount_percent="25", account_id=account)
    lead = Principal("USR_lead", Role.SALES_MANAGER, members=frozenset({"USR_coast"}))
    desk.run_until_it_waits(desk.submit(form, CallContext(lead, request_id="r")).order.id)
    assert desk.watch_reviews("p1") == 1
    assert set(tasks(desk)) == {"USR_manager"}


@pytest.mark.fault("R17")
def test_a_review_that_cannot_be_read_holds_no_other_up(staffed: Desk) -> None:
    desk = staffed
    broken, order = in_review(desk, term_months=60), in_review(desk, term_months=60)
    row = desk.memory.rows[ORDERS.key(broken.id)]
    desk.memory.rows[ORDERS.key(broken.id)] = replace(row, doc=row.doc.replace('"InReview"', '"Elsewhere"'))
    assert desk.watch_reviews("p1") == 1
    (task,) = tasks(desk).values()
    assert order.id in task.details


def test_a_stage_without_people_is_escalated_all_the_same(desk: Desk) -> None:
    in_review(desk, term_months=60)
    assert desk.watch_reviews("p1") == 1
    desk.clock.advance(hours=73)
    assert desk.watch_reviews("p2") == 1
    assert tasks(desk) == {}

"""An order from form to active service, and everything that may turn it aside."""

import base64
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from revops.kernel import Conflict, Forbidden, Invalid, NotFound, Refused, Role, TooLarge, VersionConflict, add_months
from revops.orders.decisions import Amendment
from revops.orders.events import events
from revops.orders.model import OrderForm, OrderStatus, Step, StepOutcome
from revops.orders.policies.lifecycle import MOVES, next_step, require_move
from revops.orders.policies.pricing import PlanOffer
from revops.orders.policies.review import ReviewRules
from revops.orders.reviews import ReviewDecision
from revops.orders.signature import SignedDocument
from revops.orders.workflow import GIVE_UP, StepTask
from revops.table import Transaction, begin
from tests.builders.fake_stripe import Mishap
from tests.builders.orders import LEGAL, MANAGER, PDF, REP, WORKER, Desk, caller, submission

SIGNED = SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def said(desk: Desk) -> list[str]:
    """The names of all events so far, in order."""
    return [event.name for change in desk.memory.changes for event in events(change)]


# -- handing in ----------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-1", "ORD-2")
def test_form_account_and_deal_come_to_be_in_one_transaction(desk: Desk) -> None:
    commits: list[Transaction] = []
    desk.memory.before_commit = commits.append
    order = desk.submitted()
    assert len(commits) == 1
    assert order.owner_id == REP.principal.id
    assert desk.crm.account(order.account_id).owner_id == REP.principal.id
    assert desk.crm.deal(order.opportunity_id) == {
        "account": order.account_id,
        "value": 5900 * 25 * 12,
        "stage": "Prospect",
        "source": "Order form",
    }
    assert said(desk) == ["OrderFormSubmitted"]


@pytest.mark.mission("ORD-1")
def test_what_the_form_leaves_open_comes_from_the_price_list_and_the_term(desk: Desk) -> None:
    order = desk.submitted(start_date="2027-08-31", term_months=6)
    assert (order.terms.list_price, order.terms.renewal_date) == (5900, date(2028, 2, 29))
    assert str(order.list_price) == "59.00 EUR"


@pytest.mark.mission("ORD-1")
@pytest.mark.parametrize(
    "changes",
    [
        {"plan": "Gold"},
        {"region": "CN"},
        {"billing_cycle": "Weekly"},
        {"payment_method": "Cash"},
        {"esign_method": "Fax"},
        {"dpa": "Maybe"},
        {"dpa": 0},
        {"dpa": "0"},
        {"uk_idta": "0001-01-01"},
        {"start_date": 1_795_132_800},
        {"renewal_date": 1_795_132_800},
        {"sccs": "Module 5"},
        {"seats": 0},
        {"discount_percent": 10.5},
        {"discount_percent": "101"},
        {"currency": "eur"},
        {"usage": [{"meter": "Pooled", "monthly_cap": 1, "overage_price": "1"}] * 2},
        {
            "usage": [
                {"meter": "Pooled", "monthly_cap": 1, "overage_price": "1"},
                {"meter": "API Calls", "monthly_cap": 1, "overage_price": "1"},
            ]
        },
        {"legal_entity_name": "Musterwerk\r\nBcc: all@example.com"},
        {"signatory_name": "Anna\u2028Beispiel"},
        {"signatory_name": "Anna \u202eleipsieB"},
        {"billing_address": {"line1": "Weg 1\nDiscount: 100 %", "city": "Berlin", "country": "DE"}},
        {"billing_address": {"line1": "Weg 1", "city": "Ber\x00lin", "country": "DE"}},
        {"renewal_date": "9999-12-31"},
        {"status": "Executed"},
    ],
)
def test_what_is_not_on_the_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        submission(**changes)


@pytest.mark.mission("ORD-1", "ORD-8")
@pytest.mark.parametrize("said", ["maybe", 0, "1970-01-01", "2026-02-30"])
def test_a_document_that_is_said_otherwise_is_named_as_the_form_names_it(said: object) -> None:
    with pytest.raises(ValidationError) as refused:
        submission(dpa=said)
    [error] = refused.value.errors()
    assert (error["loc"], error["msg"]) == (
        ("dpa",),
        "Value error, Yes, No, or the day it was executed, such as 2026-11-20",
    )


@pytest.mark.mission("ORD-1")
@pytest.mark.parametrize(
    "broken",
    [
        lambda: ReviewRules(max_start_days_ahead=10**7),
        lambda: ReviewRules(max_start_days_past=10**6),
        lambda: PlanOffer(product_name="P", seat_prices={"EUR": -1}),
        lambda: PlanOffer(product_name="P", seat_prices={"EUR": 10**13}),
        lambda: PlanOffer(product_name=""),
    ],
)
def test_rules_by_which_no_form_could_be_read_are_refused(broken: Callable[[], object]) -> None:
    with pytest.raises(ValidationError):
        broken()


@pytest.mark.mission("ORD-1")
def test_a_custom_plan_needs_its_price(desk: Desk) -> None:
    with pytest.raises(Invalid, match="list_price"):
        desk.submitted(plan="Custom")
    assert desk.submitted(plan="Custom", list_price=7700).terms.list_price == 7700


@pytest.mark.mission("ORD-1")
def test_an_idempotency_key_stands_for_one_request(desk: Desk) -> None:
    first = desk.submit(submission(), REP, "key-1")
    again = desk.submit(submission(), REP, "key-1")
    assert (first.created, again.created, again.order) == (True, False, first.order)
    with pytest.raises(Conflict):
        desk.submit(submission(seats=26), REP, "key-1")
    assert desk.submit(submission(), caller("USR_other"), "key-1").order.id != first.order.id


@pytest.mark.fault("R4")
def test_a_race_on_an_idempotency_key_makes_one_order(desk: Desk) -> None:
    raced: list[str] = []

    def race(_: Transaction) -> None:
        if not raced:
            raced.append("")
            raced[0] = desk.submit(submission(), REP, "key-1").order.id

    desk.memory.before_commit = race
    receipt = desk.submit(submission(), REP, "key-1")
    assert (receipt.order.id, receipt.created) == (raced[0], False)


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S1")
def test_orders_follow_their_account(desk: Desk) -> None:
    order = desk.submitted()
    stranger = caller("USR_stranger")
    with pytest.raises(NotFound):
        desk.read(order.id, stranger)
    with pytest.raises(NotFound):
        desk.submit(submission(account_id=order.account_id), stranger)
    with pytest.raises(NotFound):
        desk.cancel(order.id, "no", stranger)
    for role in (Role.FINANCE, Role.LEGAL, Role.SUPPORT):
        assert desk.read(order.id, caller("USR_x", role)).id == order.id
        with pytest.raises(Forbidden):
            desk.cancel(order.id, "no", caller("USR_x", role))
    with pytest.raises(Forbidden):
        desk.submit(submission(), caller("USR_sdr", Role.SDR))


# -- the whole way -------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-2", "ORD-3", "ORD-4", "CRM-4")
def test_a_standard_order_reaches_active_service(desk: Desk) -> None:
    order = desk.submitted()
    assert desk.run_until_it_waits(order.id).status is OrderStatus.AWAITING_SIGNATURE
    desk.clock.advance(days=40)
    executed = desk.sign(order.id, SIGNED, REP)
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Prospect"
    assert desk.crm.deal(order.opportunity_id)["signed_on"] == "2026-11-20"
    assert executed.signature is not None
    assert desk.blobs.kept[executed.signature.document] == PDF

    active = desk.run_until_it_waits(order.id)
    assert active.status is OrderStatus.ACTIVE
    deal = desk.crm.deal(order.opportunity_id)
    assert (deal["stage"], deal["subscription"]) == ("Closed Won", active.stripe_subscription_id)
    assert said(desk) == ["OrderFormSubmitted", "OrderFormExecuted", "OrderFormProvisioned", "OrderFormActivated"]

    steps = desk.progress(order.id, REP).steps
    assert [(step.name, step.actor) for step in steps] == [
        (Step.SUBMIT, "USR_rep"),
        (Step.REVIEW, "system:order_steps"),
        (Step.REQUEST_SIGNATURE, "system:order_steps"),
        (Step.AWAIT_SIGNATURE, "USR_rep"),
        (Step.PROVISION, "system:order_steps"),
        (Step.ACTIVATE, "system:order_steps"),
    ]
    assert steps[3].ended_at - steps[3].started_at == timedelta(days=40)


@pytest.mark.mission("ORD-4")
def test_winning_the_deal_and_provisioning_are_one_commit(desk: Desk) -> None:
    order = desk.executed()
    desk.run(StepTask(order.id, Step.PROVISION), WORKER)
    last = desk.memory.changes[-3:]
    assert {change.kind for change in last} == {"OPPORTUNITY", "ORDER", "ORDER_STEP"}


@pytest.mark.mission("ORD-5")
def test_the_subscription_is_what_was_agreed(desk: Desk) -> None:
    order = desk.executed(discount_percent="7.5", billing_cycle="Annual", start_date="2027-01-01", auto_renewal=False)
    desk.run_until_it_waits(order.id)
    (request,) = desk.stripe.subscriptions.values()
    assert [(desk.stripe.lookup_key(item.price_id), item.quantity) for item in request.items] == [
        ("revops:revops_professional:seat:eur:annual:65490", 25),
        ("revops:usage_revops_units:usage:eur:10000:1.5", None),
    ]
    assert (request.order_id, request.charge_automatically) == (order.id, False)
    assert (request.starts_at, request.ends_at) == (1798761600, 1830297600)


# -- legal review --------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-2")
def test_a_non_standard_order_goes_to_review_with_every_reason(desk: Desk) -> None:
    order = desk.submitted(discount_percent="25", term_months=60, list_price=5800)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.IN_REVIEW
    progress = desk.progress(order.id, LEGAL)
    assert progress.waits_for == "manager review"
    assert progress.findings == [
        "a discount of 25 % is above 10 %",
        "a term of 60 months is outside 12 to 36",
        "a list price of 5800 EUR minor units; the catalogue says 5900",
    ]
    assert desk.approve(order.id).status is OrderStatus.APPROVED
    assert desk.run_until_it_waits(order.id).status is OrderStatus.AWAITING_SIGNATURE
    assert said(desk).count("OrderFormReviewed") == 1


@pytest.mark.mission("ORD-2")
def test_a_seller_may_not_review(desk: Desk) -> None:
    order = desk.submitted(discount_percent="25")
    desk.run_until_it_waits(order.id)
    for principal in (REP, caller("USR_finance", Role.FINANCE)):
        with pytest.raises(Forbidden):
            desk.review(order.id, ReviewDecision.APPROVE, "", principal)


@pytest.mark.mission("ORD-2")
def test_a_rejected_order_ends_and_its_deal_with_it(desk: Desk) -> None:
    order = desk.submitted(term_months=6)
    desk.run_until_it_waits(order.id)
    with pytest.raises(Invalid, match="comment"):
        desk.review(order.id, ReviewDecision.REJECT, " ", LEGAL)
    desk.review(order.id, ReviewDecision.REJECT, "too cheap", LEGAL)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.REJECTED
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Closed Lost"


@pytest.mark.mission("ORD-2")
def test_a_requested_change_comes_back_as_a_new_attempt(desk: Desk) -> None:
    order = desk.submitted(discount_percent="25")
    desk.run_until_it_waits(order.id)
    desk.review(order.id, ReviewDecision.ASK, "at most 10 %", MANAGER)
    terms = order.terms.model_copy(update={"discount_percent": submission(discount_percent="10").discount_percent})
    again = desk.resume(order.id, Amendment(terms=terms), REP)
    assert (again.status, again.attempt) == (OrderStatus.SUBMITTED, 2)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.AWAITING_SIGNATURE
    assert said(desk).count("OrderFormSubmitted") == 2


# -- signing -------------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-3")
def test_only_a_pdf_of_bounded_size_is_a_signed_document(desk: Desk) -> None:
    order = desk.submitted()
    desk.run_until_it_waits(order.id)
    with pytest.raises(Invalid, match="PDF"):
        desk.sign(order.id, SignedDocument("A", date(2026, 11, 20), b"PK\x03\x04"), REP)
    with pytest.raises(TooLarge):
        desk.sign(order.id, SignedDocument("A", date(2026, 11, 20), b"%PDF-" + bytes(5_000_000)), REP)
    with pytest.raises(Invalid, match="signed_on"):
        desk.sign(order.id, SignedDocument("A", date(2026, 11, 25), PDF), REP)
    assert not [name for name in desk.blobs.kept if name.startswith("signed/")]
    assert desk.order(order.id).status is OrderStatus.AWAITING_SIGNATURE


@pytest.mark.mission("ORD-3")
def test_the_same_document_again_changes_nothing_and_another_is_refused(desk: Desk) -> None:
    order = desk.executed()
    assert desk.sign(order.id, SIGNED, REP) == order
    with pytest.raises(Refused, match="Provisioned"):
        desk.sign(order.id, SignedDocument("A", date(2026, 11, 20), PDF + b"\n"), REP)


@pytest.mark.mission("ORD-3")
@pytest.mark.fault("S1", "S17")
def test_an_upload_belongs_to_its_order(desk: Desk) -> None:
    order = desk.submitted()
    desk.run_until_it_waits(order.id)
    desk.blobs.kept[f"signed/uploads/{order.id}/form.pdf"] = PDF
    for name in ("../ORD_OTHER/form.pdf", "a/b.pdf", "..", ""):
        with pytest.raises(Invalid):
            desk.sign(order.id, SignedDocument("A", date(2026, 11, 20), upload=name), REP)
    signed = desk.sign(order.id, SignedDocument("A", date(2026, 11, 20), upload="form.pdf"), REP)
    assert signed.status is OrderStatus.EXECUTED


# -- failing, blocking, resuming -----------------------------------------------------------------------------------


@pytest.mark.mission("ORD-2")
def test_a_step_that_fails_for_good_before_execution_is_compensated(desk: Desk) -> None:
    order = desk.submitted(esign_method="DocuSign")
    ended = desk.run_until_it_waits(order.id)
    assert ended.status is OrderStatus.CANCELLED
    assert "DocuSign is not connected" in ended.end_reason
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Closed Lost"
    assert desk.progress(order.id, REP).steps[-1].outcome is StepOutcome.FAILED


@pytest.mark.mission("ORD-2")
def test_a_deal_that_was_there_before_the_order_outlives_it(desk: Desk) -> None:
    first = desk.submitted()
    second = desk.submitted(account_id=first.account_id, opportunity_id=first.opportunity_id)
    desk.cancel(second.id, "wrong seats", REP)
    assert desk.crm.deal(first.opportunity_id)["stage"] == "Prospect"


@pytest.mark.mission("ORD-2")
def test_after_execution_nothing_is_undone_by_itself(desk: Desk) -> None:
    order = desk.executed()
    with pytest.raises(Refused, match="Blocked, Provisioned"):
        desk.cancel(order.id, "changed our mind", REP)
    desk.stripe.likelihood = {Mishap.REFUSED: 1.0}
    blocked = desk.run_until_it_waits(order.id)
    assert (blocked.status, blocked.block and blocked.block.step) == (OrderStatus.BLOCKED, Step.PROVISION)
    assert desk.progress(order.id, REP).waits_for
    desk.stripe.likelihood = {}
    assert desk.resume(order.id, Amendment(), REP).status is OrderStatus.EXECUTED
    assert desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    assert said(desk)[-4:] == ["OrderFormBlocked", "OrderFormResumed", "OrderFormProvisioned", "OrderFormActivated"]


@pytest.mark.mission("ORD-8")
@pytest.mark.parametrize(
    ("documents", "missing"),
    [
        ({"region": "EU", "dpa": "No", "sccs": "No"}, ["DPA", "SCCs"]),
        ({"region": "EU", "dpa": "Yes", "sccs": "No"}, ["SCCs"]),
        ({"region": "EU", "dpa": "2026-11-20", "sccs": "Module 3"}, []),
        ({"region": "EU", "dpa": "2027-01-01", "sccs": "Yes"}, ["DPA"]),
        ({"region": "UK", "uk_idta": "No"}, ["IDTA"]),
        ({"region": "UK", "uk_idta": "2026-01-31"}, []),
        ({"region": "US", "dpa": "No", "sccs": "No"}, []),
    ],
)
def test_service_starts_only_with_the_documents_of_its_region(
    desk: Desk, documents: dict[str, str], missing: list[str]
) -> None:
    order = desk.executed(**documents)
    after = desk.run_until_it_waits(order.id)
    assert after.status is (OrderStatus.BLOCKED if missing else OrderStatus.ACTIVE)
    assert all(title in (after.block.reason if after.block else "") for title in missing)
    assert len(desk.stripe.subscriptions) == 1


@pytest.mark.mission("ORD-8")
def test_a_document_that_came_later_opens_the_gate(desk: Desk) -> None:
    order = desk.executed(dpa="No")
    assert desk.run_until_it_waits(order.id).status is OrderStatus.BLOCKED
    with pytest.raises(Forbidden):
        desk.resume(order.id, Amendment(dpa=date(2026, 11, 20)), REP)
    resumed = desk.resume(order.id, Amendment(dpa=date(2026, 11, 20)), LEGAL)
    assert resumed.status is OrderStatus.PROVISIONED
    assert desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE


@pytest.mark.mission("ORD-2")
def test_used_up_retries_block_an_executed_order_and_end_another(desk: Desk) -> None:
    executed, fresh = desk.executed(), desk.submitted()
    desk.run(StepTask(executed.id, GIVE_UP, failed_step=Step.PROVISION, error="States.Timeout"), WORKER)
    desk.run(StepTask(fresh.id, GIVE_UP, failed_step=Step.PROVISION, error="States.Timeout"), WORKER)
    assert desk.order(executed.id).status is OrderStatus.BLOCKED
    assert desk.order(fresh.id).status is OrderStatus.SUBMITTED, "it is not at that step"
    give_up = StepTask(fresh.id, GIVE_UP, failed_step=Step.REVIEW, error="States.Timeout")
    desk.run(give_up, WORKER)
    assert desk.order(fresh.id).status is OrderStatus.SUBMITTED, "what is away for an hour ends no deal"
    desk.clock.advance(days=3)
    desk.run(give_up, WORKER)
    assert desk.order(fresh.id).status is OrderStatus.CANCELLED
    assert desk.crm.deal(fresh.opportunity_id)["stage"] == "Closed Lost"


@pytest.mark.fault("R19")
def test_whoever_comes_second_is_told_and_may_try_again(desk: Desk) -> None:
    order = desk.submitted(term_months=6)
    desk.run_until_it_waits(order.id)

    def meanwhile(change: Callable[[], object]) -> None:
        def once(_: Transaction) -> None:
            desk.memory.before_commit = lambda _: None
            change()

        desk.memory.before_commit = once

    meanwhile(lambda: desk.review(order.id, ReviewDecision.APPROVE, "", LEGAL))
    with pytest.raises(VersionConflict) as conflict:
        desk.review(order.id, ReviewDecision.REJECT, "no", LEGAL)
    assert conflict.value.extra == {"current_version": 3}
    assert desk.order(order.id).status is OrderStatus.APPROVED

    def deal_changes() -> None:
        transaction = begin(REP, desk.clock.now())
        desk.crm.close_lost(transaction, desk.clock.now(), order, "elsewhere")
        desk.table.commit(transaction)

    meanwhile(deal_changes)
    with pytest.raises(Conflict, match="deal"):
        desk.cancel(order.id, "no", REP)
    assert desk.order(order.id).status is OrderStatus.APPROVED


# -- disposable executions -----------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-2")
@pytest.mark.parametrize("step", [*Step, "read", "", "a step of an old release"])
def test_any_task_is_answered_with_the_step_the_order_calls_for(desk: Desk, step: str) -> None:
    order = desk.executed()
    result = desk.run(StepTask(order.id, step), WORKER)
    assert result.next == next_step(desk.order(order.id).status)
    assert desk.run(StepTask("ORD_GONE", step), WORKER).next == Step.DONE


@pytest.mark.mission("ORD-2")
def test_a_wait_is_answered_once_the_order_has_moved_on(desk: Desk) -> None:
    order = desk.submitted()
    desk.run_until_it_waits(order.id)
    for token in ("token-1", "token-2"):
        desk.run(StepTask(order.id, Step.AWAIT_SIGNATURE, task_token=token), WORKER)
    assert desk.answer(order.id, WORKER) == 0
    desk.engine.gone = {"token-1"}
    desk.sign(order.id, SIGNED, REP)
    assert desk.answer(order.id, WORKER) == 1
    assert sorted(desk.engine.answered) == ["token-1", "token-2"]
    assert desk.answer(order.id, WORKER) == 0


@pytest.mark.mission("ORD-2")
def test_a_decision_that_beats_the_token_is_answered_at_once(desk: Desk) -> None:
    order = desk.executed()
    desk.run(StepTask(order.id, Step.AWAIT_SIGNATURE, task_token="late-token"), WORKER)
    assert desk.engine.answered == ["late-token"]


@pytest.mark.mission("ORD-2")
def test_the_same_attempt_starts_one_execution(desk: Desk) -> None:
    for _ in range(3):
        desk.start("ORD_1", 2)
    assert desk.engine.started == {"ORD_1-2": "ORD_1"}


@pytest.mark.mission("ORD-2")
@pytest.mark.fault("R15")
def test_an_order_whose_execution_was_lost_gets_another(desk: Desk) -> None:
    order, waiting = desk.executed(), desk.submitted()
    desk.run_until_it_waits(waiting.id)
    assert desk.restart_stalled(WORKER) == 0
    desk.clock.advance(minutes=31)
    assert desk.restart_stalled(WORKER) == 1
    assert desk.order(order.id).attempt == 2
    assert said(desk)[-1] == "OrderFormResumed"
    assert desk.restart_stalled(WORKER) == 0
    assert desk.order(waiting.id).attempt == 1


@pytest.mark.mission("ORD-2")
@pytest.mark.parametrize("status", list(OrderStatus))
def test_illegal_moves_are_refused_with_the_legal_ones_named(status: OrderStatus) -> None:
    for wanted in OrderStatus:
        if wanted in MOVES[status]:
            require_move("ORD_1", status, wanted)
            continue
        with pytest.raises(Refused) as refused:
            require_move("ORD_1", status, wanted)
        assert refused.value.extra["possible"] == sorted(MOVES[status])


def test_events_of_an_order_carry_no_personal_data(desk: Desk) -> None:
    order: OrderForm = desk.executed()
    desk.run_until_it_waits(order.id)
    text = "".join(event.model_dump_json() for change in desk.memory.changes for event in events(change))
    for private in ("Anna", "musterwerk", "Beispielweg", base64.b64encode(PDF).decode()):
        assert private not in text


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2026-12-15", 12, "2027-12-15"),
        ("2028-02-29", 12, "2029-02-28"),
    ],
)
def test_a_term_ends_on_the_same_day_or_the_last_of_a_shorter_month(start: str, months: int, end: str) -> None:
    assert add_months(date.fromisoformat(start), months) == date.fromisoformat(end)


@pytest.mark.mission("ORD-8")
def test_the_documents_of_a_form_that_is_out_for_signature_stand(desk: Desk) -> None:
    order = desk.submit(submission(), REP).order
    assert desk.run_until_it_waits(order.id).status is OrderStatus.AWAITING_SIGNATURE
    with pytest.raises(Invalid):
        desk.resume(order.id, Amendment(dpa="No"), REP)


@pytest.mark.mission("ORD-5")
def test_a_named_stripe_customer_is_confirmed_by_legal_and_must_not_be_somebody_elses(desk: Desk) -> None:
    order = desk.submit(submission(stripe_customer_id="cus_otheraccount"), REP).order
    assert desk.run_until_it_waits(order.id).status is OrderStatus.IN_REVIEW
    desk.review(order.id, ReviewDecision.APPROVE, "", LEGAL)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.AWAITING_SIGNATURE
    desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF), REP)
    blocked = desk.run_until_it_waits(order.id)
    assert blocked.status is OrderStatus.BLOCKED
    assert blocked.block is not None
    assert "another account" in blocked.block.reason
    assert desk.stripe.subscriptions == {}


@pytest.mark.parametrize(
    "broken",
    [
        {"start_date": "9999-12-01"},
        {"usage": [{"meter": "Pooled", "monthly_cap": 1, "overage_price": "0.0000000000001"}]},
    ],
)
def test_terms_that_nothing_could_be_made_of_are_refused_at_once(broken: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        submission(**broken)

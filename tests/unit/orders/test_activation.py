"""From a subscription to a customer at work: the tenant is asked for and acknowledged, the customer welcomed, the
owner's tasks made (ORD-2). Whatever comes twice, late or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from revops.kernel import Conflict, Forbidden, Invalid, NotFound, Principal, Refused, Role, Unavailable
from revops.kernel.context import CallContext
from revops.orders.decisions import Amendment
from revops.orders.model import OrderForm, OrderStatus, Step, StepOutcome, TenantStatus
from revops.orders.policies.activation import ActivationRules, WelcomeMail
from revops.orders.policies.lifecycle import next_step
from revops.orders.store import order_key
from revops.orders.tenant import TenantAnswer
from revops.orders.workflow import StepTask
from revops.table import Query, Transaction
from tests.builders.activation import ActivationDesk
from tests.builders.orders import LEGAL, REP, WORKER, caller

pytestmark = pytest.mark.mission("ORD-2")
READY = TenantAnswer(status="ready", tenant_id="tnt-1")
FAILED = TenantAnswer(status="failed", reason="no room in eu-1")


@pytest.fixture
def desk() -> ActivationDesk:
    return ActivationDesk(plans=["Professional"])


def answered(desk: ActivationDesk, order: OrderForm, answer: TenantAnswer = READY) -> OrderForm:
    return desk.acknowledge(order.id, answer, WORKER)


# -- asking ----------------------------------------------------------------------------------------------------------


def test_without_a_provisioning_system_an_order_is_active_at_once() -> None:
    desk = ActivationDesk()
    order = desk.asking()
    assert (order.status, order.tenant) == (OrderStatus.ACTIVE, None)
    assert desk.said("TenantProvisioningRequested") == []
    assert desk.said("OrderFormActivated")[0].data["tenant_id"] == ""


def test_only_the_plans_that_are_named_wait(desk: ActivationDesk) -> None:
    assert desk.asking(plan="Starter").status is OrderStatus.ACTIVE
    assert desk.asking().status is OrderStatus.AWAITING_TENANT


def test_the_tenant_is_asked_for_with_ids_and_no_persons_data(desk: ActivationDesk) -> None:
    order = desk.asking()
    assert order.tenant is not None
    assert order.tenant.due_at == desk.clock.now() + timedelta(hours=1)
    (asked,) = desk.said("TenantProvisioningRequested")
    assert asked.data == {
        "order_id": order.id,
        "account_id": order.account_id,
        "kind": "New",
        "amends": "",
        "plan": "Professional",
        "region": "EU",
        "seats": 25,
        "starts_on": "2026-11-20",
        "attempt": 1,
        "respond_by": order.tenant.due_at.isoformat().replace("+00:00", "Z"),
    }
    progress = desk.progress(order.id, REP)
    assert (progress.step, progress.waits_for) == (Step.AWAIT_TENANT, "the tenant to be opened")


@pytest.mark.mission("ORD-8")
def test_nothing_is_asked_while_a_document_is_missing(desk: ActivationDesk) -> None:
    order = desk.asking(dpa="No")
    assert (order.status, order.tenant) == (OrderStatus.BLOCKED, None)
    assert desk.said("TenantProvisioningRequested") == []


# -- answering -------------------------------------------------------------------------------------------------------


def test_acknowledged_it_is_active_and_repeating_it_changes_nothing(desk: ActivationDesk) -> None:
    order = desk.asking()
    active = answered(desk, order)
    assert active.status is OrderStatus.ACTIVE
    assert active.tenant is not None
    assert (active.tenant.status, active.tenant.tenant_id) == (TenantStatus.READY, "tnt-1")
    assert answered(desk, order) == active
    (told,) = desk.said("OrderFormActivated")
    assert told.data["tenant_id"] == "tnt-1"
    step = desk.progress(order.id, REP).steps[-1]
    assert (step.name, step.status, step.reason) == (Step.AWAIT_TENANT, OrderStatus.ACTIVE, "tenant tnt-1 is open")
    assert step.actor == WORKER.principal.id


def test_a_failure_blocks_and_resuming_asks_again_with_the_next_attempt(desk: ActivationDesk) -> None:
    order = desk.asking()
    blocked = answered(desk, order, FAILED)
    assert blocked.block is not None
    assert (blocked.status, blocked.block.step) == (OrderStatus.BLOCKED, Step.AWAIT_TENANT)
    assert blocked.block.reason == "the tenant was not opened: no room in eu-1"
    assert answered(desk, order, FAILED) == blocked
    assert desk.progress(order.id, REP).steps[-1].outcome is StepOutcome.BLOCKED
    desk.resume(order.id, Amendment(), REP)
    again = desk.run_until_it_waits(order.id)
    assert (again.status, again.attempt) == (OrderStatus.AWAITING_TENANT, 2)
    asked = desk.said("TenantProvisioningRequested")
    assert [each.data["attempt"] for each in asked] == [1, 2]
    assert len({each.id for each in asked}) == 2
    assert answered(desk, order).status is OrderStatus.ACTIVE


def test_the_failure_of_an_earlier_attempt_does_not_block_the_present_one(desk: ActivationDesk) -> None:
    order = desk.asking()
    answered(desk, order, FAILED)
    desk.resume(order.id, Amendment(), REP)
    assert answered(desk, order, FAILED).status is OrderStatus.PROVISIONED  # it goes on to ask again
    waiting = desk.run_until_it_waits(order.id)
    late = FAILED.model_copy(update={"attempt": 1})
    assert answered(desk, order, late) == waiting
    assert answered(desk, order, late.model_copy(update={"attempt": 2})).status is OrderStatus.BLOCKED


def test_an_order_that_asked_for_none_and_one_that_is_not_there_refuse_it() -> None:
    desk = ActivationDesk()
    order = desk.asking()
    with pytest.raises(Refused, match="asked for no tenant"):
        answered(desk, order)
    with pytest.raises(NotFound):
        desk.acknowledge("ORD_1", READY, WORKER)


def test_a_tenant_is_one_accounts_of_however_many_orders(desk: ActivationDesk) -> None:
    first, stranger = desk.asking(), desk.asking()
    second = desk.asking(account_id=first.account_id)
    answered(desk, first)
    assert answered(desk, second).status is OrderStatus.ACTIVE
    with pytest.raises(Conflict, match="another account"):
        answered(desk, stranger)
    assert desk.order(stranger.id).status is OrderStatus.AWAITING_TENANT


def test_an_active_orders_tenant_is_not_exchanged_and_does_not_fail_any_more(desk: ActivationDesk) -> None:
    order = desk.asking()
    active = answered(desk, order)
    with pytest.raises(Conflict, match="tnt-1"):
        answered(desk, order, TenantAnswer(status="ready", tenant_id="tnt-2"))
    with pytest.raises(Refused, match="tnt-1"):
        answered(desk, order, FAILED)
    assert desk.order(order.id) == active


@pytest.mark.fault("R19")
def test_two_answers_at_once_have_one_effect(desk: ActivationDesk) -> None:
    order = desk.asking()
    other: list[OrderForm] = []

    def race(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        other.append(answered(desk, order))

    desk.memory.before_commit = race
    assert answered(desk, order) == other[0]
    assert len(desk.said("OrderFormActivated")) == 1


# -- too late --------------------------------------------------------------------------------------------------------


def test_nobody_answers_in_time_and_the_order_is_blocked_once(desk: ActivationDesk) -> None:
    order = desk.asking()
    desk.clock.advance(minutes=59)
    assert desk.block_unacknowledged("p1") == 0
    desk.clock.advance(minutes=2)
    assert [desk.block_unacknowledged(period) for period in ("p2", "p3")] == [1, 0]
    blocked = desk.order(order.id)
    assert blocked.status is OrderStatus.BLOCKED
    assert "no acknowledgement" in desk.progress(order.id, REP).reason
    assert [each.data["step"] for each in desk.said("OrderFormBlocked")] == ["await_tenant"]


def test_a_late_acknowledgement_resumes_and_asks_nobody_again(desk: ActivationDesk) -> None:
    order = desk.asking()
    desk.clock.advance(hours=2)
    desk.block_unacknowledged("p")
    late = answered(desk, order)
    assert (late.status, late.attempt, late.block) == (OrderStatus.PROVISIONED, 2, None)
    assert desk.said("OrderFormResumed")[-1].data == {"order_id": order.id, "attempt": 2, "step": "activate"}
    assert desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    assert len(desk.said("TenantProvisioningRequested")) == 1


def test_a_late_failure_says_the_real_reason(desk: ActivationDesk) -> None:
    order = desk.asking()
    desk.clock.advance(hours=2)
    desk.block_unacknowledged("p")
    blocked = answered(desk, order, FAILED)
    assert blocked.block is not None
    assert (blocked.status, blocked.block.reason) == (
        OrderStatus.BLOCKED,
        "the tenant was not opened: no room in eu-1",
    )
    assert len(desk.said("OrderFormBlocked")) == 1


def test_an_acknowledgement_between_resuming_and_asking_is_kept(desk: ActivationDesk) -> None:
    order = desk.asking()
    answered(desk, order, FAILED)
    desk.resume(order.id, Amendment(), REP)
    assert answered(desk, order).status is OrderStatus.PROVISIONED
    assert desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    assert len(desk.said("TenantProvisioningRequested")) == 1


def test_the_answer_and_the_deadline_at_once_end_active(desk: ActivationDesk) -> None:
    order = desk.asking()
    desk.clock.advance(hours=2)

    def race(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        answered(desk, order)

    desk.memory.before_commit = race
    assert desk.block_unacknowledged("p") == 0
    assert desk.order(order.id).status is OrderStatus.ACTIVE


@pytest.mark.fault("R22")
def test_an_index_that_is_behind_blocks_nobody_who_was_asked_again(
    desk: ActivationDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = desk.asking()
    desk.clock.advance(minutes=61)
    query = desk.memory.query
    stale = {pk: query(Query(pk=pk, index="due", limit=9)) for pk in (f"DUE#tenant#{shard}" for shard in range(4))}
    assert [row.key for page in stale.values() for row in page.rows] == [order_key(order.id)]
    answered(desk, order, FAILED)
    desk.resume(order.id, Amendment(), REP)
    desk.run_until_it_waits(order.id)
    monkeypatch.setattr(desk.memory, "query", lambda asked: stale.get(asked.pk) or query(asked))
    assert desk.block_unacknowledged("p") == 0
    assert desk.order(order.id).status is OrderStatus.AWAITING_TENANT


# -- executions ------------------------------------------------------------------------------------------------------


def test_an_execution_of_an_older_definition_ends_and_the_order_goes_on(desk: ActivationDesk) -> None:
    """It knows no such wait: told of it, its choice falls through to the end. The answer needs no execution."""
    order = desk.executed()
    desk.run(StepTask(order.id, "provision"), WORKER)
    assert desk.run(StepTask(order.id, "activate"), WORKER).next == "await_tenant"
    assert answered(desk, order).status is OrderStatus.ACTIVE
    assert desk.run(StepTask(order.id, "activate"), WORKER).next == "done"


@pytest.mark.parametrize("how", ["acknowledged", "failed", "overdue"])
def test_a_waiting_execution_is_woken_however_the_wait_ends(desk: ActivationDesk, how: str) -> None:
    order = desk.asking()
    assert desk.run(StepTask(order.id, "await_tenant", "token-1"), WORKER).next == "await_tenant"
    assert desk.answer(order.id, WORKER) == 0
    if how == "overdue":
        desk.clock.advance(hours=2)
        desk.block_unacknowledged("p")
    else:
        answered(desk, order, READY if how == "acknowledged" else FAILED)
    (ended,) = desk.said("OrderFormActivated" if how == "acknowledged" else "OrderFormBlocked")
    assert "1 executions woken" in desk.tell(ended)
    assert desk.engine.answered == ["token-1"]
    assert next_step(desk.order(order.id).status) is Step.DONE


def test_a_waiting_order_is_not_stalled(desk: ActivationDesk) -> None:
    order = desk.asking()
    desk.clock.advance(days=2)
    assert desk.restart_stalled(WORKER) == 0
    assert desk.order(order.id).status is OrderStatus.AWAITING_TENANT


def test_it_is_executed_so_nobody_cancels_it(desk: ActivationDesk) -> None:
    order = desk.asking()
    with pytest.raises(Refused):
        desk.cancel(order.id, "too late", REP)


# -- who may say so --------------------------------------------------------------------------------------------------


def _machine(*scopes: str) -> CallContext:
    return CallContext(Principal("key:tenants", Role.INTEGRATION, scopes=frozenset(scopes)), request_id="r")


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize(
    ("call", "refused"),
    [
        (caller("USR_admin", Role.ADMIN), None),
        (_machine("tenant:write"), None),
        (_machine("leads:write"), NotFound),
        (_machine("orders:write"), Forbidden),
        (REP, Forbidden),
        (caller("USR_other"), NotFound),
        (LEGAL, Forbidden),
        (caller("USR_fin", Role.FINANCE), Forbidden),
        (caller("USR_sdr", Role.SDR), NotFound),
    ],
    ids=lambda each: each.principal.id if isinstance(each, CallContext) else "",
)
def test_admins_and_keys_for_it_say_that_a_tenant_is_open(
    desk: ActivationDesk, call: CallContext, refused: type[Exception] | None
) -> None:
    order = desk.asking()
    if refused is None:
        assert desk.acknowledge(order.id, READY, call).status is OrderStatus.ACTIVE
        return
    with pytest.raises(refused):
        desk.acknowledge(order.id, READY, call)
    assert desk.order(order.id).status is OrderStatus.AWAITING_TENANT


@pytest.mark.mission("BUS-2")
def test_the_provisioning_system_says_it_on_the_bus(desk: ActivationDesk) -> None:
    order = desk.asking()
    assert desk.say("TenantProvisioned", order_id=order.id, tenant_id="tnt-1", region="eu") == "order is Active"
    assert desk.say("TenantProvisioned", order_id=order.id, tenant_id="tnt-1") == "order is Active"
    other = desk.asking()
    assert desk.say("TenantProvisioningFailed", order_id=other.id, reason="a\r\nb", attempt=1) == "order is Blocked"
    assert desk.progress(other.id, REP).reason == "the tenant was not opened: a b"


@pytest.mark.mission("BUS-2")
def test_any_other_source_is_refused(desk: ActivationDesk) -> None:
    order = desk.asking()
    with pytest.raises(Forbidden):
        desk.say("TenantProvisioned", "somebody-else", order_id=order.id, tenant_id="tnt-1")
    with pytest.raises(Invalid):
        desk.say("TenantProvisioned", "revops", order_id=order.id, tenant_id="tnt-1")
    assert desk.order(order.id).status is OrderStatus.AWAITING_TENANT


@pytest.mark.mission("BUS-2")
@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"order_id": "x", "tenant_id": "t"},
        {"order_id": "ORD_1#FORM", "tenant_id": "t"},
        {"order_id": None, "tenant_id": "t"},
        {"tenant_id": ""},
        {"tenant_id": "a b"},
        {"tenant_id": "t" * 101},
        {"tenant_id": 7},
        {"tenant_id": "t", "attempt": 0},
        {"tenant_id": "t", "attempt": "many"},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_the_field(desk: ActivationDesk, detail: dict[str, Any]) -> None:
    order = desk.asking()
    named = {"order_id": order.id} | detail
    with pytest.raises(Invalid):
        desk.say("TenantProvisioned", **named)
    assert desk.order(order.id).status is OrderStatus.AWAITING_TENANT


# -- the customer and the owner --------------------------------------------------------------------------------------


def active(desk: ActivationDesk, **terms: Any) -> OrderForm:
    return answered(desk, desk.asking(**terms))


@pytest.mark.fault("R1")
def test_the_contact_is_welcomed_once_and_the_owner_has_tasks_once(desk: ActivationDesk) -> None:
    order = active(desk)
    (event,) = desk.said("OrderFormActivated")
    assert desk.tell(event) == "customer welcomed, 3 onboarding tasks"
    assert desk.tell(event) == "no reaction"
    ((to, subject, text),) = desk.post.sent
    assert (to, subject) == ("anna@musterwerk.example", "Welcome: your Professional plan is active")
    assert "Dear Anna Beispiel" in text
    assert "Musterwerk GmbH is active with 25 seats from 20/11/2026 on" in text
    assert order.id in text
    tasks = desk.tasks()
    assert [(task.due_at - order.status_since).days for task in tasks] == [1, 14, 30]
    assert {(task.assignee_id, task.related_to, task.type) for task in tasks} == {
        ("USR_rep", order.account_id, "onboarding")
    }


def test_a_mail_that_was_not_taken_holds_the_tasks_up_no_more_than_the_next_delivery(desk: ActivationDesk) -> None:
    active(desk)
    (event,) = desk.said("OrderFormActivated")
    desk.post.down = True
    with pytest.raises(Unavailable):
        desk.tell(event)
    assert len(desk.tasks()) == 3
    desk.post.down = False
    assert desk.tell(event) == "customer welcomed"


@pytest.mark.fault("R15")
def test_a_lost_activation_is_made_good_while_it_is_news(desk: ActivationDesk) -> None:
    order = active(desk)
    redriven = {"record": f"ORDER#{order.id}|FORM", "kind": "ORDER", "record_version": order.version}
    told = {"source": "revops", "detail-type": "RecordRedriven", "detail": {"id": "r:1", "data": redriven}}
    desk.clock.advance(days=31)
    assert desk.consume(told) == "no reaction"
    desk.clock.advance(days=-2)
    assert desk.consume(told) == "customer welcomed, 3 onboarding tasks"
    assert desk.consume(told) == "no reaction"


def test_the_rules_say_whether_and_what(desk: ActivationDesk) -> None:
    desk.rule(
        welcome={"active": False},
        onboarding=[{"name": "call", "title": "Call them", "after_days": 0}],
    )
    active_now = desk.asking()
    (event,) = desk.said("OrderFormActivated")
    assert desk.tell(event) == "1 onboarding tasks"
    assert (desk.post.sent, [task.title for task in desk.tasks()]) == ([], ["Call them"])
    assert desk.tasks()[0].due_at == active_now.status_since


@pytest.mark.mission("ORD-5")
def test_who_changes_what_runs_is_not_welcomed_again_and_its_tenant_is_changed(desk: ActivationDesk) -> None:
    order = desk.asking()
    assert desk.welcome.mail(order.id) == desk.welcome.tasks(order.id, WORKER) == "", "not in service yet"
    answered(desk, order)
    change = desk.amending(desk.order(order.id), seats=30)
    asked = desk.said("TenantProvisioningRequested")[-1].data
    assert (asked["kind"], asked["amends"], asked["seats"]) == ("Amendment", order.id, 30)
    assert answered(desk, change).status is OrderStatus.ACTIVE
    assert desk.tell(desk.said("OrderFormActivated")[-1]) == "no reaction"
    assert desk.welcome.mail("ORD_1") == ""


def test_rules_that_ask_for_none_any_more_let_a_blocked_order_through(desk: ActivationDesk) -> None:
    order = desk.asking()
    answered(desk, order, FAILED)
    desk.rule(tenant={"plans": []})
    desk.resume(order.id, Amendment(), REP)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    late = answered(desk, order)  # kept, although nobody waits for it
    assert late.tenant is not None
    assert (late.status, late.tenant.tenant_id) == (OrderStatus.ACTIVE, "tnt-1")
    assert len(desk.said("OrderFormActivated")) == 1


@pytest.mark.fault("S15")
@pytest.mark.parametrize(
    "wrong",
    [
        {"welcome": {"subject": "a\r\nBcc: x"}},
        {"welcome": {"text": "{{contact_email}}"}},
        {"welcome": {"text": "{{plan"}},
        {"welcome": {"subject": ""}},
        {"tenant": {"sources": ["revops"]}},
        {"tenant": {"sources": ["aws.s3"]}},
        {"tenant": {"plans": ["Gold"]}},
        {"tenant": {"acknowledge_within": "PT0S"}},
        {"onboarding": [{"name": "a", "title": "A", "after_days": 1}] * 2},
        {"onboarding": [{"name": "a b", "title": "A", "after_days": 1}]},
    ],
    ids=str,
)
def test_rules_that_could_not_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ActivationRules.model_validate(wrong)


@pytest.mark.fault("S15")
def test_what_was_agreed_starts_no_line_of_the_mail_and_is_no_template(desk: ActivationDesk) -> None:
    order = desk.asking(legal_entity_name="A\u200bB {{plan}}")
    mail = WelcomeMail(subject="{{legal_entity_name}}", text="{{legal_entity_name}}")
    assert mail.written(order) == ("A B {{plan}}", "A B {{plan}}")

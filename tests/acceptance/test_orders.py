"""Order forms from submission to one subscription (ORD-1, ORD-2, ORD-4, ORD-8), with the vendor at its worst."""

import base64
from datetime import timedelta

import pytest

from revops.kernel import add_months
from tests.acceptance import orders
from tests.acceptance.stack import Json, Stack, at_once, eventually, fields, fresh


def _names(progress: Json) -> list[str]:
    return [step["name"] for step in progress["steps"]]


def _deal(stack: Stack, order: Json) -> Json:
    deal: Json = stack.ok("GET", f"/api/v1/opportunities/{order['opportunity_id']}", user="admin")
    return deal


def _post(stack: Stack, order: Json, action: str, user: str, body: Json, expect: int = 200) -> Json:
    path = f"/api/v1/orders/{order['id']}/{action}"
    if expect >= 400:
        return stack.refused("POST", path, expect=expect, user=user, json=body)
    answer: Json = stack.ok("POST", path, user=user, json=body)
    return answer


@pytest.mark.mission("ORD-1", "ORD-2", "ORD-3", "ORD-4", "ORD-5", "CRM-4")
def test_a_standard_order_goes_its_way_to_one_subscription(stack: Stack) -> None:
    order = orders.submitted(stack, seats=7)
    assert order["status"] == "Submitted"
    assert order["owner_id"] == stack.user_id("rep")
    waiting = orders.reached(stack, order["id"], "AwaitingSignature")
    assert waiting["waits_for"] == "signature"
    assert orders.subscriptions_of(stack, order["id"]) == []
    assert _deal(stack, order)["stage"] == "Proposal Sent", "submitted is not won"
    _post(stack, order, "signature", "rep", orders.signature())
    done = orders.reached(stack, order["id"], "Active")
    assert _names(done) == ["submit", "review", "request_signature", "await_signature", "provision", "activate"]
    for step in done["steps"]:
        assert step["started_at"] <= step["ended_at"]
        assert step["actor"]
        assert step["outcome"] == "Done"
    assert (done["steps"][0]["actor"], done["steps"][3]["actor"]) == (stack.user_id("rep"),) * 2
    now = stack.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
    (subscription,) = orders.subscriptions_of(stack, order["id"])
    assert subscription["id"] == now["stripe_subscription_id"]
    assert subscription["items"]["data"][0]["quantity"] == 7
    deal = _deal(stack, order)
    assert (deal["stage"], deal["probability"], deal["evidence"]["order_id"]) == ("Closed Won", 100, order["id"])
    account = stack.ok("GET", f"/api/v1/accounts/{order['account_id']}", user="rep")
    assert (account["type"], account["lifecycle"]) == ("Customer", "Customer")
    _post(stack, order, "cancel", "rep", {"reason": "too late"}, expect=409)


@pytest.mark.mission("ORD-2", "SAFE-1")
def test_what_is_not_standard_waits_for_legal_who_approve(stack: Stack) -> None:
    start = orders.today() + timedelta(days=500)
    order = orders.submitted(stack, start_date=start.isoformat(), seats=900, spend_cap=None)
    waiting = orders.reached(stack, order["id"], "InReview")
    assert waiting["waits_for"] == "legal review"
    assert len(waiting["findings"]) == 2
    shown = stack.ok("GET", f"/api/v1/orders/{order['id']}", user="legal")
    assert {finding["field"] for finding in shown["findings"]} == {"start_date", "seats"}
    _post(stack, order, "review", "rep", {"decision": "approve"}, expect=403)
    _post(stack, order, "review", "finance", {"decision": "approve"}, expect=403)
    _post(stack, order, "review", "rep2", {"decision": "approve"}, expect=404)
    assert fields(_post(stack, order, "review", "legal", {"decision": "maybe"}, expect=400)) == {"decision"}
    _post(stack, order, "review", "legal", {"decision": "approve", "comment": "fine"})
    done = orders.reached(stack, order["id"], "AwaitingSignature")
    decided = next(step for step in done["steps"] if step["name"] == "await_review")
    assert (decided["actor"], decided["reason"]) == (stack.user_id("legal"), "fine")
    _post(stack, order, "review", "legal", {"decision": "approve"}, expect=409)
    _post(stack, order, "cancel", "rep", {"reason": "enough seen"})


@pytest.mark.mission("ORD-2")
def test_legal_reject_and_the_deal_is_undone(stack: Stack) -> None:
    order = orders.submitted(stack, seats=900, spend_cap=None)
    orders.reached(stack, order["id"], "InReview")
    assert fields(_post(stack, order, "review", "legal", {"decision": "reject"}, expect=400)) == {"comment"}
    rejected = _post(stack, order, "review", "legal", {"decision": "reject", "comment": "too cheap"})
    assert (rejected["status"], rejected["reason"]) == ("Rejected", "too cheap")
    assert _deal(stack, order)["stage"] == "Closed Lost"
    _post(stack, order, "signature", "rep", orders.signature(), expect=409)
    _post(stack, order, "resume", "rep", {}, expect=409)
    assert orders.subscriptions_of(stack, order["id"]) == []


@pytest.mark.mission("ORD-2")
def test_legal_ask_for_a_change_and_get_it(stack: Stack) -> None:
    order = orders.submitted(stack, term_months=3)
    orders.reached(stack, order["id"], "InReview")
    _post(stack, order, "review", "legal", {"decision": "ask", "comment": "a year, please"})
    asked = orders.reached(stack, order["id"], "ChangesRequested")
    assert asked["waits_for"] == "changed terms"
    kept = stack.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
    names = set(orders.form()) | {"list_price", "renewal_date"}
    terms = {name: kept[name] for name in names if name in kept}
    later = add_months(orders.today(), 12).isoformat()
    _post(stack, order, "resume", "rep", {"terms": terms | {"term_months": 12, "renewal_date": later}})
    done = orders.reached(stack, order["id"], "AwaitingSignature")
    assert done["attempt"] == 2
    assert "resume" in _names(done)


@pytest.mark.mission("ORD-2", "CRM-4")
def test_a_cancelled_order_undoes_what_it_did(stack: Stack) -> None:
    order = orders.submitted(stack)
    orders.reached(stack, order["id"], "AwaitingSignature")
    cancelled = _post(stack, order, "cancel", "rep", {"reason": "another supplier"})
    assert (cancelled["status"], cancelled["reason"]) == ("Cancelled", "another supplier")
    assert _post(stack, order, "cancel", "rep", {"reason": "again"})["reason"] == "another supplier"
    assert _deal(stack, order)["stage"] == "Closed Lost"
    _post(stack, order, "signature", "rep", orders.signature(), expect=409)


@pytest.mark.mission("ORD-3")
@pytest.mark.parametrize(
    ("document", "named"),
    [
        (base64.b64encode(b"PK\x03\x04 not a pdf").decode(), "document"),
        ("%%% not base64", "document"),
        (base64.b64encode(b"").decode(), "upload"),
    ],
)
def test_what_is_no_pdf_executes_nothing(stack: Stack, a_waiting_order: Json, document: str, named: str) -> None:
    refusal = _post(stack, a_waiting_order, "signature", "rep", orders.signature() | {"document": document}, expect=400)
    assert fields(refusal) == {named}
    assert orders.progress(stack, a_waiting_order["id"])["status"] == "AwaitingSignature"


@pytest.fixture(scope="module")
def a_waiting_order(stack: Stack) -> Json:
    order = orders.submitted(stack)
    orders.reached(stack, order["id"], "AwaitingSignature")
    return order


@pytest.mark.mission("ORD-3")
def test_nobody_signs_tomorrow_or_for_somebody_elses_customer(stack: Stack, a_waiting_order: Json) -> None:
    later = orders.signature() | {"signed_on": (orders.today() + timedelta(days=3)).isoformat()}
    assert fields(_post(stack, a_waiting_order, "signature", "rep", later, expect=400)) == {"signed_on"}
    _post(stack, a_waiting_order, "signature", "rep2", orders.signature(), expect=404)
    _post(stack, a_waiting_order, "signature", "support", orders.signature(), expect=403)
    stack.refused("GET", f"/api/v1/orders/{a_waiting_order['id']}/progress", expect=404, user="rep2")
    upload = {"signatory_name": "A", "signed_on": orders.today().isoformat(), "upload": "../../inbox/x"}
    assert fields(_post(stack, a_waiting_order, "signature", "rep", upload, expect=400)) == {"upload"}


@pytest.mark.mission("ORD-1")
@pytest.mark.fault("R7", "R18")
def test_one_key_makes_one_order_and_another_content_is_refused(stack: Stack) -> None:
    key, form = fresh(), orders.form()
    headers = {"Idempotency-Key": key}
    answers = at_once(
        [lambda: stack.call("POST", "/api/v1/orders", user="rep", json=form, headers=headers) for _ in range(6)], 6
    )
    assert sorted(answer.status_code for answer in answers) in ([200] * 5 + [201], [200] * 4 + [201, 409])
    made = {answer.json()["id"] for answer in answers if answer.status_code in {200, 201}}
    assert len(made) == 1
    stack.refused("POST", "/api/v1/orders", expect=409, user="rep", json=form | {"seats": 6}, headers=headers)
    other = stack.ok("POST", "/api/v1/orders", expect=201, user="rep2", json=form, headers=headers)
    assert other["id"] not in made, "a key is its caller's own"


@pytest.mark.mission("ORD-1")
@pytest.mark.parametrize(
    ("said", "named"),
    [({"plan": "Gold"}, "plan"), ({"seats": 0}, "seats"),
     ({"list_price": 1.5}, "list_price"), ({"region": "XX"}, "region"),
     ({"currency": "eur"}, "currency"),
     ({"discount_percent": "101"}, "discount_percent"), ({"payment_method": "Cash"}, "payment_method"),
     ({"billing_cycle": "Weekly"}, "billing_cycle"),
     ({"status": "Active"}, "status"), ({"signatory_name": "A\r\nB"}, "signatory_name"),
     ({"esign_method": "Pigeon"}, "esign_method"),
     ({"contact_email": "nobody"}, "contact_email"), ({"sccs": "Module 9"}, "sccs")],
)  # fmt: skip
def test_a_term_that_does_not_fit_is_named(stack: Stack, said: Json, named: str) -> None:
    refusal = stack.refused("POST", "/api/v1/orders", expect=400, user="rep", json=orders.form(**said))
    assert {name.partition(".")[0] for name in fields(refusal)} == {named}


# -- the vendor at its worst -----------------------------------------------------------------------------------------

_ON_CREATE: Json = {"on": "request", "match": {"method": "POST", "path": "^/v1/subscriptions$"}}


@pytest.mark.mission("ORD-4")
@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(_ON_CREATE | {"do": "lose_response", "times": 1}, marks=pytest.mark.fault("R8"), id="answer lost"),
        pytest.param(
            _ON_CREATE | {"do": "status", "status": 500, "times": 1}, marks=pytest.mark.fault("R9"), id="500 saved"
        ),
        pytest.param(
            _ON_CREATE | {"do": "status", "status": 500, "after_work": True, "times": 1},
            marks=pytest.mark.fault("R8", "R9"),
            id="done and 500",
        ),
        pytest.param(_ON_CREATE | {"do": "status", "status": 429, "times": 2}, marks=pytest.mark.fault("R5"), id="429"),
    ],
)
def test_exactly_one_subscription_whatever_stripe_answers(stripe_faults: Stack, rule: Json) -> None:
    stack = stripe_faults
    order = orders.submitted(stack)
    orders.reached(stack, order["id"], "AwaitingSignature")
    stack.misbehave("stripe", rule | {"match": rule["match"] | {"about": order["id"]}})
    _post(stack, order, "signature", "rep", orders.signature())
    orders.reached(stack, order["id"], "Active")
    (subscription,) = orders.subscriptions_of(stack, order["id"])
    now = stack.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
    assert now["stripe_subscription_id"] == subscription["id"]
    assert subscription["status"] == "active"


@pytest.mark.mission("ORD-2", "ORD-8")
def test_the_eu_without_its_documents_is_blocked_says_why_and_is_resumed(stack: Stack) -> None:
    order = orders.submitted(stack, dpa="No", sccs="No")
    orders.sign(stack, order["id"])
    blocked = orders.reached(stack, order["id"], "Blocked")
    assert "DPA" in blocked["reason"]
    assert "SCCs" in blocked["reason"]
    assert blocked["step"] == "activate"
    assert blocked["steps"][-1]["outcome"] == "Blocked"
    eventually("the mail about the block", lambda: stack.mails(order["id"]))
    _post(stack, order, "cancel", "rep", {"reason": "executed"}, expect=409)
    _post(stack, order, "resume", "rep", {"dpa": "Yes"}, expect=403)  # the seller does not open the gate
    _post(stack, order, "resume", "legal", {"dpa": "Yes"})
    still = eventually("blocked for the rest", lambda: _blocked_again(stack, order["id"]))
    assert "DPA" not in still["reason"]
    _post(stack, order, "resume", "legal", {"sccs": "Module 2"})
    done = orders.reached(stack, order["id"], "Active")
    assert _names(done).count("resume") == 2
    assert len(orders.subscriptions_of(stack, order["id"])) == 1


def _blocked_again(stack: Stack, order_id: str) -> Json:
    now = orders.progress(stack, order_id)
    return now if now["status"] == "Blocked" and "DPA" not in now["reason"] else {}

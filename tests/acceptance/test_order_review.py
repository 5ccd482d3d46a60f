"""Order forms among people: stages of a review with their deadlines, revisions, comments, the printed form, lists, and
changes of what runs."""

import hashlib
import io

import httpx
import pytest
from pypdf import PdfReader

from tests.acceptance import orders
from tests.acceptance.stack import Json, Stack, eventually, fields, fresh


def _post(stack: Stack, order: Json, action: str, user: str, body: Json, expect: int = 200) -> Json:
    path = f"/api/v1/orders/{order['id']}/{action}"
    if expect >= 400:
        return stack.refused("POST", path, expect=expect, user=user, json=body)
    answer: Json = stack.ok("POST", path, expect=expect, user=user, json=body)
    return answer


def _get(stack: Stack, order: Json, what: str, user: str) -> Json:
    answer: Json = stack.ok("GET", f"/api/v1/orders/{order['id']}/{what}", user=user)
    return answer


@pytest.mark.mission("ORD-1", "ORD-2", "SAFE-1")
def test_a_discount_goes_through_its_stages_and_a_change_is_a_revision(stack: Stack) -> None:
    order = orders.submitted(stack, discount_percent="25", dpa="No")
    assert [finding["field"] for finding in order["findings"]] == ["dpa"], "told at once"
    waiting = orders.reached(stack, order["id"], "InReview")
    assert (waiting["waits_for"], [stage["name"] for stage in waiting["stages"]]) == (
        "manager review",
        ["Manager", "Finance"],
    )
    assert waiting["warnings"]
    printed = _get(stack, order, "document", "legal")
    stack.run("reminders")

    def told() -> Json | None:
        stage: Json = orders.progress(stack, order["id"])["stages"][0]
        return stage if stage["told"] else None

    stage = eventually("the manager's task", told) or {}
    assert stage["told"] == [stack.user_id("manager")]
    about = stack.ok("GET", "/api/v1/tasks", user="manager", params={"about": order["account_id"]})["tasks"]
    (task,) = [each for each in about if order["id"] in each["details"]]
    assert (task["status"], task["due_at"]) == ("Open", stage["due_at"])

    _post(stack, order, "review", "finance", {"decision": "approve"}, expect=403)
    _post(stack, order, "review", "legal", {"decision": "approve"}, expect=403)
    assert _post(stack, order, "review", "manager", {"decision": "approve"})["status"] == "InReview"
    assert stack.ok("GET", f"/api/v1/tasks/{task['id']}", user="manager")["status"] == "Cancelled"
    _post(stack, order, "comments", "finance", {"text": "at most 10 %"}, expect=201)
    _post(stack, order, "review", "finance", {"decision": "ask", "comment": "at most 10 %"})
    kept = stack.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
    names = set(orders.form()) | {"list_price", "renewal_date"}
    terms = {name: kept[name] for name in names if name in kept} | {"discount_percent": "10", "dpa": "Yes"}
    assert _post(stack, order, "resume", "rep", {"terms": terms})["revision"] == 2
    ready = orders.reached(stack, order["id"], "AwaitingSignature")
    assert (ready["comments"], ready["revision"], ready["next"][0]["action"]) == (1, 2, "upload the signed form")
    first, second = _get(stack, order, "revisions", "rep")["revisions"]
    assert (first["document"]["sha256"], first["review"]["comment"]) == (printed["sha256"], "at most 10 %")
    assert {change["field"] for change in second["changes"]} == {"discount_percent", "dpa"}

    link = _get(stack, order, "document", "rep")
    content = httpx.get(link["url"], timeout=10).content
    assert (hashlib.sha256(content).hexdigest(), link["revision"]) == (link["sha256"], 2)
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    for word in ("राहुल पाटील", order["legal_entity_name"], f"{order['id']} · revision 2", "/signature/", "10 %"):
        assert word in text
    stack.refused("GET", f"/api/v1/orders/{order['id']}/document", expect=404, user="rep2")
    listed = stack.ok("GET", "/api/v1/orders", user="manager", params={"scope": "team", "status": "AwaitingSignature"})
    assert order["id"] in {each["id"] for each in listed["orders"]}
    _post(stack, order, "cancel", "rep", {"reason": "enough seen"})


@pytest.mark.mission("ORD-1", "ORD-5")
def test_a_live_order_is_amended_by_a_form_of_its_own(stack: Stack) -> None:
    base = orders.active(stack)
    change: Json = {"amends": base["id"], "start_date": orders.today().isoformat(), "seats": 6}

    def hand_in(expect: int, **said: object) -> Json:
        headers = {"Idempotency-Key": fresh()}
        if expect >= 400:
            return stack.refused("POST", "/api/v1/orders", expect=expect, user="rep", json=change | said)
        answer: Json = stack.ok(
            "POST", "/api/v1/orders", expect=expect, user="rep", json=change | said, headers=headers
        )
        return answer

    for said, named in (
        ({"spend_cap": {"minor": 100, "period": "Monthly"}}, "spend_cap"),
        ({"currency": "USD"}, "currency"),
        ({"renewal_date": "2020-01-01"}, "renewal_date"),
        ({"plan": "Gold"}, "plan"),
        ({"usage": [{"meter": "Pooled", "monthly_cap": 1, "overage_price": "-1"}]}, "usage.0.overage_price"),
        ({"signatory_name": " "}, "signatory_name"),
    ):
        assert fields(hand_in(400, **said)) == {named}
    amendment = hand_in(201)
    assert (amendment["kind"], amendment["amends"], amendment["seats"]) == ("Amendment", base["id"], 6)
    deal = stack.ok("GET", f"/api/v1/opportunities/{amendment['opportunity_id']}", user="rep")
    assert deal["source"] == "Upsell"
    assert fields(hand_in(400)) == {"amends"}, "one at a time"
    orders.sign(stack, amendment["id"])
    orders.reached(stack, amendment["id"], "Active")
    (subscription,) = orders.subscriptions_of(stack, base["id"])
    assert subscription["items"]["data"][0]["quantity"] == 6

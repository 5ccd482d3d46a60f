"""Activation with the company's own provisioning system (ORD-2): asked for on the bus, acknowledged on the bus and by
HTTP, overdue and late. The rules name one plan that no other test orders, and are put back afterwards."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.aws import wiring_of
from revops.access import IssueKey
from revops.kernel import system_call
from tests.acceptance import orders
from tests.acceptance.rules import applied, apply
from tests.acceptance.stack import Json, Stack, eventually, fresh

pytestmark = pytest.mark.mission("ORD-2")
SOURCE = "tenant-provisioning"
PLAN: Json = {"plan": "Custom", "list_price": 1900}

Rule = Callable[..., None]


@pytest.fixture(scope="module")
def rule(stack: Stack) -> Iterator[Rule]:
    """Puts rules for tenants in force. The order workflow reads them as they stand."""
    with applied(stack, "activation", {}) as before:

        def tenants(**changes: Any) -> None:
            wanted = {"plans": ["Custom"], "acknowledge_within": "PT1H", "sources": [SOURCE]} | changes
            apply(stack, "activation", before | {"tenant": before["tenant"] | wanted})

        tenants()
        yield tenants


@pytest.fixture(scope="module")
def heard(stack: Stack) -> Iterator[Callable[[str], list[Json]]]:
    """What the provisioning system hears of an order: a queue of its own behind a rule of its own."""
    events, sqs, name = stack.aws("events"), stack.aws("sqs"), f"tenants-{fresh()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["revops"], "detail-type": ["TenantProvisioningRequested"]}
    bus = stack.told["bus_name"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    requests: list[Json] = []

    def of(order_id: str) -> list[Json]:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ()):
            requests.append(json.loads(message["Body"])["detail"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [each for each in requests if each["data"]["order_id"] == order_id]

    yield of
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def _say(stack: Stack, name: str, source: str = SOURCE, **detail: Any) -> None:
    """An event of another system on our bus."""
    entry = {
        "Source": source,
        "DetailType": name,
        "Detail": json.dumps(detail),
        "EventBusName": stack.told["bus_name"],
    }
    answer = stack.aws("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer


def _waiting(stack: Stack) -> Json:
    """An order that waits for its tenant."""
    order = orders.submitted(stack, **PLAN)
    eventually("review is over", lambda: _approved(stack, order["id"]))
    orders.sign(stack, order["id"])
    told = orders.reached(stack, order["id"], "AwaitingTenant")
    assert (told["step"], told["waits_for"]) == ("await_tenant", "the tenant to be opened")
    return order


def _approved(stack: Stack, order_id: str) -> bool:
    """A plan of its own is not standard; who may speak for every stage of its review lets it through."""
    status: str = orders.progress(stack, order_id)["status"]
    if status == "InReview":
        decision = {"decision": "approve", "comment": "as agreed"}
        stack.ok("POST", f"/api/v1/orders/{order_id}/review", user="admin", json=decision)
    return status == "AwaitingSignature"


def _about(stack: Stack, order: Json) -> list[Json]:
    listed: list[Json] = stack.ok("GET", f"/api/v1/tasks?about={order['account_id']}", user="rep")["tasks"]
    return [each for each in listed if each["type"] == "onboarding"]


@pytest.mark.mission("BUS-1", "BUS-2")
@pytest.mark.fault("R1")
def test_acknowledged_on_the_bus_the_customer_is_welcomed(
    stack: Stack, rule: Rule, heard: Callable[[str], list[Json]]
) -> None:
    order, tenant = _waiting(stack), f"tnt-{fresh()}"
    (request,) = eventually("the request on the bus", lambda: heard(order["id"]))
    data = request["data"]
    assert (data["account_id"], data["plan"], data["seats"], data["attempt"]) == (
        order["account_id"], "Custom", 5, 1,
    )  # fmt: skip
    assert order["contact_email"] not in json.dumps(request)
    assert order["legal_entity_name"] not in json.dumps(request)
    _say(stack, "TenantProvisioned", "somebody-else", order_id=order["id"], tenant_id="tnt-stolen")
    for _ in range(2):
        _say(stack, "TenantProvisioned", order_id=order["id"], tenant_id=tenant, attempt=1)
    done = orders.reached(stack, order["id"], "Active")
    assert [step["name"] for step in done["steps"]][-3:] == ["provision", "activate", "await_tenant"]
    shown = stack.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")["tenant"]
    assert (shown["status"], shown["tenant_id"]) == ("ready", tenant)
    (mail,) = eventually("the welcome", lambda: stack.mails(order["contact_email"]))
    assert order["id"] in json.dumps(mail)
    tasks = eventually("the onboarding tasks", lambda: _about(stack, order))
    assert len(tasks) == 3
    assert {task["assignee_id"] for task in tasks} == {stack.user_id("rep")}


@pytest.mark.mission("SAFE-1")
def test_acknowledged_by_http_with_a_key_or_by_an_administrator(stack: Stack, rule: Rule) -> None:
    by_key, by_hand = _waiting(stack), _waiting(stack)
    wiring = wiring_of(stack.told)
    issue, call = IssueKey(wiring.table, wiring.clock), system_call("acceptance")
    keys = {scope: issue(f"t-{fresh()}", frozenset({scope}), call, secrets.token_urlsafe(24))
            for scope in ("tenant:write", "leads:write")}  # fmt: skip
    path, body = f"/api/v1/partner/orders/{by_key['id']}/tenant", {"status": "ready", "tenant_id": f"tnt-{fresh()}"}
    headers = {scope: {"x-api-key": key} for scope, key in keys.items()}
    stack.refused("POST", path, expect=401, json=body)
    stack.refused("POST", path, expect=403, json=body, headers=headers["leads:write"])
    stack.refused("POST", path, expect=400, json={"status": "ready"}, headers=headers["tenant:write"])
    unknown = path.replace(by_key["id"], "ORD_0000000000000000000000000A")
    stack.refused("POST", unknown, expect=404, json=body, headers=headers["tenant:write"])
    for _ in range(2):
        receipt = stack.ok("POST", path, json=body, headers=headers["tenant:write"])
        assert (receipt["status"], set(receipt)) == ("Active", {"order_id", "status", "tenant"})
    stack.refused("POST", path, expect=409, json=body | {"tenant_id": "tnt-x"}, headers=headers["tenant:write"])
    path = f"/api/v1/orders/{by_hand['id']}/tenant"
    stack.refused("POST", path, expect=403, user="rep", json=body)
    stack.refused("POST", path, expect=404, user="rep2", json=body)
    stack.refused("POST", path, expect=409, user="admin", json=body)  # a tenant of another account
    failed = stack.ok("POST", path, user="admin", json={"status": "failed", "reason": "no room"})
    assert (failed["status"], failed["tenant"]["reason"]) == ("Blocked", "the tenant was not opened: no room")
    assert orders.progress(stack, by_hand["id"])["step"] == "await_tenant"


@pytest.mark.fault("R17")
def test_overdue_it_is_blocked_resumed_it_asks_again_and_a_late_word_resumes_it(
    stack: Stack, rule: Rule, heard: Callable[[str], list[Json]]
) -> None:
    rule(acknowledge_within="PT1S")
    order = _waiting(stack)
    blocked = eventually("the order blocked", lambda: _overdue(stack, order["id"]))
    assert "no acknowledgement" in blocked["reason"]
    assert (blocked["step"], blocked["steps"][-1]["outcome"]) == ("await_tenant", "Blocked")
    rule()
    stack.ok("POST", f"/api/v1/orders/{order['id']}/resume", user="rep", json={})
    orders.reached(stack, order["id"], "AwaitingTenant")
    requests = eventually("the second request", lambda: _two(heard(order["id"])))
    assert [each["data"]["attempt"] for each in requests] == [1, 2]
    assert len({each["id"] for each in requests}) == 2
    _say(stack, "TenantProvisioningFailed", order_id=order["id"], reason="still no room", attempt=2)
    failed = orders.reached(stack, order["id"], "Blocked")
    assert "still no room" in failed["reason"]
    _say(stack, "TenantProvisioned", order_id=order["id"], tenant_id=f"tnt-{fresh()}")
    done = orders.reached(stack, order["id"], "Active")
    assert done["attempt"] == 3
    assert len(heard(order["id"])) == 2, "a late acknowledgement asks nobody again"


def _overdue(stack: Stack, order_id: str) -> Json:
    time.sleep(0.5)
    stack.run("housekeeping")
    now = orders.progress(stack, order_id)
    return now if now["status"] == "Blocked" else {}


def _two(requests: list[Json]) -> list[Json]:
    return sorted(requests, key=lambda each: int(each["data"]["attempt"])) if len(requests) > 1 else []

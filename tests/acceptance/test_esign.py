"""E-sign from outside (ORD-3): a form goes out to the vendor's simulator, somebody does something there, and the order
is as it should be; whatever becomes of the webhooks."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance import orders
from tests.acceptance.stack import AS_JSON, Json, Stack, eventually

DOORS = {"DocuSign": ("docusign", "envelopes"), "Adobe Sign": ("adobe_sign", "agreements")}
TOLD = "(envelope|recipient)-.*"


def _out(stack: Stack, method: str = "DocuSign") -> Json:
    """An order whose form is at the signatory's."""
    order = orders.submitted(stack, esign_method=method)
    orders.reached(stack, order["id"], "AwaitingSignature")
    return _read(stack, order)


def _read(stack: Stack, order: Json) -> Json:
    now: Json = stack.ok("GET", f"/api/v1/orders/{order['id']}", user="rep")
    return now


def _do(stack: Stack, order: Json, deed: str, **asked: Any) -> None:
    """Somebody does something at the vendor's door."""
    vendor, things = DOORS[order["envelope"]["provider"]]
    stack.simulator(vendor, "POST", f"_sim/{things}/{order['envelope']['id']}/{deed}", json=asked)


def _at_vendor(stack: Stack, order: Json) -> Json:
    """The envelope as the vendor has it."""
    vendor, things = DOORS[order["envelope"]["provider"]]
    envelope: str = order["envelope"]["id"]
    found: Json = stack.held(vendor, things.removesuffix("s"), envelope)[envelope]
    return found


def _stored(stack: Stack, sha256: str, order: Json) -> bytes:
    """A kept document, by its hash."""
    bucket, name = stack.told["resources"]["BlobBucketName"], f"signed/{order['id']}/{sha256}.pdf"
    content: bytes = stack.aws("s3").get_object(Bucket=bucket, Key=name)["Body"].read()
    assert hashlib.sha256(content).hexdigest() == sha256
    return content


def _due_now(stack: Stack, order: Json) -> None:
    """An hour goes by for one envelope."""
    row = stack.rows(f"ENVELOPE#{order['id']}", "NUMBER#")[0]
    passed = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    doc = json.dumps({**json.loads(row["doc"]["S"]), "check_at": passed})
    due = passed + row["duesk"]["S"][len(passed) :]
    table = stack.told["table_name"]
    stack.dynamodb.put_item(TableName=table, Item={**row, "doc": {"S": doc}, "duesk": {"S": due}})


@pytest.mark.mission("ORD-3", "ORD-4")
@pytest.mark.parametrize("method", ["DocuSign", "Adobe Sign"])
def test_completed_at_the_vendor_executes_the_order_once(stack: Stack, method: str) -> None:
    vendor, _ = DOORS[method]
    order = _out(stack, method)
    envelope = order["envelope"]
    assert (envelope["provider"], envelope["status"], envelope["problem"]) == (method, "sent", "")
    if method == "DocuSign":
        stack.misbehave(vendor, {"on": "webhook", "do": "duplicate", "copies": 2, "match": {"type": TOLD}, "times": 4})
    _do(stack, order, "sign")
    orders.reached(stack, order["id"], "Active")
    stack.behave(vendor)
    now = _read(stack, order)
    signature = now["signature"]
    assert (signature["method"], now["envelope"]["status"]) == (method, "completed")
    assert len(orders.subscriptions_of(stack, order["id"])) == 1
    for sha256 in (signature["sha256"], signature["certificate_sha256"]):
        assert _stored(stack, sha256, order).startswith(b"%PDF-")
    said = [step["name"] for step in orders.progress(stack, order["id"])["steps"]]
    assert said.count("await_signature") == 1
    deal = stack.ok("GET", f"/api/v1/opportunities/{order['opportunity_id']}", user="admin")
    assert deal["stage"] == "Closed Won"
    assert f"Signed on {signature['signed_on']}" in deal["description"]
    assert stack.simulator(vendor, "GET", "_sim/violations") == []


@pytest.mark.mission("ORD-2", "ORD-3")
def test_declined_comes_back_with_the_reason_and_changed_terms_go_out_again(stack: Stack) -> None:
    order = _out(stack)
    _do(stack, order, "decline", reason="three seats are enough")
    told = orders.reached(stack, order["id"], "ChangesRequested")
    assert told["reason"] == "declined by the signatory: three seats are enough"
    assert told["waits_for"] == "changed terms"
    terms = {name: order[name] for name in orders.form()} | {"seats": 3}
    terms |= {name: order[name] for name in ("list_price", "renewal_date")}
    stack.ok("POST", f"/api/v1/orders/{order['id']}/resume", user="rep", json={"terms": terms})
    orders.reached(stack, order["id"], "AwaitingSignature")
    again = _read(stack, order)
    assert (again["envelope"]["number"], again["envelope"]["status"]) == (2, "sent")
    assert again["envelope"]["id"] != order["envelope"]["id"]


@pytest.mark.mission("ORD-3")
@pytest.mark.fault("R2")
def test_voided_after_completed_changes_nothing(stack: Stack) -> None:
    order = _out(stack)
    _do(stack, order, "sign")
    orders.reached(stack, order["id"], "Active")
    vendor = stack.told["docusign"]
    message: Json = {
        "event": "envelope-voided",
        "generatedDateTime": datetime.now(UTC).isoformat(),
        "data": {"accountId": vendor["account_id"], "envelopeId": order["envelope"]["id"]},
    }
    assert _connect(stack, message).status_code == 200
    assert _connect(stack, {**message, "data": {**message["data"], "accountId": order["id"]}}).status_code == 400
    assert stack.call("POST", "/webhooks/docusign", content=json.dumps(message), headers=AS_JSON).status_code == 400
    eventually("the message is settled", lambda: _settled(stack, order["envelope"]["id"], "envelope-voided"))
    now = _read(stack, order)
    assert (now["status"], now["envelope"]["status"], now["envelope"]["problem"]) == ("Active", "completed", "")


@pytest.mark.mission("ORD-3")
@pytest.mark.fault("R15")
def test_a_webhook_that_never_came_is_made_good_by_the_sweep(stack: Stack) -> None:
    order = _out(stack)
    sent = order["envelope"]["id"]
    for told in ("envelope-sent", "recipient-sent"):  # or the look one of them brings finds it signed
        eventually(f"{told} is settled", lambda told=told: _settled(stack, sent, told))  # type: ignore[misc]
    stack.misbehave("docusign", {"on": "webhook", "do": "drop", "match": {"type": TOLD, "about": sent}})
    _do(stack, order, "sign")
    stack.simulator("docusign", "DELETE", "_sim/faults")
    assert orders.progress(stack, order["id"])["status"] == "AwaitingSignature"
    _due_now(stack, order)
    stack.run("housekeeping")
    orders.reached(stack, order["id"], "Active")
    assert not _stored_signals(stack, order["envelope"]["id"], "envelope-completed"), "nobody told us"


@pytest.mark.mission("ORD-2", "ORD-3")
def test_a_cancelled_order_takes_its_envelope_back(stack: Stack) -> None:
    order = _out(stack, "Adobe Sign")
    stack.ok("POST", f"/api/v1/orders/{order['id']}/cancel", user="rep", json={"reason": "another start date"})
    eventually("the agreement is cancelled", lambda: _at_vendor(stack, order)["status"] == "CANCELLED")
    eventually("the order shows it", lambda: _read(stack, order)["envelope"]["status"] == "voided")
    assert _read(stack, order)["status"] == "Cancelled"


def _connect(stack: Stack, message: Json) -> Any:
    """Posts a message signed as Connect signs."""
    raw = json.dumps(message).encode()
    made = hmac.new(stack.told["docusign"]["secret"].encode(), raw, hashlib.sha256).digest()
    headers = {"x-docusign-signature-1": base64.b64encode(made).decode(), **AS_JSON}
    return stack.call("POST", "/webhooks/docusign", content=raw, headers=headers)


def _stored_signals(stack: Stack, envelope_id: str, event: str) -> list[Json]:
    """What was told of an envelope."""
    found = stack.dynamodb.query(
        TableName=stack.told["table_name"],
        IndexName="gsi1",
        KeyConditionExpression="g1pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"INBOX#OF#docusign#{envelope_id}"}},
    )["Items"]
    docs = [json.loads((stack.row(item["pk"]["S"], item["sk"]["S"]) or {})["doc"]["S"]) for item in found]
    return [doc for doc in docs if doc["event_type"] == event]


def _settled(stack: Stack, envelope_id: str, event: str) -> bool:
    """Whether an event about an envelope was worked on."""
    return any(doc["status"] == "Applied" for doc in _stored_signals(stack, envelope_id, event))

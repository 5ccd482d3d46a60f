"""Stripe's webhook (STR-1): who did not prove to be Stripe is refused and leaves nothing; who did is stored once."""

import json
import secrets
import time
from collections.abc import Callable

import pytest

from revops.inbox import inbox_id
from tests.acceptance.stack import AS_JSON, Json, Stack, at_once, eventually, fields, fresh, problem, stripe_signature

pytestmark = pytest.mark.mission("STR-1")


def _event(stack: Stack, **changes: object) -> Json:
    """An event about a customer who exists at Stripe."""
    customer = stack.stripe("POST", "customers", email=f"pay@{fresh()}.example", name="Ada Lind")
    return {
        "id": f"evt_{fresh()}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": customer},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "customer.updated",
    } | changes


def _stored(stack: Stack, event_id: str) -> Json | None:
    row = stack.row(f"INBOX#{inbox_id('stripe', event_id)}", "EVENT")
    return json.loads(row["doc"]["S"]) if row else None


def _settled(stack: Stack, event_id: str) -> Json:
    """The inbox entry of an event once a worker settled it."""

    def look() -> Json | None:
        entry = _stored(stack, event_id)
        return entry if entry and entry.get("status", "Received") != "Received" else None

    return eventually(f"the outcome of {event_id}", look) or {}


def _raw(event: Json) -> bytes:
    return json.dumps(event, indent=2, ensure_ascii=False).encode()


@pytest.mark.mission("STR-3")
@pytest.mark.fault("R1", "R26")
def test_an_event_is_acknowledged_stored_once_and_applied(stack: Stack) -> None:
    event = _event(stack)
    raw = _raw(event)
    answers = at_once([lambda: stack.stripe_event(raw) for _ in range(6)], 6)
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"received": True})] * 6
    entry = _settled(stack, event["id"])
    assert (entry["status"], entry["attempts"]) == ("Applied", 1)
    assert entry["body"].encode() == raw
    profile = stack.ok("GET", f"/api/v1/customers/{event['data']['object']['id']}", user="finance")
    assert profile["customer"]["membership_status"] == "inactive"
    row = stack.row(f"INBOX#{inbox_id('stripe', event['id'])}", "EVENT") or {}
    assert int(row["ttl"]["N"]) - time.time() >= 30 * 86_400


@pytest.mark.mission("STR-2")
@pytest.mark.fault("R1", "R7")
def test_the_same_fact_under_another_id_has_no_second_effect(stack: Stack) -> None:
    customer = stack.stripe("POST", "customers", email=f"pay@{fresh()}.example")["id"]
    method = stack.stripe("POST", "payment_methods/pm_card_visa/attach", customer=customer)["id"]
    paid = stack.stripe(
        "POST", "payment_intents", amount=5000, currency="eur", customer=customer, payment_method=method, confirm="true"
    )  # fmt: skip
    assert paid["status"] == "succeeded"
    path = f"/api/v1/customers/{customer}"

    def told() -> Json | None:
        answer = stack.call("GET", path, user="finance")
        profile: Json = answer.json()
        return profile if answer.status_code == 200 and profile["activity"] else None

    before = eventually("the payment in the log", told) or {}
    events = stack.stripe("GET", "events", type="payment_intent.succeeded", limit=5)["data"]
    event = next(each for each in events if each["data"]["object"]["id"] == paid["id"])
    copies = [event, event | {"id": f"evt_{fresh()}"}, event | {"id": f"evt_{fresh()}"}]
    for copy in copies:
        assert stack.stripe_event(_raw(copy)).status_code == 200
    for copy in copies:
        _settled(stack, copy["id"])
    after = stack.ok("GET", path, user="finance")
    assert after["activity"] == before["activity"]
    assert after["customer"]["lifetime_value"] == {"EUR": 5000}
    assert [note["id"] for note in after["notes"]] == [note["id"] for note in before["notes"]]


def _signed(stack: Stack, raw: bytes, at: float | None = None) -> str:
    return stripe_signature(raw, stack.told["stripe"]["secret"], at)


_FORGED: dict[str, Callable[[Stack, bytes], str]] = {
    "no header": lambda stack, raw: "",
    "nonsense": lambda stack, raw: "nonsense",
    "another secret": lambda stack, raw: stripe_signature(raw, secrets.token_hex(16)),
    "an empty secret": lambda stack, raw: stripe_signature(raw, ""),
    "over another body": lambda stack, raw: _signed(stack, raw + b" "),
    "stale by 301 s": lambda stack, raw: _signed(stack, raw, time.time() - 302),
    "stale by a day": lambda stack, raw: _signed(stack, raw, time.time() - 86_400),
    "from the future": lambda stack, raw: _signed(stack, raw, time.time() + 320),
    "a timestamp changed": lambda stack, raw: _signed(stack, raw, time.time() - 600).replace(
        "t=", f"t={int(time.time())},x="
    ),
    "two timestamps": lambda stack, raw: f"t={int(time.time()) - 5}," + _signed(stack, raw),
    "no timestamp": lambda stack, raw: _signed(stack, raw).partition(",")[2],
    "v0 only": lambda stack, raw: _signed(stack, raw).replace("v1=", "v0="),
    "cut short": lambda stack, raw: _signed(stack, raw)[:-2],
    "upper case": lambda stack, raw: "t=" + _signed(stack, raw)[2:].upper().replace("V1=", "v1="),
    "the timestamp in words": lambda stack, raw: _signed(stack, raw).replace("t=", "t=x"),
    "a header without end": lambda stack, raw: _signed(stack, raw) + ",v1=" + "a" * 8000,
}


@pytest.mark.fault("S6", "S7", "S8")
@pytest.mark.parametrize("forgery", _FORGED)
def test_what_is_not_proven_is_400_and_nothing_is_stored(stack: Stack, forgery: str) -> None:
    event = _event(stack)
    raw = _raw(event)
    header = _FORGED[forgery](stack, raw)
    answer = stack.call("POST", "/webhooks/stripe", content=raw, headers={"stripe-signature": header} | AS_JSON)
    assert answer.status_code == 400, answer.text[:300]
    assert fields(problem(answer)) == {"Stripe-Signature"}
    assert _stored(stack, event["id"]) is None


@pytest.mark.fault("S6")
def test_a_clock_that_is_a_little_off_is_no_forger(stack: Stack) -> None:
    for off in (-280, 280):
        event = _event(stack)
        assert stack.stripe_event(_raw(event), at=time.time() + off).status_code == 200
        assert _stored(stack, event["id"])


@pytest.mark.fault("S7")
def test_the_signature_is_over_the_raw_bytes(stack: Stack) -> None:
    event = _event(stack)
    written = json.dumps(event, indent=2, ensure_ascii=False).encode()
    again = json.dumps(json.loads(written), separators=(",", ":")).encode()
    header = stripe_signature(written, stack.told["stripe"]["secret"])
    answer = stack.call("POST", "/webhooks/stripe", content=again, headers={"stripe-signature": header} | AS_JSON)
    assert answer.status_code == 400
    assert _stored(stack, event["id"]) is None
    odd = json.dumps(event | {"note": "Zoë राहुल 株 \u2028"}, ensure_ascii=False, indent=7).encode()
    assert stack.stripe_event(odd).status_code == 200


@pytest.mark.fault("S7", "S8")
def test_one_good_signature_among_others_is_enough(stack: Stack) -> None:
    event = _event(stack)
    raw = _raw(event)
    good = stripe_signature(raw, stack.told["stripe"]["secret"])
    header = good.replace(",v1=", f",v1={'0' * 64},v0={'1' * 64},v1=")
    answer = stack.call("POST", "/webhooks/stripe", content=raw, headers={"stripe-signature": header} | AS_JSON)
    assert answer.status_code == 200, answer.text[:300]


@pytest.mark.fault("S9")
@pytest.mark.parametrize("foreign", [{"livemode": True}, {"account": "acct_somebody"}])
def test_the_other_mode_and_other_accounts_are_refused(stack: Stack, foreign: Json) -> None:
    event = _event(stack, **foreign)
    answer = stack.stripe_event(_raw(event))
    assert answer.status_code == 400, answer.text[:300]
    assert fields(problem(answer)) == set(foreign)
    assert _stored(stack, event["id"]) is None


def test_an_unknown_type_is_accepted_kept_and_harmless(stack: Stack) -> None:
    event = _event(stack, type="moon.landed.twice")
    assert stack.stripe_event(_raw(event)).status_code == 200
    entry = _settled(stack, event["id"])
    assert (entry["status"], entry["event_type"]) == ("Ignored", "moon.landed.twice")
    assert entry["reason"] == "nothing here acts upon moon.landed.twice"


def test_a_thin_event_is_taken_too(stack: Stack) -> None:
    customer = stack.stripe("POST", "customers", email=f"pay@{fresh()}.example")["id"]
    event: Json = {
        "id": f"evt_{fresh()}",
        "object": "v2.core.event",
        "type": "v1.customer.updated",
        "created": "2026-11-20T10:00:00.000Z",
        "livemode": False,
        "context": None,
        "related_object": {"id": customer, "type": "customer", "url": f"/v1/customers/{customer}"},
    }
    assert stack.stripe_event(_raw(event)).status_code == 200
    assert _settled(stack, event["id"])["status"] == "Applied"
    assert stack.ok("GET", f"/api/v1/customers/{customer}", user="finance")["customer"]["payers"] == [customer]


@pytest.mark.mission("STR-6")
@pytest.mark.fault("R12", "R27")
def test_an_event_about_what_stripe_does_not_know_is_dead_with_its_reason(stack: Stack) -> None:
    event = _event(stack)
    event["data"]["object"] = {"id": f"cus_{fresh()}", "object": "customer"}
    assert stack.stripe_event(_raw(event)).status_code == 200
    entry = _settled(stack, event["id"])
    assert entry["status"] == "Dead"
    assert entry["reason"]


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    "broken", [{"id": None}, {"type": 7}, {"object": "lead"}, {"data": []}, {"created": "soon"}, {"livemode": "no"}]
)
def test_a_signed_body_that_is_no_event_is_400(stack: Stack, broken: Json) -> None:
    event = _event(stack)
    refused = stack.stripe_event(_raw(event | broken))
    assert refused.status_code == 400, refused.text[:300]
    problem(refused)
    assert _stored(stack, event["id"]) is None


@pytest.mark.mission("STR-1")
@pytest.mark.fault("R1")
def test_a_large_event_is_kept_whole(stack: Stack) -> None:
    event = _event(stack)
    event["data"]["object"]["description"] = "ж" * 150_000
    raw = _raw(event)
    assert stack.stripe_event(raw).status_code == 200
    entry = _settled(stack, event["id"])
    assert entry["status"] == "Applied"
    kept = stack.aws("s3").get_object(Bucket=stack.told["resources"]["BlobBucketName"], Key=entry["blob"])
    assert kept["Body"].read() == raw


def _rotate(stack: Stack, webhook_secrets: list[str]) -> None:
    """Puts the secrets in force and starts the function afresh: running workers keep theirs for five minutes."""
    manager, name = stack.aws("secretsmanager"), stack.told["resources"]["StripeSecretName"]
    held = json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
    manager.put_secret_value(SecretId=name, SecretString=json.dumps(held | {"webhook_secrets": webhook_secrets}))
    function = "revops-local-stripe-webhook"
    functions = stack.aws("lambda")
    settings = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    settings["POWERTOOLS_SERVICE_NAME"] = f"revops-{fresh()}"
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": settings})


@pytest.mark.fault("S8")
def test_while_secrets_rotate_both_are_good_and_afterwards_one(stack: Stack) -> None:
    old, new = stack.told["stripe"]["secret"], secrets.token_hex(16)
    event = _event(stack)
    try:
        _rotate(stack, [old, new])
        for secret in (old, new):
            assert stack.stripe_event(_raw(event), secret=secret).status_code == 200
        _rotate(stack, [new])
        assert stack.stripe_event(_raw(event), secret=new).status_code == 200
        assert stack.stripe_event(_raw(event), secret=old).status_code == 400
    finally:
        _rotate(stack, [old])
    assert stack.stripe_event(_raw(event), secret=new).status_code == 400
    assert stack.stripe_event(_raw(event), secret=old).status_code == 200

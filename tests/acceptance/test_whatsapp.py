"""WhatsApp (CAP-2) through the simulator's doors: people write, and what we see is what a company would see."""

import hashlib
import hmac
import json

import httpx
import pytest

from local.aws import wiring_of
from local.simulators.common import contracts_folder
from tests.acceptance.people import by_phone, fresh_phone, timeline
from tests.acceptance.stack import AS_JSON, Json, Stack, eventually, fresh, problem

pytestmark = pytest.mark.mission("CAP-2")


def writes(stack: Stack, phone: str, words: str = "Hello", **more: object) -> str:
    """Somebody sends a text to our number; the message's id."""
    said = {"text": {"body": words}, "name": "राहुल पाटील", **more}
    sent: Json = stack.simulator("whatsapp", "POST", f"_sim/people/{phone.lstrip('+')}/messages", json=said)
    return str(sent["id"])


def lead_of(stack: Stack, phone: str) -> Json:
    return eventually(f"a lead of {phone}", lambda: by_phone(stack, phone)) or {}


def conversation(stack: Stack, lead_id: str, count: int) -> list[Json]:
    return eventually(f"{count} messages", lambda: _at_least(timeline(stack, lead_id), count))


def _at_least(found: list[Json], count: int) -> list[Json]:
    return found if len(found) >= count else []


def post(stack: Stack, raw: bytes, signature: str) -> httpx.Response:
    headers = {"x-hub-signature-256": signature} | AS_JSON
    return stack.call("POST", "/webhooks/whatsapp", content=raw, headers=headers)


def signed(stack: Stack, raw: bytes, secret: str = "") -> str:
    secret = secret or stack.told["whatsapp"]["secret"]
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def test_meta_subscribes_with_our_verify_token_and_nobody_else_does(stack: Stack) -> None:
    assert stack.simulator("whatsapp", "POST", "_sim/subscribe") == {"status": 200, "verified": True}
    asked = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "guess"}
    refused = stack.call("GET", "/webhooks/whatsapp", params=asked)
    assert refused.status_code == 403
    problem(refused)


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-12")
def test_who_writes_first_becomes_an_owned_lead_without_consent(stack: Stack) -> None:
    phone = fresh_phone()
    message = writes(stack, phone, "नमस्ते, what does it cost?")
    lead = lead_of(stack, phone)
    assert (lead["first_name"], lead["last_name"], lead["channel"]) == ("राहुल", "पाटील", "whatsapp")
    assert (lead["country"], lead["owner_id"], lead["gdpr_consent"]) == ("DE", stack.user_id("sdr"), False)
    stands = lead["attribution"]
    assert (stands["source"], stands["campaign"]) == ("WhatsApp", stack.told["whatsapp"]["number"])
    assert stands["derived"] is True
    (said,) = conversation(stack, lead["id"], 1)
    assert (said["type"], said["content"], said["ref"]) == ("whatsapp", "नमस्ते, what does it cost?", message)
    writes(stack, phone, "Are you there?")
    assert len(conversation(stack, lead["id"], 2)) == 2


@pytest.mark.mission("CAP-8")
def test_an_advertisement_that_brought_somebody_is_where_they_came_from(stack: Stack) -> None:
    phone = fresh_phone()
    ad = {"source_url": "https://fb.me/1", "source_id": "1202", "source_type": "ad", "headline": "Chat with us"}
    writes(stack, phone, referral=ad)
    lead = lead_of(stack, phone)
    stands = lead["attribution"]
    assert (stands["source"], stands["campaign"], stands["derived"]) == ("Meta Ads", "Chat with us", True)
    assert lead["metadata"]["ad_source_id"] == "1202"


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_stop_withdraws_the_consent_with_the_message_as_evidence(stack: Stack) -> None:
    phone = fresh_phone()
    writes(stack, phone)
    lead = lead_of(stack, phone)
    message = writes(stack, phone, "Stop.")

    def withdrawn() -> list[Json]:
        shown = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="admin")
        return [said for said in shown["consents"] if said["channel"] == "whatsapp"]

    (said,) = eventually("the withdrawal", withdrawn)
    assert (said["purpose"], said["granted"], said["source"]) == ("marketing", False, "whatsapp")
    record = stack.row(f"PERSON#{lead['person_id']}", "CONSENT")
    assert record is not None
    assert json.loads(record["doc"]["S"])["entries"][-1]["evidence"] == f"message {message}"


@pytest.mark.fault("R1", "R2")
def test_doubled_and_mixed_up_deliveries_are_each_message_once(stack: Stack) -> None:
    phone = fresh_phone()
    stack.misbehave(
        "whatsapp",
        {"on": "webhook", "do": "duplicate", "copies": 3, "times": 3},
        {"on": "webhook", "do": "reorder", "window": 3, "seconds": 3, "times": 3},
    )
    try:
        for number in range(6):
            writes(stack, phone, f"message {number}")
    finally:
        stack.behave("whatsapp")
    lead = lead_of(stack, phone)
    found = conversation(stack, lead["id"], 6)
    assert sorted(each["content"] for each in found) == [f"message {number}" for number in range(6)]
    eventually("every delivery", lambda: stack.simulator("whatsapp", "GET", "_sim/health")["pending_deliveries"] == 0)
    assert len(timeline(stack, lead["id"])) == 6


def test_every_kind_of_message_that_meta_publishes_is_taken(stack: Stack) -> None:
    folder = contracts_folder("whatsapp")
    if folder is None:
        pytest.skip("no contracts folder with Meta's examples")
    account = stack.told["whatsapp"]["account"]
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        content["entry"][0]["id"] = account
        for change in content["entry"][0]["changes"]:
            for message in change["value"].get("messages", ()):
                message["id"] = f"wamid.{fresh()}"
        raw = json.dumps(content).encode()
        answer = post(stack, raw, signed(stack, raw))
        assert answer.status_code == 200, f"{path.name}: {answer.text[:300]}"
    lead = lead_of(stack, "+16505551234")
    kinds = {"text", "image", "location", "contacts", "interactive", "button", "order", "reaction", "unsupported"}
    eventually("each kind", lambda: kinds <= {each["facts"]["kind"] for each in timeline(stack, lead["id"])})


@pytest.mark.fault("S7", "S9")
def test_nobody_else_is_believed(stack: Stack) -> None:
    raw = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": []}]}).encode()
    for body, signature in (
        (raw, ""),
        (raw, signed(stack, raw, "another secret")),
        (raw + b" ", signed(stack, raw)),
        (raw, signed(stack, raw)),  # proven, and of an account that is not ours
    ):
        refused = post(stack, body, signature)
        assert refused.status_code == 400
        problem(refused)


@pytest.mark.mission("LEAD-5")
def test_a_template_reaches_its_person_and_what_is_wrong_is_told_apart(stack: Stack) -> None:
    """The gateway that nurture sends by, against the simulated Graph API."""
    from revops.adapters.whatsapp_gateway import HttpWhatsapp
    from revops.kernel import DomainError, Refused, Unavailable
    from revops.nurture.ports import OutcomeUnknown

    secrets, phone = wiring_of(stack.told).secrets, fresh_phone()
    gateway = HttpWhatsapp(lambda: secrets.read("whatsapp"), stack.told["whatsapp"]["simulator_url"])
    name = f"offer_{fresh()}"
    stack.simulator("whatsapp", "POST", "_sim/templates", json={"name": name, "languages": {"en": 1}})
    sent = gateway.send_template(phone, name, "en", ["Asha"])
    there = stack.held("whatsapp", "sent", sent)[sent]
    assert there["statuses"] == ["sent", "delivered"]
    assert there["to"] == phone.lstrip("+")

    def ending(rule: Json | None, template: str = name) -> type[DomainError]:
        if rule:
            stack.misbehave("whatsapp", rule)
        try:
            gateway.send_template(phone, template, "en", ["Asha"])
        except DomainError as error:
            return type(error)
        finally:
            stack.behave("whatsapp")
        raise AssertionError("nothing went wrong")

    assert ending(None, "never_approved") is Refused
    assert ending({"on": "request", "do": "status", "status": 429, "times": 1}) is Unavailable
    assert ending({"on": "request", "do": "status", "status": 500, "times": 1}) is OutcomeUnknown
    assert ending({"on": "request", "do": "lose_response", "times": 1}) is OutcomeUnknown
    gateway.close()


def test_the_simulator_was_never_asked_or_told_anything_outside_the_contract(stack: Stack) -> None:
    found = stack.simulator("whatsapp", "GET", "_sim/violations")
    assert [each for each in found if each["side"] != "request"] == []

"""Inbound calls (CAP-3): Twilio through the simulator's doors, and Amazon Connect's events."""

import json
from typing import Any

import pytest

from tests.acceptance.people import by_phone, fresh_phone, timeline
from tests.acceptance.stack import Json, Stack, eventually, fresh

pytestmark = pytest.mark.mission("CAP-3")
OURS = "+493090182000"


def calls(stack: Stack, **said: Any) -> Json:
    """Somebody calls; the call as Twilio has it."""
    made: Json = stack.simulator("twilio", "POST", "_sim/calls", json={"to": OURS, **said})
    return made


def lead_of(stack: Stack, phone: str) -> Json:
    return eventually(f"a lead of {phone}", lambda: by_phone(stack, phone)) or {}


def call_of(stack: Stack, lead_id: str, **facts: str) -> Json:
    """The one call of a lead, once it has these facts."""

    def look() -> Json | None:
        found = timeline(stack, lead_id)
        return found[0] if len(found) == 1 and facts.items() <= found[0]["facts"].items() else None

    return eventually(f"a call with {facts}", look) or {}


def entry_of(stack: Stack, provider: str, event_id: str) -> Json:
    """The inbox entry of an event, once it is settled."""
    from revops.inbox import inbox_id

    def look() -> Json | None:
        row = stack.row(f"INBOX#{inbox_id(provider, event_id)}", "EVENT")
        entry: Json = json.loads(row["doc"]["S"]) if row else {}
        return entry if entry.get("status") == "Applied" else None

    return eventually(f"the entry {event_id}", look) or {}


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-12")
def test_who_calls_is_answered_at_once_and_becomes_an_owned_lead(stack: Stack) -> None:
    phone = fresh_phone()
    made = calls(stack, **{"from": phone, "name": "Asha Rao", "seconds": 42})
    assert made["answers"] == [200]
    assert made["script"]["said"], "the caller hears something"
    lead = lead_of(stack, phone)
    assert (lead["first_name"], lead["last_name"], lead["channel"]) == ("Asha", "Rao", "call")
    assert (lead["owner_id"], lead["gdpr_consent"]) == (stack.user_id("sdr"), False)
    stands = lead["attribution"]
    assert (stands["source"], stands["campaign"], stands["derived"]) == ("Phone", OURS, True)
    call = call_of(stack, lead["id"], seconds="42", status="ended")
    assert (call["ref"], call["inbound"], call["outcome"]) == (made["sid"], True, "Follow Up Required")


@pytest.mark.fault("R1", "R2")
def test_twilio_may_ask_again_and_report_twice_and_in_any_order(stack: Stack) -> None:
    phone = fresh_phone()
    stack.misbehave("twilio", {"on": "webhook", "do": "duplicate", "copies": 3, "times": 2})
    try:
        made = calls(stack, **{"from": phone, "seconds": 7})
    finally:
        stack.behave("twilio")
    assert stack.simulator("twilio", "POST", f"_sim/calls/{made['sid']}/again")["answers"] == [200, 200]
    lead = lead_of(stack, phone)
    call_of(stack, lead["id"], seconds="7")
    eventually("every report", lambda: stack.simulator("twilio", "GET", "_sim/health")["pending_deliveries"] == 0)
    assert len(timeline(stack, lead["id"])) == 1
    assert stack.rows(f"LEAD#{lead['id']}", "SUBMISSION#") == [], "one call is one submission"


def test_a_withheld_number_makes_no_lead_and_its_entry_says_so(stack: Stack) -> None:
    made = calls(stack, **{"from": "anonymous"})
    assert made["answers"] == [200]
    entry = entry_of(stack, "twilio", f"{made['sid']}:ringing")
    assert "nobody to call back" in entry["reason"]


@pytest.mark.fault("S7", "S9")
def test_nobody_else_is_believed(stack: Stack) -> None:
    form = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": "bm8="}
    for path in ("voice", "status"):
        stack.refused("POST", f"/webhooks/twilio/{path}", expect=400, content=b"CallSid=CA1", headers=form)


def test_what_we_answer_is_what_twilio_takes(stack: Stack) -> None:
    assert stack.simulator("twilio", "GET", "_sim/violations") == []


# ── Amazon Connect ────────────────────────────────────────────────────────────────────────────────────────────────


def contact(kind: str, contact_id: str, phone: str | None, **more: Any) -> Json:
    """An event as Amazon Connect has EventBridge deliver it."""
    detail: Json = {
        "eventType": kind,
        "contactId": contact_id,
        "channel": "VOICE",
        "initiationMethod": "INBOUND",
        "initiationTimestamp": "2026-11-20T08:59:00Z",
        "instanceArn": "arn:aws:connect:eu-west-2:123456789012:instance/11111111-1111-1111-1111-111111111111",
        "systemEndpoint": {"type": "TELEPHONE_NUMBER", "address": OURS},
        **more,
    }
    if phone:
        detail["customerEndpoint"] = {"type": "TELEPHONE_NUMBER", "address": phone}
    return {
        "version": "0",
        "id": fresh(),
        "detail-type": "Amazon Connect Contact Event",
        "source": "aws.connect",
        "account": "123456789012",
        "time": "2026-11-20T08:59:00Z",
        "region": "eu-west-2",
        "resources": [],
        "detail": detail,
    }


def delivered(stack: Stack, *events: Json) -> None:
    """Nobody but AWS may put events of `aws.connect` on a bus, so they are handed to the rule's target as the bus
    would hand them over."""
    queue = stack.told["resources"]["ChannelQueueUrl"]
    for event in events:
        stack.aws("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(event))


def test_the_default_bus_sends_contact_events_to_the_channel_queue(stack: Stack) -> None:
    events, sqs = stack.aws("events"), stack.aws("sqs")
    (rule,) = [each for each in events.list_rules()["Rules"] if "ConnectCalls" in each["Name"]]
    assert events.test_event_pattern(
        EventPattern=rule["EventPattern"], Event=json.dumps(contact("INITIATED", "c", "+49"))
    )["Result"]
    other = contact("INITIATED", "c", "+49") | {"detail-type": "Contact Lens Analysis State Change"}
    assert not events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(other))["Result"]
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    queue = sqs.get_queue_attributes(
        QueueUrl=stack.told["resources"]["ChannelQueueUrl"], AttributeNames=["QueueArn", "Policy"]
    )["Attributes"]
    assert target["Arn"] == queue["QueueArn"]
    assert target["DeadLetterConfig"]["Arn"]
    assert rule["Name"] in queue["Policy"]


@pytest.mark.mission("CAP-8", "CAP-12")
@pytest.mark.fault("R1", "R2")
def test_a_contact_in_any_order_and_twice_is_one_call_of_one_lead(stack: Stack) -> None:
    phone, contact_id = fresh_phone(), f"contact-{fresh()}"
    agent = {"agentInfo": {"connectedToAgentTimestamp": "2026-11-20T08:59:30Z"}}
    over = contact("DISCONNECTED", contact_id, phone, disconnectTimestamp="2026-11-20T09:01:00Z", **agent)
    delivered(stack, over, contact("INITIATED", contact_id, phone), over)
    delivered(stack, contact("CONNECTED_TO_AGENT", contact_id, phone, **agent))
    lead = lead_of(stack, phone)
    assert (lead["channel"], lead["attribution"]["source"], lead["owner_id"]) == ("call", "Phone", stack.user_id("sdr"))
    call = call_of(stack, lead["id"], status="answered", seconds="90")
    assert call["ref"] == contact_id


def test_a_contact_without_a_number_makes_no_lead_and_its_entry_says_so(stack: Stack) -> None:
    event = contact("INITIATED", f"contact-{fresh()}", None)
    delivered(stack, event)
    assert "nobody to call back" in entry_of(stack, "connect", event["id"])["reason"]

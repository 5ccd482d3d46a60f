"""Inbound calls: Twilio's webhooks and Amazon Connect's events make a lead and one activity a call."""

import json
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from urllib.parse import urlencode

import pytest

from local.simulators.twilio.twiml import read_twiml
from revops.adapters.twilio_calls import silence, twiml
from revops.adapters.twilio_signature import twilio_signature
from revops.channels.calls import VoiceRules
from revops.crm.activities import ActivityOutcome
from revops.inbox import InboxStatus
from revops.kernel import Invalid, Unavailable
from tests.builders.channels import Channels
from tests.builders.crm import CALL, submission, submissions_of

pytestmark = pytest.mark.mission("CAP-3")
URL = "https://api.example.com/webhooks/twilio/voice"
CALLER, OURS = "+4915112345678", "+493090182000"


def fields(number: int = 1, status: str = "ringing", **more: str) -> dict[str, str]:
    call = {
        "AccountSid": "AC1",
        "CallSid": f"CA{number:032x}",
        "CallStatus": status,
        "Direction": "inbound",
        "From": CALLER,
        "To": OURS,
    }
    return call | more


def ring(channels: Channels, told: dict[str, str], token: str = "", url: str = URL) -> str:
    token = token or channels.twilio_secret["auth_tokens"][0]
    signature = twilio_signature(token, url, list(told.items()))
    return channels.receive_twilio()(url, urlencode(told).encode(), signature, CALL)


def tell(channels: Channels, *reports: dict[str, str]) -> list[str]:
    for report in reports:
        ring(channels, report)
    return channels.work()


# ── who sent it ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_signature_is_the_one_of_twilios_documentation() -> None:
    """The worked example of "Validating Signatures from Twilio" (token, address, fields and result are theirs)."""
    told = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio_signature("12345", url, list(told.items())) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


@pytest.mark.fault("S7", "S9")
def test_a_token_written_alone_is_one_and_not_its_letters() -> None:
    channels = Channels()
    channels.twilio_secret["auth_tokens"] = "alone"
    with pytest.raises(Invalid):
        ring(channels, fields(), "a")
    assert ring(channels, fields(), "alone")


@pytest.mark.fault("S7", "S8", "S9", "S23")
def test_only_what_an_active_token_signed_for_this_address_is_stored() -> None:
    channels = Channels()
    old = channels.twilio_secret["auth_tokens"][0]
    channels.twilio_secret["auth_tokens"] = ["new", old]
    assert ring(channels, fields(), "new")
    assert ring(channels, fields(), old)
    channels.twilio_secret["auth_tokens"] = ["new"]
    good = twilio_signature("new", URL, list(fields(2).items()))
    raw = urlencode(fields(2)).encode()
    for url, body, signature in (
        (URL, raw, twilio_signature(old, URL, list(fields(2).items()))),
        (URL + "/", raw, good),
        (URL.replace("https", "http"), raw, good),
        (URL, raw + b"&Digits=1", good),
        (URL, raw, ""),
        (URL, raw, "ü"),
    ):
        with pytest.raises(Invalid):
            channels.receive_twilio()(url, body, signature, CALL)
    assert len(channels.inbox()) == 1


@pytest.mark.fault("R28", "S9", "S13")
def test_no_token_no_belief_another_account_is_none_of_ours_and_odd_forms_are_refused() -> None:
    channels = Channels()
    channels.twilio_secret["auth_tokens"] = [""]
    with pytest.raises(Unavailable):
        ring(channels, fields(), "x")
    channels.twilio_secret |= {"auth_tokens": ["t"], "accounts": ["AC1"]}
    ring(channels, fields())
    for told in (fields(AccountSid="AC2"), fields(CallSid="x"), fields(status=""), fields(status="a b")):
        with pytest.raises(Invalid):
            ring(channels, told)
    for raw in (b"\xff=1", b"&".join(b"a=%d" % n for n in range(300))):
        with pytest.raises(Invalid):
            channels.receive_twilio()(URL, raw, "", CALL)


# ── calls ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-12")
def test_who_calls_becomes_an_owned_lead_with_the_call_on_its_timeline() -> None:
    channels = Channels()
    assert tell(channels, fields(CallerName="RAO, ASHA")) == ["call under way"]
    (lead,) = channels.leads()
    assert (lead.phone, lead.country, lead.channel, lead.first_name) == (CALLER, "DE", "call", "ASHA")
    stands = lead.attribution
    assert (stands.source, stands.campaign, stands.medium, stands.derived) == ("Phone", OURS, "call", True)
    assert not lead.gdpr_consent
    assert lead.owner_id in ("sdr-1", "sdr-2")
    (call,) = channels.activities()
    assert (call.type, call.inbound, call.related_to) == ("call", True, lead.id)
    assert (call.ref, call.facts["status"]) == (f"CA{1:032x}", "under way")
    assert tell(channels, fields(2)) == ["call under way"]
    assert len(channels.leads()) == 1
    assert len(channels.activities()) == 2


@pytest.mark.mission("CAP-11")
def test_who_is_known_at_a_mobile_number_with_an_email_calls_as_that_lead() -> None:
    channels = Channels()
    known = channels.submit(submission(phone=CALLER), CALL).lead
    assert tell(channels, fields()) == ["call under way"]
    assert [lead.id for lead in channels.leads()] == [known.id]
    (call,) = channels.activities()
    assert call.related_to == known.id
    assert [each.channel for each in submissions_of(channels.table, known.id)] == ["call"]


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize("caller", [CALLER, "+4930901820"])
def test_at_a_number_that_may_be_anybodys_a_caller_is_somebody_of_their_own(caller: str) -> None:
    """Two people on one mobile number, and one known at a switchboard."""
    channels = Channels()
    mobile = caller == CALLER
    known = [channels.submit(submission(phone=caller), CALL).lead]
    if mobile:
        other = submission(phone=caller, email="ravi.patel@nordlicht.example", first_name="Ravi", last_name="Patel")
        known.append(channels.submit(other, CALL).lead)
    tell(channels, fields(From=caller))
    (caller_lead,) = [lead for lead in channels.leads() if lead.channel == "call"]
    assert caller_lead.duplicate_check == ("Pending" if mobile else "Pass")
    assert {each.lead_id for each in caller_lead.resembles} == ({lead.id for lead in known} if mobile else set())


STAGES: list[tuple[dict[str, str], ...]] = list(
    permutations(
        [
            fields(),
            fields(status="in-progress", DialCallStatus="completed", DialCallDuration="40"),
            fields(status="completed", CallDuration="42"),
        ]
    )
)


@pytest.mark.fault("R1", "R2")
@pytest.mark.parametrize("order", STAGES)
def test_reports_in_any_order_and_twice_are_one_call(order: tuple[dict[str, str], ...]) -> None:
    channels = Channels()
    for report in order:
        tell(channels, report)
        tell(channels, report)
    (lead,), (call,) = channels.leads(), channels.activities()
    assert (call.facts["status"], call.facts["seconds"], call.outcome) == ("answered", "42", None)
    assert submissions_of(channels.table, lead.id) == []
    assert len(channels.inbox()) == 3


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_a_call_nobody_took_is_to_be_returned(order: tuple[int, ...]) -> None:
    channels = Channels()
    reports = [
        fields(),
        fields(status="in-progress", DialCallStatus="no-answer"),
        fields(status="completed", CallDuration="20"),
    ]
    for number in order:
        tell(channels, reports[number])
    (call,) = channels.activities()
    assert (call.facts["status"], call.outcome) == ("missed", ActivityOutcome.FOLLOW_UP_REQUIRED)


def test_a_call_that_only_heard_the_greeting_is_to_be_returned() -> None:
    channels = Channels()
    tell(channels, fields(), fields(status="completed", CallDuration="9"))
    (call,) = channels.activities()
    assert (call.facts["status"], call.outcome) == ("ended", ActivityOutcome.FOLLOW_UP_REQUIRED)


@pytest.mark.parametrize("caller", ["anonymous", "", "Restricted", "+266696687", "+7378742833", "sip:somebody"])
def test_a_withheld_number_makes_no_lead_and_its_entry_says_so(caller: str) -> None:
    channels = Channels()
    (reason,) = tell(channels, fields(From=caller))
    (entry,) = channels.inbox()
    assert (entry.status, entry.reason) == (InboxStatus.APPLIED, reason)
    assert "nobody to call back" in reason
    assert channels.leads() == []
    assert channels.activities() == []


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (fields(Direction="outbound-api"), "not an inbound call"),
        (fields(Direction="outbound-dial", ParentCallSid="CA1"), "not an inbound call"),
        (fields(From="+4912"), "CAP-10 reachable: the caller's number is no telephone number"),
    ],
)
def test_other_calls_make_no_lead(told: dict[str, str], reason: str) -> None:
    channels = Channels()
    assert tell(channels, told) == [reason]
    assert channels.leads() == []


@pytest.mark.fault("R3", "R16")
def test_a_replay_adds_nothing() -> None:
    channels = Channels()
    tell(channels, fields(), fields(status="completed", CallDuration="42"))
    before = [(each.id, each.version) for each in (*channels.leads(), *channels.activities())]
    for entry in channels.inbox():
        channels.settlement.again(entry, CALL)
    channels.work()
    assert [(each.id, each.version) for each in (*channels.leads(), *channels.activities())] == before


def test_the_caller_is_greeted_and_put_through_in_twiml_that_twilio_takes() -> None:
    rules = VoiceRules(greeting='Grüß Gott & "hello" <b>', language="de-DE", forward_to=("+493090182001",))
    script = read_twiml("text/xml", twiml(rules))
    assert script.said == ('Grüß Gott & "hello" <b>',)
    assert (script.numbers, script.action) == (("+493090182001",), "status")
    assert read_twiml("text/xml", twiml(VoiceRules(greeting=""))).said == ()
    assert read_twiml("text/xml", silence(rules)).numbers == ()


# ── Amazon Connect ────────────────────────────────────────────────────────────────────────────────────────────────


def contact(kind: str, number: int = 1, **detail: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "eventType": kind,
        "contactId": f"contact-{number}",
        "channel": "VOICE",
        "instanceArn": "arn:aws:connect:eu-west-2:123456789012:instance/1",
        "initiationMethod": "INBOUND",
        "initiationTimestamp": "2026-11-20T08:59:00Z",
        "customerEndpoint": {"type": "TELEPHONE_NUMBER", "address": CALLER},
        "systemEndpoint": {"type": "TELEPHONE_NUMBER", "address": OURS},
        **detail,
    }
    return {
        "version": "0",
        "id": f"event-{kind}-{number}",
        "detail-type": "Amazon Connect Contact Event",
        "source": "aws.connect",
        "time": "2026-11-20T08:59:00Z",
        "resources": [],
        "detail": {name: value for name, value in told.items() if value is not None},
    }


AGENT: dict[str, Any] = {"agentArn": "arn:aws:connect:x", "connectedToAgentTimestamp": "2026-11-20T08:59:30Z"}
OVER: dict[str, Any] = {"disconnectTimestamp": "2026-11-20T09:01:00Z"}


def hear(channels: Channels, *events: dict[str, Any]) -> list[str]:
    for event in events:
        channels.settle(json.loads(json.dumps(event)))
    return channels.work()


@pytest.mark.fault("R1", "R2")
@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_events_of_amazon_connect_in_any_order_and_twice_are_one_call(order: tuple[int, ...]) -> None:
    channels = Channels()
    events = [
        contact("INITIATED"),
        contact("CONNECTED_TO_AGENT", agentInfo=AGENT),
        contact("DISCONNECTED", agentInfo=AGENT, **OVER),
    ]
    for number in order:
        hear(channels, events[number], events[number])
    (lead,), (call,) = channels.leads(), channels.activities()
    assert (lead.phone, lead.attribution.source, lead.attribution.campaign) == (CALLER, "Phone", OURS)
    assert (call.facts["status"], call.facts["seconds"], call.outcome) == ("answered", "90", None)
    assert call.at == datetime(2026, 11, 20, 8, 59, tzinfo=UTC)
    assert len(channels.inbox()) == 3


def test_a_contact_no_agent_took_is_to_be_returned() -> None:
    channels = Channels()
    hear(channels, contact("QUEUED"), contact("DISCONNECTED", **OVER))
    (call,) = channels.activities()
    assert (call.facts["status"], call.facts["seconds"]) == ("missed", "120")
    assert call.outcome is ActivityOutcome.FOLLOW_UP_REQUIRED


def test_a_transferred_contact_goes_on_as_the_same_call() -> None:
    channels = Channels()
    hear(channels, contact("INITIATED"))
    further = contact(
        "CONNECTED_TO_AGENT", 2, initialContactId="contact-1", initiationMethod="TRANSFER", agentInfo=AGENT
    )
    hear(channels, further)
    (call,) = channels.activities()
    assert call.facts["status"] == "answered"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (contact("INITIATED", customerEndpoint=None), "CAP-3 withheld"),
        (contact("INITIATED", customerEndpoint={"Type": "TELEPHONE_NUMBER", "Address": "anonymous"}), "CAP-3 withheld"),
        (contact("INITIATED", channel="CHAT"), "not an inbound call"),
        (contact("INITIATED", initiationMethod="OUTBOUND"), "not an inbound call"),
    ],
)
def test_contacts_without_somebody_to_call_back_make_no_lead(event: dict[str, Any], reason: str) -> None:
    channels = Channels()
    (told,) = hear(channels, event)
    assert told.startswith(reason)
    assert channels.leads() == []


def test_an_endpoint_is_read_in_either_spelling_and_an_unknown_stage_says_nothing() -> None:
    channels = Channels()
    ends: dict[str, Any] = {
        "customerEndpoint": None,
        "CustomerEndpoint": {"Type": "TELEPHONE_NUMBER", "Address": CALLER},
    }
    hear(channels, contact("CONTACT_DATA_UPDATED", **ends))
    (call,) = channels.activities()
    assert call.facts["status"] == "other"


def test_an_event_that_names_no_contact_ends_among_the_dead_letters() -> None:
    with pytest.raises(Invalid):
        Channels().settle({"detail-type": "Amazon Connect Contact Event", "source": "aws.connect", "detail": {}})

"""WhatsApp in: proof, every kind of message, dedupe, no consent from writing, STOP, and what became of our messages."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from local.simulators.common import contracts_folder
from revops.access import Policy
from revops.adapters.whatsapp_events import phone_of
from revops.adapters.whatsapp_signature import whatsapp_signature
from revops.channels.messages import DeliveryStatus
from revops.channels.whatsapp import WhatsappRules, is_stop, noted
from revops.crm.activities import ACTIVITIES, Activity, ActivityType, activity_id
from revops.crm.consent import refusal
from revops.crm.merging import MergeLeads, UndoMerge
from revops.crm.store import LEADS, person_key
from revops.crm.submission import ConsentStatement
from revops.inbox import InboxStatus
from revops.kernel import Invalid, Unavailable
from revops.table import Transaction, begin
from tests.builders.channels import Channels
from tests.builders.crm import CALL, submission, submissions_of
from tests.builders.memory_table import Overtaken

pytestmark = pytest.mark.mission("CAP-2")
SENDER, NUMBER = "4915112345678", "493090182000"
AT = int(datetime(2026, 11, 20, 8, 59, tzinfo=UTC).timestamp())


def body(*changes: dict[str, Any], account: str = "419561257915477") -> bytes:
    told = [{"value": change, "field": "messages"} for change in changes]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": account, "changes": told}]}).encode()


def message(number: int = 1, *, sender: str = SENDER, name: str = "राहुल पाटील", **content: Any) -> dict[str, Any]:
    said = content or {"text": {"body": "Hello"}}
    kind = said.pop("type", next(iter(said), "text"))
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": NUMBER, "phone_number_id": "106540352242922"},
        "contacts": [{"profile": {"name": name}, "wa_id": sender}],
        "messages": [{"from": sender, "id": f"wamid.{number}=", "timestamp": str(AT + number), "type": kind, **said}],
    }


def text(words: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return message(number, text={"body": words}, **more)


def status(told: str, number: int = 1, at: int = AT, **more: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": NUMBER, "phone_number_id": "106540352242922"}
    one = {"id": f"wamid.{number}=", "status": told, "timestamp": str(at), "recipient_id": SENDER, **more}
    return {"messaging_product": "whatsapp", "metadata": metadata, "statuses": [one]}


def receive(channels: Channels, raw: bytes, secret: str = "") -> int:
    secret = secret or channels.whatsapp_secret["app_secrets"][0]
    return channels.receive_whatsapp()(raw, whatsapp_signature(secret, raw), CALL)


def write(channels: Channels, *changes: dict[str, Any]) -> list[str]:
    receive(channels, body(*changes))
    return channels.work()


# ── who sent it ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.fault("S7", "S8", "S9")
def test_only_what_an_active_secret_signed_is_stored() -> None:
    channels, raw = Channels(), body(text("Hello"))
    old = channels.whatsapp_secret["app_secrets"][0]
    channels.whatsapp_secret["app_secrets"] = ["new", old]
    assert receive(channels, raw, "new") == 1
    assert receive(channels, raw, old) == 0
    channels.whatsapp_secret["app_secrets"] = ["new"]
    again = json.dumps(json.loads(raw), indent=1).encode()
    for bytes_, signature in (
        (raw, whatsapp_signature(old, raw)),
        (again, whatsapp_signature("new", raw)),
        (raw, ""),
        (raw, whatsapp_signature("new", raw).removeprefix("sha256=")),
        (raw, whatsapp_signature("new", raw).upper()),
        (raw, "sha256=ü"),
    ):
        with pytest.raises(Invalid):
            channels.receive_whatsapp()(bytes_, signature, CALL)
    assert len(channels.inbox()) == 1


@pytest.mark.fault("S7", "S9")
def test_a_secret_or_an_account_written_alone_is_one_and_not_its_letters() -> None:
    channels, raw = Channels(), body(text("Hello"))
    channels.whatsapp_secret |= {"app_secrets": "alone", "accounts": "419561257915477"}
    with pytest.raises(Invalid):
        receive(channels, raw, "a")
    with pytest.raises(Invalid):
        receive(channels, body(text("Hello"), account="4"), "alone")
    assert receive(channels, raw, "alone") == 1


@pytest.mark.fault("R28", "S9")
def test_no_secret_no_belief_and_another_account_is_none_of_ours() -> None:
    channels, raw = Channels(), body(text("Hello"))
    channels.whatsapp_secret["app_secrets"] = ["", ""]
    with pytest.raises(Unavailable):
        channels.receive_whatsapp()(raw, whatsapp_signature("", raw), CALL)
    channels.whatsapp_secret |= {"app_secrets": ["s"], "accounts": ["1", "419561257915477"]}
    assert receive(channels, raw) == 1
    with pytest.raises(Invalid):
        receive(channels, body(text("Hello", 2), account="2"))


@pytest.mark.fault("S13")
@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"object": "page"}', b'{"object": "whatsapp_business_account"}'])
def test_what_is_no_webhook_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        receive(Channels(), raw)


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-12", "LEAD-1")
def test_who_writes_first_becomes_an_owned_lead_without_consent() -> None:
    channels = Channels()
    assert write(channels, text("Hello")) == ["message on the timeline"]
    (lead,) = channels.leads()
    assert (lead.first_name, lead.last_name) == ("राहुल", "पाटील")
    assert (lead.phone, lead.country, lead.channel) == ("+4915112345678", "DE", "whatsapp")
    assert lead.owner_id in ("sdr-1", "sdr-2")
    stands = lead.attribution
    assert (stands.source, stands.campaign, stands.medium) == ("WhatsApp", "+493090182000", "chat")
    assert stands.derived
    assert not lead.gdpr_consent
    assert refusal(channels.consents(lead), "whatsapp")
    assert lead.whatsapp_inbound_at == datetime.fromtimestamp(AT + 1, UTC)
    assert [(done.event, done.ref) for done in lead.engagement] == [("reply", "whatsapp:wamid.1=")]
    (activity,) = channels.activities()
    assert (activity.type, activity.content, activity.ref) == ("whatsapp", "Hello", "wamid.1=")
    assert (activity.related_to, activity.owner_id, activity.inbound) == (lead.id, lead.owner_id, True)


@pytest.mark.mission("CAP-8")
def test_an_advertisement_that_brought_somebody_is_where_they_came_from() -> None:
    channels = Channels()
    ad = {
        "source_url": "https://fb.me/abc",
        "source_id": "1202",
        "source_type": "ad",
        "headline": "Chat with us",
        "ctwa_clid": "Aff",
    }
    write(channels, text("Hello", referral=ad))
    (lead,) = channels.leads()
    stands = lead.attribution
    assert (stands.source, stands.campaign, stands.medium) == ("Meta Ads", "Chat with us", "click to WhatsApp")
    assert stands.derived
    assert (lead.metadata["ad_ctwa_clid"], lead.metadata["ad_source_id"]) == ("Aff", "1202")


@pytest.mark.fault("R1", "R2")
def test_a_message_counts_once_however_often_and_in_whatever_order_it_comes() -> None:
    channels = Channels()
    raw = body(text("one", 1), text("two", 2))
    assert receive(channels, raw) == 2
    assert receive(channels, body(text("two", 2))) == 0
    channels.work()
    assert receive(channels, raw) == 0
    assert channels.work() == []
    (lead,) = channels.leads()
    assert len(channels.activities()) == len(lead.engagement) == 2
    assert write(channels, text("late", 0)) == ["message on the timeline"]
    (lead,) = channels.leads()
    assert lead.whatsapp_inbound_at == datetime.fromtimestamp(AT + 2, UTC), "an older message does not set it back"


@pytest.mark.fault("R3", "R16", "R26")
@pytest.mark.parametrize("words", ["Hello", "STOP"])
def test_a_worker_that_dies_anywhere_and_a_replay_add_nothing(words: str) -> None:
    whole = Channels()
    write(whole, text(words))
    for cut in range(1, 6):
        channels = Channels()
        receive(channels, body(text(words)))
        channels.table.before_commit = _dies_at(cut)
        (outcome,) = channels.work()
        channels.table.before_commit = lambda _: None
        if outcome.startswith("waits"):
            channels.work()
        for entry in channels.inbox():
            channels.settlement.again(entry, CALL)
        assert channels.work() == ["stands on the timeline already"]
        (lead,), (other,) = channels.leads(), whole.leads()
        assert lead.model_dump(exclude={"version", "id", "person_id", "assignment", "owner_id", "assignee_id"}) == (
            other.model_dump(exclude={"version", "id", "person_id", "assignment", "owner_id", "assignee_id"})
        )
        assert len(channels.activities()) == 1
        assert submissions_of(channels.table, lead.id) == []
        record = channels.consents(lead)
        assert len(record.entries if record else ()) == (1 if words == "STOP" else 0)


def _dies_at(cut: int) -> Callable[[Transaction], None]:
    made = 0

    def die(_: Transaction) -> None:
        nonlocal made
        made += 1
        if made == cut:
            raise Unavailable("the worker was killed")

    return die


EXAMPLES = contracts_folder("whatsapp")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")) if EXAMPLES else [], ids=lambda path: path.stem)
def test_every_published_example_is_taken_and_settled(path: Any) -> None:
    channels = Channels()
    assert receive(channels, path.read_bytes()) == 1
    channels.work()
    (entry,) = channels.inbox()
    assert entry.status is InboxStatus.APPLIED
    if path.stem.startswith("group_"):
        assert entry.reason.startswith("nothing here follows group_")
        assert channels.leads() == []
    else:
        (lead,) = channels.leads()
        assert lead.phone == "+16505551234"
        (activity,) = channels.activities()
        assert activity.content
        assert (lead.whatsapp_inbound_at is None) == (path.stem == "system_message")


@pytest.mark.parametrize(
    ("content", "kind", "shown"),
    [
        ({"image": {"caption": "Our site", "id": "9", "mime_type": "image/png"}}, "image", "Our site"),
        ({"audio": {"id": "9", "voice": True}}, "audio", "[audio]"),
        ({"document": {"id": "9", "filename": "offer.pdf"}}, "document", "[document]"),
        ({"sticker": {"id": "9"}}, "sticker", "[sticker]"),
        ({"location": {"latitude": 1.5, "longitude": 2}}, "location", "1.5, 2"),
        ({"interactive": {"type": "nfm_reply", "nfm_reply": {"response_json": "{}"}}}, "interactive", "[a form"),
        ({"reaction": {"message_id": "wamid.9", "emoji": "👍"}}, "reaction", "👍"),
        ({"type": "hologram", "hologram": {"a": 1}}, "hologram", "[hologram: not to be read here]"),
        ({"type": "text", "text": "not an object"}, "text", ""),
        ({"type": "unsupported", "errors": [{"code": 1, "title": "Unknown"}]}, "unsupported", "[unsupported: Unknown]"),
    ],
)
def test_any_kind_is_kept_in_words(content: dict[str, Any], kind: str, shown: str) -> None:
    channels = Channels()
    assert write(channels, message(**content)) == ["message on the timeline"]
    (activity,) = channels.activities()
    assert activity.facts["kind"] == kind
    assert activity.content.startswith(shown)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"type": "text"}]},
        {"messages": [{"type": "reaction", "from": SENDER, "id": "r", "reaction": {"message_id": "w"}}]},
        {"statuses": [{}]},
        {"errors": [{"code": 130429}]},
        {},
        {"messages": "none", "metadata": 5},
    ],
)
def test_what_says_nothing_is_settled_and_says_so(change: dict[str, Any]) -> None:
    channels = Channels()
    write(channels, change)
    (entry,) = channels.inbox()
    assert entry.status is InboxStatus.APPLIED
    assert entry.reason
    assert channels.leads() == []


def test_a_sender_nobody_can_read_is_given_up_with_the_rule() -> None:
    channels = Channels()
    assert write(channels, text("Hello", sender="12")) == ["dead"]
    (entry,) = channels.inbox()
    assert "neither a usable e-mail nor a usable phone" in entry.reason


@pytest.mark.parametrize(
    ("wa_id", "phone"),
    [("5215512345678", "+525512345678"), ("551187654321", "+5511987654321"), ("16505551234", "+16505551234"), ("", "")],
)
def test_a_whatsapp_id_is_read_as_the_number_it_is(wa_id: str, phone: str) -> None:
    assert phone_of(wa_id) == phone


# ── STOP ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
@pytest.mark.parametrize(
    "words", ["STOP", " stop! ", "Stopp", "BAJA", "Désabonner.", "Стоп", "बंद करो", "退订", "停止。"]
)
def test_stop_withdraws_with_the_message_as_evidence(words: str) -> None:
    channels = Channels()
    write(channels, text("Hello", 1))
    (lead,) = channels.leads()
    assert write(channels, text(words, 2)) == ["consent withdrawn"]
    record = channels.consents(lead)
    assert record is not None
    said = record.standing("whatsapp", "marketing")
    assert said is not None
    assert (said.granted, said.source, said.evidence) == (False, "whatsapp", "message wamid.2=")
    (lead,) = channels.leads()
    assert [done.ref for done in lead.engagement] == ["whatsapp:wamid.1="], "a STOP is no interest"
    assert len(channels.activities()) == 2


@pytest.mark.mission("CAP-9")
def test_the_unsubscribe_button_withdraws_too() -> None:
    channels = Channels()
    assert write(channels, message(button={"payload": "p", "text": "Unsubscribe"})) == ["consent withdrawn"]
    assert write(channels, message(2, interactive={"type": "button_reply", "button_reply": {"title": "Stop"}})) == [
        "consent withdrawn"
    ]


@pytest.mark.parametrize("words", ["Please do not stop", "stop by tomorrow?", "Can I cancel?", "", "🙂", "Non-stop"])
def test_a_sentence_is_no_stop(words: str) -> None:
    assert not is_stop((words,), WhatsappRules())


@pytest.mark.mission("CAP-9")
def test_a_sign_may_be_a_stop_word_and_is_no_other_sign() -> None:
    rules = WhatsappRules(stop_words=("stop", "🛑", " ", "..."))
    assert [is_stop((said,), rules) for said in ("🛑", " 🛑 ", "👍", "", " ", "!", "Stop 🛑")] == [
        True, True, False, False, False, False, True,
    ]  # fmt: skip


# ── what became of our messages ───────────────────────────────────────────────────────────────────────────────────


def sent(channels: Channels, number: int = 1) -> Activity:
    write(channels, text("Hello", 99))
    (lead,) = channels.leads()
    now = channels.clock.now()
    ours = Activity(
        id=activity_id(f"whatsapp:wamid.{number}="),
        created_at=now,
        modified_at=now,
        type=ActivityType.WHATSAPP,
        subject="Follow-up",
        related_to=lead.id,
        owner_id=lead.owner_id,
        at=now,
    )
    transaction = begin(CALL, now)
    ACTIVITIES.create(transaction, ours)
    channels.table.commit(transaction)
    return ours


@pytest.mark.fault("R1", "R2")
@pytest.mark.parametrize("order", list(permutations(["sent", "delivered", "read"])))
def test_statuses_in_any_order_end_the_same(order: tuple[str, ...]) -> None:
    channels = Channels()
    ours = sent(channels)
    for told in order:
        assert write(channels, status(told)) == [f"message {told}"]
        assert receive(channels, body(status(told))) == 0
    facts = ACTIVITIES.require(channels.table, ours.id).facts
    assert facts["status"] == "read"
    assert {"sent_at", "delivered_at", "read_at"} <= facts.keys()


def test_a_failure_stands_with_its_reason() -> None:
    channels = Channels()
    ours = sent(channels)
    write(channels, status("failed", errors=[{"code": 131047, "title": "Re-engagement message"}]))
    write(channels, status("delivered"))
    assert channels.unreachable == [], "another time it may arrive"
    facts = ACTIVITIES.require(channels.table, ours.id).facts
    assert (facts["status"], facts["failure"]) == ("failed", "131047 Re-engagement message")
    assert noted({}, DeliveryStatus("m", "warning", channels.clock.now())) == {
        "warning_at": channels.clock.now().isoformat()
    }


def test_a_number_that_takes_no_messages_is_noted() -> None:
    channels = Channels()
    sent(channels)
    write(channels, status("failed", errors=[{"code": 131026, "title": "Message undeliverable"}]))
    assert channels.unreachable == ["wamid.1="]


def test_a_status_before_its_message_waits_for_it_and_then_is_passed_over_aloud() -> None:
    channels = Channels()
    receive(channels, body(status("sent")))
    assert channels.work() == ["waits 120 s"]
    assert [entry.waiting for entry in channels.inbox()] == [True]
    ours = sent_while_waiting(channels)
    assert channels.work() == ["message sent"]
    assert ACTIVITIES.require(channels.table, ours.id).facts["status"] == "sent"
    receive(channels, body(status("read", 7)))
    channels.clock.advance(minutes=6)
    assert channels.work() == ["read: about no message of ours"]
    assert channels.inbox()[-1].reason == "read: about no message of ours"


def sent_while_waiting(channels: Channels) -> Activity:
    other = Channels(channels.table, channels.submit)
    other.whatsapp_secret = channels.whatsapp_secret
    now = channels.clock.now()
    ours = Activity(
        id=activity_id("whatsapp:wamid.1="),
        created_at=now,
        modified_at=now,
        type=ActivityType.WHATSAPP,
        subject="Follow-up",
        related_to=_somebody(other),
        owner_id="sdr-1",
        at=now,
    )
    transaction = begin(CALL, now)
    ACTIVITIES.create(transaction, ours)
    channels.table.commit(transaction)
    return ours


def _somebody(channels: Channels) -> str:
    receive(channels, body(text("Hello", 99)))
    (entry,) = [each for each in channels.inbox() if each.event_id == "wamid.99="]
    channels.settle({"inbox_id": entry.id})
    return channels.leads()[0].id


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("S21")
def test_stop_holds_for_everybody_who_is_reached_at_the_number() -> None:
    channels = Channels()
    agreed = (ConsentStatement(channel="whatsapp", granted=True, wording_version="2026-03"),)
    # Who has an e-mail holds no claim on the phone, so the message alone finds another lead, or makes one.
    known = channels.submit(submission(phone="0151 12345678", consents=agreed), CALL).lead
    other = channels.submit(submission(email="ben@sued.example", phone="+49 151 87654321", consents=agreed), CALL).lead
    assert refusal(channels.consents(known), "whatsapp") == ""
    assert write(channels, text("STOP")) == ["consent withdrawn"]
    assert refusal(channels.consents(known), "whatsapp").startswith("marketing consent for whatsapp withdrawn")
    assert refusal(channels.consents(other), "whatsapp") == ""


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("R19", "S21")
def test_stop_while_a_merge_is_undone_holds_for_whoever_has_the_number() -> None:
    """Parted right after the one that has the number was found to be one with another."""
    table = Overtaken()
    channels = Channels(table)
    agreed = (ConsentStatement(channel="whatsapp", granted=True, wording_version="2026-03"),)
    known = channels.submit(submission(phone="0151 12345678", consents=agreed), CALL).lead
    other = channels.submit(submission(email="rao@gmx.de", phone="", consents=agreed), CALL).lead
    merges = MergeLeads(table, channels.clock, Policy()), UndoMerge(table, channels.clock, Policy())
    record = merges[0](other.id, known.id, CALL)
    table.after = (person_key(other.person_id), lambda: merges[1](record.id, CALL))
    assert write(channels, text("STOP")) == ["consent withdrawn"]
    assert table.after is None
    assert refusal(channels.consents(known), "whatsapp").startswith("marketing consent for whatsapp withdrawn")


@pytest.mark.mission("LEAD-5", "CAP-11")
def test_an_answer_counts_for_the_lead_with_an_email_whose_number_it_comes_from() -> None:
    channels = Channels()
    known = channels.submit(submission(phone="0151 12345678"), CALL).lead
    other = channels.submit(submission(email="ben@sued.example", phone="+49 151 87654321"), CALL).lead
    write(channels, text("Please call me"))
    for lead, events in ((known, ["reply"]), (other, [])):
        assert [done.event for done in LEADS.require(channels.table, lead.id).engagement] == events


@pytest.mark.mission("CAP-11", "LEAD-5")
def test_a_writer_without_a_name_is_the_one_known_at_the_number_and_may_be_answered() -> None:
    channels = Channels()
    known = channels.submit(submission(phone=f"+{SENDER}"), CALL).lead
    write(channels, text("Hello", name=""))
    (lead,) = channels.leads()
    assert lead.id == known.id
    assert (lead.first_name, lead.email) == (known.first_name, known.email)
    assert lead.whatsapp_inbound_at is not None
    assert write(channels, text("Hello", name="")) == []
    write(channels, text("Again", 2, name=""))
    assert len(channels.leads()) == 1
    assert len(channels.activities()) == 2

"""A mail in the bucket becomes a lead or touches one; a mail that makes no lead says why and is kept."""

from email.message import EmailMessage
from typing import Any

import pytest

from revops.access import Policy
from revops.channels.mail import MailRules, ReceiveMail, TakeMail
from revops.channels.touch import Touch
from revops.channels.worker import S3, SettleMessage
from revops.crm.activities import activities_about
from revops.crm.consent import CONSENTS
from revops.crm.engagement import RecordEngagement
from revops.crm.merging import MergeLeads
from revops.crm.model import Lead, ValidationStatus
from revops.crm.store import LEADS
from revops.inbox import INBOX, InboxStatus, ReceiveSignal, Settlement
from revops.kernel import CallContext, NotFound, Principal, Role
from revops.settings import SettingsReader
from tests.builders.blobs import MemoryBlobs
from tests.builders.channels import WaitingQueue
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.mails import mail, raw
from tests.builders.memory_table import MemoryTable

pytestmark = pytest.mark.mission("CAP-4")


class _Rules(SettingsReader):
    def __init__(self, table: MemoryTable, rules: MailRules) -> None:
        super().__init__(table, ttl=0)
        self.rules = rules

    def read(self, document: Any) -> Any:
        return self.rules if document is MailRules else super().read(document)


class Desk:
    """The bucket, the notices of S3, the inbox and the worker."""

    def __init__(self, **rules: Any) -> None:
        self.table = MemoryTable()
        self.clock = ManualClock()
        self.stored: dict[tuple[str, str], bytes] = {}
        self.settings = _Rules(self.table, MailRules(**rules))
        settlement = Settlement(self.table, self.clock, MemoryBlobs(), "r1")
        receive = ReceiveMail(ReceiveSignal(self.table, self.clock, MemoryBlobs()))
        self.touch = Touch(self.table, self.clock, submit_lead(self.table, clock=self.clock), settlement)
        self.take = TakeMail(self, self.touch, RecordEngagement(self.table, self.clock), self.settings)
        self.worker = SettleMessage(settlement, {"mail": lambda: self.take}, {S3: lambda: receive}, WaitingQueue())

    def head(self, bucket: str, key: str, limit: int) -> bytes:
        if (bucket, key) not in self.stored:
            raise NotFound("mail", key)
        return self.stored[bucket, key][:limit]

    def arrives(self, message: EmailMessage | bytes, key: str = "mail/1 ü", times: int = 1) -> str:
        """A mail is stored, S3 says so, perhaps more than once; what became of it."""
        self.stored["bucket", key] = message if isinstance(message, bytes) else raw(message)
        notice = {"bucket": {"name": "bucket"}, "object": {"key": key.replace(" ", "+").replace("ü", "%C3%BC")}}
        said = ""
        for _ in range(times):
            self.worker({"Records": [{"eventSource": S3, "s3": notice}]})
            for row in [row for row in self.table.rows.values() if row.kind == INBOX.kind]:
                said = self.worker({"provider": "mail", "inbox_id": INBOX.load(row).id})
        return said

    def leads(self) -> list[Lead]:
        return [LEADS.load(row) for row in self.table.rows.values() if row.kind == "LEAD"]

    def somebody_else(self) -> Lead:
        """Another lead, who sent no mail."""
        submit = submit_lead(self.table, clock=self.clock, ids=seeded_ids(7))
        said = submission(email="other@nordlicht.example", first_name="Zoe", last_name="Quist", phone="")
        return submit(said, CALL).lead

    def reasons(self) -> list[str]:
        entries = [INBOX.load(row) for row in self.table.rows.values() if row.kind == INBOX.kind]
        return [entry.reason for entry in entries if entry.status is InboxStatus.DEAD]


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-10")
def test_a_mail_makes_a_lead_without_consent_and_stands_on_its_timeline() -> None:
    desk = Desk(campaigns={"sales@revops.example": "contact page"})
    assert desk.arrives(mail("Bitte rufen Sie mich an.", subject="Frage")) == "mail on the timeline"
    [lead] = desk.leads()
    assert (lead.first_name, lead.last_name, lead.email) == ("Asha", "Rao", "asha.rao@nordlicht.example")
    assert (lead.attribution.source, lead.attribution.campaign, lead.attribution.medium, lead.attribution.derived) == (
        "sales@revops.example",
        "contact page",
        "email",
        True,
    )
    assert lead.validation_status is ValidationStatus.PENDING
    assert not lead.gdpr_consent
    assert CONSENTS.get(desk.table, lead.person_id) is None, "who writes first said nothing of marketing"
    [activity] = activities_about(desk.table, lead.id)
    assert (activity.subject, activity.content, activity.inbound) == ("Frage", "Bitte rufen Sie mich an.", True)


@pytest.mark.fault("R1", "R4")
def test_the_same_mail_delivered_again_changes_nothing() -> None:
    desk = Desk()
    desk.arrives(mail(In_Reply_To="<x@revops.example>"), times=3)
    [lead] = desk.leads()
    assert len(activities_about(desk.table, lead.id)) == 1
    assert [done.event for done in lead.engagement] == ["reply"]
    desk.arrives(mail(In_Reply_To="<x@revops.example>"), key="a copy")
    [lead] = desk.leads()
    assert [done.event for done in lead.engagement] == ["reply"], "the same message id is the same mail"


def test_a_second_mail_touches_the_lead() -> None:
    desk = Desk()
    desk.arrives(mail())
    assert desk.arrives(mail("more", message_id="<m-2@nordlicht.example>"), key="2") == "mail on the timeline"
    [lead] = desk.leads()
    assert len(activities_about(desk.table, lead.id)) == 2


def test_what_a_colleague_forwards_is_its_first_senders_lead() -> None:
    desk = Desk(own_domains=["revops.example"])
    text = (
        "pls handle\n\n---------- Forwarded message ---------\nFrom: Jane Doe <jane@acme.example>\nDate: x\nTo: y\n\nHi"
    )
    desk.arrives(mail(text, sender="Bob <bob@revops.example>", to="leads@revops.example", subject="Fwd: Hi"))
    [lead] = desk.leads()
    assert (lead.first_name, lead.email) == ("Jane", "jane@acme.example")
    other = Desk()
    other.arrives(mail(text, sender="Bob <bob@elsewhere.example>", subject="Fwd: Hi"))
    assert other.leads()[0].email == "bob@elsewhere.example", "a stranger who forwards writes for themselves"


@pytest.mark.fault("R12")
@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (mail(sender="nobody"), "CAP-10 reachable"),
        (mail(sender="a@b@c"), "CAP-10 reachable"),
        (b"no mail at all", "CAP-10 reachable"),
        (b"", "CAP-10 reachable"),
        (mail(X_SES_Virus_Verdict="FAIL"), "CAP-4 virus"),
        (mail(sender="Bob <bob@own.example>"), "CAP-4 own"),
    ],
)
def test_a_mail_that_makes_no_lead_says_which_rule_it_broke(message: EmailMessage | bytes, rule: str) -> None:
    desk = Desk(own_domains=["own.example"])
    assert desk.arrives(message) in {"dead", "settled before"}
    assert desk.leads() == []
    assert [reason.partition(":")[0] for reason in desk.reasons()] == [rule]
    assert desk.stored, "the mail itself stays"


@pytest.mark.fault("R12")
def test_a_mail_that_no_person_wrote_is_passed_over_and_says_so() -> None:
    """It is no failure: whoever is told of those would be told of every absent person."""
    desk = Desk()
    desk.arrives(mail(Auto_Submitted="auto-replied"))
    assert desk.leads() == []
    [entry] = [INBOX.load(row) for row in desk.table.rows.values() if row.kind == INBOX.kind]
    assert (entry.status, entry.reason) == (InboxStatus.APPLIED, "CAP-4 automatic: Auto-Submitted: auto-replied")
    assert desk.stored, "the mail itself stays"


def test_a_mail_that_the_receiving_service_takes_for_spam_is_kept_as_such() -> None:
    desk = Desk()
    desk.arrives(mail(X_SES_Spam_Verdict="FAIL"))
    [lead] = desk.leads()
    assert lead.metadata["spam_verdict"] == "FAIL"
    assert lead.spam_score == "High"


def test_a_notice_of_something_else_is_refused() -> None:
    desk = Desk()
    receive = ReceiveMail(ReceiveSignal(desk.table, desk.clock, MemoryBlobs()))
    with pytest.raises(Exception, match="not a notice"):
        receive({"s3": {"bucket": "odd"}}, CallContext.__new__(CallContext))


@pytest.mark.fault("R12")
def test_two_mails_that_bear_one_message_id_are_both_taken() -> None:
    desk = Desk()
    assert desk.arrives(mail("First words.")) == "mail on the timeline"
    assert desk.arrives(mail("Others.", sender="Ben Cole <ben@sued.example>"), key="another") == "mail on the timeline"
    assert desk.reasons() == []
    assert sorted(lead.email for lead in desk.leads()) == ["asha.rao@nordlicht.example", "ben@sued.example"]


def test_a_mail_that_is_read_again_under_other_rules_finds_the_lead_it_made() -> None:
    desk = Desk(campaigns={"sales@revops.example": "autumn"})
    desk.arrives(mail())
    [entry] = [INBOX.load(row) for row in desk.table.rows.values() if row.kind == INBOX.kind]
    desk.settings.rules = MailRules(campaigns={"sales@revops.example": "winter"})
    desk.take(entry, CallContext(Principal("system:channel_worker", Role.SYSTEM)))
    [lead] = desk.leads()
    assert len(activities_about(desk.table, lead.id)) == 1


@pytest.mark.fault("S9")
def test_a_mail_whose_domain_disowns_it_is_no_reply_and_forwards_nobody() -> None:
    disowned = "amazonses.com; spf=fail; dkim=none; dmarc=fail header.from=revops.example"
    desk = Desk(own_domains=["revops.example"])
    desk.arrives(mail(In_Reply_To="<x@revops.example>", Authentication_Results=disowned))
    [lead] = desk.leads()
    assert lead.engagement == ()
    text = "---------- Forwarded message ---------\nFrom: Jane Doe <jane@acme.example>\nDate: x\nTo: y\n\nHi"
    forged = mail(text, sender="Bob <bob@revops.example>", subject="Fwd: Hi", message_id="<m-9@x.example>")
    forged["Authentication-Results"] = disowned
    desk.arrives(forged, key="2")
    assert [each.email for each in desk.leads()] == ["asha.rao@nordlicht.example"]
    assert desk.reasons() == ["CAP-4 own: written by one of us and forwarding nobody"]


@pytest.mark.mission("CAP-11")
def test_a_mail_of_a_lead_that_was_merged_stands_on_the_timeline_of_the_survivor() -> None:
    desk = Desk()
    desk.arrives(mail())
    [lead] = desk.leads()
    other = desk.somebody_else()
    MergeLeads(desk.table, desk.clock, Policy())(other.id, lead.id, CALL)
    desk.arrives(mail("more", message_id="<m-2@nordlicht.example>"), key="2")
    assert [each.content for each in activities_about(desk.table, other.id)] == ["more"]


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R19")
def test_a_lead_that_is_merged_while_its_mail_is_taken_leaves_the_mail_to_the_survivor() -> None:
    """The lead was found before the merge; what is recorded after it stands on the survivor."""
    desk = Desk()
    other = desk.somebody_else()
    found: list[str] = []

    def merged_meanwhile(lead_id: str, event: str, ref: str, call: CallContext) -> bool:
        MergeLeads(desk.table, desk.clock, Policy())(other.id, lead_id, CALL)
        found.append(lead_id)
        return RecordEngagement(desk.table, desk.clock)(lead_id, event, ref, call)

    desk.take = TakeMail(desk, desk.touch, merged_meanwhile, desk.settings)
    assert desk.arrives(mail("words", In_Reply_To="<x@revops.example>")) == "mail on the timeline"
    assert [each.content for each in activities_about(desk.table, other.id)] == ["words"]
    assert activities_about(desk.table, found[0]) == []
    assert desk.reasons() == []

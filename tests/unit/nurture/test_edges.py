"""The borders of nurture: SES's answers, the events that set it going, and who may look at it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from revops.access import Policy
from revops.adapters.nurture_mail import SesNurtureMail
from revops.adapters.previews import previews
from revops.bus.consume import ConsumeEvent
from revops.bus.nurturing import nurture_reactions
from revops.catalogue import SOURCE
from revops.crm.consent import Consent
from revops.crm.model import LeadStatus
from revops.kernel import CallContext, Forbidden, NotFound, Principal, Refused, Role, Unavailable
from revops.nurture.events import events
from revops.nurture.policies import NurtureRules
from revops.nurture.ports import MailMessage, OutcomeUnknown
from revops.nurture.service import LeadNurture, PreviewMail
from revops.nurture.store import ENROLMENTS, enrolments_of
from revops.nurture.templates import MailTemplate
from tests.builders.crm import CALL
from tests.builders.nurture import Nurture, mail

MESSAGE = MailMessage("MSG_1", "a@b.example", "Hi", "text", "<p>html</p>", {"List-Unsubscribe": "<https://x.example>"})


def refused(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "SendEmail")


def ses(answer: Callable[..., Any]) -> SesNurtureMail:
    return SesNurtureMail(SimpleNamespace(send_email=answer), "us@example.com", "revops-test")


def raising(error: Exception) -> Callable[..., Any]:
    def send(**_: Any) -> Any:
        raise error

    return send


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (refused("TooManyRequestsException", 429), Unavailable),
        (refused("SendingPausedException", 400), Unavailable),
        (refused("MessageRejected", 400), Refused),
        (refused("BadRequestException", 400), Refused),
        (refused("InternalServiceErrorException", 500), OutcomeUnknown),
        (EndpointConnectionError(endpoint_url="https://x.example"), Unavailable),
        (ReadTimeoutError(endpoint_url="https://x.example"), OutcomeUnknown),
    ],
)
def test_what_ses_answers_is_told_apart(error: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(meaning) as raised:
        ses(raising(error)).send(MESSAGE)
    assert type(raised.value) is meaning
    if isinstance(raised.value, Unavailable):
        assert raised.value.retry_after


def test_a_mail_goes_out_through_fields_with_its_headers_and_its_id() -> None:
    sent: dict[str, Any] = {}

    def send(**request: Any) -> Any:
        sent.update(request)
        return {"MessageId": "ses-1"}

    assert ses(send).send(MESSAGE) == "ses-1"
    simple = sent["Content"]["Simple"]
    assert simple["Headers"] == [{"Name": "List-Unsubscribe", "Value": "<https://x.example>"}]
    assert {part: body["Data"] for part, body in simple["Body"].items()} == {"Text": "text", "Html": "<p>html</p>"}
    assert sent["EmailTags"] == [{"Name": "message_id", "Value": "MSG_1"}]
    assert (sent["ConfigurationSetName"], sent["Destination"]) == ("revops-test", {"ToAddresses": ["a@b.example"]})


@pytest.mark.fault("S15")
@pytest.mark.parametrize(
    "changes", [{"subject": "a\r\nBcc: b"}, {"to": "a@b.example\nBcc: c"}, {"headers": {"X": "a\nb"}}]
)
def test_a_line_break_in_a_header_is_never_handed_over(changes: dict[str, Any]) -> None:
    fields = {name: getattr(MESSAGE, name) for name in ("message_id", "to", "subject", "text", "html", "headers")}
    with pytest.raises(Refused):
        ses(lambda **_: pytest.fail("it was handed over")).send(MailMessage(**fields | changes))


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────


def happens(nurture: Nurture, name: str, event_id: str = "e-1", **data: Any) -> str:
    consume = ConsumeEvent(nurture_reactions(lambda: nurture.enrol, lambda: nurture.review))
    return consume({"source": SOURCE, "detail-type": name, "detail": {"id": event_id, "data": data}})


@pytest.fixture
def nurture() -> Nurture:
    made = Nurture()
    made.rules([mail("m", "PT1H")])
    return made


@pytest.mark.mission("LEAD-5")
@pytest.mark.fault("R1")
def test_a_new_lead_begins_once_however_often_its_event_comes(nurture: Nurture) -> None:
    lead = nurture.lead()
    said = [happens(nurture, "LeadCreated", lead_id=lead.id, person_id=lead.person_id) for _ in range(3)]
    assert said == ["1 × sequence begun", "no reaction", "no reaction"]
    assert happens(nurture, "LeadCreated", lead_id="LEAD_NOBODY") == "no reaction"


def test_who_agrees_later_begins_then(nurture: Nurture) -> None:
    lead = nurture.lead(country="US", consents=())
    assert happens(nurture, "LeadCreated", lead_id=lead.id) == "no reaction"
    said = Consent(channel="email", purpose="marketing", granted=True, at=nurture.clock.now(), source="test")
    nurture.consent(lead.person_id, (said,), CALL)
    assert happens(nurture, "ConsentGranted", lead_id=lead.id, person_id=lead.person_id) == "1 × sequence begun"
    nurture.withdraw(lead)
    assert happens(nurture, "ConsentWithdrawn", lead_id=lead.id, person_id=lead.person_id) == "nurture ended"


def test_a_lost_change_is_caught_up_with(nurture: Nurture) -> None:
    lead = nurture.lead()
    redriven: dict[str, Any] = {"record": f"LEAD#{lead.id}|LEAD", "kind": "LEAD", "record_version": 1}
    assert happens(nurture, "RecordRedriven", **redriven) == "nurture caught up"
    assert len(enrolments_of(nurture.table, lead.id)) == 1
    assert happens(nurture, "RecordRedriven", **redriven | {"kind": "ORDER"}) == "no reaction"


def test_a_recycled_lead_begins_what_recycled_leads_begin(nurture: Nurture) -> None:
    nurture.rules([mail("m")], triggers=["recycled"], again=True)
    lead = nurture.change(nurture.lead(), status=LeadStatus.RECYCLED)
    said = {"lead_id": lead.id, "previous_status": "Unqualified"}
    assert happens(nurture, "LeadStatusChanged", status="Contacted", **said) == "no reaction"
    assert happens(nurture, "LeadStatusChanged", status="Recycled", **said) == "1 × sequence begun"
    nurture.change(lead, status=LeadStatus.DISQUALIFIED)
    assert happens(nurture, "LeadStatusChanged", status="Disqualified", **said) == "nurture reviewed"


def test_beginning_and_end_are_published(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.end(lead.id, "stopped by hand", CALL)
    said = [event for change in nurture.table.changes for event in events(change)]
    assert [(event.name, event.data.get("reason")) for event in said] == [
        ("NurtureStarted", None),
        ("NurtureEnded", "stopped by hand"),
    ]
    assert all("@" not in event.model_dump_json() for event in said)


# ── who may look ──────────────────────────────────────────────────────────────────────────────────────────────────


def somebody(identifier: str, role: Role) -> CallContext:
    return CallContext(Principal(identifier, role))


@pytest.mark.fault("S1")
def test_a_lead_is_its_owners_to_see_and_to_stop(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    use = LeadNurture(nurture.table, Policy(), nurture.enrol, nurture.end)
    assert len(use.read(lead.id, somebody(lead.owner_id, Role.SDR))) == 1
    assert len(use.read(lead.id, somebody("USR_support", Role.SUPPORT))) == 1
    for call in (somebody("another", Role.SDR), somebody("legal", Role.LEGAL)):
        for deed in (use.read, lambda lead_id, call: use.stop(lead_id, "", call)):
            with pytest.raises(NotFound):
                deed(lead.id, call)
    with pytest.raises(Forbidden):
        use.stop(lead.id, "", somebody("USR_support", Role.SUPPORT))
    assert [each.ended_by for each in use.stop(lead.id, "s", somebody(lead.owner_id, Role.SDR))] == [lead.owner_id]
    assert use.start(lead.id, "s", somebody(lead.owner_id, Role.SDR)).round == 2
    assert len([row for row in nurture.table.rows.values() if row.kind == ENROLMENTS.kind]) == 2


@pytest.mark.mission("LEAD-5")
def test_a_preview_is_of_a_lead_or_of_an_invented_one_and_sends_nothing(nurture: Nurture) -> None:
    lead = nurture.lead(first_name="Zoë")
    preview = PreviewMail(nurture.table, nurture.clock, Policy(), nurture.settings)
    shown = preview("welcome-1", "", lead.id, CALL)
    assert (shown.language, shown.mail.subject, shown.mail.to) == ("de", "Willkommen, Zoë", lead.email)
    assert "t.example" not in shown.mail.html, "nothing in a preview counts"
    draft = MailTemplate(subject="{{first_name}}!", html="<p>x</p>")
    assert preview("", "en", "", CALL, draft).mail.subject == "राहुल!"
    with pytest.raises(NotFound):
        preview("nothing", "", "", CALL)
    with pytest.raises(NotFound):
        preview("welcome-1", "", lead.id, somebody("another", Role.SDR))
    with pytest.raises(Forbidden):
        preview("welcome-1", "", "", somebody("legal", Role.LEGAL))
    assert nurture.sender.calls == 0


@pytest.mark.mission("LEAD-5")
def test_a_plan_of_sequences_says_whom_they_would_take_up_and_which_text_is_missing(nurture: Nurture) -> None:
    nurture.lead()
    nurture.change(nurture.lead(email="b@b.example", phone="", last_name="B"), score=90)
    now, rules = NurtureRules.SETTING, nurture.settings.read(NurtureRules)
    said = rules.model_dump(mode="json")
    said["sequences"]["s"] |= {"triggers": ["score_reached"], "score_at_least": 90}
    said["sequences"]["s"]["steps"][0]["template"] = "nothing"
    assert previews(nurture.table, nurture.clock)[now](rules, NurtureRules.model_validate(said)) == [
        "s: 1 of the 2 newest leads with consent would begin, 2 do now",
        "s, step m: there is no email template nothing",
    ]

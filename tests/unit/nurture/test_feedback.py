"""What SES and WhatsApp say of messages afterwards (LEAD-5, CAP-9)."""

from typing import Any

import pytest

from revops.adapters.nurture_mail import read_ses_event
from revops.crm.activities import ACTIVITIES, activity_id
from revops.crm.consent import CONSENTS
from revops.crm.store import LEADS
from revops.kernel import Invalid
from revops.nurture.feedback import Feedback, Verdict
from revops.table import begin
from tests.builders.crm import CALL
from tests.builders.nurture import Nurture, mail, whatsapp


def ses(kind: str, message_id: str, **body: Any) -> dict[str, Any]:
    """An event of SES about a message."""
    return {
        "source": "aws.ses",
        "id": "e-1",
        "detail-type": kind,
        "detail": {"mail": {"messageId": "ses-1", "tags": {"message_id": [message_id]}}, **body},
    }


@pytest.fixture
def nurture() -> Nurture:
    made = Nurture()
    made.rules([mail("m"), mail("later", "PT1H"), whatsapp("w"), whatsapp("w2", "PT1H")])
    return made


@pytest.mark.mission("CAP-9")
def test_a_complaint_is_a_withdrawal_with_the_message_as_its_evidence(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.run("1")
    event = ses("Email Complaint Received", nurture.step(lead, "m").message_id, complaint={})
    for _ in range(2):
        assert nurture.feedback(read_ses_event(event), CALL) == "consent withdrawn"
    record = CONSENTS.require(nurture.table, lead.person_id)
    assert [entry.granted for entry in record.entries if entry.channel == "email"] == [True, False]
    assert record.entries[-1].evidence == f"complaint about {nurture.step(lead, 'm').message_id}"
    nurture.clock.advance(hours=1)
    nurture.run("2")
    assert len(nurture.sender.mails) == 1


@pytest.mark.parametrize(("kind", "noted"), [("Permanent", True), ("Transient", False), ("Undetermined", False)])
def test_only_a_permanent_bounce_makes_an_address_unreachable(nurture: Nurture, kind: str, noted: bool) -> None:
    lead = nurture.enrolled()
    nurture.run("1")
    to = [{"emailAddress": "Asha.Rao@Nordlicht.example"}]
    event = ses(
        "Email Bounced", nurture.step(lead, "m").message_id, bounce={"bounceType": kind, "bouncedRecipients": to}
    )
    for _ in range(2):
        nurture.feedback(read_ses_event(event), CALL)
    assert LEADS.require(nurture.table, lead.id).undeliverable == (("asha.rao@nordlicht.example",) if noted else ())
    nurture.clock.advance(hours=1)
    nurture.run("2")
    assert nurture.outcomes(lead)["later"] == ("skipped" if noted else "sent")
    assert nurture.step(lead, "later").reason == ("the address cannot be reached" if noted else "")
    assert nurture.outcomes(lead)["w2"] == "sent", "the other channel is not concerned"


def test_a_number_whatsapp_cannot_reach_gets_no_more(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.run("1")
    failed = Feedback(Verdict.UNDELIVERABLE, vendor_ref=nurture.step(lead, "w").vendor_ref)
    assert [nurture.feedback(failed, CALL) for _ in range(2)] == ["noted as unreachable", "noted before"]
    nurture.clock.advance(hours=1)
    nurture.run("2")
    assert (nurture.outcomes(lead)["w2"], nurture.outcomes(lead)["later"]) == ("skipped", "sent")


def test_after_a_message_that_did_not_arrive_no_other_is_sent_by_whatsapp(nurture: Nurture) -> None:
    """The channel notes the status on the message's entry of the timeline."""
    lead = nurture.enrolled()
    nurture.run("1")
    sent = ACTIVITIES.require(nurture.table, activity_id(f"whatsapp:{nurture.step(lead, 'w').vendor_ref}"))
    assert (sent.related_to, sent.inbound, sent.content) == (lead.id, False, "follow_up_1: Asha")
    now = nurture.clock.now()
    transaction = begin(CALL, now)
    ACTIVITIES.update(transaction, sent.revised(now, facts={**sent.facts, "status": "failed"}))
    nurture.table.commit(transaction)
    nurture.clock.advance(hours=1)
    nurture.run("2")
    assert nurture.step(lead, "w2").reason == "the message before it could not be delivered"


def test_a_new_address_starts_afresh(nurture: Nurture) -> None:
    lead = nurture.enrolled()
    nurture.change(lead, undeliverable=("asha.rao@nordlicht.example",), email="asha@elsewhere.example")
    nurture.run("1")
    assert nurture.sender.mails[0].to == "asha@elsewhere.example"


def test_a_word_about_a_message_of_somebody_else_is_nothing_to_us(nurture: Nurture) -> None:
    assert nurture.feedback(read_ses_event(ses("Email Bounced", "MSG_UNKNOWN")), CALL) == "not a message of nurture"
    assert nurture.feedback(Feedback(Verdict.COMPLAINT, vendor_ref="wamid.9"), CALL) == "not a message of nurture"


@pytest.mark.parametrize("event", [{}, {"source": "aws.ses"}, {"source": "aws.s3", "detail": {"mail": {}}}])
def test_what_is_no_event_of_ses_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read_ses_event(event)

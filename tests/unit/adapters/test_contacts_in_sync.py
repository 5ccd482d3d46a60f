"""A converted person in the sync with HubSpot: the contact is what is exchanged, the lead says what came of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from revops.adapters.people import CrmPeople, MarkPeopleDirty
from revops.crm.model import Lead, LeadStatus
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS
from revops.settings import SettingsReader
from revops.sync.model import PersonField, PersonSnapshot
from revops.table import ConditionFailed, begin, holder_of
from tests.builders.conversion import Desk as Conversions
from tests.builders.crm import CALL, submission

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


class Desk(Conversions):
    """Conversion, seen by the sync."""

    def __init__(self) -> None:
        super().__init__()
        self.people = CrmPeople(self.table, self.submit, SettingsReader(self.table, ttl=0))

    def person(self, lead: Lead) -> PersonSnapshot:
        found = self.people.snapshot(lead.person_id)
        assert found is not None
        return found

    def take_over(self, person: PersonSnapshot, changes: dict[PersonField, str]) -> PersonSnapshot:
        """A change from there comes in."""
        transaction = begin(CALL, NOW)
        after = self.people.update(transaction, person, changes, NOW)
        self.table.commit(transaction)
        return after


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("HUB-2", "LEAD-8")
def test_conversion_changes_nothing_there_but_the_status(desk: Desk) -> None:
    lead = desk.ready(job_title="CEO")
    before = desk.person(lead)
    desk.clock.advance(hours=1)
    done = desk.converted(lead)
    after = desk.person(lead)
    assert (after.record_id, after.record_version) == (done.conversion.contact_id, 1)
    changed = {name.value for name in PersonField if before.text(name) != after.text(name)}
    assert changed == {"lead_status", "health_score"}
    assert (after.lead_status, after.lead_score, after.health_score) == ("Converted", "79", "Green")
    assert desk.people.find_by_email(lead.email) == lead.person_id


@pytest.mark.mission("HUB-2", "LEAD-8")
def test_what_is_changed_there_reaches_the_contact_and_leaves_lead_and_account_alone(desk: Desk) -> None:
    lead = desk.ready()
    done = desk.converted(lead)
    said = {PersonField.LAST_NAME: " Rao-Meyer\u200b", PersonField.PHONE: "+49 30 901899", PersonField.COMPANY: "NL"}
    after = desk.take_over(desk.person(lead), said)
    assert (after.last_name, after.phone, after.company, after.record_version) == (
        "Rao-Meyer",
        "+49 30 901899",
        "NL",
        2,
    )
    assert desk.person(lead) == after
    assert desk.stands(lead) == done.lead
    assert ACCOUNTS.require(desk.table, done.conversion.account_id).name == "Nordlicht GmbH"


@pytest.mark.mission("CAP-11", "LEAD-8")
def test_what_the_person_is_known_by_follows_the_contact(desk: Desk) -> None:
    lead = desk.ready(email="info@nordlicht.example")
    desk.converted(lead)
    desk.take_over(desk.person(lead), {PersonField.LAST_NAME: "Meyer", PersonField.PHONE: "+49 151 23456789"})
    named = desk.submit(
        submission(email="asha@nordlicht.example", last_name="Meyer", phone="+49 151 23456789"), CALL
    ).lead
    assert [each.lead_id for each in named.resembles] == [lead.id]


@pytest.mark.mission("CAP-11", "LEAD-8")
def test_the_claim_on_a_phone_follows_the_contacts_phone(desk: Desk) -> None:
    lead = desk.ready()
    transaction, bare = begin(CALL, NOW), desk.stands(lead).revised(NOW, email="")
    LEADS.update(transaction, bare)
    from revops.crm.reading import move_identity

    move_identity(desk.table, transaction, lead, bare)
    desk.table.commit(transaction)
    desk.converted(bare)
    assert holder_of(desk.table, "phone", "+4930901820") == lead.id
    desk.take_over(desk.person(lead), {PersonField.PHONE: "+49 30 901821"})
    assert holder_of(desk.table, "phone", "+4930901820") is None
    assert holder_of(desk.table, "phone", "+4930901821") == lead.id
    again = desk.submit(submission(email="", phone="030 901821"), CALL)
    assert (again.lead.id, again.created) == (lead.id, False)


@pytest.mark.mission("HUB-1", "LEAD-8")
@pytest.mark.fault("R19")
def test_a_change_over_a_record_that_is_gone_is_refused(desk: Desk) -> None:
    lead = desk.ready()
    as_lead = desk.person(lead)
    desk.converted(lead)
    with pytest.raises(ConditionFailed):
        desk.take_over(as_lead, {PersonField.FIRST_NAME: "One"})
    as_contact = desk.person(lead)
    desk.take_over(as_contact, {PersonField.FIRST_NAME: "Two"})
    with pytest.raises(ConditionFailed):
        desk.take_over(as_contact, {PersonField.FIRST_NAME: "Three"})
    assert desk.person(lead).first_name == "Two"


@pytest.mark.mission("HUB-1", "LEAD-8")
def test_once_undone_the_lead_is_exchanged_again(desk: Desk) -> None:
    lead = desk.ready()
    done = desk.converted(lead)
    desk.undo(lead.id, done.lead.version, CALL)
    person = desk.person(lead)
    assert (person.record_id, person.lead_status) == (lead.id, LeadStatus.QUALIFIED)


@pytest.mark.mission("LEAD-8")
def test_a_change_from_there_stands_in_the_way_of_undoing(desk: Desk) -> None:
    lead = desk.ready()
    done = desk.converted(lead)
    desk.take_over(desk.person(lead), {PersonField.FIRST_NAME: "Aisha"})
    with pytest.raises(Exception, match=f"contact {done.conversion.contact_id} was changed since"):
        desk.undo(lead.id, done.lead.version, CALL)


@pytest.mark.mission("LEAD-8", "CRM-2")
def test_somebody_who_shares_a_contact_stays_a_person_of_their_own(desk: Desk) -> None:
    first = desk.converted(desk.ready(email="info@nordlicht.example"))
    other = desk.ready(email="bo@neu.example", first_name="Bo", company="Neu", last_name="Lind", phone="+49 30 901821")
    desk.converted(other, contact_id=first.conversion.contact_id)
    person = desk.person(other)
    assert (person.record_id, person.first_name, person.lead_status) == (other.id, "Bo", "Converted")
    assert desk.person(first.lead).record_id == first.conversion.contact_id


@pytest.mark.mission("HUB-1", "LEAD-8")
@pytest.mark.fault("R1")
def test_conversion_and_changes_of_the_contact_make_the_person_dirty_once_each(desk: Desk) -> None:
    lead = desk.ready()
    mark: Any = MarkPeopleDirty(desk.table, desk.clock, SettingsReader(desk.table, ttl=0))
    seen = len(desk.memory.changes)
    made = desk.converted(lead).conversion
    dirty = [each.kind for each in list(desk.memory.changes)[seen:] if mark(each)]
    assert set(dirty) == {"LEAD", "CONTACT", "ACCOUNT"}
    contact = CONTACTS.require(desk.table, made.contact_id)
    transaction = begin(CALL, NOW)
    CONTACTS.update(transaction, contact.revised(NOW, company="Elsewhere"))
    desk.table.commit(transaction)
    change = desk.memory.changes[-1]
    assert [message["entity_id"] for message in mark(change)] == [lead.person_id]

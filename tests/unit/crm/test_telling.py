"""CAP-14, CRM-6: who is told what, with how little of a person's data."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from revops.access import PlaceUser, User
from revops.bus.consume import ConsumeEvent
from revops.bus.telling import telling_reactions
from revops.crm.model import Assignment, Lead
from revops.crm.policies.assignment import account_owner, by_hand
from revops.crm.response import EscalateMissed, response_key
from revops.crm.store import LEADS
from revops.crm.tasks import TASKS, Task, TaskStatus, task_id
from revops.crm.telling import NoticeRules, TellOwner
from revops.kernel import Role, Unavailable
from revops.notices import SendNotice, SendWebhook
from revops.settings import SETTINGS, SettingsReader, SettingsRecord
from revops.table import begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Post:
    """The mail service and the webhook's receiver."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []
        self.messages: list[tuple[str, str, bytes]] = []
        self.down = False

    def send(self, to: str, subject: str, text: str) -> None:
        self.mails.append((to, subject, text))

    def post(self, url: str, event_id: str, body: bytes) -> None:
        if self.down:
            raise Unavailable("the receiver answered 500")
        self.messages.append((url, event_id, body))


class Desk:
    """A lead's owner, and the doors by which they are told."""

    def __init__(self, **notices: str) -> None:
        self.table, self.clock, self.post = MemoryTable(), ManualClock(NOW), Post()
        for name, role in (("sdr-1", Role.SDR), ("boss", Role.SALES_MANAGER)):
            user = User(
                id=name,
                created_at=NOW,
                modified_at=NOW,
                name=name,
                email=f"{name}@example.com",
                role=role,
                team_id="team",
                time_zone="Asia/Kolkata" if name == "sdr-1" else "",
            )
            PlaceUser(self.table, self.clock).user(user, CALL)
        if notices:
            record = SettingsRecord(id="notices", created_at=NOW, modified_at=NOW, content=notices)
            transaction = begin(CALL, NOW)
            SETTINGS.create(transaction, record)
            self.table.commit(transaction)
        tell = TellOwner(
            self.table,
            self.clock,
            SettingsReader(self.table, ttl=0),
            SendNotice(self.table, self.clock, self.post),
            SendWebhook(self.table, self.clock, self.post.post),
            "ops@example.com",
        )
        self.consume = ConsumeEvent(telling_reactions(lambda: tell))

    def lead(self, roster: FixedRoster | None = None, **said: Any) -> Lead:
        return submit_lead(self.table, clock=self.clock, roster=roster or FixedRoster("sdr-1"))(
            submission(**said), CALL
        ).lead

    def happens(self, name: str, identifier: str = "E:1", **data: Any) -> str:
        return self.consume({"source": "revops", "detail-type": name, "detail": {"id": identifier, "data": data}})

    def created(self, lead: Lead) -> str:
        return self.happens("LeadCreated", f"{lead.id}:1:LeadCreated", lead_id=lead.id, owner_id=lead.owner_id)


@pytest.mark.mission("CAP-14")
def test_the_owner_is_mailed_once_with_whom_to_call_and_by_when() -> None:
    desk = Desk()
    lead = desk.lead()
    for _ in range(3):
        desk.created(lead)
    [(to, subject, text)] = desk.post.mails
    assert (to, subject) == ("sdr-1@example.com", "New lead: Nordlicht GmbH")
    assert f"Asha Rao of Nordlicht GmbH is your lead {lead.id}." in text
    assert "(Asia/Kolkata)" in text
    assert f"/api/v1/leads/{lead.id}" in text
    assert lead.email not in text
    assert "901820" not in text
    assert response_key(lead.id) in desk.table.rows
    assert desk.post.messages == []


@pytest.mark.mission("CAP-12", "CAP-14")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (by_hand("sdr-1", "boss", "Holiday"), "How it came to you: by boss: Holiday."),
        (account_owner("sdr-1", "ACC_1"), "How it came to you: works at ACC_1."),
    ],
)
def test_the_owner_reads_how_the_lead_came_to_them(given: Assignment, said: str) -> None:
    desk = Desk()
    lead = desk.lead()
    transaction = begin(CALL, NOW)
    LEADS.update(transaction, lead.revised(NOW, assignment=given))
    desk.table.commit(transaction)
    desk.created(lead)
    [(_, _, text)] = desk.post.mails
    assert said in text.splitlines()


@pytest.mark.mission("CAP-14")
def test_the_webhook_is_told_facts_without_a_person_and_a_failure_holds_no_mail_up() -> None:
    desk = Desk(webhook_url="https://hooks.example.com/revops", record_link="https://crm.example.com/r/{id}")
    lead = desk.lead()
    desk.post.down = True
    with pytest.raises(Unavailable):
        desk.created(lead)
    assert len(desk.post.mails) == 1
    assert f"https://crm.example.com/r/{lead.id}" in desk.post.mails[0][2]
    desk.post.down = False
    for _ in range(2):
        desk.created(lead)
    [(url, event_id, body)] = desk.post.messages
    assert (url, event_id) == ("https://hooks.example.com/revops", f"{lead.id}:1:LeadCreated")
    for private in (lead.email, lead.first_name, lead.last_name, lead.company):
        assert private not in body.decode()
    assert len(desk.post.mails) == 1


@pytest.mark.mission("CAP-14")
def test_who_is_not_the_owner_any_more_is_not_told() -> None:
    desk = Desk(webhook_url="https://hooks.example.com/revops")
    lead = desk.lead()
    transaction = begin(CALL, NOW)
    LEADS.update(transaction, lead.revised(NOW, owner_id="boss"))
    desk.table.commit(transaction)
    desk.created(lead)
    assert (desk.post.mails, desk.post.messages) == ([], [])
    desk.happens("LeadAssigned", lead_id=lead.id, owner_id="boss", previous_owner_id="sdr-1")
    assert [to for to, _, _ in desk.post.mails] == ["boss@example.com"]


@pytest.mark.mission("CAP-14")
def test_masses_are_quiet_and_what_nobody_owns_goes_to_those_who_look_after_it() -> None:
    desk = Desk()
    desk.created(desk.lead(channel="import"))
    assert desk.post.mails == []
    unowned = desk.lead(FixedRoster(), email="b@other.example", phone="", last_name="Other")
    desk.created(unowned)
    [(to, subject, text)] = desk.post.mails
    assert (to, subject) == ("ops@example.com", "A lead waits for an owner")
    assert unowned.company not in text


@pytest.mark.mission("CAP-14")
@pytest.mark.fault("S15")
def test_a_company_s_name_makes_no_header() -> None:
    desk = Desk()
    lead = desk.lead(company="Evil\r\nBcc: all@example.com")
    desk.created(lead)
    assert "\n" not in desk.post.mails[0][1]
    assert "\r" not in desk.post.mails[0][2]


@pytest.mark.mission("CAP-14")
def test_the_manager_hears_of_a_missed_target_once() -> None:
    desk = Desk(webhook_url="https://hooks.example.com/revops")
    lead = desk.lead()
    desk.created(lead)
    desk.clock.advance(hours=2)
    EscalateMissed(desk.table, desk.clock)("p1")
    [task] = [TASKS.load(row) for row in desk.table.rows.values() if row.kind == TASKS.kind]
    said: Mapping[str, Any] = {"lead_id": lead.id, "owner_id": "sdr-1", "task_id": task.id}
    for _ in range(2):
        desk.happens("ResponseTargetMissed", **said)
    assert [(to, subject) for to, subject, _ in desk.post.mails[1:]] == [
        ("boss@example.com", "A response target was missed")
    ]
    assert len(desk.post.messages) == 2


@pytest.mark.mission("CRM-6")
def test_an_assignee_is_reminded_of_what_is_still_theirs_and_open() -> None:
    desk = Desk()
    due = NOW + timedelta(hours=1)
    task = Task(
        id=task_id("a"), created_at=NOW, modified_at=NOW, title="Call\nback", related_to="LEAD_1", owner_id="sdr-1",
        assignee_id="sdr-1", due_at=due,
    )  # fmt: skip
    transaction = begin(CALL, NOW)
    TASKS.create(transaction, task)
    desk.table.commit(transaction)
    desk.happens("TaskReminderDue", task_id=task.id, related_to="LEAD_1", assignee_id="boss")
    assert desk.post.mails == []
    for _ in range(2):
        desk.happens("TaskReminderDue", task_id=task.id, related_to="LEAD_1", assignee_id="sdr-1")
    [(to, subject, text)] = desk.post.mails
    assert (to, subject) == ("sdr-1@example.com", "A task is due")
    assert text.startswith("Call back\nDue 20/11/2026 10:00 UTC")
    transaction = begin(CALL, NOW)
    TASKS.update(transaction, task.revised(NOW, status=TaskStatus.DONE))
    desk.table.commit(transaction)
    desk.happens("TaskReminderDue", "E:2", task_id=task.id, related_to="LEAD_1", assignee_id="sdr-1")
    assert len(desk.post.mails) == 1


@pytest.mark.fault("R15")
def test_a_lead_whose_change_was_lost_is_watched_again() -> None:
    desk = Desk()
    lead = desk.lead()
    desk.happens("RecordRedriven", record=f"LEAD#{lead.id}|LEAD", kind="LEAD", record_version=1)
    assert response_key(lead.id) in desk.table.rows
    assert desk.happens("RecordRedriven", record="ORDER#x|ORDER", kind="ORDER", record_version=1) == "no reaction"


@pytest.mark.parametrize("broken", [{"webhook_url": "ftp://x"}, {"record_link": "https://x.example/no-place"}])
def test_addresses_that_are_none_are_refused(broken: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        NoticeRules.model_validate(broken)

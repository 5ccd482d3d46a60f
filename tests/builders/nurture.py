"""Nurture over a table: its use cases, senders that keep what they were given, and leads to write to."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from revops.crm.consent import Consent, RecordConsent, SendGate
from revops.crm.engagement import RecordEngagement
from revops.crm.model import Lead
from revops.crm.store import LEADS
from revops.crm.submission import ConsentStatement
from revops.nurture.enrolling import EndEnrolments, EnrolLead, ReviewEnrolments
from revops.nurture.feedback import TakeFeedback
from revops.nurture.model import Enrolment, StepRecord, Trigger, enrolment_id
from revops.nurture.policies import NurtureRules
from revops.nurture.ports import MailMessage
from revops.nurture.running import RunNurture
from revops.nurture.sending import SendMessage
from revops.nurture.store import ENROLMENTS
from revops.nurture.templates import NurtureTemplates
from revops.nurture.writing import WriteMessage
from revops.settings import SETTINGS, SettingsDocument, SettingsReader, SettingsRecord
from revops.table import begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable


class ListeningSender:
    """`MailSender` and `WhatsappSender`. `trouble` is raised instead of an answer, one per call, as long as there is
    some; `on_send` steps in while a message is on the wire."""

    def __init__(self) -> None:
        self.mails: list[MailMessage] = []
        self.whatsapp: list[tuple[str, str]] = []
        self.trouble: list[BaseException | None] = []
        self.on_send: Callable[[], object] = lambda: None
        self.calls = 0

    def send(self, message: MailMessage) -> str:
        self._answer()
        self.mails.append(message)
        return f"ses-{self.calls}"

    def send_template(self, to: str, template: str, language: str, parameters: Sequence[str]) -> str:
        self._answer()
        self.whatsapp.append((to, f"{template}/{language}: {', '.join(parameters)}"))
        return f"wamid.{self.calls}"

    def send_text(self, to: str, text: str) -> str:
        self._answer()
        self.whatsapp.append((to, text))
        return f"wamid.{self.calls}"

    def _answer(self) -> None:
        self.calls += 1
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is not None:
            raise trouble
        self.on_send()

    @property
    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.mails]


class NamedLinks:
    """`MessageLinks` that can be read."""

    def pixel(self, lead_id: str, message_id: str) -> str:
        return f"https://t.example/o/{lead_id}/{message_id}"

    def click(self, lead_id: str, message_id: str, target: str) -> str:
        return f"https://t.example/c/{lead_id}/{message_id}?{target}"

    def unsubscribe(self, person_id: str, channel: str, message_id: str) -> str:
        return f"https://t.example/u/{person_id}/{channel}/{message_id}"


BOTH = tuple(ConsentStatement(channel=channel, granted=True, wording_version="1") for channel in ("email", "whatsapp"))
"""A person who agreed to be written to both ways."""
ANYTIME: Mapping[str, Any] = {"begins": "00:00", "ends": "00:00", "weekends": True}


class Nurture:
    """Everything of nurture over one table in memory. Friday, nine in the morning, in London."""

    def __init__(self, table: MemoryTable | None = None, start: datetime | None = None) -> None:
        self.table, self.clock = table or MemoryTable(), ManualClock(start)
        self.sender = ListeningSender()
        settings = self.settings = SettingsReader(self.table, ttl=0)
        self.write = WriteMessage(self.clock, settings, NamedLinks, lambda: self.sender, lambda: self.sender)
        self.gate = SendGate(self.table, self.clock)
        send = SendMessage(self.table, self.clock, self.gate, self.write)
        self.run = RunNurture(self.table, self.clock, settings, self.write, send)
        self.enrol = EnrolLead(self.table, self.clock, settings)
        self.review = ReviewEnrolments(self.table, self.clock, settings)
        self.end = EndEnrolments(self.table, self.clock)
        self.consent = RecordConsent(self.table, self.clock, sleep=lambda seconds: self.clock.advance(seconds=seconds))
        self.feedback = TakeFeedback(self.table, self.clock, self.consent)
        self.engage = RecordEngagement(self.table, self.clock, sleep=lambda _: None)

    def apply(self, document: SettingsDocument) -> None:
        """Puts rules in force."""
        now = self.clock.now()
        transaction = begin(CALL, now)
        content = document.model_dump(mode="json")
        record = SETTINGS.get(self.table, document.SETTING)
        if record is None:
            SETTINGS.create(
                transaction, SettingsRecord(id=document.SETTING, created_at=now, modified_at=now, content=content)
            )
        else:
            SETTINGS.update(transaction, record.revised(now, content=content))
        self.table.commit(transaction)

    def rules(self, steps: Sequence[Mapping[str, Any]], *, quiet: Mapping[str, Any] = ANYTIME, **more: Any) -> None:
        """One sequence, `s`, of these steps, begun by a new lead; no quiet hours, no spacing unless told."""
        rules: dict[str, Any] = {"spacing": "PT0S", "quiet": dict(quiet)}
        rules |= {name: more.pop(name) for name in list(more) if name in NurtureRules.model_fields}
        sequence = {"triggers": ["lead_created"], "steps": list(steps), **more}
        self.apply(NurtureRules.model_validate({**rules, "sequences": {"s": sequence}}))

    def templates(self, **mails: Mapping[str, Any]) -> None:
        """Mail templates by name, in English."""
        wanted = NurtureTemplates().model_dump(mode="json")
        wanted["mails"] |= {name.replace("_", "-"): {"en": dict(said)} for name, said in mails.items()}
        self.apply(NurtureTemplates.model_validate(wanted))

    def lead(self, **said: Any) -> Lead:
        """A new lead of somebody who agreed to be written to."""
        made = submit_lead(self.table, clock=self.clock)
        return made(submission(**{"consents": BOTH} | said), CALL).lead

    def enrolled(self, **said: Any) -> Lead:
        """A new lead, in what new leads begin."""
        lead = self.lead(**said)
        self.enrol(lead.id, Trigger.LEAD_CREATED, "event-1", CALL)
        return lead

    def enrolment(self, lead: Lead, sequence: str = "s", number: int = 1) -> Enrolment:
        return ENROLMENTS.require(self.table, enrolment_id(lead.person_id, sequence, number))

    def step(self, lead: Lead, name: str, sequence: str = "s") -> StepRecord:
        return next(step for step in self.enrolment(lead, sequence).steps if step.name == name)

    def outcomes(self, lead: Lead, sequence: str = "s") -> dict[str, str]:
        """How each step stands."""
        return {step.name: step.status.value for step in self.enrolment(lead, sequence).steps}

    def pass_time(self, length: timedelta, every: timedelta = timedelta(hours=1)) -> None:
        """Lets time go by, with the job waking up."""
        end = self.clock.now() + length
        while self.clock.now() < end:
            self.run("tick")
            self.clock.advance(seconds=min(every, end - self.clock.now()).total_seconds())
        self.run("tick")

    def withdraw(self, lead: Lead, channel: str = "email") -> None:
        """The person takes the consent for a channel back."""
        said = Consent(channel=channel, purpose="marketing", granted=False, at=self.clock.now(), source="test")
        self.consent(lead.person_id, (said,), CALL)

    def change(self, lead: Lead, **changes: Any) -> Lead:
        """Changes a lead, whoever would do it."""
        now = self.clock.now()
        changed = LEADS.require(self.table, lead.id).revised(now, **changes)
        transaction = begin(CALL, now)
        LEADS.update(transaction, changed)
        self.table.commit(transaction)
        return changed


def mail(name: str, after: str = "PT0S", **more: Any) -> dict[str, Any]:
    """A mail step."""
    return {"name": name, "channel": "email", "after": after, "template": "welcome-1", **more}


def whatsapp(name: str, after: str = "PT0S", **more: Any) -> dict[str, Any]:
    """A WhatsApp step."""
    return {"name": name, "channel": "whatsapp", "after": after, "template": "follow-up-1", **more}


def task(name: str, after: str = "PT0S", **more: Any) -> dict[str, Any]:
    """A task step."""
    return {"name": name, "channel": "task", "after": after, "template": "Call {{full_name}}", **more}
